"""`takeback`, as a process of its own, without one of its safeguards: `python -m tests.several.bare SAFEGUARD ARGS`.

The switches are those of `tests.crashes`, and one that shows only where several guards claim the same. A guard without
`neighbours` lacks no safeguard: it is as on a machine of its own, where nobody sees that another guard has died.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from takeback.cli.app import main
from takeback.ledger import store
from takeback.ledger.migrate import migrate
from takeback.processes import LocalProcesses
from tests.crashes.switches import put, take_out

from .kit import APART

_UNIQUE = ("uq_actions_tenant_key", "uq_actions_tenant_operation_generation")


def _unique_key() -> None:
    """The database takes a key twice."""

    async def and_drop(engine: AsyncEngine) -> Any:
        await migrate(engine)
        async with engine.begin() as connection:
            for name in _UNIQUE:
                await connection.execute(text(f"ALTER TABLE actions DROP CONSTRAINT IF EXISTS {name}"))

    put(store, "migrate", and_drop)


def _neighbours() -> None:
    """Nobody is provably dead."""

    def is_gone(self: LocalProcesses, name: str) -> bool:
        return False

    put(LocalProcesses, "is_gone", is_gone)


def without(names: str) -> None:
    """Let this process live without something, or without several things (`neighbours + lease`)."""
    own = {"unique key": _unique_key, APART: _neighbours}
    for name in names.split(" + "):
        own.get(name, partial(take_out, name))()


if __name__ == "__main__":
    without(sys.argv.pop(1))
    main()
