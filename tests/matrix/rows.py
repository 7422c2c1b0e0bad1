"""The rows: what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from takeback.faults import Fault
from tests.matrix import ledgers
from tests.matrix.policies import KINDS, Kind
from tests.matrix.stage import Stage

_HOURS: Final = timedelta(hours=5)
_HTTP: Final[tuple[Kind, ...]] = ("mcp", "api")


@dataclass(frozen=True, slots=True)
class Row:
    """A fault: how it is arranged, and where it can happen. `direct`: nothing stands between guard and upstream."""

    name: str
    arrange: Callable[[Stage], Awaitable[None]]
    kinds: tuple[Kind, ...] = KINDS
    timeout: str = "10s"
    ledger: ledgers.Kind = "file"
    direct: bool = False


def on_the_wire(fault: Fault) -> Callable[[Stage], Awaitable[None]]:
    async def arrange(stage: Stage) -> None:
        stage.world.order(fault, stage.rule, stage.record)
        stage.late = fault is Fault.LATE

    return arrange


def clock_set(by: timedelta, fault: Fault | None) -> Callable[[Stage], Awaitable[None]]:
    """The clock is set between the claim and the outcome."""

    async def jump(stage: Stage) -> None:
        stage.clock.jump(by)

    async def arrange(stage: Stage) -> None:
        if fault is not None:
            stage.world.order(fault, stage.rule, stage.record)
        stage.client.after = lambda: jump(stage)

    return arrange


async def blinded(stage: Stage) -> None:
    """The guard looks what became of its call, and the look fails once."""
    stage.world.order(Fault.CUT_AFTER, stage.rule, stage.record)
    looks = {"set": "get", "note": "entries"}

    async def blind() -> None:
        if stage.rule in looks:
            stage.world.order(Fault.CUT_AFTER, looks[stage.rule], stage.record)

    stage.client.after = blind


async def dies(stage: Stage) -> None:
    """The upstream itself, and somebody starts it again."""
    stage.world.die_with_the_next_write()


async def database_lost_before(stage: Stage) -> None:
    """Before the claim."""
    stage.place.lose()
    stage.undo_it.append(stage.place.give_back)


async def database_lost_after(stage: Stage) -> None:
    """After the effect, before the outcome."""

    async def lose() -> None:
        await asyncio.to_thread(stage.place.lose)

    stage.client.after = lose
    stage.undo_it.append(stage.place.give_back)


QUICK: Final = "400ms"
"""For writes that are to time out. Real time: it is the connector that measures it."""

ROWS: Final = (
    Row("the reply is lost, the line stays open", on_the_wire(Fault.REPLY_LOST), timeout=QUICK),
    Row("the request lands after the time-out", on_the_wire(Fault.LATE), timeout=QUICK),
    Row("the request is delivered twice", on_the_wire(Fault.DELIVERED_TWICE)),
    Row("the reply comes twice", on_the_wire(Fault.ANSWERED_TWICE)),
    Row("an error before the effect", on_the_wire(Fault.ERROR_BEFORE)),
    Row("an error after the effect", on_the_wire(Fault.ERROR_AFTER)),
    Row("garbage instead of the reply", on_the_wire(Fault.GARBAGE), timeout=QUICK),
    Row("half of the reply", on_the_wire(Fault.TRUNCATED)),
    Row("503 before the effect", on_the_wire(Fault.UNAVAILABLE_BEFORE), _HTTP),
    Row("503 after the effect", on_the_wire(Fault.UNAVAILABLE_AFTER), _HTTP),
    Row("the connection is reset before the effect", on_the_wire(Fault.CUT_BEFORE)),
    Row("the connection is reset after the effect", on_the_wire(Fault.CUT_AFTER)),
    Row("the reply is lost, and that of the first look, too", blinded),
    Row("the upstream commits, and dies before it answers", dies, direct=True),
    Row("the clock goes ahead by hours", clock_set(_HOURS, None)),
    Row("the clock goes back by hours", clock_set(-_HOURS, None)),
    Row("the clock goes ahead by hours, and the reply is lost", clock_set(_HOURS, Fault.CUT_AFTER)),
    Row("the clock goes back by hours, and the reply is lost", clock_set(-_HOURS, Fault.CUT_AFTER)),
    Row("the clock goes ahead by hours, and the request is lost", clock_set(_HOURS, Fault.CUT_BEFORE)),
    Row("the clock goes back by hours, and the request is lost", clock_set(-_HOURS, Fault.CUT_BEFORE)),
    Row("the ledger's disk is full before the claim", database_lost_before, ("api",), ledger="small disk"),
    Row("the ledger's disk is full after the effect", database_lost_after, ledger="small disk"),
    Row("the ledger (SQLite) is locked by others before the claim", database_lost_before, ("api",), ledger="locked"),
    Row("the ledger (SQLite) is locked by others after the effect", database_lost_after, ledger="locked"),
    Row("the ledger (PostgreSQL) is stopped before the claim", database_lost_before, ("api",), ledger="postgresql"),
    Row("the ledger (PostgreSQL) is stopped after the effect", database_lost_after, ("api",), ledger="postgresql"),
)
