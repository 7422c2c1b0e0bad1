"""Drafting a policy for a server that has none."""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from takeback.bootstrap import StartFailure, client_of, reason
from takeback.cli.output import Exit, fail
from takeback.cli.wrapped import shown
from takeback.core.inventory.drafting import inventory
from takeback.core.inventory.tables import policy_text
from takeback.core.policy.schema import Defaults, Upstream
from takeback.core.policy.source import Table, upstream_of
from takeback.ports import ToolFailure

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")


def check_name(name: str) -> None:
    """End with exit code 2 unless policies accept the name of an upstream (and a file can be called so)."""
    if _NAME.fullmatch(name) is None:
        fail(
            f"--name {name!r} is no name for an upstream: a letter, then letters, digits, _ and -, at most 32. "
            "Nothing was started or written.",
            Exit.USAGE,
        )


async def draft_for(path: Path, name: str, table: Table) -> int:
    """Ask the server for its tools, write a cautious policy to `path` (mode 0600), and return the number of tools.

    Raises:
        StartFailure: the server does not start, or the file cannot be written.
    """
    tools = inventory(name, await offered(name, upstream_of(table, os.environ), Defaults().tenant))
    await asyncio.to_thread(_keep, path, policy_text({name: table}, {name: tools}))
    return len(tools)


async def offered(name: str, upstream: Upstream, tenant: str) -> list[dict[str, Any]]:
    """The definitions of an upstream's tools, as it sends them to this tenant.

    Raises:
        StartFailure: it does not start, or does not say.
    """
    client = client_of(name, upstream, tenant)
    try:
        await client.start()
        return [dict(definition.raw) for definition in await client.tools()]
    except ToolFailure as error:
        raise StartFailure(f"{name} ({shown(upstream)}) did not start: {reason(name, error)}") from None
    finally:
        await client.close()


def _keep(path: Path, text: str) -> None:
    """Write the file at once or not at all: a draft that was cut short would be used from then on.

    A file that somebody else put there meanwhile stays: it may be in use already.
    """
    begun = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        begun.touch(mode=0o600, exist_ok=False)
        begun.write_text(text, encoding="utf-8")
        with suppress(FileExistsError):
            path.hardlink_to(begun)
    except OSError as error:
        raise StartFailure(f"cannot write {path}: {error.strerror}") from None
    finally:
        with suppress(OSError):
            begun.unlink(missing_ok=True)
