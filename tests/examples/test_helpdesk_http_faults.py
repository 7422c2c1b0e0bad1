"""Faults on demand of the desk's HTTP form: what its caller sees, and whether there was an effect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from tests.examples.helpdesk_http import PATIENCE, desk_api, tables

REPLY = {"ticket_id": "T-182", "body": "Hello"}
KEY = {"Idempotency-Key": "k"}


def plan(tmp_path: Path, mode: str, **more: Any) -> Path:
    file = tmp_path / "faults.json"
    file.write_text(json.dumps({"send_reply": {"mode": mode, "once": True, **more}}))
    return file


def mails(db: Path) -> int:
    return len([row for row in tables(db)["outbox"] if row["ticket_id"] == "T-182"])


@pytest.mark.parametrize(
    ("mode", "status", "sent"),
    [("error_before", 500, 0), ("error_after", 500, 1), ("busy_before", 503, 0), ("busy_after", 503, 1)],
)
async def test_an_error_does_not_tell_whether_there_was_an_effect(
    tmp_path: Path, mode: str, status: int, sent: int
) -> None:
    async with desk_api(tmp_path / "desk.db", plan(tmp_path, mode)) as api:
        failed = await api.call("send_reply", REPLY, KEY)
        assert failed.status_code == status
        assert failed.headers.get("Retry-After") == ("1" if status == 503 else None)
        assert mails(tmp_path / "desk.db") == sent
        assert (await api.call("send_reply", REPLY, KEY)).status_code == 200
    assert mails(tmp_path / "desk.db") == 1


@pytest.mark.parametrize(
    ("mode", "error", "sent"),
    [
        ("reset_before", httpx2.ReadError, 0),
        ("reset_after", httpx2.ReadError, 1),
        ("truncated", httpx2.RemoteProtocolError, 1),
    ],
)
async def test_the_connection_breaks(tmp_path: Path, mode: str, error: type[Exception], sent: int) -> None:
    async with desk_api(tmp_path / "desk.db", plan(tmp_path, mode)) as api:
        with pytest.raises(error):
            await api.call("send_reply", REPLY, KEY)
        assert mails(tmp_path / "desk.db") == sent
        assert (await api.call("send_reply", REPLY, KEY)).status_code == 200
    assert mails(tmp_path / "desk.db") == 1


async def test_the_answer_is_no_json(tmp_path: Path) -> None:
    async with desk_api(tmp_path / "desk.db", plan(tmp_path, "garbage")) as api:
        answer = await api.call("send_reply", REPLY)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
        with pytest.raises(ValueError, match="Expecting value"):
            answer.json()
    assert mails(tmp_path / "desk.db") == 1


async def test_the_process_dies_after_the_effect_and_the_key_still_holds(tmp_path: Path) -> None:
    file = plan(tmp_path, "exit_after_commit")
    async with desk_api(tmp_path / "desk.db", file) as api:
        with pytest.raises(httpx2.RemoteProtocolError):
            await api.call("send_reply", REPLY, KEY)
        assert await api.process.wait() == 70
    async with desk_api(tmp_path / "desk.db", file) as api:
        again = await api.call("send_reply", REPLY, KEY)
        assert again.headers["Idempotent-Replayed"] == "true"
    assert mails(tmp_path / "desk.db") == 1


@pytest.mark.parametrize(("mode", "sent"), [("hang_before", 0), ("hang_after_commit", 1)])
async def test_a_call_that_hangs_leaves_the_others_alone(tmp_path: Path, mode: str, sent: int) -> None:
    async with desk_api(tmp_path / "desk.db", plan(tmp_path, mode)) as api:
        api.http.timeout = httpx2.Timeout(1)
        with pytest.raises(httpx2.ReadTimeout):
            await api.call("send_reply", REPLY)
        assert mails(tmp_path / "desk.db") == sent
        assert (await api.call("get_ticket", {"ticket_id": "T-182"})).status_code == 200


async def test_a_slow_call_lands_after_its_caller_has_gone(tmp_path: Path) -> None:
    async with desk_api(tmp_path / "desk.db", plan(tmp_path, "slow_before", seconds=1)) as api:
        api.http.timeout = httpx2.Timeout(0.1)
        with pytest.raises(httpx2.ReadTimeout):
            await api.call("send_reply", REPLY, KEY)
        assert mails(tmp_path / "desk.db") == 0
        api.http.timeout = httpx2.Timeout(30)
        await api.call("adjust_balance", {"contact_id": "C-1", "by": 1})  # another call is not held up
        with anyio.fail_after(PATIENCE):
            while mails(tmp_path / "desk.db") == 0:
                await api.call("get_ticket", {"ticket_id": "T-182"})
        assert (await api.call("send_reply", REPLY, KEY)).headers["Idempotent-Replayed"] == "true"


async def test_a_write_that_is_overtaken_finds_its_tag_gone(tmp_path: Path) -> None:
    db, file = tmp_path / "desk.db", tmp_path / "faults.json"
    async with desk_api(db, file) as api:
        tag = (await api.call("get_ticket", {"ticket_id": "T-182"})).headers["ETag"]
        by = {"name": "update_ticket", "arguments": {"ticket_id": "T-182", "assignee": "mira"}}
        file.write_text(json.dumps({"update_ticket": {"mode": "overtaken", "once": True, "by": by}}))
        late = await api.call("update_ticket", {"ticket_id": "T-182", "priority": "high"}, {"If-Match": tag})
        assert late.status_code == 412
        now = await api.call("get_ticket", {"ticket_id": "T-182"})
        assert (now.json()["assignee"], now.json()["priority"]) == ("mira", "normal")
        change = {"ticket_id": "T-182", "priority": "high"}
        assert (await api.call("update_ticket", change, {"If-Match": now.headers["ETag"]})).status_code == 200


async def test_a_fault_that_this_face_cannot_show_is_refused(tmp_path: Path) -> None:
    async with desk_api(tmp_path / "desk.db", plan(tmp_path, "noise")) as api:
        failed = await api.call("send_reply", REPLY)
        assert (failed.status_code, "unknown fault" in failed.text) == (500, True)
    assert mails(tmp_path / "desk.db") == 0
