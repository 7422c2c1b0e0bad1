"""Real HTTP servers on loopback for the tests: one that answers what a test says, one that breaks off where it says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from takeback.core.policy.schema import Upstream
from takeback_tools.http.connector import HttpConnector, from_policy

METHODS = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "REPORT"]
BOUND = 10.0


@dataclass(frozen=True)
class Seen:
    """A request as the server got it; `target` is path and query as they travelled."""

    method: str
    target: str
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Handler = Callable[[Seen], Response]


@dataclass
class Api:
    """A server that answers by `handler` and keeps what it saw."""

    url: str
    handler: Handler
    seen: list[Seen] = field(default_factory=list)

    @property
    def last(self) -> Seen:
        return self.seen[-1]


def reply(value: Any, status: int = 200, **headers: str) -> Response:
    """A JSON answer; `_` in the names of headers stands for `-`."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(json.dumps(value), status, named, "application/json")


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Api]:
    """A server for as long as the block lasts."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        api = Api(f"http://127.0.0.1:{listening.getsockname()[1]}", handler)

        async def answer(request: Request) -> Response:
            target = request.scope["raw_path"].decode() + (f"?{request.url.query}" if request.url.query else "")
            seen = Seen(request.method, target, request.headers, await request.body())
            api.seen.append(seen)
            return api.handler(seen)

        app = Starlette(routes=[Route("/{path:path}", answer, methods=METHODS)])
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        running = asyncio.create_task(server.serve([listening]))
        async with asyncio.timeout(BOUND):
            while not server.started:
                await asyncio.sleep(0.005)
        try:
            yield api
        finally:
            server.should_exit = True
            await running


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[str]:
    """A server that does with each connection what `script` says, byte by byte; the connection closes after it."""

    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await script(reader, writer)
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def document(paths: Mapping[str, Any], schemas: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """An OpenAPI document of version 3.0 (or what `more` says)."""
    head = {"openapi": "3.0.3", "info": {"title": "Test", "version": "1"}}
    return {**head, "paths": dict(paths), "components": {"schemas": dict(schemas or {})}, **more}


def body(schema: Any, media_type: str = "application/json", *, required: bool = True, **more: Any) -> dict[str, Any]:
    """A `requestBody`."""
    return {"required": required, "content": {media_type: {"schema": schema, **more}}}


def parameter(name: str, place: str, schema: Any, **more: Any) -> dict[str, Any]:
    """A parameter."""
    return {"name": name, "in": place, "schema": schema, **more}


@asynccontextmanager
async def connected(
    base: str, described: Mapping[str, Any] | str, folder: Path, tenant: str = "default", **keys: Any
) -> AsyncIterator[HttpConnector]:
    """A connector to an API whose document lies in a file; `keys` are those of the upstream's table."""
    path = folder / "openapi.json"
    path.write_text(described if isinstance(described, str) else json.dumps(described))
    upstream = Upstream.model_validate({"openapi": str(path), "base_url": base, **keys})
    async with started(upstream, tenant) as connector:
        yield connector


@asynccontextmanager
async def started(upstream: Upstream, tenant: str = "default") -> AsyncIterator[HttpConnector]:
    """A connector that is started, and closed in the end."""
    connector = from_policy("api", upstream, tenant)
    try:
        await connector.start()
        yield connector
    finally:
        await connector.close()


async def tools_of(described: Mapping[str, Any] | str, folder: Path, **keys: Any) -> dict[str, dict[str, Any]]:
    """The definitions that a document gives, by name."""
    async with connected("http://127.0.0.1:9", described, folder, **keys) as connector:
        return {tool.name: dict(tool.raw) for tool in await connector.tools()}


async def call(
    connector: HttpConnector, tool: str, arguments: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """One call of a tool."""
    params = {"name": tool, "arguments": dict(arguments or {})}
    return await connector.request("tools/call", params, timeout=more.pop("timeout", BOUND), **more)


def text_of(result: Mapping[str, Any]) -> Sequence[str]:
    return [block["text"] for block in result["content"]]
