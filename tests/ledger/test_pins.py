"""Pins on both databases: what makes one, what does not, and that the first of several guards is the only first."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from takeback.core.pins.judge import Pin, PinState
from takeback.ledger import SqlLedger
from takeback.ports import NotFound

from .conftest import Open
from .stories import NOW, sha


def pin(what: str, state: PinState = PinState.OFFERED, **fields: object) -> Pin:
    """A definition; a pinned one is that of a first use."""
    given = Pin(
        scope=sha("policy"), upstream="desk", tool="set", digest=sha(what), definition={"description": what},
        state=state, seen_at=NOW, first_use=state is PinState.PINNED,
    )  # fmt: skip
    return replace(given, **fields)  # type: ignore[arg-type]


async def states(ledger: SqlLedger) -> dict[str, str]:
    return {found.definition["description"]: found.state.value for found in await ledger.pins(sha("policy"))}


async def test_what_is_kept_comes_back(ledger: SqlLedger) -> None:
    first = pin("a", PinState.PINNED, definition={"description": "a\x00", "n": 2**70})
    await ledger.keep([first, pin("b")])
    assert await ledger.pins(sha("policy")) == sorted([first, pin("b")], key=lambda found: found.digest)
    assert await ledger.pins(sha("another policy")) == []


async def test_the_first_sight_pins_once(ledger: SqlLedger) -> None:
    await ledger.keep([pin("a", PinState.PINNED)])
    await ledger.keep([pin("b", PinState.PINNED)])
    await ledger.keep([pin("a", PinState.OFFERED)])
    assert await states(ledger) == {"a": "pinned"}


async def test_of_guards_that_see_a_tool_together_one_is_first(opened: Open) -> None:
    ledgers = [await opened() for _ in range(4)]
    await asyncio.gather(*(ledger.keep([pin(str(n), PinState.PINNED)]) for n, ledger in enumerate(ledgers)))
    assert list((await states(ledgers[0])).values()) == ["pinned"]


async def test_an_acceptance_replaces_or_stands_beside(ledger: SqlLedger) -> None:
    await ledger.keep([pin("a", PinState.PINNED), pin("b"), pin("c")])
    await ledger.accept(pin("b"), beside=True, by="anna", at=NOW)
    assert await states(ledger) == {"a": "pinned", "b": "pinned", "c": "offered"}
    await ledger.accept(pin("c"), beside=False, by="anna", at=NOW)
    assert await states(ledger) == {"a": "retired", "b": "retired", "c": "pinned"}
    (accepted,) = [found for found in await ledger.pins(sha("policy")) if found.digest == sha("c")]
    assert (accepted.decided_by, accepted.decided_at, accepted.first_use) == ("anna", NOW, False)


async def test_another_tool_is_not_touched(ledger: SqlLedger) -> None:
    other = pin("a", PinState.PINNED, tool="get")
    await ledger.keep([pin("a", PinState.PINNED), pin("b"), other])
    await ledger.accept(pin("b"), beside=False, by="anna", at=NOW)
    assert other in await ledger.pins(sha("policy"))


async def test_what_was_never_seen_cannot_be_accepted(ledger: SqlLedger) -> None:
    await ledger.keep([pin("a", PinState.PINNED)])
    with pytest.raises(NotFound, match=r"desk\.set"):
        await ledger.accept(pin("b"), beside=False, by="anna", at=NOW)
    assert await states(ledger) == {"a": "pinned"}


async def test_only_so_many_offers_are_kept_and_the_first_use_is_never_forgotten(ledger: SqlLedger) -> None:
    await ledger.keep([pin("first", PinState.PINNED), pin("second")])
    await ledger.accept(pin("second"), beside=False, by="anna", at=NOW)
    for number in range(20):
        await ledger.keep([pin(str(number), seen_at=NOW + timedelta(seconds=number))])
    assert await states(ledger) == {"first": "retired", "second": "pinned"} | {
        str(number): "offered" for number in range(12, 20)
    }
