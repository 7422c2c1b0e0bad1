"""Several guards on one PostgreSQL, behind a load balancer: same keys, same replays, same approvals."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from .balancer import Balancer, balancing
from .kit import BOUND, Agent, Counter, Guard, agent, guards
from .policies import write_policy

HEADERS = {"accept": "application/json, text/event-stream"}
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}


@pytest.mark.parametrize("number", [2, 3])
async def test_any_guard_replays_what_another_did(tmp_path: Path, ledger: str, counter: Counter, number: int) -> None:
    policy = write_policy(tmp_path, ledger, counter.port)
    async with guards(policy, number) as found, balanced(found) as balancer, agent(balancer.url) as caller:
        answers = [await caller.call("charge", {"account": "C-1", "amount": "5"}) for _ in range(2 * number)]
        assert balancer.served == [2] * number
    assert len({answer.action for answer in answers}) == 1
    assert [answer.replayed for answer in answers] == [False, *[True] * (2 * number - 1)]
    assert await counter.effects() == ["charge C-1 5"]


async def test_a_call_that_names_no_run_finds_the_same_run_at_any_guard(
    tmp_path: Path, ledger: str, counter: Counter
) -> None:
    policy = write_policy(tmp_path, ledger, counter.port)
    async with guards(policy, 2) as found, balanced(found) as balancer, agent(balancer.url) as caller:
        answers = [await caller.call("note", {"text": "hello"}, run="") for _ in range(4)]
        assert balancer.served == [2, 2]
    assert len({answer.action for answer in answers}) == 1
    assert await counter.effects() == ["note hello"]


async def test_a_second_equal_call_at_another_guard_joins_the_first(
    tmp_path: Path, ledger: str, counter: Counter
) -> None:
    policy = write_policy(tmp_path, ledger, counter.port)
    async with guards(policy, 2) as (one, two), agent(one.url) as caller:
        await counter.hold()
        first = asyncio.create_task(caller.call("charge", {"account": "C-1", "amount": "5"}))
        await asyncio.wait_for(counter.held(), BOUND)
        second = asyncio.create_task(caller.call("charge", {"account": "C-1", "amount": "5"}, at=two.url))
        done, _ = await asyncio.wait({second}, timeout=0.5)
        assert not done  # it waits for the first
        await counter.open()
        answers = await asyncio.gather(first, second)
    assert len({answer.action for answer in answers}) == 1
    assert [answer.error for answer in answers] == [False, False], answers
    assert await counter.effects() == ["charge C-1 5"]


async def test_what_waits_at_one_guard_is_approved_beside_it_and_runs_through_a_third(
    tmp_path: Path, ledger: str, counter: Counter
) -> None:
    policy, call = write_policy(tmp_path, ledger, counter.port), {"account": "C-1", "amount": "900"}
    async with guards(policy, 3) as (one, two, three), agent(one.url) as caller:
        pending = await caller.call("wire", call)
        assert (pending.status, pending.error) == ("awaiting_approval", True)
        same = await caller.call("wire", call, at=two.url)
        assert (same.action, same.approval) == (pending.action, pending.approval)
        assert await counter.effects() == []
        await takeback(policy, "approve", pending.approval, "--yes")
        answers = await asyncio.gather(*(caller.call("wire", call, at=guard.url) for guard in (three, two, one)))
    assert {(answer.action, answer.status) for answer in answers} == {(pending.action, "succeeded")}
    assert await counter.effects() == ["charge C-1 900"]


async def test_what_one_guard_wrote_is_undone_through_another(tmp_path: Path, ledger: str, counter: Counter) -> None:
    policy = write_policy(tmp_path, ledger, counter.port)
    async with guards(policy, 2) as (one, two), agent(one.url) as caller:
        await caller.call("set", {"id": "A-1", "value": "one"})
        undone = await caller.call("takeback_undo", {"reason": "wrong"}, at=two.url)
    assert "Undone, exactly" in undone.text
    assert await counter.effects() == ["set A-1 one", "set A-1 none"]


async def test_a_guard_that_is_killed_leaves_its_call_to_the_others(
    tmp_path: Path, ledger: str, counter: Counter
) -> None:
    """No call comes again: another guard's worker settles it."""
    policy = write_policy(tmp_path, ledger, counter.port)
    async with guards(policy, 2) as (one, two), agent(one.url) as caller:
        await counter.hold()
        lost = asyncio.create_task(caller.call("note", {"text": "hello"}))
        await asyncio.wait_for(counter.held(), BOUND)
        await one.kill()
        await counter.open()
        with pytest.raises(httpx2.TransportError):
            await lost
        async with asyncio.timeout(BOUND):
            while "succeeded" not in (await history(caller, two)):
                await asyncio.sleep(0.1)
        again = await caller.call("note", {"text": "hello"}, at=two.url)
    assert again.status == "succeeded"
    assert await counter.effects() == ["note hello"]


async def history(caller: Agent, guard: Guard) -> str:
    return (await caller.call("takeback_history", {}, at=guard.url)).text


# --- the handshake era ---


async def test_a_handshake_session_stays_with_its_guard_where_the_balancer_is_sticky(
    tmp_path: Path, ledger: str, counter: Counter
) -> None:
    policy = write_policy(tmp_path, ledger, counter.port)
    async with guards(policy, 2) as found, balanced(found, sticky=True) as balancer, httpx2.AsyncClient() as http:
        sessions = [await shaken(http, balancer.url) for _ in range(2)]
        for session in sessions * 3:
            answer = await post(http, balancer.url, "tools/call", NOTE, session)
            assert answer.status_code == 200
            assert "io.takeback/action" in answer.text
        assert min(balancer.served) > 0
    assert len(await counter.effects()) == 2  # two connections are two runs


async def test_a_handshake_session_at_another_guard_is_a_clear_error(
    tmp_path: Path, ledger: str, counter: Counter
) -> None:
    """404 is what the protocol says for a session that there is not: the client begins a new one."""
    policy = write_policy(tmp_path, ledger, counter.port)
    async with guards(policy, 2) as (one, two), httpx2.AsyncClient() as http:
        session = await shaken(http, one.url)
        strange = await post(http, two.url, "tools/call", NOTE, session)
        assert strange.status_code == 404
        assert "session" in strange.json()["error"]["message"].lower()
        assert await counter.effects() == []
        answer = await post(http, one.url, "tools/call", NOTE, session)
        assert answer.status_code == 200
    assert await counter.effects() == ["note hello"]


NOTE = {"name": "note", "arguments": {"text": "hello"}}


async def shaken(http: httpx2.AsyncClient, url: str) -> str:
    """A session of the handshake era."""
    answer = await post(http, url, "initialize", HELLO)
    session = str(answer.headers["mcp-session-id"])
    headers = {**HEADERS, "mcp-session-id": session, "mcp-protocol-version": "2025-11-25"}
    await http.post(url, json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=headers)
    return session


async def post(http: httpx2.AsyncClient, url: str, method: str, params: Any, session: str = "") -> httpx2.Response:
    known = {"mcp-session-id": session, "mcp-protocol-version": "2025-11-25"} if session else {}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return await http.post(url, json=body, headers={**HEADERS, **known}, timeout=BOUND)


def balanced(found: list[Guard], *, sticky: bool = False) -> AbstractAsyncContextManager[Balancer]:
    return balancing([guard.port for guard in found], sticky=sticky)


async def takeback(policy: Path, *words: str) -> None:
    """A command of the command line, as a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "takeback.cli", *words, "--policy", str(policy),
        env={**os.environ, "TAKEBACK_STATE": str(policy.parent)}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), BOUND)
    assert process.returncode == 0, out
