"""How targets are read back: the calls that a rule names, with their arguments filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from takeback.core.expressions import Expression
from takeback.core.jsontext import JSON
from takeback.core.policy.schema import Read, Rule


@dataclass(frozen=True, slots=True)
class Reading:
    """How one target is read: the tool, its arguments filled in, and how its answer is to be understood.

    `known` are the variables of the call that it was made for, where `select` or `absent` use them: an undo reads with
    those, not with its own.
    """

    name: str
    tool: str
    arguments: Mapping[str, JSON]
    select: Expression | None = None
    absent: Expression | None = None
    known: Mapping[str, JSON] = field(default_factory=dict)

    def document(self) -> JSON:
        """For the ledger, so that an undo reads the same way."""
        return {
            "name": self.name,
            "tool": self.tool,
            "arguments": dict(self.arguments),
            "select": self.select.source if self.select else None,
            "absent": self.absent.source if self.absent else None,
            "known": dict(self.known),
        }

    @classmethod
    def from_document(cls, document: JSON) -> Reading:
        """The reverse of `document`."""
        select, absent = document["select"], document["absent"]
        return cls(
            document["name"],
            document["tool"],
            document["arguments"],
            Expression(select) if select else None,
            Expression(absent) if absent else None,
            document.get("known") or {},
        )


def readings(rule: Rule, variables: Mapping[str, JSON]) -> tuple[Reading, ...]:
    """The reads of a rule, with their arguments filled in; empty when a target has none.

    Raises:
        ExpressionError: an argument has no value (the id of something that is yet to be created, say).
    """
    if rule.read is not None:
        name = rule.target[0].name if rule.target else "target"
        return (_reading(name, rule.read, variables),)
    found = [(spec.name, spec.read) for spec in rule.target if spec.read is not None]
    if len(found) != len(rule.target):
        return ()
    return tuple(_reading(name, read, variables) for name, read in found)


def _reading(name: str, read: Read, variables: Mapping[str, JSON]) -> Reading:
    names = {name for part in (read.select, read.absent) if part is not None for name in part.names}
    known = {"args": variables["args"]} if "args" in names else {}
    return Reading(name, read.tool, read.args.value(variables), read.select, read.absent, known)


def needs_result(rule: Rule) -> bool:
    """Whether the target can only be read once the tool has answered (it names what was created)."""
    reads = [read for read in (rule.read, *(spec.read for spec in rule.target)) if read is not None]
    return any("result" in read.args.names for read in reads)
