"""What a rule redacts is kept nowhere: not in results, mismatches, errors, digests, labels or the way back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from takeback.core.canonical import digest
from takeback.core.jsontext import dumps
from takeback.ports import HistoryQuery, NotSent, OutcomeUnknown
from takeback.testing import GuardForTests, ToolError, guarded
from tests.guard.world import POLICY, Desk

SSN = "078-05-1120"
CALL: dict[str, Any] = {"id": "T-1", "priority": "high", "ssn": SSN}


async def kept(guard: GuardForTests) -> bytes:
    """Everything that the ledger holds, decompressed."""
    await guard.ledger._access.flush() if hasattr(guard.ledger._access, "flush") else None
    page = await guard.ledger.history(HistoryQuery(tenant="acme", limit=100))
    found = []
    for action in page.actions:
        digests = [d for d in (action.before, action.after, action.result) if d]
        found += [await guard.ledger.image(d) for d in digests]
        found += [dumps(repr(action)), *(dumps(repr(e)) for e in await guard.ledger.events("acme", action.id))]
    found += [dumps(repr(one)) for one in await guard.ledger.approvals("acme", pending_only=False)]
    found += [dumps(repr(one)) for one in await guard.ledger.queue("acme")]
    return b"\n".join(found)


async def test_a_record_inside_a_results_text_is_redacted(guard: GuardForTests, desk: Desk) -> None:
    desk.tools.functions = {**desk.tools.functions, "set": lambda args: [desk._set(args), {"ssn": args["ssn"]}]}
    await guard.call("set", CALL)
    assert SSN.encode() not in await kept(guard)


async def test_a_plain_text_that_repeats_it_is_redacted(guard: GuardForTests, desk: Desk) -> None:
    desk.tools.functions = {**desk.tools.functions, "set": lambda args: f"{desk._set(args)} for {args['ssn']}"}
    await guard.call("set", CALL)
    assert SSN.encode() not in await kept(guard)


async def test_a_mismatch_keeps_no_value_of_it(guard: GuardForTests, desk: Desk) -> None:
    desk.records["T-1"]["ssn"] = "***"
    desk.tools.functions = {**desk.tools.functions, "set": lambda args: desk._set({**args, "ssn": "***-1120"})}
    reply = await guard.call("set", CALL)
    assert reply.action is not None
    assert reply.action.mismatch is not None
    assert SSN.encode() not in await kept(guard)


async def test_an_error_that_repeats_it_is_kept_without_it(guard: GuardForTests, desk: Desk) -> None:
    def refuse(args: dict[str, Any]) -> Any:
        raise ToolError(f"{args['ssn']} is not a valid number")

    desk.tools.functions = {**desk.tools.functions, "set": refuse}
    await guard.call("set", CALL)
    desk.tools.faults["set"] = [NotSent(f"cannot send {SSN}")] * 3
    await guard.call("set", {**CALL, "priority": "low"})
    desk.tools.faults["set"] = [OutcomeUnknown("lost", f"lost {SSN}")]
    await guard.call("set", {**CALL, "priority": "urgent"})
    assert SSN.encode() not in await kept(guard)


async def test_no_digest_in_the_ledger_can_be_searched_for_it(guard: GuardForTests, desk: Desk) -> None:
    """A digest without a key over a value of few possibilities tells the value to whoever tries them all."""
    reply = await guard.call("set", CALL)
    action = reply.action
    assert action is not None
    targets = [["target", "record", "T-1"]]
    assert action.operation != digest(["acme", "r1", "desk.set", targets, CALL])
    assert action.fingerprint != digest(["desk.set", CALL, "agent"])


async def test_a_read_by_a_redacted_argument_is_not_kept(desk: Desk, tmp_path: Path) -> None:
    by_number = POLICY.replace(
        'read = { tool = "desk.get", args = { id = "args.id" } }\nrequire',
        'read = { tool = "desk.get", args = { id = "args.id", by = "args.ssn" } }\nrequire',
    )
    desk.tools.schemas = {**desk.tools.schemas, "get": {"type": "object"}}
    async with guarded(by_number, [desk.tools], tmp_path) as guard:
        reply = await guard.call("set", CALL)
        assert reply.action is not None
        assert SSN.encode() not in await kept(guard)
        answer = await guard.undo(reply.action.id)
        assert not answer.ok
        assert desk.records["T-1"]["priority"] == "high"
        assert all(SSN in str(call) or "redacted" not in str(call) for call in desk.tools.calls)


async def test_a_label_made_of_it_is_not_kept(desk: Desk, tmp_path: Path) -> None:
    desk.records["T-1"]["ssn"] = SSN
    async with guarded(POLICY.replace("before.title", "before.ssn"), [desk.tools], tmp_path) as guard:
        await guard.call("set", {"id": "T-1", "priority": "high"})
        assert SSN.encode() not in await kept(guard)


async def test_an_undo_under_an_edited_policy_redacts_and_ignores_as_the_action_did(desk: Desk, tmp_path: Path) -> None:
    """The rule's id is another one today (a number moves when a rule is put before it)."""
    desk.records["T-1"]["ssn"] = SSN
    url = f"sqlite+aiosqlite:///{tmp_path}/shared.db"
    async with guarded(POLICY, [desk.tools], tmp_path / "one", url=url) as guard:
        reply = await guard.call("set", {"id": "T-1", "priority": "high"})
        assert reply.action is not None
    renamed = POLICY.replace('id = "set"\n', 'id = "set a record"\n')
    async with guarded(renamed, [desk.tools], tmp_path / "two", url=url) as guard:
        guard.clock.move(timedelta(minutes=1))
        answer = await guard.undo(reply.action.id)
        assert answer.ok, answer.text
        assert desk.records["T-1"]["priority"] == "normal"
        assert SSN.encode() not in await kept(guard)


async def test_a_mark_is_never_sent(desk: Desk, tmp_path: Path) -> None:
    """An argument of the way back that is looked up at the last moment may be one that is kept as a mark only."""
    desk.records["T-1"]["ssn"] = SSN
    late = POLICY.replace('status = "before.status" } }', 'ssn = "current.ssn" } }')
    async with guarded(late, [desk.tools], tmp_path) as guard:
        reply = await guard.call("set", {"id": "T-1", "priority": "high"})
        assert reply.action is not None
        await guard.undo(reply.action.id)
        assert desk.records["T-1"]["ssn"] == SSN
        assert "io.takeback/redacted" not in str(desk.tools.calls)
