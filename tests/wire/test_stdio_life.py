"""An upstream process that starts, fails to start, hangs and dies."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from takeback.ports import NotSent, OutcomeUnknown
from takeback_tools.mcp import connection as connecting
from takeback_tools.mcp import process
from takeback_tools.mcp.connector import McpConnector
from takeback_tools.mcp.settings import McpSettings

from .ears import Start, alive, ended, failure_of, starts

# --- Time-out and cancellation ---------------------------------------------------------------------------------------


async def cancellations(upstream: McpConnector) -> list[Any]:
    seen = (await upstream.request("x/seen", {}))["seen"]
    never = [number for method, number, _ in seen if method == "x/never"]
    told = [params["requestId"] for method, _, params in seen if method == "notifications/cancelled"]
    assert told == never[: len(told)]
    return told


async def test_a_time_out_leaves_the_outcome_unknown_and_tells_the_server(odd: Start) -> None:
    upstream = odd()
    with pytest.raises(OutcomeUnknown, match=r"no answer to x/never within 0\.05 s") as caught:
        await upstream.request("x/never", {}, timeout=0.05)
    assert caught.value.kind == "timeout"
    assert len(await cancellations(upstream)) == 1


async def test_the_time_out_of_the_settings_holds_for_requests_that_name_none(odd: Start) -> None:
    upstream = odd(timeout=0.3)
    await upstream.start()
    with pytest.raises(OutcomeUnknown, match=r"within 0\.3 s"):
        await upstream.request("x/never", {})


async def test_an_answer_after_the_time_out_is_dropped_quietly(lean: Start) -> None:
    upstream = lean()
    await upstream.start()
    with pytest.raises(OutcomeUnknown):
        await upstream.request("tools/call", {"name": "misbehave", "arguments": {"how": "slow"}}, timeout=0.02)
    assert "tools" in await upstream.request("tools/list", None)


async def test_a_caller_that_gives_up_tells_the_server(odd: Start) -> None:
    upstream = odd()
    await upstream.start()
    call = asyncio.create_task(upstream.request("x/never", {}))
    await upstream.request("x/echo", {})
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(await cancellations(upstream)) == 1


async def test_a_request_that_was_answered_is_not_cancelled(odd: Start) -> None:
    upstream = odd()
    await upstream.request("x/echo", {}, timeout=5)
    assert await cancellations(upstream) == []


async def test_initialize_is_never_cancelled(odd: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    write = process.ProcessChannel._write

    def noted(channel: process.ProcessChannel, line: bytes) -> bool:
        written.append(line)
        return write(channel, line)

    monkeypatch.setattr(process.ProcessChannel, "_write", noted)
    upstream = odd("--mute", start_timeout=0.1)
    assert isinstance(await failure_of(upstream.start()), NotSent)
    assert len(written) == 1
    assert b'"initialize"' in written[0]


# --- Death -----------------------------------------------------------------------------------------------------------


async def test_death_leaves_every_call_in_flight_unknown_and_says_why(odd: Start) -> None:
    upstream = odd(env={"ODD_SECRET": "hunter2-and-more", "ODD_KEY": "line-one\nline-two"})
    words = "first line\nI die of $ODD_SECRET\n$ODD_KEY\nno end of line: $ODD_SECRET"
    calls = [upstream.request("x/gather", {"count": 20, "words": words}) for _ in range(20)]
    failures = await ended(asyncio.gather(*calls, return_exceptions=True))
    for failure in failures:
        assert isinstance(failure, OutcomeUnknown)
        assert failure.kind == "lost"
        assert "exit status 3" in str(failure)
        assert "first line / I die of [secret] / [secret] / [secret] / no end of line: [secret]" in str(failure)


async def test_an_answer_without_its_line_end_before_death_counts(odd: Start) -> None:
    script = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message["method"] == "initialize":
        result = {"protocolVersion": "2025-06-18"}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
    elif "id" in message:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {"last": 1}}), end="", flush=True)
        break
"""
    upstream = McpConnector("brief", McpSettings(command=sys.executable, args=("-c", script)))
    assert await ended(upstream.request("x/any", {})) == {"last": 1}
    await ended(upstream.close())


