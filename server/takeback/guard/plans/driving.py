"""Carrying a plan out: group after group, each step done and verified before the next group; and what comes of failing.

Whoever holds the plan's lease drives it. Nothing else is remembered: a guard that goes on with a plan that another one
left finds its steps in the ledger by their logical operations, and what its reads had answered in its checkpoints.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from takeback.core.action import Action
from takeback.core.jsontext import JSON, loads
from takeback.core.plan import Group, PlanDocument, PlanStep, back_to, by_step, references
from takeback.core.queue import RecoveryItem
from takeback.core.run import Checkpoint
from takeback.core.states import Happening
from takeback.core.vocabulary import Status, UndoOutcome
from takeback.guard.plans.backing import take_back
from takeback.guard.plans.stepping import Results, StepEnd, Stepper
from takeback.guard.plans.telling import finished, progressed, stopped, waiting
from takeback.guard.recording import Fact, blob, next_fact, recovery_item
from takeback.guard.services import Services
from takeback.ports import Caller, Change, Lease, LedgerFailure, ProgressSink, Stale

_TRIES: Final = 3
READS: Final = "reads"
"""In a checkpoint's body: by step, the digest of what a read answered."""


@dataclass(slots=True, kw_only=True)
class Driver:
    """Drives one plan under its lease. `progress` hears of each group."""

    services: Services
    caller: Caller
    action: Action
    leases: Sequence[Lease]
    progress: ProgressSink | None = None
    plan: PlanDocument = field(init=False)
    results: Results = field(init=False)

    def __post_init__(self) -> None:
        self.plan = PlanDocument.from_document(self.action.arguments)
        self.results = Results(self.services)

    async def run(self) -> str:
        """Go on with the plan from wherever it stands, and say in words where it stands then.

        Raises:
            LedgerFailure: the ledger is out of reach, or somebody else goes on with it: nothing is lost by that.
        """
        await self._remember()
        if self.action.status is Status.COMPENSATING:
            return await self._back()
        for number, group in enumerate(self.plan.groups):
            if (why := await self._called_off()) is not None:
                return await self._fail(number, why)
            ends = await self._group(group)
            for kind, act in (("stuck", self._stuck), ("waits", self._wait)):
                if (end := next((one for one in ends if one.kind == kind), None)) is not None:
                    return await act(end)
            if (end := next((one for one in ends if one.kind == "failed"), None)) is not None:
                return await self._fail(number, f"step {end.step}: {end.why}")
            await self._passed(number, ends)
        return await self._succeed()

    # --- what is known already ---

    async def _remember(self) -> None:
        self.results.actions = await self._steps()
        for checkpoint in await self.services.ledger.checkpoints(self.action.tenant, self.caller.run):
            body = checkpoint.body or {}
            if body.get("plan") == self.action.id:
                for step, digest in (body.get(READS) or {}).items():
                    self.results.reads[step] = loads(await self.services.ledger.image(digest))

    async def _steps(self) -> dict[str, Action]:
        """By step: the action that it is, as it stands now."""
        found = await self.services.ledger.steps(self.action.tenant, self.action.id)
        return by_step(self.plan, self.action, found)

    async def _called_off(self) -> str | None:
        """Why nothing more is to be done, where somebody cancelled the plan."""
        self.action = await self.services.ledger.action(self.action.tenant, self.action.id)
        asked = (self.action.outcome or {}).get("cancel")
        return f"cancelled by {asked['by']}: {asked['reason']}" if asked else None

    # --- a group ---

    async def _group(self, group: Group) -> list[StepEnd]:
        """All steps of a group, side by side within a bound. A step that fails does not stop its neighbours."""
        limit = asyncio.Semaphore(self.services.policy.file.plans.side_by_side)
        stepper = Stepper(
            services=self.services,
            caller=self.caller,
            plan=self.action.id,
            agreed=self.action.arguments.get("binds") or {} if self.action.approval else {},
            retries=self.plan.retries,
            results=self.results,
        )

        async def one(step: PlanStep) -> StepEnd:
            async with limit:
                if step.id in self.results.reads:
                    return StepEnd(step=step.id, kind="done", read=self.results.reads[step.id])
                return await stepper.run(step, {found.step for found in references(dict(step.arguments))})

        return await _all([asyncio.create_task(one(step)) for step in group.steps])

    async def _passed(self, number: int, ends: Sequence[StepEnd]) -> None:
        """A safe pause: what was done and verified by now, and what the reads had answered."""
        images: dict[str, bytes] = {}
        reads: dict[str, JSON] = {}
        for end in ends:
            self.results.took(end)
            if end.action is None:
                digest, data = blob(end.read)
                images[digest], reads[end.step] = data, digest
        done = [step.id for group in self.plan.groups[: number + 1] for step in group.steps]
        checkpoint = Checkpoint(
            id=f"{self.action.id}g{number + 1}",
            tenant=self.action.tenant,
            run=self.action.run,
            name=f"{self.action.id} group {number + 1}",
            at=self.services.clock.now(),
            action=self.action.id,
            body={"plan": self.action.id, "group": number + 1, "done": done, READS: reads},
        )
        await self._commit(Change(checkpoints=(checkpoint,), images=images))
        await progressed(self.progress, number + 1, self.plan)

    # --- the ends ---

    async def _succeed(self) -> str:
        await self._end(lambda action: [self._fact(action, Happening.SUCCEED, settled_at=self.services.clock.now())])
        return finished(self.action, self.plan, self.results.actions)

    async def _wait(self, end: StepEnd) -> str:
        """Nothing is decided: it goes on when that is over, here or at another guard, whoever looks first."""
        await self.services.ledger.release(self.leases)
        return waiting(self.action, end)

    async def _stuck(self, end: StepEnd) -> str:
        """Only a person can say how it goes on."""
        why = f"it stopped at step {end.step}: {end.why}"

        def facts(action: Action) -> list[Fact]:
            lost = self._fact(action, Happening.LOSE, detail=why)
            return [lost, self._fact(lost[1], Happening.GIVE_UP, detail=why)]

        await self._end(facts, item=why)
        return stopped(self.action, self.plan, self.results.actions, why)

    async def _fail(self, done: int, why: str) -> str:
        """A step failed for good: what was done since the last safe checkpoint goes back, or all stays as it is."""
        keeps = back_to(self.plan, done)
        error = {"layer": "workflow", "message": why, "keeps": keeps}
        changes: dict[str, Any] = {"error": error, "settled_at": self.services.clock.now()}
        if self.plan.on_failure == "stop":
            await self._end(lambda action: [self._fact(action, Happening.FAIL, detail=why, **changes)], item=why)
            return stopped(self.action, self.plan, self.results.actions, why)

        def facts(action: Action) -> list[Fact]:
            failed = self._fact(action, Happening.FAIL, detail=why, **changes)
            return [failed, self._fact(failed[1], Happening.COMPENSATE, detail=why)]

        await self._end(facts, release=False)
        return await self._back()

    async def _back(self) -> str:
        """Take back what was done since the last safe checkpoint."""
        error = self.action.error or {}
        keeps = int(error.get("keeps", 0))
        reason = f"plan {self.action.id}: {error.get('message', 'it was taken back')}"
        steps = await self._steps()
        if not any(one.in_force or one.status is not Status.FAILED for one in steps.values()):
            return await self._nothing_to_take_back(error)
        report = await take_back(self.services, self.caller, self.plan, steps, keeps, reason)
        text = report.text(self.action.id)
        if report.waiting or report.frozen:
            await self.services.ledger.release(self.leases)
            when = "agreed" if report.waiting else "thawed what is frozen"
            return f"{text}\n[takeback {self.action.id}] The rest goes back when a person has {when}."
        outcome = {"outcome": report.outcome.value if report.outcome else None, "text": text}
        happening = Happening.RESTORE if report.complete else Happening.GIVE_UP
        await self._end(
            lambda action: [self._fact(action, happening, detail=reason, outcome=outcome)],
            item=None if report.complete else f"not everything went back: {reason}",
        )
        return f"[takeback {self.action.id}] Stopped: {error.get('message', '')}. {text}"

    async def _nothing_to_take_back(self, error: Mapping[str, Any]) -> str:
        why = str(error.get("message", ""))
        outcome = {"outcome": UndoOutcome.EXACT.value, "text": "nothing had been changed"}
        await self._end(lambda action: [self._fact(action, Happening.RESTORE, detail=why, outcome=outcome)])
        return f"[takeback {self.action.id}] Stopped: {why}. Nothing had been changed."

    # --- writing down ---

    def _fact(self, action: Action, happening: Happening, *, detail: str = "", **changes: Any) -> Fact:
        return next_fact(self.services, action, happening, detail=detail, **changes)

    async def _end(
        self, facts: Callable[[Action], list[Fact]], *, item: str | None = None, release: bool = True
    ) -> None:
        """Move the plan on; by what it is now, where somebody left a word on it meanwhile."""
        for _ in range(_TRIES):
            found = facts(self.action)
            queue: tuple[RecoveryItem, ...] = (recovery_item(self.services, found[-1][1], item),) if item else ()
            try:
                await self._commit(Change(actions=tuple(found), queue=queue), release=release)
            except Stale:
                self.action = await self.services.ledger.action(self.action.tenant, self.action.id)
                continue
            self.action = found[-1][1]
            return
        raise Stale(f"{self.action.id} is moved on by others all the time")

    async def _commit(self, change: Change, *, release: bool = False) -> None:
        leases = tuple(self.leases)
        await self.services.ledger.commit(
            replace(change, tenant=self.action.tenant, leases=leases, release=leases if release else ())
        )


async def drive(
    services: Services,
    caller: Caller,
    action: Action,
    leases: Sequence[Lease],
    *,
    progress: ProgressSink | None = None,
) -> tuple[str, Action]:
    """Drive a plan under leases that are kept for as long as it takes; they go back however it ends.

    Raises:
        LedgerFailure: the ledger is out of reach, or somebody else goes on with it.
    """
    driver = Driver(services=services, caller=caller, action=action, leases=leases, progress=progress)
    try:
        with services.keeper.keeping(leases):
            text = await driver.run()
    except BaseException:
        await _let_go(services, leases)
        raise
    return text, driver.action


async def _all(tasks: Sequence[asyncio.Task[StepEnd]]) -> list[StepEnd]:
    """What all of them came to. One that raises does not break the others off, which may have sent something."""
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)  # each hands over what it had begun
        raise
    return [task.result() for task in tasks]


async def _let_go(services: Services, leases: Sequence[Lease]) -> None:
    """Another guard need not wait for them to run out."""
    try:
        await services.ledger.release(leases)
    except LedgerFailure:
        return
