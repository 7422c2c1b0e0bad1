"""The boundaries of the ledger on PostgreSQL, where commits, leases and look-ups are other code than on SQLite."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from tests.crashes.cases import Case, Stage, stage
from tests.crashes.tally import Tally, report
from tests.crashes.workloads import MAY_BE_QUEUED
from tests.ledger.raw import make_tables


@pytest.fixture(scope="module")
def on(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    numbers = itertools.count(1)

    async def make(name: str) -> str:
        connection = await asyncpg.connect(host=postgresql, user="postgres", database="postgres", timeout=10)
        try:
            await connection.execute(f"CREATE ROLE {name} LOGIN; CREATE SCHEMA {name} AUTHORIZATION {name}")
        finally:
            await connection.close()
        url = f"postgresql+asyncpg://{name}@/postgres?host={postgresql}"
        await make_tables(url)
        return url

    def fresh(cold: bool) -> str:
        return asyncio.run(make(f"crashes_{next(numbers)}"))

    folder: Path = tmp_path_factory.mktemp("crashes")
    with stage(folder, fresh) as found:
        yield found


@pytest.mark.parametrize("kind", ["set", "charge", "approved"])
def test_a_guard_killed_at_a_boundary_of_the_ledger_leaves_nothing_that_nobody_knows_of(on: Stage, kind: str) -> None:
    case, tally = Case(workload=(kind,)), Tally()
    recording = on.recording(case)
    boundaries = [one for one in recording.boundaries if "/request " not in one and "/answer#" not in one]
    for target in boundaries:
        tally.add(on.play(replace(case, target=target)))
    assert not tally.wrong, "\n".join(report(result) for result in tally.wrong)
    assert tally.total.cases == len(boundaries) >= 8
    assert kind in MAY_BE_QUEUED or tally.total.queued == 0
