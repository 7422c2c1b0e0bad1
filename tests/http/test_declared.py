"""Operations that the policy declares by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.responses import Response

from takeback.core.policy.schema import Upstream
from takeback.ports import VERSION, Answered, OutcomeUnknown
from takeback_tools.http.connector import HttpConnector
from tests.http.served import Api, call, document, reply, serving, started, text_of

OPERATIONS: dict[str, dict[str, Any]] = {
    "put_event": {
        "method": "PUT",
        "path": "/{calendar}/{uid}.ics",
        "headers": {"X-By": "agent {who}"},
        "content_type": "text/calendar",
        "body": "{ics}",
        "args": {"calendar": "string", "uid": "string", "ics": {"type": "string", "description": "iCalendar"}},
        "optional": ["who"],
        "description": "Put an event.",
        "conditional": True,
    },
    "find": {
        "method": "report",
        "path": "/{calendar}/",
        "content_type": "application/xml",
        "headers": {"Depth": "1"},
        "body": '<q name="{name}">{{x}}</q>',
    },
    "note": {
        "method": "POST",
        "path": "/notes",
        "query": {"tag": "{tags}", "where": "at {place}", "n": "{n}", "fixed": "1"},
        "body": {"text": "{text}", "n": "{n}", "list": ["{n}", "#{n}"], "deep": {"place": "{place}", "yes": True}},
        "args": {"n": "integer", "tags": "array"},
        "optional": ["place", "tags"],
        "tags": ["notes"],
    },
    "upload": {
        "method": "POST",
        "path": "/up",
        "content_type": "multipart/form-data",
        "body": {"file": "{file}", "a": "b"},
    },
    "raw": {"method": "POST", "path": "/raw", "body": "{value}", "args": {"value": "object"}},
}


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving(lambda _: Response(status_code=204)) as found:
        yield found


@pytest.fixture
async def client(api: Api) -> AsyncIterator[HttpConnector]:
    async with started(Upstream.model_validate({"base_url": f"{api.url}/dav", "operation": OPERATIONS})) as found:
        yield found


async def test_the_definition_says_what_the_table_says(client: HttpConnector) -> None:
    tools = {tool.name: tool.raw for tool in await client.tools()}
    assert list(tools) == list(OPERATIONS)
    assert tools["put_event"] == {
        "name": "put_event",
        "description": "Put an event.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "calendar": {"type": "string"},
                "uid": {"type": "string"},
                "ics": {"type": "string", "description": "iCalendar"},
                "who": {"type": "string"},
            },
            "required": ["calendar", "uid", "ics"],
        },
        "annotations": {"idempotentHint": True},
        "_meta": {"io.takeback/http": {"method": "PUT", "path": "/{calendar}/{uid}.ics", "conditional": True}},
    }
    assert tools["find"]["annotations"] == {"readOnlyHint": True}


async def test_a_text_body(api: Api, client: HttpConnector) -> None:
    api.handler = lambda _: Response(status_code=201, headers={"ETag": '"7"'})
    arguments = {"calendar": "my cal", "uid": "a/1", "ics": "BEGIN:VCALENDAR\r\nä {x}\r\n"}
    result = await call(client, "put_event", arguments, headers={"If-None-Match": "*"})
    assert api.last.target == "/dav/my%20cal/a%2F1.ics"
    assert api.last.body == arguments["ics"].encode()
    assert api.last.headers["content-type"] == "text/calendar; charset=utf-8"
    assert api.last.headers["if-none-match"] == "*"
    assert "x-by" not in api.last.headers
    assert result["_meta"][VERSION] == '"7"'
    await call(client, "put_event", {**arguments, "who": "Ann"})
    assert api.last.headers["x-by"] == "agent Ann"


async def test_arguments_are_escaped_in_xml(api: Api, client: HttpConnector) -> None:
    api.handler = lambda _: Response("<ok/>", 207, media_type="application/xml")
    result = await call(client, "find", {"calendar": "c", "name": '"><evil/>&'})
    assert api.last.method == "REPORT"
    assert api.last.body == b'<q name="&quot;&gt;&lt;evil/&gt;&amp;">{x}</q>'
    assert api.last.headers["depth"] == "1"
    assert text_of(result) == ["<ok/>"]


async def test_a_table_is_json_and_an_argument_keeps_its_type(api: Api, client: HttpConnector) -> None:
    await call(client, "note", {"text": '"}', "n": 2**70, "place": "X&Y", "tags": ["a", "b"]})
    assert api.last.json == {
        "text": '"}',
        "n": 2**70,
        "list": [2**70, f"#{2**70}"],
        "deep": {"place": "X&Y", "yes": True},
    }
    assert api.last.target == f"/dav/notes?tag=a&tag=b&where=at%20X%26Y&n={2**70}&fixed=1"


async def test_what_names_a_missing_argument_is_left_out(api: Api, client: HttpConnector) -> None:
    await call(client, "note", {"text": "t", "n": 1})
    assert api.last.json == {"text": "t", "n": 1, "list": [1, "#1"], "deep": {"yes": True}}
    assert api.last.target == "/dav/notes?n=1&fixed=1"


async def test_a_key_that_the_guard_adds_becomes_a_field(api: Api, client: HttpConnector) -> None:
    await call(client, "note", {"text": "t", "n": 1, "key": "k"})
    assert api.last.json["key"] == "k"
    await call(client, "raw", {"value": {"a": 1}, "key": "k"})
    assert api.last.json == {"a": 1, "key": "k"}


async def test_a_file(api: Api, client: HttpConnector) -> None:
    from tests.http.test_requests import parts_of

    await call(client, "upload", {"file": {"base64": "AP8=", "filename": "f.bin"}})
    assert parts_of(api.last) == ({"a": b"b"}, [("file", "f.bin", b"\x00\xff")])


@pytest.mark.parametrize(
    ("tool", "arguments", "why"),
    [
        ("put_event", {"calendar": "..", "uid": "1", "ics": ""}, "calendar stands in the path"),
        ("put_event", {"calendar": "c", "uid": "", "ics": ""}, "uid stands in the path"),
        ("put_event", {"calendar": "c", "uid": "1"}, "ics is missing"),
        ("put_event", {"calendar": "c", "uid": "1", "ics": "x", "who": "a\r\nX: 1"}, "who is sent in a header"),
        ("put_event", {"calendar": "c", "uid": "1", "ics": "x", "more": 1}, "there is no argument more"),
        ("put_event", {"calendar": "c", "uid": "1", "ics": 7}, "the body must be a text"),
    ],
)
async def test_arguments_that_make_no_request_are_refused(
    api: Api, client: HttpConnector, tool: str, arguments: dict[str, Any], why: str
) -> None:
    with pytest.raises(Answered, match=why):
        await call(client, tool, arguments)
    assert api.seen == []


async def test_a_report_is_a_read_and_a_put_is_not(api: Api, client: HttpConnector) -> None:
    api.handler = lambda _: reply({}, 500)
    assert (await call(client, "find", {"calendar": "c", "name": "n"}))["isError"] is True
    with pytest.raises(OutcomeUnknown):
        await call(client, "put_event", {"calendar": "c", "uid": "1", "ics": "x"})


async def test_a_declared_operation_takes_the_place_of_the_documents(api: Api) -> None:
    described = document({"/a": {"post": {"operationId": "raw"}, "get": {"operationId": "other"}}})
    api.handler = lambda seen: reply(described if seen.target == "/openapi.json" else {})
    keys = {"openapi": f"{api.url}/openapi.json", "operation": {"raw": OPERATIONS["raw"]}, "tags": ["none"]}
    async with started(Upstream.model_validate(keys)) as client:
        tools = await client.tools()
        assert [(tool.name, tool.offered) for tool in tools] == [("raw", False), ("other", False)]
        await call(client, "raw", {"value": {"a": 1}})
    assert api.last.target == "/raw"
