"""What is read of actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select

from takeback.core.action import Action, Event
from takeback.core.wording import pruned
from takeback.ledger import images, queries, rows, tombstones, unattended
from takeback.ledger.reader import Reader
from takeback.ports import HistoryQuery, NotFound, Page, Pruned

_AT_A_TIME: Final = 500
"""Parameters of one statement; both databases take more."""


class ActionReads(Reader):
    """Actions, their events and images, and how they stand to each other, as `takeback.ports.Ledger` describes it."""

    async def unattended(self, tenant: str, now: datetime, limit: int = 200) -> Sequence[Action]:
        """Actions under way that nobody holds a lease on: what a guard began and left."""
        return await self._held_by_nobody(unattended.occupying(tenant, limit), now)

    async def unverified(self, tenant: str, limit: int = 200) -> Sequence[Action]:
        """Actions whose effect stands and did not verify, or was not read back yet, the newest first."""
        return await self._actions(unattended.unverified(tenant, limit))

    async def action(self, tenant: str, action_id: str) -> Action:
        """One action. Raises NotFound; Pruned when retention took it."""
        row = await self._one_or_none(queries.action_by_id(tenant, action_id))
        if row is None:
            raise await self._missing(tenant, action_id)
        return rows.action_from(row)

    async def history(self, query: HistoryQuery) -> Page:
        """A page of actions, newest first. Raises LedgerFailure for a cursor that is none."""
        found = await self._all(queries.history(query))
        size = queries.page_size(query)
        cursor = queries.cursor_after(found[size - 1]) if len(found) > size else None
        return Page(tuple(map(rows.action_from, found[:size])), cursor)

    async def events(self, tenant: str, action_id: str) -> Sequence[Event]:
        """The events of one action, in order. Raises NotFound; Pruned when retention took them."""
        found = await self._all(queries.events_of(tenant, action_id))
        if not found:
            raise await self._missing(tenant, action_id)
        return [rows.event_from(row) for row in found]

    async def later_writes(self, action: Action) -> Sequence[Action]:
        """Actions begun after this one on one of its targets that are in force, oldest first."""
        return await self._actions(queries.later_writes(action))

    async def newest_write(self, action: Action) -> Action | None:
        """The newest action after this one on one of its targets that was read back, in force or not, if any."""
        row = await self._one_or_none(queries.newest_write(action))
        return None if row is None else rows.action_from(row)

    async def deletions_taken_back(self, action: Action) -> Sequence[Action]:
        """Later deletions of one of its targets that were taken back, oldest first."""
        return await self._actions(queries.deletions_taken_back(action))

    async def standing_after(self, action: Action) -> Sequence[Action]:
        """What its run did after it and still stands, undos and redos aside, newest first, within a bound."""
        return await self._actions(queries.standing_after(action))

    async def earlier_writes(self, action: Action, limit: int = 200) -> Sequence[Action]:
        """Actions that ran before this one on one of its targets, newest first, at most `limit`."""
        return await self._actions(queries.earlier_writes(action, limit))

    async def creations(self, tenant: str, type_: str, ids: Sequence[str]) -> Mapping[str, Action]:
        """By id: the action in force that created this target."""
        found: dict[str, Action] = {}
        for start in range(0, len(ids), _AT_A_TIME):
            rows_ = await self._all(queries.creations(tenant, type_, ids[start : start + _AT_A_TIME]))
            found |= {row["created"]: rows.action_from(row) for row in rows_}
        return found

    async def successor(self, tenant: str, action_id: str) -> Action | None:
        """The one action that repeats this one on purpose, where there is one that is not void."""
        row = await self._one_or_none(queries.successor(tenant, action_id))
        return None if row is None else rows.action_from(row)

    async def compensations(self, tenant: str, action_id: str) -> Sequence[Action]:
        """Actions that undo or redo this one, oldest first."""
        return await self._actions(queries.compensations(tenant, action_id))

    async def steps(self, tenant: str, plan: str) -> Sequence[Action]:
        """The actions that are steps of a plan, oldest first."""
        return await self._actions(queries.steps_of(tenant, plan))

    async def agreed_plans(self, tenant: str, now: datetime) -> Sequence[Action]:
        """Plans that a person has agreed to and that nobody is at."""
        return await self._held_by_nobody(unattended.agreed_plans(tenant), now)

    async def _held_by_nobody(self, wanted: Select[Any], now: datetime) -> list[Action]:
        """Those of the actions on which nobody holds a lease."""
        found = await self._actions(wanted)
        names = {name for action in found for name in action.lease_names}
        alive = {row["name"] for row in await self._all(unattended.held(names, now))} if names else set()
        return [action for action in found if alive.isdisjoint(action.lease_names)]

    async def image(self, digest: str) -> bytes:
        """Canonical JSON by digest. Raises NotFound; Pruned when retention took it."""
        row = await self._one(queries.image_by_digest(digest), f"image {digest}")
        if row["pruned_at"] is not None:
            raise Pruned(f"image {digest} was pruned on {row['pruned_at']:%Y-%m-%d} by retention", row["pruned_at"])
        return images.unpacked(row["content"], row["size"])

    async def _missing(self, tenant: str, action_id: str) -> NotFound:
        """What is to be said of an action that is not there."""
        row = await self._one_or_none(tombstones.of_action(tenant, action_id))
        if row is None:
            return NotFound(f"there is no action {action_id}")
        stone = tombstones.tombstone_from(row)
        return Pruned(pruned(stone), stone.pruned_at)
