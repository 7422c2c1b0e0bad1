"""What the answers of an API mean: the four ways in which a call can end, each told by what the status proves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from takeback.ports import HTTP, VERSION, Answered, Busy, Changed, NotSent, OutcomeUnknown
from takeback_tools.http.connector import HttpConnector
from takeback_tools.http.exchange import LONGEST_ANSWER
from tests.http.served import BOUND, Api, Seen, call, connected, document, free_port, reply, scripted, serving, text_of

ITEM = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
ANSWER = {"200": {"description": "", "content": {"application/json": {"schema": ITEM}}}}
PATHS: dict[str, Any] = {
    "/items": {
        "get": {"operationId": "list", "responses": {}},
        "head": {"operationId": "peek", "responses": {}},
        "post": {"operationId": "create", "responses": {}},
    },
    "/item": {"get": {"operationId": "get", "responses": ANSWER}, "put": {"operationId": "write", "responses": ANSWER}},
}
DOCUMENT = document(PATHS)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving(lambda _: reply({"id": 1})) as found:
        yield found


@pytest.fixture
async def client(api: Api, tmp_path: Path) -> AsyncIterator[HttpConnector]:
    async with connected(api.url, DOCUMENT, tmp_path) as found:
        yield found


async def test_an_object_is_structured_and_its_text_is_as_it_came(api: Api, client: HttpConnector) -> None:
    text = b'{ "id": 123456789012345678901234567890, "x": 1.50 }'
    api.handler = lambda _: Response(text, 201, {"etag": '"v1"', "location": "/items/1"}, "application/json")
    result = await call(client, "create")
    assert text_of(result) == [text.decode()]
    assert result["structuredContent"] == {"id": 123456789012345678901234567890, "x": 1.5}
    assert result["_meta"] == {HTTP: {"status": 201, "location": "/items/1"}, VERSION: '"v1"'}
    assert "isError" not in result


@pytest.mark.parametrize("etag", ['W/"v1"', "v1", ""])
async def test_an_etag_that_is_not_strong_is_no_version(api: Api, client: HttpConnector, etag: str) -> None:
    api.handler = lambda _: reply({"id": 1}, ETag=etag)
    assert VERSION not in (await call(client, "get"))["_meta"]


async def test_answers_are_asked_for_unpacked_since_packing_weakens_etags(api: Api, client: HttpConnector) -> None:
    await call(client, "get")
    assert api.last.headers["accept-encoding"] == "identity"


async def test_what_is_no_object_is_text_only(api: Api, client: HttpConnector) -> None:
    api.handler = lambda _: reply([1, 2])
    result = await call(client, "list")
    assert text_of(result) == ["[1, 2]"]
    assert "structuredContent" not in result


async def test_an_empty_answer_has_no_content(api: Api, client: HttpConnector) -> None:
    api.handler = lambda _: Response(status_code=204)
    result = await call(client, "create")
    assert result == {"content": [], "_meta": {HTTP: {"status": 204}}}


async def test_an_answer_of_another_shape_than_promised_is_not_thrown_away_by_a_strict_client(
    api: Api, client: HttpConnector
) -> None:
    api.handler = lambda _: reply([1])
    result = await call(client, "get")
    assert result["structuredContent"] == {"body": [1]}
    assert text_of(result) == ["[1]"]


@pytest.mark.parametrize("tool", ["get", "write"])
async def test_a_web_page_where_data_was_promised_is_no_answer(api: Api, client: HttpConnector, tool: str) -> None:
    api.handler = lambda _: Response("<html>Log in</html>", media_type="text/html")
    with pytest.raises(OutcomeUnknown, match="a web page instead of data") as caught:
        await call(client, tool)
    assert caught.value.kind == "malformed"
    assert text_of(await call(client, "list")) == ["<html>Log in</html>"]


async def test_text_is_decoded_by_its_charset_and_kept_exactly(api: Api, client: HttpConnector) -> None:
    api.handler = lambda _: Response("ä\r\nb".encode("latin-1"), media_type="text/plain; charset=latin-1")
    assert text_of(await call(client, "list")) == ["ä\r\nb"]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\x00b"])
async def test_what_is_no_text_is_handed_over_whole(api: Api, client: HttpConnector, content: bytes) -> None:
    import base64

    api.handler = lambda _: Response(content, media_type="application/pdf")
    block = (await call(client, "list"))["content"][0]
    assert block["type"] == "resource"
    assert block["resource"]["mimeType"] == "application/pdf"
    assert base64.b64decode(block["resource"]["blob"]) == content


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 415, 422, 428, 451])
@pytest.mark.parametrize("tool", ["get", "create"])
async def test_a_refusal_is_a_definite_error(api: Api, client: HttpConnector, status: int, tool: str) -> None:
    api.handler = lambda _: reply({"why": "because"}, status)
    result = await call(client, tool)
    assert result["isError"] is True
    assert result["_meta"][HTTP]["status"] == status
    first, second = text_of(result)[0].splitlines()
    assert first.startswith(f"HTTP {status} ")
    assert second == '{"why": "because"}'


async def test_a_long_error_is_cut(api: Api, client: HttpConnector) -> None:
    api.handler = lambda _: Response("x" * 100_000, 400)
    assert len(text_of(await call(client, "get"))[0]) < 9000


async def test_a_condition_that_does_not_hold_is_not_a_failure_but_a_change(api: Api, client: HttpConnector) -> None:
    api.handler = lambda _: reply({}, 412)
    with pytest.raises(Changed, match="HTTP 412"):
        await call(client, "create", headers={"If-Match": '"v1"'})
    assert api.last.headers["if-match"] == '"v1"'


@pytest.mark.parametrize(
    ("status", "tool"), [(429, "create"), (425, "create"), (429, "get"), (503, "get"), (503, "peek")]
)
async def test_busy_servers_have_done_nothing(api: Api, client: HttpConnector, status: int, tool: str) -> None:
    api.handler = lambda _: reply({}, status, Retry_After="7")
    with pytest.raises(Busy) as caught:
        await call(client, tool)
    assert caught.value.retry_after == 7.0


async def test_retry_after_as_a_date_counts_by_the_servers_clock(api: Api, client: HttpConnector) -> None:
    theirs = datetime(2020, 1, 1, tzinfo=UTC)
    when = format_datetime(theirs + timedelta(seconds=90), usegmt=True)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        date = format_datetime(theirs, usegmt=True)
        writer.write(f"HTTP/1.1 429 Busy\r\nDate: {date}\r\nRetry-After: {when}\r\nContent-Length: 0\r\n\r\n".encode())

    async with scripted(script) as url:
        other = await _at(client, url)
        with pytest.raises(Busy) as caught:
            await call(other, "get")
        await other.close()
    assert caught.value.retry_after == 90.0


@pytest.mark.parametrize("said", ["", "soon", "-5", "inf", "Wed, 99 Foo"])
async def test_a_retry_after_that_means_nothing_is_none(api: Api, client: HttpConnector, said: str) -> None:
    api.handler = lambda _: reply({}, 429, Retry_After=said)
    with pytest.raises(Busy) as caught:
        await call(client, "get")
    assert caught.value.retry_after is None


@pytest.mark.parametrize(
    ("status", "over"), [(500, True), (503, True), (507, True), (599, True), (502, False), (504, False), (408, False)]
)
async def test_a_server_error_leaves_a_write_in_doubt(api: Api, client: HttpConnector, status: int, over: bool) -> None:
    api.handler = lambda _: reply({}, status)
    with pytest.raises(OutcomeUnknown) as caught:
        await call(client, "create")
    assert (caught.value.kind, caught.value.over) == ("error", over)


@pytest.mark.parametrize(
    ("status", "tool"), [(500, "get"), (502, "get"), (504, "get"), (501, "create"), (505, "create")]
)
async def test_a_server_error_is_definite_where_nothing_can_have_happened(
    api: Api, client: HttpConnector, status: int, tool: str
) -> None:
    api.handler = lambda _: reply({}, status)
    assert (await call(client, tool))["isError"] is True


async def _at(client: HttpConnector, url: str) -> HttpConnector:
    """The same API at another address."""
    from dataclasses import replace

    from takeback_tools.http.connector import connect

    found = connect("api", replace(client._settings, base_url=url))
    await found.start()
    return found


async def test_a_refused_connection_sent_nothing(client: HttpConnector) -> None:
    other = await _at(client, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(NotSent, match="no connection"):
        await call(other, "create")
    await other.close()


async def test_a_failed_tls_handshake_sent_nothing(client: HttpConnector, api: Api) -> None:
    other = await _at(client, api.url.replace("http:", "https:"))
    with pytest.raises(NotSent):
        await call(other, "create")
    await other.close()
    assert api.seen == []


async def test_a_time_out_before_the_connection_stands_sent_nothing(client: HttpConnector) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with scripted(never) as url:
        other = await _at(client, url.replace("http:", "https:"))
        with pytest.raises(NotSent, match="no connection in time"):
            await call(other, "create", timeout=0.2)
        await other.close()


async def test_a_proxy_that_gives_no_way_through_sent_nothing(
    client: HttpConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        if len(asked) == 1:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        else:
            await reader.read()

    async with scripted(script) as url:
        monkeypatch.setenv("HTTPS_PROXY", url)
        other = await _at(client, "https://api.example")
        with pytest.raises(NotSent, match="the proxy says 403"):
            await call(other, "create")
        with pytest.raises(NotSent, match="no connection in time"):
            await call(other, "create", timeout=0.2)
        await other.close()
    assert [request.split()[0] for request in asked] == [b"CONNECT", b"CONNECT"]


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n"
BROKEN = {
    "closed before an answer": (b"", "lost"),
    "closed within the head": (b"HTTP/1.1 200 OK\r\nConte", "lost"),
    "closed within the body": (HEAD + b'{"id":', "malformed"),
    "not HTTP": (b"hello\r\n\r\n", "lost"),
    "not JSON": (HEAD + b"<html>no</html>.....", "malformed"),
    "broken packing": (HEAD.replace(b"\r\n", b"\r\nContent-Encoding: gzip\r\n", 1) + b"x" * 20, "malformed"),
    "NaN": (HEAD + b'{"id": NaN         }', "malformed"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
async def test_a_broken_answer_leaves_a_write_in_doubt(client: HttpConnector, case: str) -> None:
    said, kind = BROKEN[case]

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)

    async with scripted(script) as url:
        other = await _at(client, url)
        with pytest.raises(OutcomeUnknown) as caught:
            await call(other, "create")
        await other.close()
    assert (caught.value.kind, caught.value.over) == (kind, False)


@pytest.mark.parametrize("said", [b"", HEAD + b"{"])
async def test_no_answer_in_time_leaves_a_write_in_doubt(client: HttpConnector, said: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await reader.read()

    async with scripted(script) as url:
        other = await _at(client, url)
        with pytest.raises(OutcomeUnknown) as caught:
            await call(other, "create", timeout=0.3)
        await other.close()
    assert caught.value.kind == "timeout"


async def test_an_error_whose_body_breaks_off_is_as_definite_as_its_status(client: HttpConnector) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 422 Unprocessable\r\nContent-Length: 900\r\n\r\nno such")

    async with scripted(script) as url:
        other = await _at(client, url)
        result = await call(other, "create")
        await other.close()
    assert result["isError"] is True
    assert text_of(result) == ["HTTP 422 Unprocessable\nno such"]


async def test_a_read_that_met_a_dying_connection_is_asked_again_and_a_write_is_not(client: HttpConnector) -> None:
    asked: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n")).split()[0])
        await reader.readuntil(b"\r\n\r\n")
        if len(asked) > 1:
            writer.write(HEAD + b'{"id": 1           }')

    async with scripted(script) as url:
        other = await _at(client, url)
        assert (await call(other, "get"))["structuredContent"] == {"id": 1}
        assert asked == [b"GET", b"GET"]
        asked.clear()
        with pytest.raises(OutcomeUnknown):
            await call(other, "create")
        await other.close()
    assert asked == [b"POST"]


async def test_an_endless_answer_is_not_read_to_its_end(client: HttpConnector) -> None:
    closed = asyncio.Event()
    written = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 1_000_000)
                await writer.drain()
                written += 1_000_000
        finally:
            closed.set()

    async with scripted(script) as url:
        other = await _at(client, url)
        with pytest.raises(OutcomeUnknown, match="longer than"):
            await call(other, "create", timeout=60)
        async with asyncio.timeout(BOUND):
            await closed.wait()
        await other.close()
    assert written < 2 * LONGEST_ANSWER


async def test_only_calls_of_tools_mean_anything(client: HttpConnector) -> None:
    for method in ("resources/list", "prompts/list", "tools/list"):
        with pytest.raises(Answered) as caught:
            await client.request(method, None)
        assert caught.value.code == -32601
    with pytest.raises(Answered, match="has no tool nothing"):
        await call(client, "nothing")
    assert client.capabilities == {"tools": {}}


async def test_no_cookie_is_kept_from_call_to_call(api: Api, client: HttpConnector) -> None:
    api.handler = lambda _: reply({}, Set_Cookie="session=1; Path=/")
    await call(client, "create")
    await call(client, "create")
    assert "cookie" not in api.last.headers


def _to(location: str, status: int) -> Any:
    def answer(seen: Seen) -> Response:
        return (
            reply({"at": seen.target, "by": seen.method})
            if "moved" in seen.target
            else reply({}, status, Location=location)
        )

    return answer


@pytest.mark.parametrize(
    ("status", "tool"), [(301, "get"), (302, "get"), (307, "get"), (307, "create"), (308, "create")]
)
async def test_a_redirect_within_the_origin_is_followed(
    api: Api, client: HttpConnector, status: int, tool: str
) -> None:
    api.handler = _to("/moved?x=1", status)
    result = await call(client, tool)
    assert result["structuredContent"] == {"at": "/moved?x=1", "by": "GET" if tool == "get" else "POST"}


async def test_see_other_gives_the_result_of_a_write(api: Api, client: HttpConnector) -> None:
    api.handler = _to("/moved", 303)
    assert (await call(client, "create"))["structuredContent"] == {"at": "/moved", "by": "GET"}


async def test_a_write_is_done_whatever_becomes_of_the_result_that_it_points_to(
    api: Api, client: HttpConnector
) -> None:
    api.handler = lambda seen: reply({}, 303 if seen.method == "POST" else 500, Location="/moved")
    result = await call(client, "create")
    assert "isError" not in result
    assert "It is done" in text_of(result)[0]


@pytest.mark.parametrize(
    ("status", "tool"), [(307, "create"), (308, "create"), (301, "create"), (302, "get"), (307, "get")]
)
async def test_a_redirect_to_another_origin_is_refused_with_the_reason(
    api: Api, client: HttpConnector, status: int, tool: str
) -> None:
    async with serving(lambda _: reply({})) as elsewhere:
        api.handler = lambda _: reply({}, status, Location=f"{elsewhere.url}/take?key=1")
        result = await call(client, tool)
        assert elsewhere.seen == []
    assert result["isError"] is True
    assert f"redirects to {elsewhere.url}/take, which lies elsewhere" in text_of(result)[0]


async def test_a_write_that_is_answered_by_the_way_to_another_page_is_in_doubt(api: Api, client: HttpConnector) -> None:
    api.handler = lambda _: reply({}, 302, Location="/login")
    with pytest.raises(OutcomeUnknown) as caught:
        await call(client, "create")
    assert caught.value.over


async def test_redirects_end(api: Api, client: HttpConnector) -> None:
    api.handler = lambda _: reply({}, 307, Location="/again")
    result = await call(client, "get")
    assert result["isError"] is True
    assert len(api.seen) == 6
