"""What reaches the API: bodies of each kind, extra fields, headers of the guard, trace context."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from python_multipart import parse_form
from starlette.responses import Response

from takeback.ports import Answered
from takeback_tools.http.connector import HttpConnector
from tests.http.served import Api, Seen, body, call, connected, document, parameter, reply, serving

RECORD = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "n": {"type": "integer"}}}
CLOSED = {**RECORD, "additionalProperties": False}
UPLOAD = {
    "type": "object",
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "more": {"type": "array", "items": {"type": "string", "format": "binary"}},
        "note": {"type": "string"},
        "about": {"type": "object"},
    },
}
PATHS: dict[str, Any] = {
    "/record/{id}": {
        "put": {
            "operationId": "put",
            "parameters": [
                parameter("id", "path", {"type": "string"}),
                parameter("q", "query", {"type": "array", "items": {"type": "string"}}),
                parameter("X-Note", "header", {"type": "string"}),
                parameter("Idempotency-Key", "header", {"type": "string"}),
                parameter("sid", "cookie", {"type": "string"}),
            ],
            "requestBody": body(RECORD),
        },
    },
    "/closed": {"post": {"operationId": "closed", "requestBody": body(CLOSED)}},
    "/optional": {"post": {"operationId": "optional", "requestBody": body(RECORD, required=False)}},
    "/list": {"post": {"operationId": "list", "requestBody": body({"type": "array"}, "application/json-patch+json")}},
    "/free": {"post": {"operationId": "free", "requestBody": body({"type": "object"})}},
    "/form": {"post": {"operationId": "form", "requestBody": body(RECORD, "application/x-www-form-urlencoded")}},
    "/upload": {"post": {"operationId": "upload", "requestBody": body(UPLOAD, "multipart/form-data")}},
    "/text": {"post": {"operationId": "text", "requestBody": body({"type": "string"}, "text/markdown")}},
    "/bytes": {"post": {"operationId": "bytes", "requestBody": body({}, "application/octet-stream")}},
    "/several": {
        "patch": {
            "operationId": "several",
            "requestBody": {
                "content": {one: {"schema": RECORD} for one in ("text/csv", "application/merge-patch+json")}
            },
        }
    },
    "/none": {"get": {"operationId": "none"}},
}


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving(lambda _: Response(status_code=204)) as found:
        yield found


@pytest.fixture
async def client(api: Api, tmp_path: Path) -> AsyncIterator[HttpConnector]:
    async with connected(api.url, document(PATHS), tmp_path, headers={"X-Team": "blue"}) as found:
        yield found


async def sent(api: Api, client: HttpConnector, tool: str, arguments: dict[str, Any], **more: Any) -> Seen:
    await call(client, tool, arguments, **more)
    return api.last


async def test_each_argument_goes_to_its_place(api: Api, client: HttpConnector) -> None:
    arguments = {"id": "a/b c", "q": ["x&y", "ü"], "X-Note": "hello", "sid": "s1", "name": "N", "n": 2**77}
    seen = await sent(api, client, "put", arguments)
    assert seen.target == "/record/a%2Fb%20c?q=x%26y&q=%C3%BC"
    assert seen.json == {"name": "N", "n": 2**77}
    assert seen.headers["content-type"] == "application/json"
    assert (seen.headers["x-note"], seen.headers["cookie"], seen.headers["x-team"]) == ("hello", "sid=s1", "blue")


async def test_headers_of_the_guard_are_no_arguments_and_go_over_the_policys(api: Api, client: HttpConnector) -> None:
    (put,) = [tool for tool in await client.tools() if tool.name == "put"]
    assert "Idempotency-Key" not in put.input_schema["properties"]
    headers = {"idempotency-key": "the guard's", "If-None-Match": "*", "x-team": "red"}
    seen = await sent(api, client, "put", {"id": "1", "name": "N", "X-Note": "n"}, headers=headers)
    assert seen.headers.getlist("idempotency-key") == ["the guard's"]
    assert seen.headers.getlist("x-team") == ["red"]
    assert seen.headers["if-none-match"] == "*"


async def test_a_field_that_the_guard_adds_becomes_part_of_the_body(api: Api, client: HttpConnector) -> None:
    assert (await sent(api, client, "put", {"id": "1", "name": "N", "key": "k"})).json == {"name": "N", "key": "k"}
    assert (await sent(api, client, "free", {"body": {"a": 1}, "key": "k"})).json == {"a": 1, "key": "k"}


@pytest.mark.parametrize(("tool", "arguments"), [("closed", {"name": "N"}), ("list", {"body": []}), ("none", {})])
async def test_an_argument_without_a_place_is_refused_and_nothing_is_sent(
    api: Api, client: HttpConnector, tool: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(Answered, match="nothing was sent: there is no argument key") as caught:
        await call(client, tool, {**arguments, "key": "k"})
    assert caught.value.code == -32602
    assert api.seen == []


@pytest.mark.parametrize("value", ["", "..", "../../admin", "x/../../y"])
async def test_no_argument_leads_to_another_path(api: Api, client: HttpConnector, value: str) -> None:
    with pytest.raises(Answered, match="id stands in the path"):
        await call(client, "put", {"id": value, "name": "N"})
    with pytest.raises(Answered, match="id stands in the path and is missing"):
        await call(client, "put", {"name": "N"})
    assert api.seen == []


async def test_no_argument_adds_a_header(api: Api, client: HttpConnector) -> None:
    with pytest.raises(Answered, match="X-Note is sent in a header"):
        await call(client, "put", {"id": "1", "name": "N", "X-Note": "a\r\nX-Admin: 1"})
    assert api.seen == []


async def test_a_body_that_may_be_missing_is(api: Api, client: HttpConnector) -> None:
    seen = await sent(api, client, "optional", {})
    assert (seen.body, "content-type" in seen.headers) == (b"", False)
    assert (await sent(api, client, "optional", {"n": None})).json == {"n": None}
    assert (await sent(api, client, "closed", {})).json == {}


async def test_of_several_types_the_one_that_says_most_is_sent(api: Api, client: HttpConnector) -> None:
    seen = await sent(api, client, "several", {"n": None})
    assert (seen.headers["content-type"], seen.json) == ("application/merge-patch+json", {"n": None})
    seen = await sent(api, client, "list", {"body": [{"op": "remove", "path": "/a"}]})
    assert seen.headers["content-type"] == "application/json-patch+json"
    assert seen.json == [{"op": "remove", "path": "/a"}]


async def test_texts_and_bytes(api: Api, client: HttpConnector) -> None:
    seen = await sent(api, client, "text", {"body": "ä\r\nb"})
    assert (seen.headers["content-type"], seen.body) == ("text/markdown; charset=utf-8", "ä\r\nb".encode())
    seen = await sent(api, client, "bytes", {"body": {"base64": "AP8="}})
    assert (seen.headers["content-type"], seen.body) == ("application/octet-stream", b"\x00\xff")
    with pytest.raises(Answered, match="the body is no base64"):
        await call(client, "bytes", {"body": {"base64": "?"}})


async def test_a_form(api: Api, client: HttpConnector) -> None:
    seen = await sent(api, client, "form", {"name": "a b&c", "n": 3})
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    assert seen.body == b"name=a%20b%26c&n=3"


def parts_of(seen: Seen) -> tuple[dict[str, bytes], list[tuple[str, str, bytes]]]:
    """The fields and files of a multipart body, by a parser that is not ours."""
    import io

    fields: dict[str, bytes] = {}
    files: list[tuple[str, str, bytes]] = []

    def on_field(field: Any) -> None:
        fields[field.field_name.decode()] = field.value

    def on_file(file: Any) -> None:
        file.file_object.seek(0)
        files.append((file.field_name.decode(), file.file_name.decode(), file.file_object.read()))

    headers = {"Content-Type": seen.headers["content-type"].encode(), "Content-Length": str(len(seen.body)).encode()}
    parse_form(headers, io.BytesIO(seen.body), on_field, on_file)
    return fields, files


async def test_a_multipart_body(api: Api, client: HttpConnector) -> None:
    arguments = {
        "file": {"base64": "AP8=", "filename": 'a "b".bin', "content_type": "image/png"},
        "more": ["one", {"text": "two", "filename": "2.txt"}],
        "note": "ä",
        "about": {"n": 2**70},
    }
    fields, files = parts_of(await sent(api, client, "upload", arguments))
    assert fields == {"note": "ä".encode(), "about": f'{{"n":{2**70}}}'.encode()}
    assert [(name, content) for name, _, content in files] == [
        ("file", b"\x00\xff"),
        ("more", b"one"),
        ("more", b"two"),
    ]
    with pytest.raises(Answered, match="must not hold line breaks"):
        await call(client, "upload", {"file": {"text": "x", "filename": "a\r\nb"}})


async def test_trace_context_goes_on_as_headers(api: Api, client: HttpConnector) -> None:
    meta = {"traceparent": "00-1-2-01", "tracestate": "a=b\r\nX: 1", "other": "x"}
    await client.request("tools/call", {"name": "none", "arguments": {}, "_meta": meta})
    assert api.last.headers["traceparent"] == "00-1-2-01"
    assert "tracestate" not in api.last.headers


async def test_redirected_writes_carry_their_body_on(api: Api, client: HttpConnector) -> None:
    api.handler = lambda seen: reply({}) if seen.target == "/moved" else reply({}, 307, Location="/moved")
    seen = await sent(api, client, "closed", {"name": "N"}, headers={"Idempotency-Key": "k"})
    assert (seen.target, seen.method, seen.json, seen.headers["idempotency-key"]) == (
        "/moved",
        "POST",
        {"name": "N"},
        "k",
    )
