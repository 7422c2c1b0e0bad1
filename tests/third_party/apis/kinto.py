"""Kinto on PostgreSQL, with one user, one bucket and one collection; SQL says what is really there."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx2

from tests.third_party.environments import programs

from .served import STARTING, Served, serving

USER, PASSWORD = "ada", "lace"
BUCKET, COLLECTION = "paper", "articles"
WHERE: Final = {"bucket_id": BUCKET, "collection_id": COLLECTION}
_DATABASE: Final = "kinto"

_SETTINGS: Final = """
[server:main]
use = egg:waitress#main
host = 127.0.0.1
port = %(http_port)s
[app:main]
use = egg:kinto
kinto.includes = kinto.plugins.accounts
kinto.storage_backend = kinto.core.storage.postgresql
kinto.storage_url = {url}
kinto.permission_backend = kinto.core.permission.postgresql
kinto.permission_url = {url}
kinto.cache_backend = kinto.core.cache.memory
kinto.userid_hmac_secret = of the tests
kinto.bucket_create_principals = system.Authenticated
kinto.account_create_principals = system.Everyone
multiauth.policies = account
multiauth.policy.account.use = kinto.plugins.accounts.AccountsPolicy
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = WARN
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = %(levelname)s %(message)s
"""


@dataclass(frozen=True, slots=True)
class Store:
    """The articles, by SQL and through another client."""

    served: Served
    database: str

    @property
    def env(self) -> dict[str, str]:
        return {"KINTO_URL": f"{self.served.proxy.url}/v1", "KINTO_USER": USER, "KINTO_PASSWORD": PASSWORD}

    async def articles(self, title: str) -> list[dict[str, Any]]:
        """The fields of those that are there under this title, without the time of their last change."""
        connection = await asyncpg.connect(host=self.database, user=_DATABASE, database=_DATABASE)
        try:
            rows = await connection.fetch(
                "SELECT id, data FROM objects WHERE parent_id = $1 AND NOT deleted AND data->>'title' = $2 ORDER BY id",
                f"/buckets/{BUCKET}/collections/{COLLECTION}",
                title,
            )
        finally:
            await connection.close()
        return [{**json.loads(row["data"]), "id": row["id"]} for row in rows]

    def ask(self, method: str, path: str = "", **more: Any) -> httpx2.Response:
        """What another client is answered, which must be a success."""
        answer = self.served.ask(method, f"/v1/buckets/{BUCKET}{path}", auth=(USER, PASSWORD), **more)
        assert answer.is_success, answer.text
        return answer

    def write(self, article: str, **fields: Any) -> None:
        """Created or replaced by somebody else."""
        self.ask("PUT", f"/collections/{COLLECTION}/records/{article}", json={"data": fields})

    def change(self, article: str, **fields: Any) -> None:
        """Changed by somebody else."""
        self.ask("PATCH", f"/collections/{COLLECTION}/records/{article}", json={"data": fields})


@asynccontextmanager
async def serving_kinto(place: Path, database: str) -> AsyncIterator[Store]:
    connection = await asyncpg.connect(host=database, user="postgres", database="postgres")
    try:
        await connection.execute(f"CREATE ROLE {_DATABASE} LOGIN")
        await connection.execute(f"ALTER ROLE {_DATABASE} SET TIMEZONE = 'UTC'")
        await connection.execute(f"CREATE DATABASE {_DATABASE} OWNER {_DATABASE} ENCODING 'UTF8' TEMPLATE template0")
    finally:
        await connection.close()
    program, settings = str(programs("kinto") / "kinto"), place / "kinto.ini"
    settings.write_text(_SETTINGS.format(url=f"postgresql://{_DATABASE}@/{_DATABASE}?host={database}"))
    migrate = [program, "migrate", "--ini", str(settings)]
    await asyncio.to_thread(subprocess.run, migrate, check=True, capture_output=True, timeout=STARTING)
    with serving([program, "start", "--ini", str(settings), "--port", "{port}"], place) as served:
        account = served.ask("PUT", f"/v1/accounts/{USER}", json={"data": {"password": PASSWORD}})
        assert account.is_success, account.text
        store = Store(served, database)
        store.ask("PUT")
        store.ask("PUT", f"/collections/{COLLECTION}")
        yield store
