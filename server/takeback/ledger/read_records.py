"""What is read of all that lies around actions: runs, approvals, definitions, leases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from takeback.core.freezing import Freeze
from takeback.core.pins.judge import Pin
from takeback.core.run import Approval, Checkpoint, Run, Unwinding
from takeback.core.run_state import RunFacts
from takeback.ledger import concerns, freezes, pins, queries, rows, unattended
from takeback.ledger import runs as in_runs
from takeback.ledger.reader import Reader


class RecordReads(Reader):
    """Everything but actions, as `takeback.ports.Ledger` describes it."""

    async def run(self, tenant: str, run_id: str) -> Run:
        """One run. Raises NotFound."""
        return rows.run_from(await self._one(queries.run_by_id(tenant, run_id), f"run {run_id}"))

    async def runs(self, tenant: str, limit: int = 50) -> Sequence[Run]:
        """The most recently active runs first."""
        return [rows.run_from(row) for row in await self._all(queries.recent_runs(tenant, limit))]

    async def facts_of_runs(self, runs: Sequence[Run]) -> Sequence[RunFacts]:
        """What is going on in each of these runs of one tenant, in their order."""
        return await self._read(lambda connection: concerns.facts(connection, runs))

    async def broken_off(
        self, tenant: str, principal: str, client: str, *, owner: str, since: datetime
    ) -> Sequence[Run]:
        """Runs of other guards' connections to the same client, from which no run goes on yet, newest first."""
        found = await self._all(in_runs.broken_off(tenant, principal, client, owner=owner, since=since))
        return [rows.run_from(row) for row in found]

    async def went_on(self, tenant: str, run_id: str, after: datetime) -> bool:
        """Whether the client asked for anything in the run after a moment: then it had the answers of before."""
        [row] = await self._all(in_runs.went_on(tenant, run_id, after))
        return bool(row["went_on"])

    async def approval(self, tenant: str, approval_id: str) -> Approval:
        """One approval. Raises NotFound."""
        row = await self._one(queries.approval_by_id(tenant, approval_id), f"approval {approval_id}")
        return rows.approval_from(row)

    async def approvals(self, tenant: str, *, pending_only: bool = True) -> Sequence[Approval]:
        """Approvals, oldest first."""
        found = await self._all(queries.approvals_of(tenant, pending_only=pending_only))
        return [rows.approval_from(row) for row in found]

    async def checkpoints(self, tenant: str, run_id: str) -> Sequence[Checkpoint]:
        """The checkpoints of a run, newest first."""
        return [rows.checkpoint_from(row) for row in await self._all(queries.checkpoints_of(tenant, run_id))]

    async def named_checkpoints(
        self, tenant: str, run_id: str, *, before: Checkpoint | None = None, limit: int
    ) -> Sequence[Checkpoint]:
        """At most `limit` of those that the run's agent named, newest first; with `before`, only what is older."""
        found = await self._all(queries.named_checkpoints(tenant, run_id, before=before, limit=limit))
        return [rows.checkpoint_from(row) for row in found]

    async def checkpoint(self, tenant: str, checkpoint_id: str) -> Checkpoint:
        """One checkpoint. Raises NotFound."""
        found = await self._one(queries.checkpoint_by_id(tenant, checkpoint_id), f"checkpoint {checkpoint_id}")
        return rows.checkpoint_from(found)

    async def unwindings(
        self, tenant: str, run_id: str, *, what: str | None = None, limit: int = 20
    ) -> Sequence[Unwinding]:
        """The undos of several actions that were asked for in a run, newest first."""
        found = await self._all(queries.unwindings_of(tenant, run_id, what=what, limit=limit))
        return [rows.unwinding_from(row) for row in found]

    async def pins(self, scope: str) -> Sequence[Pin]:
        """All that is known of tools' definitions under a policy."""
        return [pins.pin_from(row) for row in await self._all(pins.of_scope(scope))]

    async def freezes(self, tenant: str, *, in_force_only: bool = True, limit: int = 200) -> Sequence[Freeze]:
        """Uses of the stop switch, the newest first."""
        found = await self._all(freezes.of_tenant(tenant, in_force_only=in_force_only, limit=limit))
        return [freezes.freeze_from(row) for row in found]

    async def holders(self, now: datetime) -> Sequence[str]:
        """Those who hold leases that have not run out."""
        return [row["holder"] for row in await self._all(unattended.holders(now))]

    async def is_held(self, name: str, now: datetime) -> bool:
        """Whether somebody holds a lease of that name that has not run out."""
        return bool(await self._all(unattended.held([name], now)))
