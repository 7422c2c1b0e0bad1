"""One answer to one request: what a server says beyond it is nobody's, and least of all the answer to the next request.

The HTTP library keeps a connection for the next request also when more than the answer has come over it, and takes what
is left for the next answer. A server or proxy that answers twice would so make a call that never happened look done.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx2

log = logging.getLogger(__name__)

_INNER: Final = ("_stream", "_httpcore_stream")
"""How the library's streams name what they stand around."""


async def opened(client: httpx2.AsyncClient, request: httpx2.Request) -> httpx2.Response:
    """Send a request; redirects are answers. Once the response is closed, a surplus has cost the connection.

    Raises:
        httpx2.HTTPError: as `send` does.
    """
    response = await client.send(request, stream=True, follow_redirects=False)
    response.stream = _OneAnswer(response.stream)
    return response


class _OneAnswer(httpx2.AsyncByteStream):
    """The body of an answer."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __aiter__(self) -> AsyncIterator[bytes]:
        body: AsyncIterator[bytes] = self._inner.__aiter__()
        return body

    async def aclose(self) -> None:
        state = _state_of(self._inner)
        if state is not None and state.trailing_data[0]:
            log.warning("more than an answer has come over a connection; it is closed")
            state.send_failed()  # so that the library does not keep it
        await self._inner.aclose()


def _state_of(stream: Any) -> Any:
    """The protocol's state of the connection that a stream reads from; the library has no public name for it."""
    while stream is not None:
        if (connection := getattr(stream, "_connection", None)) is not None:
            return getattr(connection, "_h11_state", None)
        stream = next((getattr(stream, name) for name in _INNER if hasattr(stream, name)), None)
    return None
