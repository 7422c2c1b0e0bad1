"""What the SDK's own classes cost: a pass-through proxy, or a server without anything behind it.

`--upstream` makes it a proxy: a verbatim middleware in front of a `ClientSession`. Without, the lean tools live in this
process. It serves stdio, or with `--http` a free port of the loopback, which is told on stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import uvicorn
from mcp import ClientSession, StdioServerParameters, types
from mcp.client.stdio import stdio_client
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from pydantic import ConfigDict

from benchmarks.direct_http import Held

Forward = Callable[[str, Mapping[str, Any]], Awaitable[dict[str, Any]]]

_TIMEOUT: Final = 30.0


class RawRequest(types.Request[dict[str, Any], str]):
    """Any request, its parameters as they are."""


class RawResult(types.Result):
    """Any result, with every field that it came with."""

    model_config = ConfigDict(extra="allow")


class Web(uvicorn.Server):
    """uvicorn, which leaves signals to `main` and says when it listens."""

    async def startup(self, sockets: Any = None) -> None:
        """As uvicorn's; then tells the port."""
        await super().startup(sockets)
        sys.stderr.write(f"serving http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}/mcp\n")
        sys.stderr.flush()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM ends the loop in an orderly way, so that the upstream ends, too."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, setattr, self, "should_exit", True)
        yield


@asynccontextmanager
async def piped(upstream: list[str]) -> AsyncIterator[Forward]:
    """Forwards over stdio, by the SDK's client."""
    parameters = StdioServerParameters(command=sys.executable, args=upstream, env=dict(os.environ))
    async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
        await session.initialize()

        async def forward(method: str, params: Mapping[str, Any]) -> dict[str, Any]:
            request = RawRequest(method=method, params=dict(params))
            result = await session.send_request(request, RawResult, request_read_timeout_seconds=_TIMEOUT)
            return result.model_dump(by_alias=True, mode="json", exclude_none=True)

        yield forward


@asynccontextmanager
async def here() -> AsyncIterator[Forward]:
    """Answers from this process."""
    lean = Held(None)

    async def forward(method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        answer = lean.asked(json.dumps({"id": 1, "method": method, "params": params}).encode())
        result: dict[str, Any] = json.loads(answer or b"{}")["result"]
        return result

    yield forward


def server_of(forward: Forward) -> Server[Any]:
    """The SDK's server, with a middleware that passes calls on as they came."""

    async def unreached(_ctx: Any, _params: Any) -> Any:
        raise AssertionError("the middleware answers")

    async def middleware(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.request_id is None or ctx.method not in {"tools/list", "tools/call"}:
            return await call_next(ctx)
        return await forward(ctx.method, ctx.params or {})

    server: Server[Any] = Server("bare", version="1", on_list_tools=unreached, on_call_tool=unreached)
    server.middleware.append(middleware)
    return server


async def main() -> None:
    """Serve until the client leaves, or until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--upstream", nargs=argparse.REMAINDER, help="arguments for Python that start what is behind")
    parser.add_argument("--http", action="store_true")
    options = parser.parse_args()
    async with piped(options.upstream) if options.upstream else here() as forward:
        server = server_of(forward)
        if options.http:
            app = server.streamable_http_app(host="127.0.0.1")
            await Web(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning")).serve()
        else:
            async with stdio_server() as (read, write):
                await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(main())
