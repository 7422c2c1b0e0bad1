"""Each server runs once for all tests of its module, with one guard before it; names tell the tests apart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.third_party.guarded import Guarded, guarded

from .kinto import Store, serving_kinto
from .prefect import Server, serving_prefect
from .radicale import Calendars, serving_radicale
from .roundup import Tracker, serving_roundup


@pytest.fixture(scope="module")
def calendars(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calendars]:
    with serving_radicale(tmp_path_factory.mktemp("radicale")) as calendars:
        yield calendars


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dav(calendars: Calendars, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    async with guarded("radicale", calendars.env, tmp_path_factory.mktemp("state")) as guard:
        yield guard


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    with serving_roundup(tmp_path_factory.mktemp("roundup")) as tracker:
        yield tracker


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tracker: Tracker, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    async with guarded("roundup", tracker.env, tmp_path_factory.mktemp("state")) as guard:
        yield guard


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    async with serving_kinto(tmp_path_factory.mktemp("kinto"), postgresql) as store:
        yield store


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kinto(store: Store, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    async with guarded("kinto", store.env, tmp_path_factory.mktemp("state")) as guard:
        yield guard


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving_prefect(tmp_path_factory.mktemp("prefect")) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def flows(server: Server, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    async with guarded("prefect", server.env, tmp_path_factory.mktemp("state")) as guard:
        yield guard
