"""One policy on the basis of another: the same rules, with other ways to what they guard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from takeback.core.policy.document import Unreadable, parse
from takeback.core.policy.mistakes import Mistake, at

EXTENDS: Final = "extends"


@dataclass(frozen=True, slots=True)
class Base:
    """The policy file that another one extends: its name there, and its text."""

    name: str
    text: bytes


def named_base(text: bytes) -> str | None:
    """The file that a policy extends, if it does; what is wrong with it is for `load` to say."""
    try:
        name = parse(text).get(EXTENDS)
    except Unreadable:
        return None
    return name if isinstance(name, str) and name else None


@dataclass(frozen=True, slots=True)
class Extended:
    """A policy's own tables over its base's. `kept` are the places in the base of those of its rules that hold.

    `mistakes` are those of extending.
    """

    document: dict[str, Any]
    own: Mapping[str, Any]
    base: str = ""
    kept: tuple[int, ...] = ()
    mistakes: tuple[Mistake, ...] = ()

    def placed(self, mistakes: Iterable[Mistake]) -> Iterator[Mistake]:
        """The mistakes where their file has them: a base's rules stand behind the own ones here, and not there."""
        count = len(_rules(self.own))
        for mistake in mistakes:
            keys = mistake.keys
            if not self.base or keys == (EXTENDS,):
                yield mistake
            elif keys[:1] == ("rule",) and len(keys) > 1:
                place = int(keys[1]) - count
                moved = replace(mistake, keys=("rule", self.kept[max(place, 0)], *keys[2:]), file=self.base)
                yield mistake if place < 0 else moved
            else:
                yield mistake if at(self.own, keys[:2]) is not None else replace(mistake, file=self.base)


def extended(document: dict[str, Any], base: Base | None) -> Extended:
    """The document over its base.

    Own rules come first, and one without `when` replaces those of the base for the same `tool`. An own upstream
    replaces the one of that name whole; of other tables single keys are replaced.

    Raises:
        Unreadable: the base is no TOML.
    """
    if EXTENDS not in document:
        return Extended(document, document)
    own = {key: value for key, value in document.items() if key != EXTENDS}
    if base is None:
        return Extended(own, own, mistakes=(Mistake((EXTENDS,), "must name a policy file that can be read"),))
    theirs = parse(base.text)
    mistakes = []
    if theirs.pop(EXTENDS, None) is not None:
        mistakes.append(Mistake((EXTENDS,), f"{base.name} itself extends another policy", "extend that one"))
    replaced = {_tool(rule) for rule in _rules(own) if isinstance(rule, dict) and "when" not in rule} - {None}
    kept = [(index, rule) for index, rule in enumerate(_rules(theirs)) if _tool(rule) not in replaced]
    combined = {**theirs, **{key: _over(value, theirs.get(key)) for key, value in own.items()}}
    if "rule" in combined and isinstance(combined["rule"], list):
        combined["rule"] = [*_rules(own), *(rule for _, rule in kept)]
    return Extended(combined, own, base.name, tuple(index for index, _ in kept), tuple(mistakes))


def _over(own: Any, theirs: Any) -> Any:
    return {**theirs, **own} if isinstance(own, dict) and isinstance(theirs, dict) else own


def _rules(document: Mapping[str, Any]) -> list[Any]:
    rules = document.get("rule")
    return rules if isinstance(rules, list) else []


def _tool(rule: Any) -> str | None:
    tool = rule.get("tool") if isinstance(rule, dict) else None
    return tool if isinstance(tool, str) else None
