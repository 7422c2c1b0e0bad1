"""The recovery queue as people see it: found, shown with what may be decided, assigned and commented on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from takeback.core.phrases import LONGEST_REASON, one_line
from takeback.core.queue import LONGEST_COMMENT, Comment, QueueState, RecoveryItem, Suggestion
from takeback.guard.approaching import bury
from takeback.guard.services import Services
from takeback.guard.suggesting import suggestions
from takeback.ports import Change, NotFound, QueueEntry, QueueLedger, Stale

_LONGEST_NAME: Final = 200


class NotResolvable(Exception):
    """The decision does not fit what the entry is about (any more); the message says why and what to do."""


class Overtaken(NotResolvable):
    """Somebody else was quicker; the message says who, and what they decided. Nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An entry with everything that a person decides by. The first of the `suggestions` is the one that fits best."""

    entry: QueueEntry
    comments: tuple[Comment, ...]
    suggestions: tuple[Suggestion, ...]


async def find(services: Services, tenant: str, named: str) -> QueueEntry:
    """An entry by its id, or by its action where only one entry is open for that.

    Raises:
        NotFound: the tenant has no such entry.
        NotResolvable: several are open for the action; the message names them.
    """
    name = named.strip().strip("[]").removeprefix("takeback ").strip()
    ledger: QueueLedger = services.ledger
    now = services.clock.now()
    try:
        return await _let_go_by_the_dead(services, await ledger.entry(tenant, name, now))
    except NotFound:
        items = await ledger.items_of(tenant, name)
        if len(items) > 1:
            which = ", ".join(f"{item.id} ({item.cause.value})" for item in items)
            raise NotResolvable(f"several entries are open for {name}: {which}. Name one of them") from None
        items = items or (await ledger.items_of(tenant, name, open_only=False))[-1:]
        if not items:
            raise
        return await _let_go_by_the_dead(services, await ledger.entry(tenant, items[0].id, now))


async def _let_go_by_the_dead(services: Services, entry: QueueEntry) -> QueueEntry:
    """The entry; where whoever was at it has provably ended, nobody has to wait for their lease to run out."""
    if entry.state is not QueueState.HANDLING:
        return entry
    await bury(services)
    return await services.ledger.entry(entry.item.tenant, entry.item.id, services.clock.now())


async def show(services: Services, tenant: str, named: str) -> Shown:
    """Everything about one entry. Raises NotFound, NotResolvable."""
    entry = await find(services, tenant, named)
    comments = await services.ledger.comments(tenant, entry.item.id)
    ways = await suggestions(services, entry) if entry.item.closed_at is None else ()
    return Shown(entry=entry, comments=tuple(comments), suggestions=ways)


async def assign(services: Services, tenant: str, named: str, *, to: str | None, by: str) -> RecoveryItem:
    """Make it somebody's, or nobody's; who did so is kept among the comments.

    Raises:
        NotFound: the tenant has no such entry.
        NotResolvable: it is closed, or somebody else was quicker.
    """
    entry = await find(services, tenant, named)
    open_to(entry, None, by)
    name = one_line(to, _LONGEST_NAME) if to and to.strip() else None
    item = replace(entry.item, version=entry.item.version + 1, assignee=name)
    said = _comment(services, item, by, f"assigned to {name}" if name else "assigned to nobody")
    await move(services, Change(queue=(item,), comments=(said,), tenant=tenant), entry.item, by)
    return item


async def comment(services: Services, tenant: str, named: str, *, by: str, text: str) -> Comment:
    """Add what somebody says of an entry, open or closed.

    Raises:
        NotFound: the tenant has no such entry.
        NotResolvable: there is nothing in it, or too much.
    """
    if not text.strip() or len(text) > LONGEST_COMMENT:
        raise NotResolvable(f"a comment has between 1 and {LONGEST_COMMENT} characters")
    said = _comment(services, (await find(services, tenant, named)).item, by, text.strip())
    await services.ledger.commit(Change(comments=(said,), tenant=tenant))
    return said


def _comment(services: Services, item: RecoveryItem, by: str, text: str) -> Comment:
    return Comment(
        id=services.ids.new("n"), tenant=item.tenant, item=item.id, at=services.clock.now(), by=by, text=text
    )


def open_to(entry: QueueEntry, seen: int | None, by: str) -> None:
    """Whether a person may decide about it now; `seen` is the version that they were shown, where that is known.

    Raises:
        NotResolvable: it is closed.
        Overtaken: somebody is at it, or it says something else by now.
    """
    item = entry.item
    if item.closed_at is not None:
        reason = one_line(item.reason or "", LONGEST_REASON)
        raise Overtaken(f"{item.id} was closed by {item.closed_by} already ({item.decision}: {reason})")
    if entry.state is QueueState.HANDLING:
        raise Overtaken(
            f"{item.handler} is at {item.id} right now ({item.handling}); look again when that is over"
            if item.handler != by
            else f"you are at {item.id} right now ({item.handling}); look again when that is over"
        )
    if seen is not None and seen != item.version:
        raise Overtaken(f"{item.id} was changed since it was shown: it says now: {one_line(item.why, LONGEST_REASON)}")


async def move(services: Services, change: Change, item: RecoveryItem, by: str) -> None:
    """Commit a change that moves an entry on.

    Raises:
        Overtaken: somebody else moved it, or its action, first; nothing was changed.
        LedgerFailure: the ledger is out of reach; nothing was changed.
    """
    try:
        await services.ledger.commit(change)
    except Stale:
        now = await services.ledger.entry(item.tenant, item.id, services.clock.now())
        open_to(now, item.version, by)
        raise Overtaken(f"{item.action} has moved on since {item.id} was read: look again") from None
