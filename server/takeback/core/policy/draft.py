"""A first policy for a server that nobody has described yet: cautious, and said so in the file itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from takeback.core.jsontext import dumps
from takeback.core.policy.source import Table

_READS: Final = re.compile(
    r"^(get|list|search|find|read|fetch|show|describe|query|lookup|count|status|view|open_nodes|directory_tree|diff)"
    r"(_|$|[A-Z])|^log$"
)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:-]+")
"""Names that a rule can spell. In any other, something might be a pattern, and the rule would speak for other tools."""

_STEMS: Final = (
    "add adjust append apply appli approv archiv assign book cancel charg clear commit configur creat delet deploy "
    "destroy drop edit eras escalat execut grant import increment insert install invit issu mark merg modify modifi "
    "mov overwrit pay post publish purg push put refund register remov renam replac reset restart restor revok run "
    "sav schedul send set submit terminat toggl transfer trigger truncat updat upload wip writ"
)
_WRITES: Final = re.compile(rf"\b(?:{_STEMS.replace(' ', '|')})(?:e?s?|[bdgmnpt]?ing)\b", re.IGNORECASE)
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_HEAD: Final = """\
# A cautious first policy for {name}. Nobody has looked at it yet: please do.
#
# Reads that are declared and named as reads pass. Every other tool asks a person first, because nothing is known about
# what it changes and how to take that back. Describe the writes you use as rules (docs/policy.md), and they will be
# imaged, verified and undone.

[defaults]
unknown_tools = "ask"

[upstream.{name}]
"""


def draft(name: str, table: Table, tools: Sequence[Mapping[str, Any]]) -> str:
    """The policy as TOML."""
    reads = [tool for tool in tools if looks_like_a_read(tool)]
    others = [tool for tool in tools if tool not in reads]
    text = _HEAD.format(name=name) + "".join(f"{key} = {_toml(value)}\n" for key, value in table.items())
    for tool in reads:
        text += f'\n[[rule]]\ntool = "{name}.{tool["name"]}"\nclass = "read_only"\n'
    if others:
        text += "\n# These ask a person each time, until there are rules for them:\n"
        text += "".join(f"#   {name}.{_comment(t.get('name'))}: {_comment(t.get('description'))}\n" for t in others)
    return text


def looks_like_a_read(tool: Mapping[str, Any]) -> bool:
    """Only when all agree: the server declares it, the name says it, and name and description say nothing against it.

    A read that is not taken for one only asks once too often; a write that is taken for one runs unseen.
    """
    annotations = tool.get("annotations")
    hints = annotations if isinstance(annotations, Mapping) else {}
    declared = hints.get("readOnlyHint") is True and hints.get("destructiveHint") is not True
    name = str(tool.get("name", ""))
    if not declared or _PLAIN.fullmatch(name) is None or _READS.search(name) is None:
        return False
    told = [" ".join(_WORDS.findall(name)), tool.get("description"), tool.get("title"), hints.get("title")]
    return not any(_WRITES.search(str(text)) for text in told if text)


def _comment(text: object) -> str:
    """What a server says, as part of one line of a comment."""
    return "".join(c for c in " ".join(str(text or "").split())[:80] if c.isprintable())


def _toml(value: str | Sequence[str] | Mapping[str, str]) -> str:
    """A value as TOML: JSON's strings are TOML's basic strings, too."""
    if isinstance(value, str):
        return dumps(value).decode()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    return "[" + ", ".join(map(_toml, value)) + "]"
