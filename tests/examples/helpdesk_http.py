"""The example desk as an HTTP API, for tests: its process, and calls as its own document describes them."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import httpx2

SERVER = Path(__file__).parents[2] / "examples" / "helpdesk" / "http_server.py"
TOKEN = "a token for tests"
PATIENCE = 30

TIMES = {"updated_at", "created_at", "sent_at", "charged_at", "refunded_at", "finished_at"}
"""Columns that tell when something was done, which no two runs agree on."""


class Api:
    """One running desk. `document` is its OpenAPI document; `calls` go by operation id and arguments."""

    def __init__(
        self, http: httpx2.AsyncClient, document: Mapping[str, Any], process: asyncio.subprocess.Process
    ) -> None:
        self.http, self.document, self.process = http, document, process
        self.places = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }

    async def call(
        self, name: str, arguments: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """One operation, with each argument where the document wants it."""
        method, path, operation = self.places[name]
        where = {p["name"]: p["in"] for p in operation["parameters"] if "name" in p}
        query = {key: value for key, value in arguments.items() if where.get(key) == "query"}
        body = {key: value for key, value in arguments.items() if key not in where}
        filled = path.format(**{key: value for key, value in arguments.items() if where.get(key) == "path"})
        content: dict[str, Any] = {"json": body} if "requestBody" in operation else {}
        return await self.http.request(method, filled, params=query or None, headers=headers, **content)


@asynccontextmanager
async def desk_api(db: Path, faults: Path | None = None, port: int = 0) -> AsyncIterator[Api]:
    """The desk over this database, in a process of its own."""
    env = {**os.environ, "DESK_TOKEN": TOKEN, **({"HELPDESK_FAULTS": str(faults)} if faults else {})}
    command = [sys.executable, str(SERVER), "--db", str(db), "--port", str(port)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=env)
    try:
        assert process.stdout
        with anyio.fail_after(PATIENCE):
            place = (await process.stdout.readline()).decode().strip()
        root = place.removesuffix("/openapi.json")
        async with httpx2.AsyncClient(
            base_url=root, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=PATIENCE
        ) as http:
            yield Api(http, (await http.get("/openapi.json")).json(), process)
    finally:
        if process.returncode is None:
            process.terminate()
        with anyio.fail_after(PATIENCE, shield=True):
            await process.wait()


def tables(db: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row of the desk, without the times, straight from its file."""
    with closing(sqlite3.connect(db)) as desk:
        desk.row_factory = sqlite3.Row
        named = desk.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name != 'idempotency_keys'")
        return {
            name: [timeless(dict(row)) for row in desk.execute(f"SELECT * FROM {name}")] for (name,) in named.fetchall()
        }


def timeless(value: Any) -> Any:
    """The same without the columns of `TIMES`, at any depth."""
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if key not in TIMES}
    return [timeless(item) for item in value] if isinstance(value, list) else value
