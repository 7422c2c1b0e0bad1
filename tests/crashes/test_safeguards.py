"""Each safeguard, taken out: what shows it must go wrong, and must not while it is there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crashes.cases import Stage, stage
from tests.crashes.safeguards import SHOWN
from tests.crashes.switches import SWITCHES


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("safeguards")) as found:
        yield found


@pytest.mark.parametrize("name", SHOWN)
def test_taking_a_safeguard_out_is_noticed(on: Stage, name: str) -> None:
    on.without = None
    assert list(SHOWN[name].problems(on)) == []
    on.without = name
    found = [problem for problem in SHOWN[name].problems(on) if not problem.startswith("MISSED")]
    assert found != []


def test_every_switch_is_shown() -> None:
    assert SHOWN.keys() == SWITCHES.keys()
