"""The rules at the top level, held against the real desk: each kind of change is made, and taken back.

Both ways in have the same rules: over MCP by the policy at the top level, over HTTP by the one that extends it.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.examples.helpdesk_guarded import over_http
from tests.mcp.raw import RawClient, guard_command, started, text_of
from tests.undo_table.record import record

ROOT = Path(__file__).parents[2]
HELPDESK = ROOT / "examples" / "helpdesk"

# Changes that the policy calls exactly undoable: tool, arguments, and the table that they are seen in.
EXACT: list[tuple[str, dict[str, Any], str]] = [
    ("update_ticket", {"ticket_id": "T-182", "tags": ["vip"], "status": "pending"}, "tickets"),
    ("create_ticket", {"tenant": "acme", "subject": "A new one"}, "tickets"),
    ("delete_ticket", {"ticket_id": "T-207"}, "tickets"),
    ("add_comment", {"ticket_id": "T-182", "body": "looking into it"}, "comments"),
    ("update_contact", {"contact_id": "C-1", "phone": "+1"}, "contacts"),
    ("create_contact", {"tenant": "acme", "name": "New", "email": "new@acme.example"}, "contacts"),
    ("add_to_segment", {"segment": "beta", "contact_id": "C-1"}, "memberships"),
    ("remove_from_segment", {"segment": "newsletter", "contact_id": "C-1"}, "memberships"),
    ("adjust_balance", {"contact_id": "C-1", "by": -20}, "balances"),
    ("create_draft", {"ticket_id": "T-182", "body": "Dear Ada"}, "drafts"),
    ("update_draft", {"draft_id": "DR-1", "body": "Hello"}, "drafts"),
    ("delete_draft", {"draft_id": "DR-1"}, "drafts"),
    ("put_document", {"document_id": "new", "tenant": "acme", "title": "t", "body": "b"}, "documents"),
    ("put_document", {"document_id": "refund-policy", "tenant": "acme", "title": "t", "body": "b"}, "documents"),
    ("delete_document", {"document_id": "export-limits"}, "documents"),
    ("update_settings", {"tenant": "acme", "sla_hours": 8}, "settings"),
    ("write_report", {"tenant": "acme"}, "documents"),
    ("book_callback", {"contact_id": "C-1", "starts_at": "2026-12-01T09:30:00Z"}, "appointments"),
]
MOVING = {"updated_at", "created_at", "version"}
"""Columns that the desk sets itself at every change."""


@pytest.fixture(params=["mcp", "http"])
async def agent(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RawClient]:
    start = over_mcp if request.param == "mcp" else over_http
    async with start(tmp_path) as client:
        yield client


@asynccontextmanager
async def over_mcp(folder: Path) -> AsyncIterator[RawClient]:
    env = {
        "TAKEBACK_STATE": str(folder),
        "HELPDESK": str(HELPDESK),
        "HELPDESK_DB": str(folder / "desk.db"),
        "HELPDESK_PYTHON": sys.executable,
    }
    async with started(*guard_command(ROOT / "policy.toml"), env=env) as client:
        yield client
    record("helpdesk-mcp", folder, client.undos)


def state(tmp_path: Path, table: str) -> set[tuple[Any, ...]]:
    """The rows that stand in a table of the desk, straight from its file."""
    with sqlite3.connect(tmp_path / "desk.db") as db:
        db.row_factory = sqlite3.Row
        rows = [dict(row) for row in db.execute(f"SELECT * FROM {table}")]
    db.close()
    standing = [row for row in rows if row.get("status") != "cancelled"]
    return {tuple((name, value) for name, value in row.items() if name not in MOVING) for row in standing}


async def taken_back(agent: RawClient, action: str) -> dict[str, Any]:
    """Undo an action, with the confirmation where a preview asks for one."""
    asked = {"what": action, "reason": "a test"}
    first: dict[str, Any] = await agent.call("takeback_undo", asked)
    confirm = first["_meta"].get("io.takeback/confirm")
    return await agent.call("takeback_undo", {**asked, "confirm": confirm}) if confirm else first


async def test_every_exact_change_goes_back_exactly(agent: RawClient, tmp_path: Path) -> None:
    for tool, arguments, table in EXACT:
        before = state(tmp_path, table)
        made = await agent.call(tool, arguments)
        meta = made.get("_meta", {})
        assert meta.get("io.takeback/verified") == "yes", (tool, text_of(made))
        assert meta["io.takeback/undo"] == "exact", (tool, text_of(made))
        assert state(tmp_path, table) != before, tool
        undone = await taken_back(agent, meta["io.takeback/action"])
        assert "io.takeback/outcome" in undone.get("_meta", {}), (tool, text_of(undone))
        assert undone["_meta"]["io.takeback/outcome"] == "exact", (tool, text_of(undone))
        assert state(tmp_path, table) == before, tool


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("send_reply", {"ticket_id": "T-182", "body": "hello"}),
        ("charge_card", {"invoice_id": "I-1003", "amount_cents": 100}),
        ("issue_refund", {"invoice_id": "I-1001", "amount_cents": 20_001}),
        ("escalate_ticket", {"ticket_id": "T-182", "reason": "x", "callback_at": "2026-12-01T09:30:00Z"}),
    ],
)
async def test_what_is_hard_to_take_back_asks_first(
    agent: RawClient, tmp_path: Path, tool: str, arguments: dict[str, Any]
) -> None:
    tables = ("tickets", "outbox", "charges", "refunds", "contacts", "comments", "appointments")
    before = [state(tmp_path, table) for table in tables]
    answer = await agent.call(tool, arguments)
    assert answer["_meta"]["io.takeback/status"] == "awaiting_approval", text_of(answer)
    assert [state(tmp_path, table) for table in tables] == before
