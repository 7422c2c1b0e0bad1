"""A tool whose definition is not the pinned one is not called: by nobody, in no way, until a person accepts it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from takeback.core.pins.judge import Pin, PinState, pin_scope
from takeback.core.results import text_of
from takeback.guard.pinning import LOOK_AGAIN, TRUSTED_FOR
from takeback.ports import Bridge, Downstream, HistoryQuery, LedgerFailure, NotSent, ToolClient
from takeback.testing import GuardForTests, MemoryTools, guarded
from tests.guard.world import POLICY, SCHEMAS, Desk

WIDER: dict[str, Any] = {**SCHEMAS["set"], "properties": {**SCHEMAS["set"]["properties"], "bcc": {"type": "string"}}}
SET = {"id": "T-1", "priority": "high"}


@pytest.fixture
def desk() -> Desk:
    found = Desk()
    found.tools.schemas = dict(SCHEMAS)
    return found


def over(desk: Desk, folder: Path, mode: str = "first-use") -> AbstractAsyncContextManager[GuardForTests]:
    policy = POLICY.replace('command = "in-memory"', f'command = "in-memory"\npin = "{mode}"')
    return guarded(policy, [desk.tools], folder)


@pytest.fixture
async def guard(desk: Desk, tmp_path: Path) -> AsyncIterator[GuardForTests]:
    async with over(desk, tmp_path) as found:
        yield found


def change(desk: Desk, tool: str = "set", **schema: Any) -> None:
    """The server shows another definition from now on."""
    desk.tools.schemas = {**desk.tools.schemas, tool: schema or WIDER}


async def pins(guard: GuardForTests, tool: str = "set") -> dict[PinState, Pin]:
    return {pin.state: pin for pin in await guard.ledger.pins(pin_scope("")) if pin.tool == tool}


async def accept(guard: GuardForTests, tool: str = "set", *, beside: bool = False) -> None:
    offered = (await pins(guard, tool))[PinState.OFFERED]
    await guard.ledger.accept(offered, beside=beside, by="anna", at=guard.clock.now())
    guard.clock.move(timedelta(seconds=1))


async def said(guard: GuardForTests, name: str, arguments: dict[str, Any]) -> str:
    return text_of((await guard.call(name, arguments)).result or {})


async def test_a_changed_tool_is_not_called_and_the_refusal_says_what_to_do(desk: Desk, guard: GuardForTests) -> None:
    change(desk)
    reply = await guard.call("set", SET)
    assert reply.action is None
    told = text_of(reply.result or {})
    assert told.startswith("Not executed: desk.set is blocked: its definition is no longer the one that was pinned on ")
    assert "`takeback pin accept desk.set`" in told
    assert (desk.effects, desk.tools.count("set")) == (0, 0)


async def test_the_other_tools_go_on(desk: Desk, guard: GuardForTests) -> None:
    change(desk)
    assert (await guard.call("create", {"title": "new"})).action is not None
    assert desk.effects == 1


async def test_a_changed_read_is_not_called_either(desk: Desk, guard: GuardForTests) -> None:
    change(desk, "get", type="object", properties={"id": {}, "path": {}})
    assert "desk.get is blocked" in await said(guard, "get", {"id": "T-1"})
    assert desk.tools.calls == []


async def test_a_write_whose_target_is_read_by_a_changed_tool_is_refused(desk: Desk, guard: GuardForTests) -> None:
    change(desk, "get", type="object")
    told = await said(guard, "set", SET)
    assert "desk.set is not called, because its target could not be read: desk.get is blocked" in told
    assert desk.tools.calls == []


async def test_a_write_whose_undo_is_a_changed_tool_asks_a_person(desk: Desk, guard: GuardForTests) -> None:
    change(desk, "unlink", type="object", title="changed")
    reply = await guard.call("link", {"id": "T-1"})
    assert reply.pending is not None
    assert "desk.unlink is blocked" in reply.pending.preview["why"]
    assert desk.effects == 0


async def test_an_undo_by_a_changed_tool_is_refused_and_nothing_is_changed(desk: Desk, guard: GuardForTests) -> None:
    await guard.call("link", {"id": "T-1"})
    change(desk, "unlink", type="object", title="changed")
    await guard.call("get", {"id": "T-1"})
    answer = await guard.undo()
    assert not answer.ok
    assert "desk.unlink is blocked" in answer.text
    assert answer.outcome == "refused"
    assert desk.records["T-1"]["linked"] is True
    assert len((await guard.ledger.history(HistoryQuery(tenant="acme"))).actions) == 1


async def test_an_undo_that_reads_by_a_changed_tool_is_refused(desk: Desk, guard: GuardForTests) -> None:
    await guard.call("set", SET)
    change(desk, "get", type="object")
    answer = await guard.undo()
    assert (answer.ok, desk.records["T-1"]["priority"]) == (False, "high")
    assert "desk.get is blocked" in answer.text


async def test_below_the_guard_nothing_gets_past_it(desk: Desk, guard: GuardForTests) -> None:
    """Whoever holds the client (a probe, a poll, a new part of the guard) is refused all the same."""
    client = guard.use_cases.services.catalog.clients["desk"]
    change(desk, "outbox", type="object", title="changed")
    with pytest.raises(NotSent, match=r"desk\.outbox is blocked"):
        await client.request("tools/call", {"name": "outbox", "arguments": {}})
    assert desk.tools.calls == []


async def test_clients_are_shown_the_pinned_definition_and_no_word_of_the_new_one(
    desk: Desk, guard: GuardForTests
) -> None:
    change(desk)
    await guard.call("set", SET)
    entries = {entry.exposed: entry for entry in guard.use_cases.services.catalog.entries()}
    assert entries["set"].definition.raw["inputSchema"] == SCHEMAS["set"]
    assert "bcc" not in str([entry.definition.raw for entry in entries.values()])


async def test_a_definition_that_changes_back_is_trusted_again(desk: Desk, guard: GuardForTests) -> None:
    change(desk)
    await guard.call("set", SET)
    change(desk, **SCHEMAS["set"])
    guard.clock.move(timedelta(seconds=LOOK_AGAIN))
    assert (await guard.call("set", SET)).action is not None
    assert set(await pins(guard)) == {PinState.PINNED, PinState.RETIRED}


async def test_once_accepted_it_is_called_and_the_old_one_is_not(desk: Desk, guard: GuardForTests) -> None:
    change(desk)
    await guard.call("set", SET)
    await accept(guard)
    assert (await guard.call("set", SET)).action is not None
    assert desk.effects == 1
    change(desk, **SCHEMAS["set"])
    assert "desk.set is blocked" in await said(guard, "set", {"id": "T-1", "priority": "low"})
    assert desk.effects == 1


async def test_clients_are_told_once_that_an_acceptance_changed_the_tools(desk: Desk, guard: GuardForTests) -> None:
    told: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def sink(upstream: str, method: str, params: Any) -> None:
        await told.put((upstream, method))

    guard.use_cases.services.catalog.clients["desk"].on_notification(sink)
    change(desk)
    await guard.call("set", SET)
    await accept(guard)
    await guard.call("set", SET)
    async with asyncio.timeout(10):
        assert await told.get() == ("desk", "notifications/tools/list_changed")
    await guard.call("get", {"id": "T-1"})
    assert told.empty()


async def test_what_is_no_longer_trusted_is_not_remembered_as_trusted(desk: Desk, guard: GuardForTests) -> None:
    """The old list was looked at half a second ago, when it was still trusted."""
    half = timedelta(seconds=LOOK_AGAIN / 2)
    guard.clock.move(half)
    change(desk)
    await guard.call("get", {"id": "T-1"})
    guard.clock.move(half)
    change(desk, **SCHEMAS["set"])
    await guard.call("get", {"id": "T-1"})
    guard.clock.move(half)
    await guard.ledger.accept((await pins(guard))[PinState.RETIRED], beside=False, by="anna", at=guard.clock.now())
    change(desk)
    assert (await guard.call("set", SET)).action is not None
    change(desk, **SCHEMAS["set"])
    assert "desk.set is blocked" in await said(guard, "set", {"id": "T-1", "priority": "low"})


async def test_beside_another_both_are_trusted(desk: Desk, guard: GuardForTests) -> None:
    change(desk)
    await guard.call("set", SET)
    await accept(guard, beside=True)
    await guard.call("set", SET)
    change(desk, **SCHEMAS["set"])
    await guard.call("set", {"id": "T-1", "priority": "low"})
    assert desk.effects == 2


async def test_a_restart_forgets_nothing(desk: Desk, tmp_path: Path) -> None:
    async with over(desk, tmp_path):
        pass
    change(desk)
    async with over(desk, tmp_path) as again:
        assert "desk.set is blocked" in await said(again, "set", SET)
    assert desk.effects == 0


async def test_two_guards_with_two_views_trust_the_first_one_only(tmp_path: Path) -> None:
    one, other = Desk(), Desk()
    other.tools.schemas = {**SCHEMAS, "set": WIDER}
    async with over(one, tmp_path) as first, over(other, tmp_path) as second:
        assert (await first.call("set", SET)).action is not None
        assert "desk.set is blocked" in await said(second, "set", SET)
        await accept(second)
        second.clock.move(timedelta(seconds=1))
        assert (await second.call("set", {"id": "T-2", "priority": "high"})).action is not None
        first.clock.move(timedelta(seconds=TRUSTED_FOR))
        assert "desk.set is blocked" in await said(first, "set", {"id": "T-1", "priority": "low"})
    assert (one.effects, other.effects) == (1, 1)


class Bridged(MemoryTools):
    """An upstream that shows one kind of client a wider tool than everybody else."""

    def behind(self, downstream: Downstream) -> ToolClient:
        schemas = {**self.schemas, "set": WIDER} if downstream.capabilities else self.schemas
        return MemoryTools(self.name, self.functions, schemas, calls=self.calls)

    def meet(self, downstream: Downstream) -> None: ...

    async def heard(self, downstream: Downstream, method: str, params: Any) -> None: ...


async def test_each_view_that_a_client_gets_is_held_to_the_pins(desk: Desk, tmp_path: Path) -> None:
    bridged = Bridged("desk", desk.tools.functions, dict(SCHEMAS))
    async with guarded(POLICY, [bridged], tmp_path) as guard:
        client = guard.use_cases.services.catalog.clients["desk"]
        assert isinstance(client, Bridge)
        params = {"name": "set", "arguments": SET}
        await client.behind(Downstream()).request("tools/call", params)
        able = client.behind(Downstream(capabilities={"sampling": {}}))
        with pytest.raises(NotSent, match=r"desk\.set is blocked"):
            await able.request("tools/call", params)
        assert "bcc" not in str(await able.tools())
        await accept(guard, beside=True)
        await able.request("tools/call", params)
        await client.behind(Downstream()).request("tools/call", params)
    assert len(bridged.calls) == 3


async def test_two_guards_that_start_together_pin_one_definition(tmp_path: Path) -> None:
    desks = [Desk() for _ in range(4)]
    for number, desk in enumerate(desks):
        desk.tools.schemas = {**SCHEMAS, "set": {"type": "object", "title": str(number)}}

    async def started(desk: Desk) -> str:
        async with over(desk, tmp_path) as guard:
            return await said(guard, "set", SET)

    answers = await asyncio.gather(*map(started, desks))
    assert sum("desk.set is blocked" in answer for answer in answers) == len(desks) - 1
    assert sum(desk.effects for desk in desks) == 1


async def test_under_strict_every_tool_waits_for_a_person_and_is_not_shown(desk: Desk, tmp_path: Path) -> None:
    async with over(desk, tmp_path, "strict") as guard:
        assert guard.use_cases.services.catalog.entries() == []
        assert "desk.set is blocked: nobody has accepted its definition yet" in await said(guard, "set", SET)
        await accept(guard, "get")
        await accept(guard, "set")
        assert (await guard.call("set", SET)).action is not None


async def test_a_new_tool_is_pinned_at_first_use_and_waits_under_strict(desk: Desk, tmp_path: Path) -> None:
    desk.tools.functions = {**desk.tools.functions, "fresh": lambda _: {"ok": True}}
    async with over(desk, tmp_path) as guard:
        assert set(await pins(guard, "fresh")) == {PinState.PINNED}
    desk.tools.functions = {**desk.tools.functions, "fresher": lambda _: {"ok": True}}
    async with over(desk, tmp_path, "strict") as guard:
        assert set(await pins(guard, "fresher")) == {PinState.OFFERED}
        assert set(await pins(guard, "fresh")) == {PinState.PINNED}


async def test_off_calls_whatever_is_there(desk: Desk, tmp_path: Path) -> None:
    async with over(desk, tmp_path, "off") as guard:
        change(desk)
        assert (await guard.call("set", SET)).action is not None
        assert await guard.ledger.pins(pin_scope("")) == []


async def test_a_definition_that_cannot_be_pinned_is_blocked(tmp_path: Path) -> None:
    desk = Desk()
    desk.tools.schemas = {**SCHEMAS, "set": {"type": "object", "description": "\ud800"}}
    async with over(desk, tmp_path) as guard:
        assert "desk.set is blocked: its definition is not plain JSON" in await said(guard, "set", SET)
    assert desk.effects == 0


async def test_without_the_ledger_nothing_that_changed_is_called(
    desk: Desk, guard: GuardForTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(scope: str) -> Any:
        raise LedgerFailure("the disk is gone")

    change(desk)
    monkeypatch.setattr(guard.ledger, "pins", broken)
    client = guard.use_cases.services.catalog.clients["desk"]
    with pytest.raises(NotSent, match="the disk is gone"):
        await client.request("tools/call", {"name": "poll", "arguments": {}})
    assert desk.tools.calls == []


async def test_a_server_that_changes_at_every_look_does_not_fill_the_ledger(desk: Desk, guard: GuardForTests) -> None:
    for number in range(30):
        change(desk, type="object", title=str(number))
        assert "desk.set is blocked" in await said(guard, "set", SET)
    kept = [pin for pin in await guard.ledger.pins(pin_scope("")) if pin.tool == "set"]
    assert len(kept) <= 10
    assert [pin for pin in kept if pin.state is PinState.OFFERED][-1].definition["inputSchema"]["title"] == "29"
