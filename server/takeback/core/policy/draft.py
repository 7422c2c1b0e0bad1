"""A first policy for a server that nobody has described yet: cautious, and said so in the file itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from takeback.core.jsontext import dumps

_READS: Final = re.compile(
    r"^(get|list|search|find|read|fetch|show|describe|query|lookup|count|status|view|open_nodes|directory_tree|diff|log)(_|$|[A-Z])"
)
_WRITES: Final = re.compile(
    r"\b(creates?|writes?|updates?|deletes?|removes?|sends?|sets?|adds?|moves?|renames?|executes?|runs?|posts?|marks?|"
    r"overwrites?|modif(?:y|ies)|edits?|commits?|charges?|resets?)\b",
    re.IGNORECASE,
)
_HEAD: Final = """\
# A cautious first policy for {name}. Nobody has looked at it yet: please do.
#
# Reads that are declared and named as reads pass. Every other tool asks a person first, because nothing is known about
# what it changes and how to take that back. Describe the writes you use as rules (docs/policy.md), and they will be
# imaged, verified and undone.

[defaults]
unknown_tools = "ask"

[upstream.{name}]
command = {command}
args = {args}
"""


def draft(name: str, command: Sequence[str], tools: Sequence[Mapping[str, Any]]) -> str:
    """The policy as TOML."""
    reads = [tool for tool in tools if looks_like_a_read(tool)]
    others = [tool for tool in tools if tool not in reads]
    text = _HEAD.format(name=name, command=_string(command[0]), args="[" + ", ".join(map(_string, command[1:])) + "]")
    for tool in reads:
        text += f'\n[[rule]]\ntool = "{name}.{tool["name"]}"\nclass = "read_only"\n'
    if others:
        text += "\n# These ask a person each time, until there are rules for them:\n"
        text += "".join(f"#   {name}.{tool['name']}: {_first_words(tool)}\n" for tool in others)
    return text


def looks_like_a_read(tool: Mapping[str, Any]) -> bool:
    """Only when all agree: the server declares it, the name says it, and the description says nothing against it."""
    annotations = tool.get("annotations")
    declared = isinstance(annotations, Mapping) and annotations.get("readOnlyHint") is True
    name = str(tool.get("name", ""))
    return declared and _READS.search(name) is not None and _WRITES.search(str(tool.get("description", ""))) is None


def _first_words(tool: Mapping[str, Any]) -> str:
    text = " ".join(str(tool.get("description", "")).split())
    return "".join(c for c in text[:80] if c.isprintable())


def _string(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's, too; `$` is doubled so that nothing is substituted."""
    return dumps(text.replace("${", "$${")).decode()
