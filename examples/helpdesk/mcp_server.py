"""The desk as an MCP server, over stdio or streamable HTTP.

python mcp_server.py --db desk.db               serve one client on stdin and stdout
python mcp_server.py --db desk.db --http 8100   serve http://127.0.0.1:8100/mcp
"""

import argparse
import json
import logging
import os
import socket
import sqlite3
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import anyio
import uvicorn
from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

from desk import faults, reports
from desk.catalogue import OPERATIONS, Nature, Operation, overtake, perform
from desk.errors import DeskError
from desk.store import open_desk

logger = logging.getLogger("helpdesk")

INSTRUCTIONS = (
    "The customer desk of two tenants, acme and globex: tickets, contacts, mail, billing, callbacks, "
    "documents. Ids look like T-182 (ticket), C-1 (contact), I-1001 (invoice)."
)

HINTS = {
    Nature.READ: types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
    Nature.ADD: types.ToolAnnotations(destructive_hint=False, idempotent_hint=False, open_world_hint=False),
    Nature.SET: types.ToolAnnotations(destructive_hint=True, idempotent_hint=True, open_world_hint=False),
    Nature.DELETE: types.ToolAnnotations(destructive_hint=True, idempotent_hint=False, open_world_hint=False),
    Nature.COUNT: types.ToolAnnotations(destructive_hint=True, idempotent_hint=False, open_world_hint=False),
    Nature.OUTWARD: types.ToolAnnotations(destructive_hint=True, idempotent_hint=False, open_world_hint=True),
}

# A line that is no JSON has a place on stdio alone.
STDIO_MODES = faults.COMMON | {"garbage", "noise"}

WriteRaw = Callable[[bytes], None]


class Face:
    """The handlers of the two requests that the server answers."""

    def __init__(self, db: sqlite3.Connection, write_raw: WriteRaw | None = None) -> None:
        """Serve from this database; `write_raw` puts bytes on the wire unframed (for faults, stdio only)."""
        self._db = db
        self._write_raw = write_raw

    async def list_tools(
        self, _context: ServerRequestContext, _params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """Name every operation of the catalogue."""
        return types.ListToolsResult(tools=[_tool(operation) for operation in OPERATIONS.values()])

    async def call_tool(
        self, _context: ServerRequestContext, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Perform one operation; a refusal is a result that the model can read."""
        if params.name not in OPERATIONS:
            raise MCPError(code=types.INVALID_PARAMS, message=f"unknown tool: {params.name}")
        try:
            return _answer(await self._perform(params))
        except (DeskError, faults.InjectedError) as error:
            return _refusal(str(error))
        except Exception:
            logger.exception("%s failed", params.name)
            return _refusal(f"{params.name} failed: internal error")

    async def _perform(self, params: types.CallToolRequestParams) -> dict[str, object]:
        fault = faults.planned(params.name, STDIO_MODES if self._write_raw else faults.COMMON)
        if fault:
            await fault.before()
            overtake(self._db, fault)
        # Without an await: a client that cancels or goes away cannot stop an operation half way.
        record = perform(self._db, params.name, params.arguments or {})
        if fault:
            await fault.after(self._write_raw)
        return record


def make_server(face: Face) -> Server:
    """The MCP server around these handlers."""
    return Server(
        "helpdesk",
        version="1.0",
        instructions=INSTRUCTIONS,
        on_list_tools=face.list_tools,
        on_call_tool=face.call_tool,
        get_tool_input_schema=lambda name: OPERATIONS[name].arguments if name in OPERATIONS else None,
    )


async def serve_stdio(db: sqlite3.Connection) -> None:
    """Serve one client on stdin and stdout until it closes them."""
    # The SDK diverts descriptor 1 while it serves; a duplicate made before still reaches the client.
    wire = os.dup(sys.stdout.fileno())

    def write_raw(line: bytes) -> None:
        os.write(wire, line)

    server = make_server(Face(db, write_raw))
    async with reports.worker(db), stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


async def serve_http(db: sqlite3.Connection, port: int) -> None:
    """Serve on loopback; port 0 takes a free one. The address is printed once connections are accepted."""
    app = make_server(Face(db)).streamable_http_app()
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    with socket.create_server(("127.0.0.1", port)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
        async with reports.worker(db):
            await uvicorn.Server(config).serve(sockets=[listener])


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and serve."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    with closing(open_desk(options.db)) as db:
        if options.http is None:
            anyio.run(serve_stdio, db)
        else:
            anyio.run(serve_http, db, options.http)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="A customer desk as an MCP server.")
    parser.add_argument("--db", type=Path, required=True, help="SQLite file; created and seeded if missing")
    parser.add_argument("--http", type=int, metavar="PORT", help="serve HTTP on this loopback port (0: any)")
    return parser


def _tool(operation: Operation) -> types.Tool:
    return types.Tool(
        name=operation.name,
        description=operation.description,
        input_schema=operation.arguments,
        output_schema=operation.result,
        annotations=HINTS[operation.nature],
    )


def _answer(record: dict[str, object]) -> types.CallToolResult:
    text = json.dumps(record, ensure_ascii=False)
    return types.CallToolResult(content=[types.TextContent(text=text)], structured_content=record)


def _refusal(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=True)


if __name__ == "__main__":
    main()
