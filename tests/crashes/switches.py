"""Safeguards taken out of a guard, one at a time: in the forked process that lives without it, and nowhere else."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Final
from unittest.mock import patch

from takeback.core.recovery import Diagnosis, Evidence, diagnose
from takeback.core.run import Approval, ApprovalStatus
from takeback.core.states import Happening
from takeback.guard import approving, execution, keeping, resuming, services, settling
from takeback.guard.plans import driving, stepping
from takeback.guard.replies import Reply
from takeback.guard.sending import send
from takeback.ledger import leases, schema
from takeback.ledger.database import insert_into
from takeback.ledger.store import SqlLedger
from takeback.ports import Approach, Change, Lease, Standing

_BEHIND: Final = 0.05
"""Seconds for which a write that is not waited for lies in memory."""


def put(owner: Any, name: str, new: Any) -> None:
    """Put something in the place of what a module or class has under a name, for as long as this process lives."""
    patch.object(owner, name, new).start()


def take_out(name: str) -> None:
    """Let this process live without a safeguard."""
    SWITCHES[name]()


def _is_claim(change: Change) -> bool:
    return any(event.happening is Happening.CLAIM for event, _ in change.actions)


def _claim_before_work() -> None:
    """The claim is written along with the outcome."""
    commit, waiting = SqlLedger.commit, list[Change]()

    async def late(self: SqlLedger, change: Change) -> None:
        if _is_claim(change):
            waiting.append(change)
            return
        while waiting:
            await commit(self, waiting.pop(0))
        await commit(self, change)

    put(SqlLedger, "commit", late)


def _durable_before_send() -> None:
    """The claim is on its way to the disk when the first byte goes upstream."""
    commit, writing = SqlLedger.commit, list[asyncio.Task[None]]()

    async def behind(self: SqlLedger, change: Change) -> None:
        await asyncio.sleep(_BEHIND)
        await commit(self, change)

    async def early(self: SqlLedger, change: Change) -> None:
        if _is_claim(change):
            writing.append(asyncio.create_task(behind(self, change)))
            return
        while writing:
            await writing.pop(0)
        await commit(self, change)

    put(SqlLedger, "commit", early)


def _shield() -> None:
    """A cancelled caller takes its call along."""

    async def bare(self: services.Tasks, work: Coroutine[Any, Any, Any]) -> Any:
        return await work

    put(services.Tasks, "shielded", bare)


def _lease() -> None:
    """Whoever asks for a lease gets it."""

    @cache
    def upsert(dialect: str) -> Any:
        statement = insert_into(dialect, schema.leases)
        new = statement.excluded
        values = {"holder": new.holder, "taken_at": new.taken_at, "expires_at": new.expires_at}
        return statement.on_conflict_do_update(
            index_elements=["name"], set_={**values, "fence": schema.leases.c.fence + 1}
        ).returning(schema.leases.c.name, schema.leases.c.fence)

    put(leases, "_upsert", upsert)


def _fence_before_send() -> None:
    """A guard that stalled believes that it is still its turn."""

    async def sure(self: keeping.Keeper, held: tuple[Lease, ...]) -> bool:
        return True

    put(keeping.Keeper, "sure", sure)


def _fence_at_commit() -> None:
    """The ledger takes what a late holder writes."""

    def check(ours: object, held: object) -> None:
        """Nothing is checked."""

    put(leases, "check", check)


def _both_fences() -> None:
    """Neither is there."""
    _fence_before_send()
    _fence_at_commit()


def _generation() -> None:
    """Generations are counted from nothing each time."""
    approach = SqlLedger.approach

    async def recounted(self: SqlLedger, asked: Approach) -> Standing:
        return replace(await approach(self, asked), newest_generation=-1)

    put(SqlLedger, "approach", recounted)


def _probe() -> None:
    """What a probe would find is not asked for."""

    async def nothing(*_: object) -> bool:
        return False

    put(settling, "probe", nothing)


def _look() -> None:
    """What was left is simply sent again."""

    def again(evidence: Evidence) -> Diagnosis:
        return Diagnosis("new_attempt", "it is surely fine")

    put(settling, "diagnose", again)


def _landing() -> None:
    """That a call of the dead may still land is forgotten."""

    def at_once(evidence: Evidence) -> Diagnosis:
        found = diagnose(evidence)
        return Diagnosis("new_attempt", found.why) if found.kind == "wait" else found

    put(settling, "diagnose", at_once)


def _same_key() -> None:
    """Each attempt travels with a key of its own."""

    async def fresh(*arguments: Any, **options: Any) -> Any:
        return await send(*arguments, **{**options, "key": secrets.token_hex(16)})

    put(execution, "send", fresh)


def _approval_digest() -> None:
    """A person's yes covers whatever comes."""

    def always(_services: object, _work: object, approval: Approval, _before: object) -> bool:
        return approval.status is ApprovalStatus.APPROVED

    put(approving, "still_covers", always)


def _plans_are_left() -> None:
    """A plan that a guard left stays as it is until somebody submits it again."""

    async def nothing(*_: object) -> None:
        """It is not gone on with."""

    put(resuming, "resume", nothing)


def _reads_of_plans() -> None:
    """Whoever goes on with a plan reads anew what its reads had answered."""
    remember = driving.Driver._remember

    async def forgetting(self: driving.Driver) -> None:
        await remember(self)
        self.results.reads.clear()

    put(driving.Driver, "_remember", forgetting)


def _stop_of_plans() -> None:
    """A step that nobody can tell anything of is taken for done."""
    ended = stepping.ended

    def hopeful(step: str, reply: Reply) -> stepping.StepEnd:
        end = ended(step, reply)
        return replace(end, kind="done") if end.kind == "stuck" else end

    put(stepping, "ended", hopeful)


SWITCHES: Final[Mapping[str, Callable[[], None]]] = {
    "claim before work": _claim_before_work,
    "durable before send": _durable_before_send,
    "shield from cancellation": _shield,
    "lease": _lease,
    "fence before the send": _fence_before_send,
    "fence at the commit": _fence_at_commit,
    "both fences": _both_fences,
    "generation": _generation,
    "probe before a new attempt": _probe,
    "look before a new attempt": _look,
    "waiting for what may land": _landing,
    "the same key": _same_key,
    "digest of the approval": _approval_digest,
    "going on with plans": _plans_are_left,
    "what a plan's reads answered": _reads_of_plans,
    "a plan's stop": _stop_of_plans,
}
