"""What a run saw at a read, as it may be kept: only of tools that a rule with `stale` reads with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from takeback.core.canonical import NotCanonical, canonical, digest
from takeback.core.images import Part
from takeback.core.jsontext import JSON, loads
from takeback.core.policy.stale import Watched
from takeback.core.redaction import hidden, scrub
from takeback.core.results import Answer, answer_of, means_absent, part_of
from takeback.guard.catalog import Entry
from takeback.guard.readings import Reading
from takeback.guard.replies import Reply
from takeback.guard.services import Services
from takeback.ports import Sighting

_LONGEST_PROBLEM: Final = 2000


@dataclass(frozen=True, slots=True)
class Seen:
    """A target as a run last saw it, at a time. `redact` are the fields that were redacted in it."""

    part: Part
    at: datetime
    redact: tuple[str, ...]


def sighting(
    services: Services, entry: Entry, arguments: Mapping[str, JSON], reply: Reply, at: datetime
) -> Sighting | None:
    """What a read saw that was begun `at`; None where no rule asks for that, or it saw nothing of a target."""
    known = services.policy.watched.get(entry.policy_name)
    if known is None:
        return None
    error = str(reply.answered) if reply.answered is not None else None
    answer = answer_of(reply.result, error)
    if answer.problem is not None and not (known.errors or means_absent(answer.problem)):
        return None
    try:
        content = canonical(_document(services, answer, arguments, known))
        return Sighting(_place(services, entry, arguments, known), at, content)
    except NotCanonical:  # then no image of it can be taken, either
        return None


def _document(services: Services, answer: Answer, arguments: Mapping[str, JSON], known: Watched) -> JSON:
    problem, hide = answer.problem, hidden(dict(arguments), known.redact) | services.policy.secrets
    return {
        "redacted": list(known.redact),
        "data": services.stored_value(answer.data, known.redact),
        "problem": None if problem is None else scrub(problem, hide)[:_LONGEST_PROBLEM],
    }


def _place(services: Services, entry: Entry, arguments: Mapping[str, JSON], known: Watched) -> str:
    """Which read it was. A digest of what is secret must be a keyed one."""
    return digest([entry.policy_name, services.redacted(entry.with_defaults(arguments), known.redact)])


async def sighted(
    services: Services, tenant: str, run: str, reading: Reading, variables: Mapping[str, JSON]
) -> Seen | None:
    """What a run saw last by the read that a rule names, as that rule looks at it; None where it never read so.

    Raises:
        LedgerFailure: the ledger is out of reach.
    """
    entry, known = services.catalog.named(reading.tool), services.policy.watched.get(reading.tool)
    if entry is None or known is None:
        return None
    found = await services.ledger.sighting(tenant, run, _place(services, entry, reading.arguments, known))
    if found is None:
        return None
    document = loads(found.content)
    part = part_of(
        reading.name,
        Answer(document["data"], document["problem"]),
        select=reading.select,
        absent=reading.absent,
        variables={**variables, **reading.known},
    )
    return Seen(part, found.at, tuple(document["redacted"]))
