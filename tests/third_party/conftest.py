"""The servers from npm are installed before the first test that needs one; nothing is skipped when they cannot be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from .environments import programs
from .guarded import Guarded, guarded
from .servers import Cut, excel_env, files_env, git_env, install, memory_env, sqlite_env
from .world import Graph, Repo, Tasks, Tree, Workbook


@pytest.fixture(scope="session")
def npm_servers() -> None:
    install()


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Cut:
    """Loses a reply of the server behind the guard when told to."""
    return Cut(tmp_path_factory.mktemp("relay"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the file server may touch; each test has a tree of its own in it."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture
def tree(root: Path, request: pytest.FixtureRequest) -> Tree:
    return Tree.seeded(root / request.node.name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def files(
    npm_servers: None, root: Path, cut: Cut, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Guarded]:
    """One guard for a whole module: paths tell its tests apart."""
    async with guarded("filesystem", files_env(root, cut), tmp_path_factory.mktemp("state")) as guard:
        yield guard


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return Graph.seeded(tmp_path / "memory.jsonl")


@pytest.fixture
async def memory(npm_servers: None, graph: Graph, cut: Cut, tmp_path: Path) -> AsyncIterator[Guarded]:
    async with guarded("memory", memory_env(graph.file, cut), tmp_path) as guard:
        yield guard


@pytest.fixture(scope="module")
def outer(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """The repository that the git server may touch; each test has one of its own in it."""
    return Repo.seeded(tmp_path_factory.mktemp("outer") / "repository")


@pytest.fixture
def repo(outer: Repo, request: pytest.FixtureRequest) -> Repo:
    return Repo.seeded(outer.root / request.node.name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def git(outer: Repo, cut: Cut, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    """One guard for a whole module: repositories tell its tests apart."""
    async with guarded("git", git_env(outer.root, cut), tmp_path_factory.mktemp("state")) as guard:
        yield guard


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database that the SQLite server may touch; each test has rows of its own in it."""
    return tmp_path_factory.mktemp("database") / "tasks.db"


@pytest.fixture
def tasks(database: Path) -> Tasks:
    return Tasks.seeded(database)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sqlite(database: Path, cut: Cut, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    """One guard for a whole module: ids tell its tests apart."""
    async with guarded("sqlite", sqlite_env(database, cut), tmp_path_factory.mktemp("state")) as guard:
        yield guard


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the spreadsheet server may touch; each test has a workbook of its own in it."""
    return tmp_path_factory.mktemp("office")


@pytest.fixture
def book(office: Path, request: pytest.FixtureRequest) -> Workbook:
    return Workbook.seeded(office / f"{request.node.name}.xlsx", programs("excel") / "python")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def excel(office: Path, cut: Cut, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    """One guard for a whole module: workbooks tell its tests apart."""
    async with guarded("excel", excel_env(office, cut), tmp_path_factory.mktemp("state")) as guard:
        yield guard
