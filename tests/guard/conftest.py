"""The desk and its guard, on a ledger of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from takeback.testing import GuardForTests, guarded
from tests.guard.world import POLICY, Desk


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def guard(desk: Desk, tmp_path: Path) -> AsyncIterator[GuardForTests]:
    async with guarded(POLICY, [desk.tools], tmp_path) as found:
        yield found
