"""Reading targets back through the tools that the rules name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from takeback.core.canonical import NotCanonical, canonical
from takeback.core.expressions import Expression, ExpressionError
from takeback.core.images import Image, Part, Presence
from takeback.core.jsontext import JSON
from takeback.core.policy.schema import Read, Rule
from takeback.core.redaction import is_redacted
from takeback.core.results import read_part
from takeback.guard.catalog import Catalog
from takeback.ports import ToolFailure

log = logging.getLogger(__name__)

READ_TIMEOUT: Final = 30.0
"""Seconds that one read-back may take."""


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


async def take_image(catalog: Catalog, wanted: tuple[Reading, ...], variables: Mapping[str, JSON]) -> Image:
    """Read all targets, side by side. Never raises for what a tool does: a target that cannot be read says so."""
    if len(wanted) == 1:
        return Image((await _take(catalog, wanted[0], variables),))
    return Image(tuple(await asyncio.gather(*(_take(catalog, reading, variables) for reading in wanted))))


async def _take(catalog: Catalog, reading: Reading, variables: Mapping[str, JSON]) -> Part:
    entry = catalog.named(reading.tool)
    if entry is None:
        return Part(reading.name, Presence.UNREADABLE, None, f"there is no tool {reading.tool}")
    if is_redacted(reading.arguments):
        return Part(reading.name, Presence.UNREADABLE, None, "what it is read by was redacted and is not kept")
    params = {"name": entry.definition.name, "arguments": dict(reading.arguments)}
    try:
        result = await entry.client.request("tools/call", params, timeout=READ_TIMEOUT)
        error = None
    except ToolFailure as failure:
        result, error = None, str(failure) or type(failure).__name__
    except Exception as failure:  # a port lets no foreign exception through; a read that fails has done no harm
        log.exception("the connector of %s failed", entry.client.name)
        result, error = None, f"the connector failed ({type(failure).__name__})"
    try:
        part = read_part(
            reading.name,
            result,
            error,
            select=reading.select,
            absent=reading.absent,
            variables={**variables, **reading.known},
        )
        canonical(part.value)
    except (ExpressionError, NotCanonical) as failure:
        return Part(reading.name, Presence.UNREADABLE, None, str(failure))
    return part
