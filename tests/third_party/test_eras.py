"""In which era of the protocol each server is met: a relay before the server notes what really travels.

Our client speaks the stateless era where it may, and the guard then meets a server in it that can, too. All other tests
of these servers run that way.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .guarded import Mode, guarded
from .servers import Cut, excel_env, files_env, git_env, memory_env, sqlite_env
from .world import Graph, Repo, Tasks, Tree

STATELESS = "2026-07-28"


@pytest.mark.parametrize(
    ("example", "mode", "era"),
    [
        ("filesystem", "auto", "handshake"),
        ("memory", "auto", "handshake"),
        ("sqlite", "auto", "handshake"),
        ("git", "auto", STATELESS),
        ("git", "legacy", "handshake"),
        ("excel", "auto", STATELESS),
        ("excel", "legacy", "handshake"),
    ],
)
async def test_a_server_is_met_in_its_client_s_era_if_it_speaks_it(
    npm_servers: None, tmp_path: Path, example: str, mode: Mode, era: str
) -> None:
    cut = Cut(tmp_path)
    match example:
        case "filesystem":
            tree = Tree.seeded(tmp_path / "root")
            env, call = files_env(tree.root, cut), ("list_directory", {"path": str(tree.root)})
        case "memory":
            env, call = memory_env(Graph.seeded(tmp_path / "memory.jsonl").file, cut), ("read_graph", {})
        case "sqlite":
            env, call = sqlite_env(Tasks.seeded(tmp_path / "tasks.db").file, cut), ("list_tables", {})
        case "git":
            repo = Repo.seeded(tmp_path / "repository")
            env, call = git_env(repo.root, cut), ("git_status", {"repo_path": str(repo.root)})
        case _:
            env, call = excel_env(tmp_path, cut), ("list_workbooks", {"directory": str(tmp_path)})
    async with guarded(example, env, tmp_path, mode) as guard:
        await guard.call(call[0], **call[1])
    assert cut.eras == {era}
