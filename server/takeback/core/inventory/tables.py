"""A drafted policy as TOML, with the reasons beside each rule.

Written by hand, because all of it is one shape (a list of flat rules) and the comments are half of it. Names and
descriptions come from the upstream and are not trusted: what becomes a comment is one line of printable characters, and
what becomes a value is a basic string in which everything else is escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from takeback.core.inventory.drafting import Drafted
from takeback.core.inventory.judging import Nature

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST: Final = 110
_HEAD: Final = """\
# A cautious first policy, drafted from what the tools say of themselves. Nobody has looked at it yet: please do.
#
# A tool that is not surely a read is a write. A person agrees to each write that may lose something for good, and to
# each of which it is not clear what it does. docs/policy.md explains every key, and how this was drafted.

[defaults]
unknown_tools = "ask"
"""


def policy_text(upstreams: Mapping[str, Mapping[str, Any]], drafted: Mapping[str, Sequence[Drafted]]) -> str:
    """The policy: its upstreams with their settings, what cannot be undone, and the rules."""
    text = _HEAD
    for name, settings in upstreams.items():
        text += f"\n[upstream.{name}]\n" + "".join(f"{key} = {value(each)}\n" for key, each in settings.items())
    for name, tools in drafted.items():
        text += rules_text(name, tools)
    return text


def rules_text(upstream: str, tools: Sequence[Drafted]) -> str:
    """The rules for one upstream."""
    text = "".join(_lost(upstream, tools))
    reads = [tool for tool in tools if tool.nature is Nature.READ]
    writes = [tool for tool in tools if tool.nature is not Nature.READ]
    for title, some in ((f"{upstream}: reads", reads), (f"{upstream}: writes", writes)):
        if some:
            text += f"\n# --- {title} ---\n" + "".join(map(_rule, some))
    return text


def _lost(upstream: str, tools: Iterable[Drafted]) -> Iterable[str]:
    lost = [tool for tool in tools if tool.lost is not None]
    if lost:
        yield f"\n# What of {upstream} cannot be undone, as far as this draft can tell:\n"
        yield from (comment(f"  {tool.tool}: {tool.lost}") for tool in lost)


def _rule(tool: Drafted) -> str:
    sure = f"{tool.nature.value}, confidence {tool.confidence.value}"
    head = comment(f"{tool.tool}: {sure}") + "".join(comment(f"  {each.reason}") for each in _telling(tool))
    head += "".join(comment(f"  {note}") for note in tool.notes)
    if not tool.rules:
        return (
            "\n" + head + comment("  No rule can tell this tool from others by its name; it asks a person each time.")
        )
    return "\n" + head + "\n".join(map(_table, tool.rules))


def _telling(tool: Drafted) -> list[Any]:
    """The findings that decided, and those that were overruled."""
    decided = [each for each in tool.findings if (each.weight > 0) is (tool.nature is Nature.READ)]
    return decided[:4] or list(tool.findings[:4])


def _table(rule: Mapping[str, Any]) -> str:
    return "[[rule]]\n" + "".join(f"{key} = {value(each)}\n" for key, each in rule.items())


def comment(text: str) -> str:
    """A text as one line of a comment."""
    kept = "".join(c for c in text.replace("\n", " ").replace("\t", " ") if c.isprintable())
    return "# " + (kept if len(kept) <= _LONGEST else kept[: _LONGEST - 3] + "...") + "\n"


def value(given: Any) -> str:
    """A value as TOML, on one line."""
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, str):
        return _string(given)
    if isinstance(given, Mapping):
        if not given:
            return "{}"
        return "{ " + ", ".join(f"{_key(key)} = {value(each)}" for key, each in given.items()) + " }"
    if isinstance(given, Sequence):
        return "[" + ", ".join(map(value, given)) + "]"
    return str(given)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _string(name)


def _string(text: str) -> str:
    """A basic string: JSON's escapes are TOML's, too."""
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False).replace("\x7f", "\\u007f")
