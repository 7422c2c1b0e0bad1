"""The example customer desk as an MCP server, over real pipes and sockets in both protocol eras."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import pytest
from mcp import types
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.exceptions import MCPError

from desk import faults, mail
from desk.store import open_desk
from tests.examples.helpdesk_calls import CALLS

SERVER = Path(__file__).parents[2] / "examples" / "helpdesk" / "mcp_server.py"
ERAS = ["legacy", "2026-07-28"]
PATIENCE = 30


def over_stdio(db: Path, fault_file: Path | None = None) -> StdioServerParameters:
    env = {"HELPDESK_FAULTS": str(fault_file)} if fault_file else None
    return StdioServerParameters(command=sys.executable, args=[str(SERVER), "--db", str(db)], env=env)


@asynccontextmanager
async def over_http(db: Path) -> AsyncIterator[str]:
    command = [sys.executable, str(SERVER), "--db", str(db), "--http", "0"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout
        with anyio.fail_after(PATIENCE):
            yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        with anyio.fail_after(PATIENCE, shield=True):
            await process.wait()


async def talk(client: Client) -> None:
    """List the tools, read, write, and be refused."""
    listed = (await client.list_tools()).tools
    assert sorted(tool.name for tool in listed) == sorted(name for name, _ in CALLS)
    hints = {tool.name: tool.annotations for tool in listed if tool.annotations}
    assert hints["get_ticket"].read_only_hint
    assert hints["send_reply"].open_world_hint

    changed = await client.call_tool("update_ticket", {"ticket_id": "T-182", "priority": "high"})
    assert changed.structured_content["priority"] == "high"
    assert text_of(changed) == json.dumps(changed.structured_content)

    missing = await client.call_tool("get_ticket", {"ticket_id": "T-999"})
    assert (missing.is_error, text_of(missing)) == (True, "ticket T-999 not found")
    with pytest.raises(MCPError, match="unknown tool: fly"):
        await client.session.call_tool("fly", {})


def text_of(result: types.CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, types.TextContent)
    return block.text


@pytest.mark.asyncio
@pytest.mark.parametrize("era", ERAS)
async def test_it_serves_stdio(tmp_path: Path, era: str) -> None:
    with anyio.fail_after(PATIENCE):
        async with Client(over_stdio(tmp_path / "desk.db"), mode=era) as client:
            await talk(client)


@pytest.mark.asyncio
@pytest.mark.parametrize("era", ERAS)
async def test_it_serves_http(tmp_path: Path, era: str) -> None:
    async with over_http(tmp_path / "desk.db") as url, Client(url, mode=era) as client:
        await talk(client)


# Faults on demand


def plan(tmp_path: Path, mode: str, *, once: bool = False) -> Path:
    file = tmp_path / "faults.json"
    file.write_text(json.dumps({"send_reply": {"mode": mode, "once": once}, "other": {"mode": "noise"}}))
    return file


def mails(db: Path) -> int:
    with closing(open_desk(db)) as desk:
        total: int = mail.list_outbox(desk, "T-182")["total"]
        return total


REPLY = {"ticket_id": "T-182", "body": "Hello"}


@pytest.mark.asyncio
async def test_the_process_dies_after_the_effect(tmp_path: Path) -> None:
    file = plan(tmp_path, "exit_after_commit", once=True)
    with anyio.fail_after(PATIENCE):
        async with Client(over_stdio(tmp_path / "desk.db", file), mode="legacy") as client:
            with pytest.raises(MCPError):
                await client.call_tool("send_reply", REPLY)
    assert mails(tmp_path / "desk.db") == 1
    assert json.loads(file.read_text()) == {"other": {"mode": "noise"}}


@pytest.mark.asyncio
@pytest.mark.parametrize(("mode", "sent"), [("error_before", 0), ("error_after", 1)])
async def test_an_error_does_not_tell_whether_there_was_an_effect(tmp_path: Path, mode: str, sent: int) -> None:
    file = plan(tmp_path, mode, once=True)
    with anyio.fail_after(PATIENCE):
        async with Client(over_stdio(tmp_path / "desk.db", file), mode="legacy") as client:
            failed = await client.call_tool("send_reply", REPLY)
            assert (failed.is_error, text_of(failed)) == (True, "send_reply failed: internal error")
            assert mails(tmp_path / "desk.db") == sent
            assert not (await client.call_tool("send_reply", REPLY)).is_error


@pytest.mark.asyncio
@pytest.mark.parametrize(("mode", "sent"), [("hang_before", 0), ("hang_after_commit", 1)])
async def test_a_call_that_hangs_leaves_the_others_alone(tmp_path: Path, mode: str, sent: int) -> None:
    file = plan(tmp_path, mode, once=True)
    with anyio.fail_after(PATIENCE):
        async with (
            Client(over_stdio(tmp_path / "desk.db", file), mode="legacy") as client,
            anyio.create_task_group() as group,
        ):
            group.start_soon(client.call_tool, "send_reply", REPLY)
            while "send_reply" in json.loads(file.read_text()):
                await client.call_tool("get_ticket", {"ticket_id": "T-182"})
            assert mails(tmp_path / "desk.db") == sent
            group.cancel_scope.cancel()


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["garbage", "noise"])
async def test_a_line_that_is_no_json_comes_before_the_answer_or_in_its_place(tmp_path: Path, mode: str) -> None:
    seen = anyio.Event()
    answers: list[types.CallToolResult] = []

    async def on_message(message: object) -> None:
        if isinstance(message, Exception):
            seen.set()

    async def send(client: Client) -> None:
        answers.append(await client.call_tool("send_reply", REPLY))

    parameters = over_stdio(tmp_path / "desk.db", plan(tmp_path, mode))
    with anyio.fail_after(PATIENCE):
        async with (
            Client(parameters, mode="legacy", message_handler=on_message) as client,
            anyio.create_task_group() as group,
        ):
            group.start_soon(send, client)
            await seen.wait()
            await client.call_tool("get_ticket", {"ticket_id": "T-182"})
            if mode == "garbage":
                group.cancel_scope.cancel()
    assert len(answers) == (0 if mode == "garbage" else 1)
    assert mails(tmp_path / "desk.db") == 1


def test_no_fault_is_planned_unless_the_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults.planned("send_reply", faults.COMMON) is None
    monkeypatch.setenv("HELPDESK_FAULTS", str(tmp_path / "absent.json"))
    assert faults.planned("send_reply", faults.COMMON) is None
    monkeypatch.setenv("HELPDESK_FAULTS", str(plan(tmp_path, "explode")))
    assert faults.planned("get_ticket", faults.COMMON) is None
    with pytest.raises(faults.InjectedError, match="unknown fault for send_reply: 'explode'"):
        faults.planned("send_reply", faults.COMMON)
    monkeypatch.setenv("HELPDESK_FAULTS", str(plan(tmp_path, "reset_after")))
    with pytest.raises(faults.InjectedError, match="unknown fault for send_reply: 'reset_after'"):
        faults.planned("send_reply", faults.COMMON)
