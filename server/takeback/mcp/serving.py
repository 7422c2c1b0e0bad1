"""Serving: the face on stdio, or on streamable HTTP, until the client or the operator ends it."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from takeback import __version__
from takeback.core.jsontext import MalformedJSON, dumps, loads_strict
from takeback.core.run import IDLE
from takeback.guard.use_cases import UseCases
from takeback.mcp.face import Face, OwnTools
from takeback.mcp.lane import CallLane
from takeback.mcp.passing import Passing
from takeback.mcp.relaying import relay
from takeback.mcp.runs import RunBook
from takeback.mcp.server import McpServer
from takeback.mcp.stdio import StdioTransport, carrying

log = logging.getLogger(__name__)

MAX_BODY: Final = 32 * 1024 * 1024
"""Bytes that one HTTP request may have."""

GRACE: Final = 3
"""Seconds that open connections get when the server stops."""

_PARSE_ERROR: Final = -32700


def make_server(use_cases: UseCases, own: OwnTools, *, tenant: str, principal: str) -> McpServer:
    """The server object for any transport. Lists that upstreams change are looked up again."""
    services = use_cases.services
    passing = Passing(lambda: list(services.catalog.clients.values()))
    face = Face(use_cases, own, {"name": "takeback", "version": __version__})

    async def shared(scope: str, fresh: str) -> str:
        return await services.ledger.shared_run(tenant, scope, fresh, services.clock.now(), IDLE)

    return McpServer(face, passing, RunBook(services.clock, services.ids, shared), tenant=tenant, principal=principal)


async def serve_stdio(server: McpServer, transport: StdioTransport) -> None:
    """Serve one client on stdin and stdout until it closes its end."""
    face, book = server.face, server.book
    lane = CallLane(face, book, transport.client, tenant=server.tenant, principal=server.principal)
    server.connection = lane.connection
    async with carrying(transport, lane):
        relay(face.use_cases.offers, server.bus, lane.tell, server.resources.owns)
        try:
            options = server.sdk.create_initialization_options()
            await server.sdk.run(transport.read_stream, transport.write_stream, options)
        finally:
            await lane.close()
            await face.holding.close()


async def serve_http(server: McpServer, *, host: str, port: int, ready: Callable[[int], None]) -> None:
    """Serve streamable HTTP under `/mcp` until cancelled. `ready` gets the port when it listens."""
    app = StrictJson(server.sdk.streamable_http_app(host=host, max_request_body_size=MAX_BODY))
    relay(server.face.use_cases.offers, server.bus, server.sessions.tell, server.resources.owns)
    config = uvicorn.Config(
        app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=GRACE, lifespan="on"
    )
    web = WebServer(config, ready)
    serving = asyncio.create_task(web.serve())
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        await server.face.holding.close()
        web.should_exit = True
        await serving
        raise


class WebServer(uvicorn.Server):
    """uvicorn, which leaves signals to the command line and says when it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[int], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's; then tells the port."""
        await super().startup(sockets)
        if self.started:
            self._ready(self.servers[0].sockets[0].getsockname()[1])

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Not uvicorn's: a signal must also finish what the guard has in flight."""
        yield


class StrictJson:
    """Refuses a request body in which an object names a key twice: such a call has no canonical form."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body = await _body(receive)
        if body is None:
            await _refuse(send, 413, "the request is larger than 32 MiB")
            return
        if b'"tools/call"' in body:
            try:
                loads_strict(body)
            except MalformedJSON as error:
                await _refuse(send, 400, str(error))
                return
        await self._app(scope, _replayed(body, receive), send)


async def _body(receive: Receive) -> bytes | None:
    chunks, size = [], 0
    while True:
        message = await receive()
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY:
            return None
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


def _replayed(body: bytes, receive: Receive) -> Receive:
    first = True

    async def again() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again


async def _refuse(send: Send, status: int, why: str) -> None:
    body = dumps({"jsonrpc": "2.0", "id": None, "error": {"code": _PARSE_ERROR, "message": why}})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
