"""How a scenario's steps are shown to an onlooker: on lines that can be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from takeback.core.jsontext import JSON, dumps, loads

_LONGEST: Final = 150


@dataclass(frozen=True, slots=True)
class Told:
    """What a step came to, for the narrator: lines to show, and what was expected and did not come."""

    lines: tuple[str, ...]
    failures: tuple[str, ...] = ()


def together(told: Sequence[Told]) -> Told:
    """Steps that were taken side by side, as one."""
    lines = [line for one in told for line in one.lines]
    return Told(tuple(lines), tuple(failure for one in told for failure in one.failures))


def call(tool: str, arguments: Mapping[str, Any]) -> list[str]:
    """A call on one line; the steps of a plan on a line each."""
    groups = arguments.get("groups")
    if not isinstance(groups, list):
        return [f"agent   {tool}({brief(arguments)})"]
    rest = {name: value for name, value in arguments.items() if name != "groups"}
    return [f"agent   {tool}({brief(rest)})", *(f"        {line}" for line in _steps(groups))]


def _steps(groups: Sequence[Any]) -> Iterator[str]:
    for number, group in enumerate(groups, 1):
        for index, step in enumerate(group["steps"]):
            arguments = ", ".join(f"{name}={_given(value)}" for name, value in step["arguments"].items())
            yield f"{f'group {number}' if not index else '       '}  {step['id']}: {step['tool']}({arguments})"


def _given(value: JSON) -> str:
    """An argument of a step, which may stand for a part of an earlier one's result."""
    if isinstance(value, dict) and "$from" in value:
        return "<" + " of ".join(str(value[key]) for key in ("path", "$from") if key in value) + ">"
    return _scalar(value)


def telling(text: str) -> Iterator[str]:
    """The lines of an answer without a tool's own JSON, which an onlooker has no use for."""
    for line in text.splitlines():
        try:
            if isinstance(loads(line), dict | list):
                continue
        except ValueError:
            if not line.strip():
                continue
        yield line


def missing(text: str, wanted: Sequence[str], unwanted: Sequence[str]) -> list[str]:
    """What a text should say and does not, or says and should not."""
    found = [f"the answer does not say {words!r}: {text}" for words in wanted if words not in text]
    return found + [f"the answer says {words!r}: {text}" for words in unwanted if words in text]


def brief(value: JSON) -> str:
    """A value on one line that is not too long."""
    text = ", ".join(f"{k}={_scalar(v)}" for k, v in value.items()) if isinstance(value, dict) else _scalar(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _scalar(value: JSON) -> str:
    return value if isinstance(value, str) and value.isprintable() else dumps(value).decode()