async def test_the_next_request_starts_it_again_once_for_all(odd: Start, tmp_path: Path) -> None:
    upstream = odd("--starts", str(tmp_path / "starts"))
    await ended(asyncio.gather(*[upstream.request("x/echo", {}) for _ in range(10)]))
    assert len(starts(tmp_path / "starts")) == 1
    assert isinstance(await failure_of(upstream.request("x/die", {"words": "bye"})), OutcomeUnknown)
    answers = await ended(asyncio.gather(*[upstream.request("x/echo", {"n": n}) for n in range(10)]))
    assert answers == [{"n": n} for n in range(10)]
    assert len(starts(tmp_path / "starts")) == 2


async def test_tools_are_read_again_after_a_restart(lean: Start) -> None:
    upstream = lean()
    await upstream.request("tools/call", {"name": "grow"})
    assert len(await upstream.tools()) == 8
    await failure_of(upstream.request("tools/call", {"name": "misbehave", "arguments": {"how": "die"}}))
    assert len(await ended(upstream.tools())) == 7


async def test_a_server_that_closes_its_input_is_replaced(odd: Start, tmp_path: Path) -> None:
    upstream = odd("--starts", str(tmp_path / "starts"))
    failure = await failure_of(upstream.request("x/hang_up", {}))
    assert isinstance(failure, OutcomeUnknown)
    assert failure.kind == "lost"
    assert await ended(upstream.request("x/echo", {"n": 1})) == {"n": 1}
    assert len(starts(tmp_path / "starts")) == 2


# --- Start -----------------------------------------------------------------------------------------------------------


async def test_a_command_that_does_not_exist_is_named(tmp_path: Path) -> None:
    upstream = McpConnector("gone", McpSettings(command=str(tmp_path / "no-such-program")))
    with pytest.raises(NotSent, match=r"upstream gone does not start: .*no-such-program: No such file"):
        await ended(upstream.request("tools/list", None))


async def test_a_folder_that_does_not_exist_is_named(odd: Start, tmp_path: Path) -> None:
    with pytest.raises(NotSent, match="no-such-folder: No such file"):
        await ended(odd(cwd=str(tmp_path / "no-such-folder")).start())


async def test_no_command_at_all_and_one_that_cannot_be_passed_on() -> None:
    for command in (None, "nul\0byte"):
        assert isinstance(await failure_of(McpConnector("x", McpSettings(command=command)).start()), NotSent)


async def test_a_process_that_exits_at_once_says_why(odd: Start) -> None:
    upstream = odd("--exit", "no configuration, token abcdef123", env={"TOKEN": "abcdef123"})
    with pytest.raises(NotSent, match=r"exit status 1.*no configuration, token .secret."):
        await ended(upstream.start())


async def test_a_process_that_never_answers_initialize_is_given_up(odd: Start, tmp_path: Path) -> None:
    upstream = odd("--mute", "--starts", str(tmp_path / "starts"), start_timeout=0.3)
    with pytest.raises(NotSent, match=r"no answer to initialize within 0\.3 s"):
        await ended(upstream.start(), 5.0)
    assert [pid for pid in starts(tmp_path / "starts") if alive(int(pid))] == []


async def test_failed_starts_are_held_off(odd: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "starts"
    upstream = odd("--exit", "not today", "--starts", str(file))
    await failure_of(upstream.start())
    with pytest.raises(NotSent, match=r"not today.*next attempt in 0\.\d s"):
        await upstream.start()
    assert len(starts(file)) == 1
    upstream._home._not_before = 0.0  # the time has passed
    await failure_of(upstream.start())
    assert len(starts(file)) == 2
    rest = upstream._home._not_before - asyncio.get_running_loop().time()
    assert connecting.HOLD_OFF[0] < rest <= 2 * connecting.HOLD_OFF[0]


async def test_a_failed_start_is_one_start_for_all_who_wait(odd: Start, tmp_path: Path) -> None:
    upstream = odd("--exit", "not today", "--starts", str(tmp_path / "starts"))
    failures = await ended(asyncio.gather(*[upstream.start() for _ in range(5)], return_exceptions=True))
    assert all(isinstance(failure, NotSent) for failure in failures)
    assert len(starts(tmp_path / "starts")) == 1


async def test_a_first_caller_that_gives_up_during_the_start_does_not_break_the_others(odd: Start) -> None:
    upstream = odd()
    first = asyncio.create_task(upstream.request("x/echo", {"n": 1}))
    second = asyncio.create_task(upstream.request("x/echo", {"n": 2}))
    await asyncio.sleep(0)  # both have begun
    first.cancel()
    assert await ended(second) == {"n": 2}
    assert first.cancelled()
