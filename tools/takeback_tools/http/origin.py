"""One API behind one base URL: requests get their credentials, and redirects never lead out of the origin."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urljoin

import httpx2

from takeback.ports import NotSent, OutcomeUnknown
from takeback_tools.http.answers import failure, understood
from takeback_tools.http.auth import SignIn
from takeback_tools.http.exchange import Reply, exchange
from takeback_tools.http.operations import SAFE, Draft, Operation
from takeback_tools.http.places import origin_of

REDIRECTS: Final = 5
_UNAUTHORIZED: Final = 401
_SEE_OTHER: Final = 303
_FOUND: Final = 302
_SAME_METHOD: Final = frozenset({307, 308})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


def shown(url: httpx2.URL) -> str:
    """A URL for people: without what may be secret in it."""
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))


class Origin:
    """Sends requests to one API.

    `base` is the URL before the operations' paths; `headers` travel with each request.
    """

    def __init__(self, client: httpx2.AsyncClient, base: str, headers: Mapping[str, str], sign_in: SignIn) -> None:
        self._client, self._base, self._headers, self._sign_in = client, base, headers, sign_in

    async def call(
        self, operation: Operation, draft: Draft, headers: Mapping[str, str], timeout: float | None
    ) -> dict[str, Any]:
        """Make the request of an operation and say what its answer means. `headers` go over the request's own.

        Raises:
            NotSent, Changed, OutcomeUnknown: as the port says.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        structured = operation.structured
        url = self._url((operation.base or self._base).rstrip("/") + draft.target)
        own = httpx2.Headers({**self._headers, "Accept": "application/json, */*;q=0.5"})
        own.update(dict(draft.headers))
        own.update(dict(headers))
        reply = await self._signed(draft.method, url, own, draft.content, deadline)
        for _ in range(REDIRECTS):
            if reply.status not in _REDIRECTS:
                return understood(reply, safe=draft.is_safe, structured=structured, address=shown(url))
            onward = self._onward(draft.method, url, reply)
            if isinstance(onward, dict):
                return onward
            if reply.status == _SEE_OTHER and not draft.is_safe:
                return await self._result_elsewhere(reply, onward, own, deadline, structured=structured)
            url = onward
            reply = await self._signed(draft.method, url, own, draft.content, deadline)
        return failure(reply, "The redirects do not end; nothing was done.")

    async def fetch(self, address: str, timeout: float) -> Reply:
        """The answer to a GET of an absolute address on this origin, redirects within it followed."""
        url = self._url(address)
        deadline = time.monotonic() + timeout
        own = httpx2.Headers({**self._headers, "Accept": "application/json, application/yaml, */*;q=0.5"})
        reply = await self._signed("GET", url, own, None, deadline)
        for _ in range(REDIRECTS):
            onward = self._onward("GET", url, reply) if reply.status in _REDIRECTS else None
            if not isinstance(onward, httpx2.URL):
                break
            url = onward
            reply = await self._signed("GET", url, own, None, deadline)
        return reply

    def _url(self, address: str) -> httpx2.URL:
        try:
            return httpx2.URL(address)
        except (ValueError, httpx2.InvalidURL) as error:
            raise NotSent(f"the address cannot be written: {error}") from None

    async def _signed(
        self, method: str, url: httpx2.URL, headers: httpx2.Headers, content: bytes | None, deadline: float | None
    ) -> Reply:
        """One request with credentials; a second one where the first ones were not accepted and others can be had."""
        reply, signature = await self._once(method, url, headers, content, deadline)
        if reply.status == _UNAUTHORIZED and self._sign_in.refused(signature):
            reply, _ = await self._once(method, url, headers, content, deadline)
        return reply

    async def _once(
        self, method: str, url: httpx2.URL, headers: httpx2.Headers, content: bytes | None, deadline: float | None
    ) -> tuple[Reply, Any]:
        signature = await self._sign_in.signature()
        sent = httpx2.Headers(headers)
        sent.update(dict(signature.headers))
        if signature.query:
            query = url.query.decode("ascii")
            url = url.copy_with(query=f"{query}&{signature.query}".lstrip("&").encode("ascii"))
        request = self._client.build_request(method, url, headers=sent, content=content)
        try:
            return await exchange(self._client, request, _left(deadline)), signature
        except OutcomeUnknown as unknown:
            if unknown.kind != "lost" or method not in SAFE:
                raise
        # An idle connection that the server closes as it is used again; asking once more changes nothing.
        request = self._client.build_request(method, url, headers=sent, content=content)
        return await exchange(self._client, request, _left(deadline)), signature

    def _onward(self, method: str, url: httpx2.URL, reply: Reply) -> httpx2.URL | dict[str, Any]:
        """Where a redirect leads, or the result where it is not followed.

        Raises:
            OutcomeUnknown: it may be the answer of a server that has done what it was told (302).
        """
        location = reply.headers.get("location", "")
        try:
            target = httpx2.URL(urljoin(str(url), location))
        except (ValueError, httpx2.InvalidURL):
            return failure(reply, "The redirect leads to no valid address.")
        safe = method in SAFE
        inside = bool(location) and origin_of(target) == origin_of(url)
        if inside and (safe or reply.status in _SAME_METHOD or reply.status == _SEE_OTHER):
            return target
        if reply.status == _SEE_OTHER and not safe:
            return _done(reply, f"It is done; the result is at {shown(target)}, which is not fetched.")
        if reply.status == _FOUND and not safe:
            raise OutcomeUnknown("error", f"{reply.said} to {shown(target)} instead of an answer", over=True)
        where = "is not followed with this method" if inside else "lies elsewhere and is not followed"
        return failure(reply, f"It redirects to {shown(target)}, which {where}. Nothing was done.")

    async def _result_elsewhere(
        self, reply: Reply, url: httpx2.URL, headers: httpx2.Headers, deadline: float | None, *, structured: bool
    ) -> dict[str, Any]:
        """The result that a 303 points to. The request itself is done, whatever becomes of this."""
        kept = {name: value for name, value in headers.items() if not name.startswith(("if-", "content-"))}
        try:
            found = await self._signed("GET", url, httpx2.Headers(kept), None, deadline)
            if found.status // 100 == 2:  # noqa: PLR2004 - success
                return understood(found, safe=True, structured=structured, address=shown(url))
            why = found.said
        except (NotSent, OutcomeUnknown) as problem:
            why = str(problem)
        return _done(reply, f"It is done; its result at {shown(url)} could not be had ({why}).")


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(deadline - time.monotonic(), 0.0)


def _done(reply: Reply, note: str) -> dict[str, Any]:
    found = failure(reply, note)
    del found["isError"]
    return found
