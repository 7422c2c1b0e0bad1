"""A drafted policy, unchanged, in front of the desk: what it calls exact is taken back exactly, the rest asks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.cli.commands import takeback
from tests.examples.test_policy import EXACT, ROOT, state, taken_back
from tests.mcp.raw import guard_command, started, text_of

ASKS_TO_UNDO = {"add_comment", "book_callback"}
"""What takes these back is a tool that a draft calls irreversible."""

NO_WAY_BACK = {"write_report"}


CANNOT_BE_UNDONE: list[tuple[str, dict[str, Any]]] = [
    ("delete_comment", {"comment_id": "CM-1"}),
    ("send_reply", {"ticket_id": "T-182", "body": "hello"}),
    ("charge_card", {"invoice_id": "I-1003", "amount_cents": 100}),
    ("issue_refund", {"invoice_id": "I-1001", "amount_cents": 100}),
    ("escalate_ticket", {"ticket_id": "T-182", "reason": "x", "callback_at": "2026-12-01T09:30:00Z"}),
]
TABLES = ("tickets", "outbox", "charges", "refunds", "contacts", "comments", "appointments")


async def test_what_a_draft_calls_exact_is_taken_back_exactly(tmp_path: Path) -> None:
    env, policy = {"TAKEBACK_STATE": str(tmp_path)}, tmp_path / "policy.toml"
    desk = (sys.executable, ROOT / "examples" / "helpdesk" / "mcp_server.py", "--db", tmp_path / "desk.db")
    assert takeback("init", "--policy", policy, "--name", "desk", "--", *desk, env=env).code == 0
    assert takeback("check", "--policy", policy, env=env).code == 0
    async with started(*guard_command(policy), env=env) as agent:
        for tool, arguments, table in EXACT:
            before = state(tmp_path, table)
            made = await agent.call(tool, arguments)
            meta = made["_meta"]
            assert (meta["io.takeback/status"], meta["io.takeback/verified"]) == ("succeeded", "yes"), text_of(made)
            assert meta["io.takeback/undo"] == ("refused" if tool in NO_WAY_BACK else "exact"), text_of(made)
            if tool in NO_WAY_BACK:
                continue
            undone = await taken_back(agent, meta["io.takeback/action"])
            if tool in ASKS_TO_UNDO:
                assert "a person must agree first" in text_of(undone)
                continue
            assert undone["_meta"]["io.takeback/outcome"] == "exact", (tool, text_of(undone))
            assert state(tmp_path, table) == before, tool
        untouched = [state(tmp_path, table) for table in TABLES]
        for tool, arguments in CANNOT_BE_UNDONE:
            asked = await agent.call(tool, arguments)
            assert asked["_meta"]["io.takeback/status"] == "awaiting_approval", (tool, text_of(asked))
        assert [state(tmp_path, table) for table in TABLES] == untouched
