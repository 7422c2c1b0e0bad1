"""The example desk as an HTTP API: the same desk as over MCP, with what a good API has besides."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from mcp.client.client import Client
from openapi_spec_validator import validate

from desk.catalogue import OPERATIONS
from tests.examples.helpdesk_calls import CALLS
from tests.examples.helpdesk_http import PATIENCE, Api, desk_api, tables, timeless
from tests.examples.test_helpdesk_server import over_stdio

PROBLEM = "application/problem+json"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with desk_api(tmp_path / "desk.db") as running:
        yield running


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "desk.db"


# The document


async def test_the_document_is_valid_and_has_every_operation_with_the_arguments_of_its_twin(api: Api) -> None:
    validate(dict(api.document))
    assert sorted(api.places) == sorted(OPERATIONS)
    for name, (_, _, operation) in api.places.items():
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        named = [p for p in operation["parameters"] if "name" in p]
        found = {**{p["name"]: p["schema"] for p in named}, **body.get("properties", {})}
        required = {p["name"] for p in named if p["required"]} | set(body.get("required", []))
        expected = OPERATIONS[name].arguments
        assert (found, required) == (expected["properties"], set(expected["required"])), name


# Twins


async def test_every_operation_does_what_its_twin_over_mcp_does(api: Api, db: Path, tmp_path: Path) -> None:
    other = tmp_path / "mcp.db"
    async with Client(over_stdio(other), mode="legacy") as mcp:
        for name, arguments in CALLS:
            twin = await mcp.call_tool(name, arguments)
            answer = await api.call(name, arguments)
            assert answer.status_code in {200, 201, 202}, (name, answer.text)
            assert timeless(answer.json()) == timeless(twin.structured_content), name
            await nothing_queued(db, other)
            assert tables(db) == tables(other), name


async def nothing_queued(*desks: Path) -> None:
    with anyio.fail_after(PATIENCE):
        while any(row["status"] == "queued" for db in desks for row in tables(db)["jobs"]):
            await anyio.lowlevel.checkpoint()


async def test_both_faces_serve_one_desk_at_once(api: Api, db: Path) -> None:
    async with Client(over_stdio(db), mode="legacy") as mcp:
        tag = (await api.call("get_ticket", {"ticket_id": "T-182"})).headers["ETag"]
        await mcp.call_tool("update_ticket", {"ticket_id": "T-182", "priority": "high"})
        refused = await api.call("update_ticket", {"ticket_id": "T-182", "status": "solved"}, {"If-Match": tag})
        assert refused.status_code == 412
        read = await mcp.call_tool("get_ticket", {"ticket_id": "T-182"})
        assert (read.structured_content["priority"], read.structured_content["status"]) == ("high", "open")


# Conditional requests

# Writes that take `If-Match`: the read that shows the record, and arguments of both.
CONDITIONAL: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("update_ticket", "get_ticket", {"ticket_id": "T-182"}, {"priority": "high"}),
    ("delete_ticket", "get_ticket", {"ticket_id": "T-190"}, {}),
    ("update_contact", "get_contact", {"contact_id": "C-1"}, {"phone": None}),
    ("delete_contact", "get_contact", {"contact_id": "C-6"}, {}),
    ("adjust_balance", "get_balance", {"contact_id": "C-1"}, {"by": 5}),
    ("update_draft", "get_draft", {"draft_id": "DR-1"}, {"body": "Hello"}),
    ("delete_draft", "get_draft", {"draft_id": "DR-1"}, {}),
    ("cancel_callback", "get_appointment", {"appointment_id": "A-1"}, {}),
    ("put_document", "get_document", {"document_id": "export-limits"}, {"tenant": "acme", "title": "t", "body": "b"}),
    ("delete_document", "get_document", {"document_id": "export-limits"}, {}),
    ("update_settings", "get_settings", {"tenant": "acme"}, {"sla_hours": 8}),
]


async def test_a_write_with_a_tag_happens_only_to_the_record_that_has_it(api: Api, db: Path) -> None:
    await api.call("create_contact", {"tenant": "acme", "name": "Fay", "email": "fay@x.example"})
    for write, read, which, what in CONDITIONAL:
        shown = await api.call(read, which)
        tag = shown.headers["ETag"]
        assert not tag.startswith("W/")
        assert (await api.call(read, which, {"If-None-Match": tag})).status_code == 304
        before = tables(db)
        for wrong in ('"another"', f"W/{tag}", "nonsense"):
            refused = await api.call(write, {**which, **what}, {"If-Match": wrong})
            assert (refused.status_code, refused.headers["Content-Type"]) == (412, PROBLEM), (write, wrong)
            assert refused.headers["ETag"] == tag
        assert tables(db) == before, write
        made = await api.call(write, {**which, **what}, {"If-Match": f'"another", {tag}'})
        assert made.status_code == 200, (write, made.text)
        if not write.startswith("delete"):
            assert (await api.call(read, which)).headers["ETag"] != tag, write


async def test_the_document_names_exactly_the_writes_that_take_a_tag(api: Api) -> None:
    told = {
        name
        for name, (_, _, operation) in api.places.items()
        if any(p.get("$ref", "").endswith("/IfMatch") for p in operation["parameters"])
    }
    assert told == {write for write, *_ in CONDITIONAL} | {"delete_comment"}


async def test_the_tag_of_a_write_is_the_tag_that_the_next_read_shows(api: Api) -> None:
    made = await api.call("create_ticket", {"tenant": "acme", "subject": "New"})
    assert made.headers["Location"] == f"/tickets/{made.json()['ticket_id']}"
    assert (await api.http.get(made.headers["Location"])).headers["ETag"] == made.headers["ETag"]
    changed = await api.call("update_ticket", {"ticket_id": "T-182", "priority": "high"})
    assert (await api.call("get_ticket", {"ticket_id": "T-182"})).headers["ETag"] == changed.headers["ETag"]


async def test_a_comment_can_be_deleted_under_the_tag_that_it_was_made_with(api: Api) -> None:
    made = await api.call("add_comment", {"ticket_id": "T-182", "body": "Note"})
    which = {"comment_id": made.json()["comment_id"]}
    assert (await api.call("delete_comment", which, {"If-Match": '"no"'})).status_code == 412
    assert (await api.call("delete_comment", which, {"If-Match": made.headers["ETag"]})).status_code == 200


async def test_a_tag_is_never_ignored_where_nothing_has_one(api: Api, db: Path) -> None:
    before = tables(db)
    which = {"segment": "beta", "contact_id": "C-1"}
    assert (await api.call("add_to_segment", which, {"If-Match": '"some"'})).status_code == 412
    assert (await api.call("send_reply", {"ticket_id": "T-182", "body": "x"}, {"If-Match": "*"})).status_code == 412
    assert tables(db) == before


async def test_a_document_can_be_created_only_if_there_is_none(api: Api) -> None:
    what = {"document_id": "faq", "tenant": "acme", "title": "FAQ", "body": "None yet."}
    assert (await api.call("put_document", what, {"If-Match": "*"})).status_code == 412
    assert (await api.call("put_document", what, {"If-None-Match": "*"})).status_code == 201
    assert (await api.call("put_document", what, {"If-None-Match": "*"})).status_code == 412
    assert (await api.call("put_document", what)).status_code == 200


async def test_of_many_writers_with_one_tag_one_wins_on_two_servers(api: Api, db: Path) -> None:
    async with desk_api(db) as second:
        tag = (await api.call("get_ticket", {"ticket_id": "T-182"})).headers["ETag"]
        answers = await asyncio.gather(
            *(
                (api, second)[n % 2].call(
                    "update_ticket", {"ticket_id": "T-182", "subject": f"by {n}"}, {"If-Match": tag}
                )
                for n in range(40)
            )
        )
    won = [answer for answer in answers if answer.status_code == 200]
    assert [answer.status_code for answer in answers].count(412) == 39
    (ticket,) = [row for row in tables(db)["tickets"] if row["ticket_id"] == "T-182"]
    assert (ticket["version"], ticket["subject"]) == (2, won[0].json()["subject"])


# Idempotency keys


async def test_equal_requests_under_one_key_are_one_on_two_servers(api: Api, db: Path) -> None:
    reply = {"ticket_id": "T-182", "body": "Hello"}
    async with desk_api(db) as second:
        answers = await asyncio.gather(
            *((api, second)[n % 2].call("send_reply", reply, {"Idempotency-Key": "k"}) for n in range(40))
        )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers].count(None) == 1
    assert len([row for row in tables(db)["outbox"] if row["ticket_id"] == "T-182"]) == 1


async def test_a_replay_is_the_same_answer_and_comes_before_the_conditions(api: Api) -> None:
    tag = (await api.call("get_ticket", {"ticket_id": "T-182"})).headers["ETag"]
    headers = {"If-Match": tag, "Idempotency-Key": "k"}
    first = await api.call("update_ticket", {"ticket_id": "T-182", "priority": "high"}, headers)
    again = await api.call("update_ticket", {"ticket_id": "T-182", "priority": "high"}, headers)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_another_request_under_a_used_key_is_refused(api: Api, db: Path) -> None:
    key = {"Idempotency-Key": "k"}
    await api.call("add_comment", {"ticket_id": "T-182", "body": "one"}, key)
    before = tables(db)
    for name, arguments in [
        ("add_comment", {"ticket_id": "T-182", "body": "two"}),
        ("add_comment", {"ticket_id": "T-101", "body": "one"}),
        ("create_draft", {"ticket_id": "T-182", "body": "one"}),
    ]:
        refused = await api.call(name, arguments, key)
        assert (refused.status_code, "used before" in refused.text) == (422, True), name
    assert tables(db) == before


async def test_a_refusal_is_not_kept_under_its_key(api: Api) -> None:
    key, charge = {"Idempotency-Key": "k"}, {"invoice_id": "I-1001", "amount_cents": 100}
    assert (await api.call("charge_card", charge, key)).status_code == 409
    assert (await api.call("charge_card", {**charge, "invoice_id": "I-1003"}, key)).status_code == 200


async def test_a_key_is_forgotten_after_its_retention(api: Api, db: Path) -> None:
    key, reply = {"Idempotency-Key": "k"}, {"ticket_id": "T-182", "body": "Hello"}
    first = await api.call("send_reply", reply, key)
    _age_keys(db, "-23 hours")
    assert (await api.call("send_reply", reply, key)).content == first.content
    _age_keys(db, "-2 hours")
    assert (await api.call("send_reply", reply, key)).json()["mail_id"] != first.json()["mail_id"]


def _age_keys(db: Path, by: str) -> None:
    with closing(sqlite3.connect(db)) as desk, desk:
        moved = "strftime('%Y-%m-%dT%H:%M:%f', stored_at, ?) || '+00:00'"
        assert desk.execute(f"UPDATE idempotency_keys SET stored_at = {moved}", (by,)).rowcount == 1


# Jobs


async def test_a_report_is_accepted_first_and_done_later(api: Api, db: Path) -> None:
    accepted = await api.call("write_report", {"tenant": "acme"}, {"Idempotency-Key": "k"})
    job = accepted.json()
    assert (accepted.status_code, accepted.headers["Location"], job["status"]) == (202, "/jobs/J-2", "queued")
    await nothing_queued(db)
    assert (await api.http.get("/jobs/J-2")).json()["status"] == "done"
    report = (await api.call("get_document", {"document_id": job["document_id"]})).json()
    assert report["body"].startswith("Tickets of acme: 5\n")
    again = await api.call("write_report", {"tenant": "acme"}, {"Idempotency-Key": "k"})
    assert (again.status_code, again.json()) == (202, job)


async def test_a_job_that_a_server_left_is_done_by_the_next_one(tmp_path: Path) -> None:
    db, faults = tmp_path / "desk.db", tmp_path / "faults.json"
    faults.write_text('{"job": {"mode": "hang_before"}}')
    async with desk_api(db, faults) as first:
        await first.call("write_report", {"tenant": "globex"})
        first.process.kill()
        await first.process.wait()
    assert [row["status"] for row in tables(db)["jobs"]] == ["done", "queued"]
    async with Client(over_stdio(db), mode="legacy"):  # whichever face it has
        await nothing_queued(db)


async def test_a_job_that_fails_says_so(tmp_path: Path) -> None:
    db, faults = tmp_path / "desk.db", tmp_path / "faults.json"
    faults.write_text('{"job": {"mode": "error_before", "once": true}}')
    async with desk_api(db, faults) as api:
        await api.call("write_report", {"tenant": "globex"})
        await nothing_queued(db)
        job = (await api.call("get_job", {"job_id": "J-2"})).json()
        assert (job["status"], job["error"]) == ("failed", "job failed: internal error")
        assert (await api.call("get_document", {"document_id": job["document_id"]})).status_code == 404


# Refusals


@pytest.mark.parametrize("brought", [None, "Bearer wrong", "Basic a token for tests", "Bearer"])
async def test_nobody_comes_in_without_the_token(api: Api, db: Path, brought: str | None) -> None:
    before = tables(db)
    headers = {"Authorization": brought} if brought else {}
    del api.http.headers["Authorization"]
    for method, place in [("GET", "/tickets/T-182"), ("DELETE", "/tickets/T-182"), ("GET", "/nowhere")]:
        refused = await api.http.request(method, place, headers=headers)
        assert (refused.status_code, refused.headers["Content-Type"]) == (401, PROBLEM)
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert (await api.http.get("/openapi.json")).status_code == 200
    assert tables(db) == before


@pytest.mark.parametrize(
    ("method", "place", "content", "kind", "status"),
    [
        ("GET", "/tickets/T-999", None, None, 404),
        ("GET", "/tickets/182", None, None, 422),
        ("GET", "/tickets?limit=ten", None, None, 422),
        ("GET", "/tickets?limit=1&limit=2", None, None, 422),
        ("GET", "/tickets?colour=red", None, None, 422),
        ("GET", "/nowhere", None, None, 404),
        ("PUT", "/tickets", "{}", "application/json", 405),
        ("PATCH", "/tickets/T-182", "{", "application/json", 400),
        ("PATCH", "/tickets/T-182", "[]", "application/json", 400),
        ("PATCH", "/tickets/T-182", "priority=high", "application/x-www-form-urlencoded", 415),
        ("PATCH", "/tickets/T-182", '{"priority": "high", "ticket_id": "T-101"}', "application/json", 422),
        ("PATCH", "/tickets/T-182", '{"priority": "extreme"}', "application/json", 422),
        ("PATCH", "/tickets/T-182", "{}", "application/json", 422),
        ("PATCH", "/tickets/T-182?priority=high", "{}", "application/json", 422),
        ("PATCH", "/tickets/T-999", '{"priority": "high"}', "application/json", 404),
        ("PATCH", "/tickets/T-182", '{"priority": "high", "expected_version": 9}', "application/json", 409),
        ("POST", "/tickets", " " * 1_000_001, "application/json", 413),
        ("DELETE", "/contacts/C-2", None, None, 409),
    ],
)
async def test_a_refusal_is_a_problem_document_and_changes_nothing(
    api: Api, db: Path, method: str, place: str, content: str | None, kind: str | None, status: int
) -> None:
    before = tables(db)
    refused = await api.http.request(method, place, content=content, headers={"Content-Type": kind} if kind else None)
    assert (refused.status_code, refused.headers["Content-Type"]) == (status, PROBLEM), refused.text
    assert refused.json()["status"] == status
    assert refused.json()["detail"]
    assert tables(db) == before
