"""An upstream process that is stopped, or that does not read what it is sent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from takeback.core.jsontext import JSON
from takeback.ports import NotSent, OutcomeUnknown
from takeback_tools.mcp import connection as connecting
from takeback_tools.mcp import process
from takeback_tools.mcp.connector import McpConnector

from .ears import Ending, Start, alive, ended, failure_of, starts

# --- Stop ------------------------------------------------------------------------------------------------------------


async def test_close_ends_the_process_and_what_it_started(
    odd: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(process, "PATIENCE", 0.2)
    upstream = odd("--child", "--stubborn")
    endings = [Ending(pid) for pid in (await upstream.request("x/pids", {})).values()]
    await ended(upstream.close(), 3.0)
    assert [ending.seen() for ending in endings] == [True, True]


async def test_close_ends_a_grandchild_when_its_parent_goes_by_itself(odd: Start) -> None:
    upstream = odd("--child")
    endings = [Ending(pid) for pid in (await upstream.request("x/pids", {})).values()]
    await ended(upstream.close(), 3.0)
    assert [ending.seen() for ending in endings] == [True, True]


async def test_close_ends_calls_in_flight_and_nothing_starts_after_it(odd: Start, tmp_path: Path) -> None:
    upstream = odd("--starts", str(tmp_path / "starts"))
    await upstream.start()
    call = asyncio.create_task(upstream.request("x/never", {}))
    await upstream.request("x/echo", {})
    await ended(upstream.close(), 5.0)
    failure = await failure_of(call)
    assert isinstance(failure, OutcomeUnknown)
    assert failure.kind == "lost"
    assert isinstance(await failure_of(upstream.request("x/echo", {})), NotSent)
    assert len(starts(tmp_path / "starts")) == 1
    await ended(upstream.close(), 1.0)


async def test_close_during_the_start_ends_both(odd: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launched = asyncio.Event()
    made: list[process.ProcessChannel] = []
    launch = process.launch

    async def noted(*args: Any) -> process.ProcessChannel:
        made.append(await launch(*args))
        launched.set()
        return made[-1]

    monkeypatch.setattr(connecting, "launch", noted)
    upstream = odd("--mute")
    waiting = asyncio.create_task(upstream.request("x/echo", {}))
    await ended(launched.wait())
    await ended(upstream.close(), 5.0)
    assert isinstance(await failure_of(waiting), NotSent)
    assert made[0]._transport is not None
    assert not alive(made[0]._transport.get_pid())


# --- Backpressure ----------------------------------------------------------------------------------------------------


async def test_a_server_that_does_not_read_makes_requests_wait_and_end_unsent(
    odd: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PATIENCE", 0.1)
    upstream = odd("--deaf")
    await upstream.start()
    params = {"fill": "x" * 100_000}
    calls = [upstream.request("x/echo", params, timeout=0.3) for _ in range(100)]
    failures = await ended(asyncio.gather(*calls, return_exceptions=True))
    unknown = [failure for failure in failures if isinstance(failure, OutcomeUnknown)]
    unsent = [failure for failure in failures if isinstance(failure, NotSent)]
    assert len(unknown) + len(unsent) == 100
    assert len(unsent) >= 95  # what a pipe and its buffer hold is unknown, and nothing else
    assert "has not read its input" in str(unsent[0])
    assert buffered(upstream) < 1_000_000
    await ended(upstream.close())


async def test_a_server_that_floods_us_and_does_not_read_fills_no_memory(
    odd: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "PATIENCE", 0.1)
    upstream = odd("--flood")
    await upstream.start()
    session = upstream._home._session
    assert session is not None
    asked = session.channel._peer._asked  # type: ignore[attr-defined]
    taken, full = 0, asyncio.Event()
    take = asked.take

    def counted(number: JSON, method: str, params: JSON) -> None:
        nonlocal taken
        taken += 1
        if taken > 20_000:
            full.set()
        take(number, method, params)

    monkeypatch.setattr(asked, "take", counted)
    await ended(full.wait())
    assert buffered(upstream) < 300_000
    assert len(asked._tasks) <= 1000
    await ended(upstream.close())


def buffered(upstream: McpConnector) -> int:
    """Bytes that wait in our own memory for the server to read."""
    session = upstream._home._session
    assert session is not None
    return int(session.channel._stdin.get_write_buffer_size())  # type: ignore[attr-defined]
