"""`auto_compensate`: a harmless write that did not read back as expected goes back at once: exactly, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from takeback.core.queue import Cause, QueueState
from takeback.core.trail import as_text
from takeback.core.vocabulary import Origin, Status
from takeback.ports import VERSION, LedgerFailure
from takeback.testing import GuardForTests, MemoryTools, guarded
from tests.guard.test_life import HIGH, actions, failed, said
from tests.guard.world import POLICY, SCHEMAS, Desk

AUTO = POLICY.replace('id = "set"\n', 'id = "set"\nauto_compensate = true\n')


class Numbered(MemoryTools):
    """Tools whose answers name the version of the record, so that one can tell whose a state is."""

    desk: Wrong

    async def request(self, method: str, params: Mapping[str, Any] | None, **how: Any) -> dict[str, Any]:
        assert params is not None
        result = await super().request(method, params, **how)
        if params["name"] in {"get", "set"}:
            result["_meta"] = {VERSION: f'"{self.desk.number}"'}
        if params["name"] == "set" and self.desk.meddles:
            self.desk.records["T-1"]["priority"] = "somebody's"
            self.desk.number += 1
        return result


class Wrong(Desk):
    """A desk that writes "urgent" for "high". `meddles`: somebody else writes right after each write."""

    def __init__(self, *, meddles: bool = False) -> None:
        super().__init__()
        self.number, self.meddles = 1, meddles
        self.tools = Numbered("desk", self.tools.functions, SCHEMAS)
        self.tools.desk = self

    def _set(self, args: dict[str, Any]) -> Any:
        self.number += 1
        return super()._set({**args, "priority": "urgent"} if args.get("priority") == "high" else args)


async def test_it_goes_back_and_the_agent_and_the_record_are_told(tmp_path: Path) -> None:
    desk = Wrong()
    async with guarded(AUTO, [desk.tools], tmp_path) as guard:
        reply = await guard.call("set", HIGH)
        assert failed(reply)
        assert "reading back shows something else" in said(reply)
        assert "It was taken back at once, as the policy says." in said(reply)
        assert "Undone, exactly" in said(reply)
        assert reply.action is not None
        assert reply.action.status is Status.COMPENSATED
        assert (desk.records["T-1"]["priority"], desk.effects) == ("normal", 2)
        [_, undo] = await actions(guard)
        assert (undo.origin, undo.principal, undo.run) == (Origin.UNDO, "policy", "r1")
        trail = as_text(await guard.use_cases.explain("acme", reply.action.id))
        assert "taken back by policy" in trail
        [item] = await guard.ledger.queue("acme", open_only=False)
        assert (item.cause, item.closed_by, item.decision) == (Cause.MISMATCH, "policy", "compensate")
        again = await guard.call("set", HIGH)
        assert "undone by policy" in said(again)
        assert desk.effects == 2


async def test_what_somebody_else_wrote_meanwhile_is_left_and_goes_to_a_person(tmp_path: Path) -> None:
    desk = Wrong(meddles=True)
    async with guarded(AUTO, [desk.tools], tmp_path) as guard:
        reply = await guard.call("set", HIGH)
        assert "not taken back by itself" in said(reply)
        assert (desk.records["T-1"]["priority"], desk.effects) == ("somebody's", 1)
        [entry] = await guard.ledger.queue("acme")
        assert (entry.cause, "Not taken back by itself" in entry.why) == (Cause.MISMATCH, True)
        assert "was set to" in entry.why  # both versions are before the person
        await guard.call("set", HIGH)
        assert desk.effects == 1


async def test_without_a_version_nobody_knows_whose_it_is(desk: Desk, tmp_path: Path) -> None:
    honest = desk.tools.functions["set"]
    wrong = {**desk.tools.functions, "set": lambda args: honest({**args, "priority": "urgent"})}
    desk.tools.functions = wrong
    async with guarded(AUTO, [desk.tools], tmp_path) as guard:
        reply = await guard.call("set", HIGH)
        assert "not taken back by itself" in said(reply)
        assert (desk.records["T-1"]["priority"], desk.effects) == ("urgent", 1)
        assert [one.cause for one in await guard.ledger.queue("acme")] == [Cause.MISMATCH]


async def test_it_is_only_done_where_the_rule_says_so(tmp_path: Path) -> None:
    desk = Wrong()
    async with guarded(POLICY, [desk.tools], tmp_path) as guard:
        reply = await guard.call("set", HIGH)
        assert "taken back" not in said(reply)
        assert desk.effects == 1
        assert len(await guard.ledger.queue("acme")) == 1


async def test_what_the_policy_of_the_undo_wants_asked_is_not_done_unasked(tmp_path: Path) -> None:
    desk = Wrong()
    ask = AUTO.replace('id = "set"\n', 'id = "set"\napproval = "args.priority == \'normal\'"\n')
    async with guarded(ask, [desk.tools], tmp_path) as guard:
        reply = await guard.call("set", HIGH)
        assert "a person must agree" in said(reply)
        assert desk.effects == 1
        assert await guard.ledger.approvals("acme") == []


async def test_a_write_that_reads_back_as_expected_is_left_alone(tmp_path: Path) -> None:
    desk = Wrong()
    async with guarded(AUTO, [desk.tools], tmp_path) as guard:
        reply = await guard.call("set", {"id": "T-1", "priority": "low"})
        assert not failed(reply)
        assert (desk.effects, await guard.ledger.queue("acme", open_only=False)) == (1, [])


async def test_when_the_ledger_goes_away_in_between_the_entry_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Wrong()
    async with guarded(AUTO, [desk.tools], tmp_path) as guard:
        break_after_the_outcome(guard, monkeypatch)
        reply = await guard.call("set", HIGH)
        assert "not taken back by itself" in said(reply)
        monkeypatch.undo()
        [entry] = await guard.ledger.queue("acme")
        assert entry.state(held=False) is QueueState.OPEN
        assert desk.effects == 1


def break_after_the_outcome(guard: GuardForTests, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second durable commit is the last one that works."""
    ledger, done = guard.use_cases.services.ledger, 0
    commit = ledger.commit

    async def counted(change: Any) -> None:
        nonlocal done
        done += 1
        if done > 2:
            raise LedgerFailure("away")
        await commit(change)

    monkeypatch.setattr(ledger, "commit", counted)
