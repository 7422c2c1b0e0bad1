"""The fault matrix, cell by cell: what must hold in all of them, and what is expected of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from takeback.faults import Fault, FaultyLines
from tests.matrix.expected import EXPECTED, STALL, Cell, limit_of
from tests.matrix.oracle import wrong
from tests.matrix.playing import CELLS, Worlds, played, worlds
from tests.matrix.policies import KINDS, RULES, Kind, Rule
from tests.matrix.stalling import stalled
from tests.matrix.tell import PAGE, page

DEATH = "the upstream commits, and dies before it answers"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    with worlds(tmp_path_factory.mktemp("worlds")) as found:
        yield found


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.row != DEATH], ids="-".join)
async def test_cell(shared: Worlds, cell: Cell) -> None:
    account = await played(cell, shared)
    assert bool(list(wrong(account))) is bool(limit_of(cell)), list(wrong(account))
    assert account.summary == EXPECTED[cell], account


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_reply_that_is_lost_with_its_upstream(shared: Worlds, kind: Kind, rule: Rule) -> None:
    """It commits, then dies before it answers, and is started again; the agent calls again with the same arguments."""
    account = await played(Cell(DEATH, kind, rule), shared)
    assert not list(wrong(account)), account
    assert account.effects == (1, 1, 1)
    assert account.summary == EXPECTED[Cell(DEATH, kind, rule)], account


@pytest.mark.parametrize("kind", KINDS)
async def test_a_guard_that_stalls_just_before_it_sends(shared: Worlds, kind: Kind) -> None:
    """Stopped by the system beyond its lease, while another guard takes over; then it goes on. All rules at once."""
    record, folder = shared.fresh()
    for rule, account in (await stalled(shared.world(kind, folder), record, folder)).items():
        cell = Cell(STALL, kind, rule)
        assert bool(list(wrong(account))) is bool(limit_of(cell)), list(wrong(account))
        assert account.summary == EXPECTED[cell], account
        assert account.stalled is not None
        assert account.stalled.word == "unknown"  # it cannot know any more, and does not say that it was done


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE_BEFORE, Fault.UNAVAILABLE_AFTER])
def test_there_is_no_status_on_stdio(tmp_path: Path, fault: Fault) -> None:
    with pytest.raises(ValueError, match="no status on stdio"):
        FaultyLines(tmp_path / "orders", ["true"]).order(fault, "set")


def test_every_cell_is_stated_and_no_other() -> None:
    assert set(EXPECTED) == {*CELLS, *(Cell(STALL, kind, rule) for kind in KINDS for rule in RULES)}


def test_the_published_table_is_what_the_tests_state() -> None:
    assert PAGE.read_text() == page(EXPECTED), "`make fault-matrix` writes it anew"
