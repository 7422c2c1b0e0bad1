"""Undo in a modelled world: generated schedules, those that once went wrong, and whether the oracle would notice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.undo_world.broken import BROKEN, Break
from tests.undo_world.driving import drive, playing
from tests.undo_world.families import in_memory
from tests.undo_world.found import FOUND
from tests.undo_world.oracle import Wrong
from tests.undo_world.profiles import SHARES
from tests.undo_world.schedules import Profile, Schedule
from tests.undo_world.tally import Tally
from tests.undo_world.worlds import World

_EACH = 10
"""Schedules of each family in the ordinary run; `make undo-schedules` plays thousands."""


@pytest.fixture
def folder() -> Iterator[Path]:
    with in_memory() as path:
        yield path


@pytest.mark.parametrize(
    ("world", "profile"), [share[:2] for share in SHARES], ids=[f"{w.name}, {p.name}" for w, p, _ in SHARES]
)
def test_whatever_happens_undo_is_exact_or_says_why_not(world: World, profile: Profile, folder: Path) -> None:
    tally = Tally()
    drive(world, profile, folder, tally, number=_EACH, seed_=7)
    assert tally.schedules >= _EACH
    assert any(kind.startswith("undo") for kind in tally.counts)


@pytest.mark.parametrize(
    ("world", "schedule"),
    [pytest.param(*case, id=name) for name, case in FOUND.items()],
)
def test_what_once_went_wrong(world: World, schedule: Schedule, folder: Path) -> None:
    once(world, schedule, folder)


@pytest.mark.parametrize(
    ("breaks", "world", "schedule"), [(b, *c) for b, c in BROKEN.items()], ids=[b.__name__ for b in BROKEN]
)
def test_the_oracle_notices(
    breaks: Break, world: World, schedule: Schedule, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "sound").mkdir()
    once(world, schedule, folder / "sound")
    breaks(monkeypatch)
    with pytest.raises(Wrong):
        once(world, schedule, folder)


def once(world: World, schedule: Schedule, folder: Path) -> None:
    """Play one schedule."""
    with playing(world, folder, Tally()) as (runner, player):
        runner.run(player.play(schedule))
