"""The guarded life of a write over HTTP: `takeback serve` in front of a real API that knows nothing of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from tests.http.served import Api, Seen, body, document, parameter, reply, serving
from tests.mcp.raw import RawClient, guard_command, started

POLICY = """
[ledger]
url = "sqlite+aiosqlite:///${STATE}/takeback.db"
[defaults]
tenant = "acme"
retry = { attempts = 3, backoff = "10ms", max = "20ms" }
[upstream.desk]
openapi = "API/openapi.json"
auth = { tenants = { acme = { type = "bearer", token = "${TOKEN}" }, other = { type = "bearer", token = "theirs" } } }
idempotency = { header = "Idempotency-Key" }
lands_within = "1s"
methods = ["PATCH"]
[[rule]]
tool = "desk.get_ticket"
class = "read_only"
[[rule]]
tool = "desk.update_ticket"
class = "internal_update"
effect = "set"
risk = "low"
target = { type = "ticket", id = "args.id" }
read = { tool = "desk.get_ticket", args = { id = "args.id" } }
ignore = ["revision"]
undo = { tool = "desk.update_ticket", args = { id = "args.id", priority = "before.priority", note = "before.note" } }
"""

TICKET = {
    "type": "object",
    "properties": {"priority": {"type": "string"}, "note": {"type": "string", "nullable": True}},
}
ITEM = parameter("id", "path", {"type": "integer"}, required=True)
ANSWER = {"200": {"description": "", "content": {"application/json": {"schema": TICKET}}}}
DOCUMENT = document(
    {
        "/tickets/{id}": {
            "parameters": [ITEM],
            "get": {"operationId": "get_ticket", "responses": ANSWER},
            "patch": {"operationId": "update_ticket", "requestBody": body(TICKET), "responses": ANSWER},
        }
    }
)
FIRST = {"id": 7, "priority": "low", "note": None, "big": 2**70, "revision": 1}


class Desk:
    """One ticket behind a token. `before` may answer in its place, `after` once it has done what it was told."""

    def __init__(self) -> None:
        self.ticket: dict[str, Any] = dict(FIRST)
        self.token = "acme-token"
        self.before: list[Callable[[], Response]] = []
        self.after: list[Callable[[], Response]] = []
        self.kept: dict[str, Response] = {}

    def __call__(self, seen: Seen) -> Response:
        if seen.headers.get("authorization") != f"Bearer {self.token}":
            return reply({"error": "who are you?"}, 401)
        if seen.target == "/openapi.json":
            return reply(DOCUMENT)
        if seen.method == "PATCH":
            return self._patch(seen)
        return reply(self.ticket)

    def _patch(self, seen: Seen) -> Response:
        if self.before:
            return self.before.pop(0)()
        key = seen.headers["idempotency-key"]
        if key not in self.kept:
            self.ticket |= {**seen.json, "revision": self.ticket["revision"] + 1}
            self.kept[key] = reply(self.ticket)
        return self.after.pop(0)() if self.after else self.kept[key]

    @property
    def facts(self) -> dict[str, Any]:
        return {name: value for name, value in self.ticket.items() if name != "revision"}


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def api(desk: Desk) -> AsyncIterator[Api]:
    async with serving(desk) as found:
        yield found


@pytest.fixture
async def client(api: Api, tmp_path: Path) -> AsyncIterator[RawClient]:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY.replace("API", api.url))
    env = {"TAKEBACK_STATE": str(tmp_path), "TOKEN": "acme-token"}
    async with started(*guard_command(policy), env=env) as found:
        yield found


def patches(api: Api) -> list[Seen]:
    return [seen for seen in api.seen if seen.method == "PATCH"]


def last_text(result: dict[str, Any]) -> str:
    return str(result["content"][-1]["text"])


async def test_a_write_is_verified_and_taken_back_exactly(api: Api, desk: Desk, client: RawClient) -> None:
    tools = (await client.send("tools/list"))["result"]["tools"]
    assert [tool["name"] for tool in tools if not tool["name"].startswith("takeback_")] == ["update_ticket"]
    result = await client.call("update_ticket", {"id": 7, "priority": "high", "note": "now"})
    assert result["structuredContent"] == {**FIRST, "priority": "high", "note": "now", "revision": 2}
    assert "Undo: exact." in last_text(result)
    (write,) = patches(api)
    assert len(write.headers["idempotency-key"]) == 64
    assert desk.ticket["priority"] == "high"
    undone = await client.call("takeback_undo", {"reason": "a mistake"})
    assert undone["_meta"]["io.takeback/outcome"] == "exact", undone
    assert desk.facts == {name: value for name, value in FIRST.items() if name != "revision"}
    assert patches(api)[1].headers["idempotency-key"] != write.headers["idempotency-key"]


async def test_a_repeated_call_is_replayed_and_not_sent(api: Api, client: RawClient) -> None:
    for _ in range(2):
        result = await client.call("update_ticket", {"id": 7, "priority": "high"})
    assert len(patches(api)) == 1
    assert "Already done" in json.dumps(result)


async def test_an_error_after_the_effect_is_settled_by_the_same_key(api: Api, desk: Desk, client: RawClient) -> None:
    desk.after = [lambda: reply({"error": "oops"}, 500)]
    result = await client.call("update_ticket", {"id": 7, "priority": "high"})
    assert result.get("isError") is not True, result
    first, second = patches(api)
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert desk.ticket["revision"] == 2


async def test_a_busy_api_is_asked_again(api: Api, desk: Desk, client: RawClient) -> None:
    desk.before = [lambda: reply({}, 429, Retry_After="0")]
    result = await client.call("update_ticket", {"id": 7, "priority": "high"})
    assert result.get("isError") is not True, result
    assert len(patches(api)) == 2


async def test_a_refusal_is_told_with_status_and_body(desk: Desk, client: RawClient) -> None:
    desk.before = [lambda: reply({"error": "no such priority"}, 422)]
    result = await client.call("update_ticket", {"id": 7, "priority": "huge"})
    assert result["isError"] is True
    assert "HTTP 422" in json.dumps(result)
    assert "no such priority" in json.dumps(result)
    assert desk.ticket == FIRST


async def test_the_guard_signs_in_as_the_tenant_that_it_serves(api: Api, desk: Desk, tmp_path: Path) -> None:
    desk.token = "theirs"
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY.replace("API", api.url))
    env = {"TAKEBACK_STATE": str(tmp_path), "TOKEN": "acme-token"}
    async with started(*guard_command(policy), "--tenant", "other", env=env) as client:
        result = await client.call("update_ticket", {"id": 7, "priority": "high"})
        assert result.get("isError") is not True, result
    assert {seen.headers["authorization"] for seen in api.seen} == {"Bearer theirs"}
