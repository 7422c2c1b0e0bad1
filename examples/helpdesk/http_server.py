"""The desk as an HTTP API with an OpenAPI document, on loopback.

DESK_TOKEN=secret python http_server.py --db desk.db --port 8200   serve http://127.0.0.1:8200/openapi.json
"""

import argparse
import logging
import os
import socket
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import anyio
import uvicorn

from desk import reports
from desk.rest.app import DOCUMENT, make_app
from desk.rest.mishaps import Cuttable
from desk.store import open_desk

TOKEN = "DESK_TOKEN"  # noqa: S105 - the name of the variable that holds it


async def serve(db: sqlite3.Connection, port: int, token: str) -> None:
    """Serve on loopback; port 0 takes a free one. The document's address is printed once connections are accepted."""
    config = uvicorn.Config(make_app(db, token), http=Cuttable, log_level="warning", timeout_graceful_shutdown=1)
    with socket.create_server(("127.0.0.1", port)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}{DOCUMENT}", flush=True)
        async with reports.worker(db):
            await uvicorn.Server(config).serve(sockets=[listener])


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="A customer desk as an HTTP API.")
    parser.add_argument("--db", type=Path, required=True, help="SQLite file; created and seeded if missing")
    parser.add_argument("--port", type=int, default=8200, help="the loopback port (0: any; 8200 if left out)")
    options = parser.parse_args(arguments)
    token = os.environ.get(TOKEN)
    if not token:
        parser.error(f"set {TOKEN} to the token that callers must bring")
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    with closing(open_desk(options.db)) as db:
        anyio.run(serve, db, options.port, token)


if __name__ == "__main__":
    main()
