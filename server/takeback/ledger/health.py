"""Whether the database can be reached: what came of the last time that it was asked for something."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from takeback.ledger.database import failing
from takeback.ledger.lane import AnyLane
from takeback.ports import LedgerFailure

T = TypeVar("T")


class Health:
    """What came of the last try, of whatever kind it was.

    A failure is forgotten after `forgets` seconds: where nobody asks for signs of life, somebody must try again.
    """

    def __init__(self, *, forgets: float | None) -> None:
        self._forgets = forgets
        self._failed_at: float | None = None

    @property
    def well(self) -> bool:
        """Whether the database is taken to answer."""
        if self._failed_at is None:
            return True
        return self._forgets is not None and monotonic() - self._failed_at > self._forgets

    def answered(self) -> None:
        """The database did what it was asked for."""
        self._failed_at = None

    def failed(self, error: BaseException) -> None:
        """Something failed; whether that was the database's fault is found out here."""
        if _is_its_fault(error):
            self._failed_at = monotonic()


class Minded:
    """A lane of which it is noted how it fares."""

    def __init__(self, lane: AnyLane, health: Health) -> None:
        self._lane, self._health = lane, health

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do the work in one transaction. Raises what the lane raises."""
        try:
            result = await self._lane.run(work)
        except Exception as error:
            self._health.failed(error)
            raise
        self._health.answered()
        return result

    async def close(self) -> None:
        """Close the lane. Never raises; bounded."""
        await self._lane.close()


def _is_its_fault(error: BaseException) -> bool:
    if isinstance(error, DBAPIError):
        return failing(error)
    # No connection to be had, or no answer; a refusal of what was asked for is a kind of failure of its own.
    return isinstance(error, SQLAlchemyError | OSError) or type(error) is LedgerFailure
