"""Drafting a policy for a server that has none."""

from __future__ import annotations

import asyncio
from pathlib import Path

from takeback.bootstrap import StartFailure, client_of
from takeback.core.policy.draft import draft
from takeback.core.policy.schema import Upstream
from takeback.ports import ToolFailure


async def draft_for(path: Path, name: str, command: list[str]) -> int:
    """Ask the server for its tools, write a cautious policy to `path` (mode 0600), and return the number of tools.

    Raises:
        StartFailure: the server does not start, or the file cannot be written.
    """
    client = client_of(name, Upstream(command=command[0], args=tuple(command[1:])))
    try:
        await client.start()
        tools = [dict(definition.raw) for definition in await client.tools()]
    except ToolFailure as error:
        raise StartFailure(f"{name} did not start: {error}") from None
    finally:
        await client.close()
    await asyncio.to_thread(_keep, path, draft(name, command, tools))
    return len(tools)


def _keep(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StartFailure(f"cannot write {path}: {error.strerror}") from None
