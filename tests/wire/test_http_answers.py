"""Over HTTP: when provably nothing was sent, and when the server gave a definite answer."""

from __future__ import annotations

import pytest

from takeback.ports import Answered, NotSent, OutcomeUnknown

from .ears import Start
from .raw_http import Got, Raw, Reply, ask, replies, unused_port, without_session

# --- Nothing was sent ------------------------------------------------------------------------------------------------


async def test_a_refused_connection_means_that_nothing_was_sent(reach: Start, raw: Raw) -> None:
    with pytest.raises(NotSent, match=r"no connection to http://127.0.0.1"):
        await ask(reach(f"http://127.0.0.1:{unused_port()}/mcp?key=hidden"))
    server = await raw()
    upstream = reach(server.url)
    await ask(upstream, "echo")
    await server.stop()
    with pytest.raises((NotSent, OutcomeUnknown)):  # a connection that was kept may only now be found closed
        await ask(upstream, "echo")
    with pytest.raises(NotSent):
        await ask(upstream, "echo")


@pytest.mark.parametrize(
    "url", ["", "nonsense", "http://[", "ftp://127.0.0.1/", "http://127.0.0.1:99999/", "http://\n/"]
)
async def test_a_url_that_is_none_is_reported(reach: Start, url: str) -> None:
    with pytest.raises(NotSent):
        await ask(reach(url))


@pytest.mark.parametrize("headers", [{"X": "caf\u00e9"}, {"X": "two\nlines"}, {"": "no name"}, {"no name": "x"}])
async def test_headers_that_cannot_be_sent_are_reported(reach: Start, raw: Raw, headers: dict[str, str]) -> None:
    server = await raw()
    with pytest.raises(NotSent):
        await ask(reach(server.url, headers=headers))
    with pytest.raises(NotSent):
        await ask(reach(server.url), "echo", headers=headers)
    assert not server.seen("echo")


async def test_a_redirect_to_another_origin_is_not_followed(reach: Start, raw: Raw) -> None:
    elsewhere = await raw()
    server = await raw(x__do=replies("307 Temporary Redirect", location=elsewhere.url + "?code=hidden"))
    upstream = reach(server.url, headers={"Authorization": "Bearer abcdef-123456"})
    with pytest.raises(NotSent, match=r"redirects to .*not followed") as caught:
        await ask(upstream)
    assert "hidden" not in str(caught.value)
    assert elsewhere.got == []


async def test_a_redirect_within_the_origin_is_followed_with_the_same_message(reach: Start, raw: Raw) -> None:
    async def moved(got: Got, reply: Reply) -> None:
        if got.path == "/mcp":
            await reply.status("307 Temporary Redirect", location="/moved/")
        else:
            await reply.result(got, {"path": got.path})

    server = await raw(x__do=moved)
    upstream = reach(server.url, headers={"Authorization": "Bearer abcdef-123456"})
    assert await ask(upstream) == {"path": "/moved/"}
    first, second = server.seen("x/do")
    assert first.message == second.message
    assert second.headers["authorization"] == "Bearer abcdef-123456"


async def test_redirects_in_a_circle_end(reach: Start, raw: Raw) -> None:
    server = await raw(x__do=replies("308 Permanent Redirect", location="/mcp"))
    with pytest.raises(NotSent):
        await ask(reach(server.url))
    assert len(server.seen("x/do")) == 3


@pytest.mark.parametrize("status", ["302 Found", "303 See Other"])
async def test_a_redirect_that_may_follow_the_deed_leaves_the_outcome_unknown(
    reach: Start, raw: Raw, status: str
) -> None:
    server = await raw(x__do=replies(status, location="/done"))
    with pytest.raises(OutcomeUnknown):
        await ask(reach(server.url))


# --- A definite answer -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "404 Not Found", "401 Unauthorized", "403 Forbidden", "429 Slow"]
)
async def test_a_refusal_by_http_is_an_answer_with_its_status(reach: Start, raw: Raw, status: str) -> None:
    server = await raw(initialize=without_session, x__do=replies(status, b"<html>no</html>", content_type="text/html"))
    with pytest.raises(Answered) as caught:
        await ask(reach(server.url, headers={"Authorization": "Bearer abcdef-123456"}))
    assert caught.value.data == {"status": int(status[:3])}
    assert status[:3] in caught.value.message
    assert "abcdef" not in str(caught.value)


async def test_a_rate_limit_in_a_session_does_not_end_it(reach: Start, raw: Raw) -> None:
    server = await raw(x__do=replies("429 Slow"))
    upstream = reach(server.url)
    with pytest.raises(Answered):
        await ask(upstream)
    await ask(upstream, "echo")
    assert len(server.seen("initialize")) == 1


ERROR = b'{"jsonrpc":"2.0","id":$ID,"error":{"code":-32042,"message":"pay first","data":{"x":[1]}}}'


@pytest.mark.parametrize("status", ["400 Bad Request", "409 Conflict", "500 Oops", "200 OK"])
async def test_an_error_in_the_body_is_the_answer_whatever_the_status(reach: Start, raw: Raw, status: str) -> None:
    server = await raw(x__do=replies(status, ERROR))
    with pytest.raises(Answered) as caught:
        await ask(reach(server.url))
    assert (caught.value.code, caught.value.message, caught.value.data) == (-32042, "pay first", {"x": [1]})
