"""How the ledger is read: on connections of their own, which never wait for a write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from takeback.core.action import Action
from takeback.ledger import rows
from takeback.ledger.health import Health
from takeback.ports import LedgerFailure, NotFound

T = TypeVar("T")


class Reader:
    """What reads have in common. Every failure of the database is a LedgerFailure, and the health is told of it."""

    def __init__(self, readers: AsyncEngine, health: Health) -> None:
        self._readers, self._health = readers, health

    async def _actions(self, statement: Select[Any]) -> list[Action]:
        return [rows.action_from(row) for row in await self._all(statement)]

    async def _one(self, statement: Select[Any], what: str) -> Mapping[Any, Any]:
        row = await self._one_or_none(statement)
        if row is None:
            raise NotFound(f"there is no {what}")
        return row

    async def _one_or_none(self, statement: Select[Any]) -> Mapping[Any, Any] | None:
        found = await self._all(statement)
        return found[0] if found else None

    async def _all(self, statement: Select[Any]) -> Sequence[Mapping[Any, Any]]:
        return await self._read(lambda connection: connection.execute(statement).mappings().all())

    async def _read(self, work: Callable[[Connection], T]) -> T:
        try:
            async with self._readers.connect() as connection:
                found = await connection.run_sync(work)
        except (SQLAlchemyError, OSError, ValueError) as error:  # the last for a document that was damaged
            self._health.failed(error)
            raise LedgerFailure(f"the ledger cannot be read: {type(error).__name__}") from error
        self._health.answered()
        return found
