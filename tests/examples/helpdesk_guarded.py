"""The desk's HTTP form behind a guard, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.examples.helpdesk_http import TOKEN, desk_api
from tests.mcp.raw import RawClient, guard_command, started
from tests.undo_table.record import record

POLICY = Path(__file__).parents[2] / "examples" / "helpdesk" / "http.policy.toml"


@asynccontextmanager
async def over_http(folder: Path, faults: Path | None = None, port: int = 0) -> AsyncIterator[RawClient]:
    """A client of a guard that stands in front of the API; the desk's file is `desk.db` in the folder."""
    async with desk_api(folder / "desk.db", faults, port) as api:
        env = {
            "TAKEBACK_STATE": str(folder),
            "DESK_API": str(api.http.base_url.join("/openapi.json")),
            "DESK_TOKEN": TOKEN,
        }
        async with started(*guard_command(POLICY), env=env) as client:
            yield client
    record("helpdesk-http", folder, client.undos)
