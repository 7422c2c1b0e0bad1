"""One request and its answer, and what is known when there is none: whether anything was sent at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final

import httpx2

from takeback import __version__
from takeback.ports import NotSent, OutcomeUnknown
from takeback_tools.surplus import opened

for _library in ("httpx2", "httpcore2"):
    # They log the URL of each request, and a URL may hold a key.
    logging.getLogger(_library).setLevel(logging.WARNING)

CONNECT_TIMEOUT: Final = 10.0
LONGEST_ANSWER: Final = 32 * 1024 * 1024
"""Bytes of an answer, unpacked."""

_KEEP_ALIVE: Final = 3.0
"""Seconds. Servers close idle connections after five or more; a write must not meet one that is about to be closed."""

_ERROR: Final = 400


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `problem` tells why `content` is not all of it; only an answer that is an error may lack some."""

    status: int
    reason: str
    headers: httpx2.Headers
    content: bytes
    problem: str | None = None

    @property
    def said(self) -> str:
        """`HTTP 404 Not Found`."""
        return f"HTTP {self.status} {self.reason}".rstrip()


def make_client() -> httpx2.AsyncClient:
    """The HTTP client of one upstream. It keeps no cookies, so that calls share nothing but connections."""
    return httpx2.AsyncClient(
        # A packed answer has another ETag, or a weak one, with which no write can be made conditional.
        headers={"User-Agent": f"takeback/{__version__}", "Accept-Encoding": "identity"},
        timeout=httpx2.Timeout(None, connect=CONNECT_TIMEOUT),
        limits=httpx2.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=_KEEP_ALIVE),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
    )


class _TooLong(Exception):
    pass


@dataclass(slots=True)
class _Course:
    """How far a request has come."""

    sent: bool = False
    connection: Any = None
    head: httpx2.Response | None = None
    content: bytearray = field(default_factory=bytearray)

    async def trace(self, event: str, facts: Mapping[str, Any]) -> None:
        if event.endswith("send_request_headers.started"):
            # What asks a proxy for a way through is not yet the request.
            self.sent = self.sent or facts["request"].method != b"CONNECT"
        elif event.endswith("connect_tcp.complete"):
            self.connection = facts.get("return_value")

    async def given_up(self) -> None:
        """Close what a handshake that was given up leaves open; the library does not."""
        if not self.sent and self.connection is not None:
            await self.connection.aclose()

    def failed(self, kind: str, why: str) -> Reply | None:
        """The answer after all, where its status says enough. Raises what is known otherwise."""
        if not self.sent:
            raise NotSent(why)
        if self.head is not None and self.head.status_code >= _ERROR:
            return _reply(self.head, bytes(self.content), why)
        raise OutcomeUnknown(kind, why)


async def exchange(
    client: httpx2.AsyncClient, request: httpx2.Request, timeout: float | None, longest: int = LONGEST_ANSWER
) -> Reply:
    """Send a request and read the answer whole. Redirects are answers.

    Raises:
        NotSent: not a byte of the request was sent.
        OutcomeUnknown: time-out, broken connection, or an answer that cannot be read.
    """
    course = _Course()
    request.extensions = {**request.extensions, "trace": course.trace}
    try:
        async with asyncio.timeout(timeout):
            await _carry(client, request, course, longest)
    except TimeoutError:
        reply = course.failed("timeout", f"no answer within {timeout:g} s" if course.sent else "no connection in time")
    except httpx2.ProxyError as error:
        raise NotSent(f"no connection: the proxy says {_why(error)}") from None
    except (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
        raise NotSent(f"the request cannot be written: {_why(error)}") from None
    except _TooLong as error:
        reply = course.failed("malformed", str(error))
    except httpx2.DecodingError as error:
        reply = course.failed("malformed", f"the answer cannot be unpacked: {_why(error)}")
    except httpx2.RemoteProtocolError as error:
        kind = "malformed" if course.head is not None else "lost"
        reply = course.failed(kind, f"the answer broke off: {_why(error)}")
    except httpx2.HTTPError as error:
        what = "the connection broke" if course.sent else "no connection"
        reply = course.failed("lost", f"{what}: {_why(error)}")
    else:
        assert course.head is not None
        return _reply(course.head, bytes(course.content))
    finally:
        await course.given_up()
    assert reply is not None
    return reply


async def _carry(client: httpx2.AsyncClient, request: httpx2.Request, course: _Course, longest: int) -> None:
    if client.is_closed:
        raise NotSent("the connection was closed")
    response = await opened(client, request)
    course.head = response
    try:
        async for chunk in response.aiter_bytes():
            course.content += chunk
            if len(course.content) > longest:
                raise _TooLong(f"the answer is longer than {longest} bytes")
    finally:
        await response.aclose()


def _reply(head: httpx2.Response, content: bytes, problem: str | None = None) -> Reply:
    return Reply(head.status_code, head.reason_phrase, head.headers, content, problem)


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
