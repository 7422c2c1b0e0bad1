"""What the tests of the recovery queue share: ways into it, and what is in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from takeback.core.vocabulary import Status
from takeback.guard.worker import Worker
from takeback.ports import Caller, NotSent, OutcomeUnknown, QueueEntry, QueueQuery
from takeback.testing import GuardForTests
from tests.guard.world import Desk

CHARGE = {"id": "T-1"}
ANNA = Caller(tenant="acme", principal="anna", run="", client="test", person=True)
BEN = replace(ANNA, principal="ben")


def lying(desk: Desk, priority: str = "urgent") -> None:
    """From now on `set` writes something else than it is asked for; and takes back what it is told to."""
    honest = desk.tools.functions["set"]

    def set_(args: dict[str, Any]) -> Any:
        wrong = {**args, "priority": priority} if args.get("priority") == "high" else args
        return honest(wrong)

    desk.tools.functions = {**desk.tools.functions, "set": set_}


async def entries(guard: GuardForTests, **query: Any) -> list[QueueEntry]:
    page = await guard.use_cases.queue(QueueQuery(tenant="acme", **query))
    return list(page.entries)


async def the_entry(guard: GuardForTests) -> QueueEntry:
    [entry] = await entries(guard)
    return entry


async def closed(guard: GuardForTests) -> list[tuple[str | None, str | None]]:
    return [(one.item.closed_by, one.item.decision) for one in await entries(guard, open_only=False)]


async def in_doubt(guard: GuardForTests, desk: Desk, *, acted: bool) -> str:
    """A charge that nobody can look for."""
    lost = OutcomeUnknown("lost", "the reply was lost")
    desk.tools.faults["charge"] = [("after", lost) if acted else lost]
    reply = await guard.call("charge", CHARGE)
    assert reply.action is not None
    return reply.action.id


async def without_effect(guard: GuardForTests, desk: Desk, arguments: dict[str, Any]) -> str:
    """A `set` whose reply was lost, that could not be looked at for long, and that a person then found undone.

    The upstream's `lands_within` must be two minutes (`SLOW`); it waits in the queue for whether to try it again.
    """
    desk.tools.faults["set"] = [OutcomeUnknown("lost", "gone")]
    reply = await guard.call("set", arguments)
    assert reply.action is not None
    desk.tools.faults["get"] = [NotSent("away")] * 100
    guard.clock.move(timedelta(minutes=20))
    await Worker(guard.use_cases.services, "acme").sweep()
    desk.tools.faults["get"] = []
    looked = await guard.use_cases.resume("acme", reply.action.id, by="anna", reason="go on")
    assert (looked.done, looked.action.status) == (False, Status.FAILED)
    assert "no effect" in looked.entry.item.why
    return reply.action.id
