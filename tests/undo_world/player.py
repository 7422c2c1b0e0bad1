"""Plays a schedule against a guard and lets the oracle judge every step."""

from __future__ import annotations

from dataclasses import replace

from takeback.core.action import Action
from takeback.ports import UndoAnswer
from takeback.testing import GuardForTests
from tests.undo_world.hands import arguments, meddle
from tests.undo_world.oracle import Oracle, Standing
from tests.undo_world.schedules import Act, Edit, Gaps, Schedule, Undo, Wait
from tests.undo_world.service import Service
from tests.undo_world.tally import Tally
from tests.undo_world.tools import WorldTools
from tests.undo_world.worlds import World

_CONFIRMS = 3


class Player:
    """One guard, and many schedules one after another: each in a tenant and a service of its own."""

    def __init__(self, guard: GuardForTests, tools: WorldTools, world: World, tally: Tally) -> None:
        self.guard, self.tools, self.world, self.tally = guard, tools, world, tally
        self._played = 0

    async def play(self, schedule: Schedule) -> Oracle:
        """Play it to the end. Raises AssertionError for the first thing that must not be."""
        self._played += 1
        self.tally.schedules += 1
        self._tenant = f"t{self._played}"
        self.service = Service(self.guard.clock.monotonic, lag=self.world.lag)
        self.tools.service = self.service
        for log in (self.tools.calls, self.tools.params, self.tools.headers):
            log.clear()
        self.tools.faults.clear()
        self.oracle = Oracle(self.service, self.world, self.tally)
        self._undos: list[str] = []
        for number, step in enumerate(schedule, start=1):
            self.service.step = number
            await self._step(step)
        return self.oracle

    async def _step(self, step: Act | Undo | Edit | Wait) -> None:
        match step:
            case Act():
                await self._act(step)
            case Undo():
                await self._undo(step)
            case Edit():
                meddle(self.service, step)
            case Wait():
                await self.guard.clock.sleep(step.seconds)
        self.oracle.notice_others()

    async def _act(self, act: Act) -> None:
        call = arguments(self.service, act)
        if call is None:
            return
        tool, args = call
        self._arm(act.gaps, act.fault)
        self._as(f"r{act.run}")
        self.oracle.before_step(faulty=bool(act.fault))
        key = {"io.takeback/idempotencyKey": f"{self._tenant}-{self.service.step}"}
        reply = await self.guard.call(tool, args, meta=key)
        self._disarm()
        action = None if reply.action is None else await self._action(reply.action.id)
        self.oracle.judge_act(act.kind, tool, args, action)

    async def _undo(self, undo: Undo) -> None:
        what = self._what(undo)
        if what is None:
            return
        named, run = what
        self._as(run)
        self._arm(undo.gaps, undo.fault)
        self.oracle.before_step(faulty=bool(undo.fault))
        answers = [await self.guard.undo(named)]
        while answers[-1].confirm is not None and len(answers) <= _CONFIRMS:
            answers.append(await self.guard.undo(named, confirm=answers[-1].confirm))
        self._disarm()
        standing = {deed: await self._standing(deed) for deed in self.oracle.deeds}
        self._remember(answers[-1], standing)
        self.oracle.judge_undo(undo.what, named, answers, standing)

    def _what(self, undo: Undo) -> tuple[str, str] | None:
        deeds = list(self.oracle.deeds.values())
        if undo.what == "undo":
            if not self._undos:
                return None
            chosen = self._undos[undo.ref % len(self._undos)]
            return chosen, self.oracle.run_of_undo[chosen]
        if undo.what == "last":
            return f"last {undo.ref % 3 + 1}", f"r{undo.run}"
        if undo.what == "run":
            return "run", f"r{undo.run}"
        if not deeds:
            return None
        deed = deeds[undo.ref % len(deeds)]
        return (deed.action if undo.what == "action" else f"since {deed.action}"), deed.run

    def _remember(self, answer: UndoAnswer, standing: dict[str, Standing]) -> None:
        for deed, stands in standing.items():
            for one in stands.compensations:
                if one.id not in self.oracle.run_of_undo:
                    self.oracle.run_of_undo[one.id] = one.run
                    self._undos.append(one.id)
                    self.oracle.original_of[one.id] = deed

    async def _standing(self, deed: str) -> Standing:
        ledger = self.guard.ledger
        compensations = await ledger.compensations(self._tenant, deed)
        return Standing(await self._action(deed), tuple(compensations))

    async def _action(self, action: str) -> Action:
        return await self.guard.ledger.action(self._tenant, action)

    def _as(self, run: str) -> None:
        self.guard.caller = replace(self.guard.caller, tenant=self._tenant, run=run)

    def _arm(self, gaps: Gaps, fault: str) -> None:
        requests = iter(range(1000))

        def between() -> None:
            edit = gaps.get(next(requests))
            if edit is not None:
                meddle(self.service, edit)

        self.tools.between = between
        self.tools.arm_fault(fault)

    def _disarm(self) -> None:
        self.tools.between = lambda: None
        self.tools.arm_fault("")
