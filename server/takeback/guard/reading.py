"""Reading targets back through the tools that the rules name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from takeback.core.canonical import NotCanonical, canonical
from takeback.core.expressions import ExpressionError
from takeback.core.images import Image, Part, Presence
from takeback.core.jsontext import JSON
from takeback.core.redaction import is_redacted
from takeback.core.results import answer_of, part_of
from takeback.guard.catalog import Entry
from takeback.guard.readings import Reading
from takeback.guard.retrying import Withheld, patiently
from takeback.guard.services import Services
from takeback.ports import NotSent, OutcomeUnknown, ToolFailure

log = logging.getLogger(__name__)

READ_TIMEOUT: Final = 30.0
"""Seconds that one read of the guard's own may take, all attempts counted."""


async def ask(services: Services, entry: Entry, arguments: Mapping[str, JSON]) -> dict[str, Any]:
    """The result of a read of the guard's own. One that gets no answer is asked again, within bounds.

    Raises:
        ToolFailure: as the tool client does.
    """
    params = {"name": entry.definition.name, "arguments": dict(arguments)}

    async def attempt() -> dict[str, Any]:
        left = (deadline - services.clock.now()).total_seconds()
        if left <= 0:
            raise Withheld("deadline", "it gave no answer in time")
        within = min(left, _one_look(services, entry).total_seconds())
        return await entry.client.request("tools/call", params, timeout=within)

    deadline = services.clock.now() + timedelta(seconds=READ_TIMEOUT)
    retry = services.policy.file.defaults.retry
    return await patiently(services, retry, deadline, attempt, again=(NotSent, OutcomeUnknown))


def _one_look(services: Services, entry: Entry) -> timedelta:
    """How long one attempt may take, so that a lost one leaves time for another."""
    file = services.policy.file
    upstream = file.upstream.get(entry.client.name)
    return (upstream.timeout if upstream is not None else None) or file.defaults.timeout


async def take_image(services: Services, wanted: tuple[Reading, ...], variables: Mapping[str, JSON]) -> Image:
    """Read all targets, side by side. Never raises for what a tool does: a target that cannot be read says so."""
    if len(wanted) == 1:
        return Image((await _take(services, wanted[0], variables),))
    return Image(tuple(await asyncio.gather(*(_take(services, reading, variables) for reading in wanted))))


async def _take(services: Services, reading: Reading, variables: Mapping[str, JSON]) -> Part:
    entry = services.catalog.named(reading.tool)
    if entry is None:
        return Part(reading.name, Presence.UNREADABLE, None, f"there is no tool {reading.tool}")
    if is_redacted(reading.arguments):
        return Part(reading.name, Presence.UNREADABLE, None, "what it is read by was redacted and is not kept")
    result: Mapping[str, Any] | None
    error: str | None
    try:
        result, error = await ask(services, entry, reading.arguments), None
    except ToolFailure as failure:
        result, error = None, str(failure) or type(failure).__name__
    except Exception as failure:  # a port lets no foreign exception through; a read that fails has done no harm
        log.exception("the connector of %s failed", entry.client.name)
        result, error = None, f"the connector failed ({type(failure).__name__})"
    try:
        part = part_of(
            reading.name,
            answer_of(result, error),
            select=reading.select,
            absent=reading.absent,
            variables={**variables, **reading.known},
        )
        canonical(part.value)
    except (ExpressionError, NotCanonical) as failure:
        return Part(reading.name, Presence.UNREADABLE, None, str(failure))
    return part
