"""Remove created: takes away a file or a directory that an action made, where no tool of its server deletes.

It acts only below the directory that the policy names as `root`, never goes through a symbolic link, and removes
only what still is as the action left it: a file by its content, a directory while it is empty.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from takeback.core.images import WHOLE
from takeback.core.jsontext import JSON
from takeback.core.undo import Step
from takeback.ports import Impossible, Material, Remedy
from takeback_compensations.answers import Refused, answer

_BLOCK: Final = 1 << 20


class RemoveCreated:
    """`{ tool = "python.remove_created", compensation = "remove_created", args = { path = ..., root = ... } }`."""

    name = "remove_created"

    def plan(self, material: Material) -> Remedy:
        """One removal, with what the action left there, so that nothing else is removed."""
        if material.standoff.conflicts:
            raise Impossible("it was changed by others since it was created")
        made = [d for d in material.standoff.restore if d.field.endswith(WHOLE) and d.before is None]
        if len(made) != 1 or len(material.steps) != 1:
            raise Impossible("nothing shows that this action created it")
        step = material.steps[0]
        left = _left(made[0].after)
        return Remedy((Step(step.tool, {**step.arguments, "left": left}),), {made[0].field: None})

    async def carry_out(self, step: Step) -> Mapping[str, Any]:
        """Remove it, or say why not; then nothing was changed."""
        return await answer(asyncio.to_thread(remove, step.arguments))


def _left(image: JSON) -> dict[str, JSON]:
    """What the after-image says is there, without the content itself: arguments are kept in the ledger."""
    if isinstance(image, Mapping) and image.get("kind") == "directory":
        return {"kind": "directory"}
    content = image.get("content") if isinstance(image, Mapping) else None
    if not isinstance(content, str):
        raise Impossible("its image does not say what it is")
    data = content.encode("utf-8", "surrogatepass")
    return {"kind": "file", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def remove(arguments: Mapping[str, JSON]) -> str:
    """Remove what `path` names below `root`, if it still is what `left` says.

    Raises:
        Refused: it is not, or it cannot be reached without leaving `root`.
    """
    path, left = str(arguments.get("path")), arguments.get("left")
    if not isinstance(left, Mapping):
        raise Refused("what the action left is not known")
    with _parent(str(arguments.get("root") or ""), path) as (folder, name):
        try:
            _remove_in(folder, name, left)
        except OSError as error:
            raise Refused(f"{path}: {error.strerror}") from None
    return f"removed {path}"


def _remove_in(folder: int, name: str, left: Mapping[str, JSON]) -> None:
    if left.get("kind") == "directory":
        os.rmdir(name, dir_fd=folder)  # which the system refuses unless it is empty, and for a symbolic link
        return
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    with os.fdopen(handle, "rb") as file:
        seen = os.fstat(handle)
        if not stat.S_ISREG(seen.st_mode) or seen.st_size != left.get("size") or _digest(file) != left.get("sha256"):
            raise Refused(f"{name} is not as the action left it")
        now = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if (now.st_dev, now.st_ino, now.st_mtime_ns) != (seen.st_dev, seen.st_ino, seen.st_mtime_ns):
            raise Refused(f"{name} is being changed")
        os.unlink(name, dir_fd=folder)


def _digest(file: Any) -> str:
    found = hashlib.sha256()
    while block := file.read(_BLOCK):
        found.update(block)
    return found.hexdigest()


@contextmanager
def _parent(root: str, path: str) -> Iterator[tuple[int, str]]:
    """The open directory that holds `path`, reached from `root` step by step, and the last name."""
    if os.open not in os.supports_dir_fd:
        raise Refused("this system cannot open a path without following symbolic links")
    base = directory(root)
    *between, name = _below(base, root, path)
    opened: list[int] = []
    try:
        opened.append(os.open(base, os.O_RDONLY | os.O_DIRECTORY))
        for part in between:
            opened.append(os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=opened[-1]))
        yield opened[-1], name
    except OSError as error:
        raise Refused(f"{path} cannot be reached without following a link: {error.strerror}") from None
    finally:
        for handle in opened:
            os.close(handle)


def directory(root: str) -> Path:
    """The directory that a policy names, with `$NAME` from the environment and without symbolic links.

    Raises:
        Refused: there is no such directory.
    """
    named = os.path.expandvars(root)
    if not named or "$" in named or not Path(named).is_dir():
        raise Refused(f"the policy's root {root!r} is not a directory")
    return Path(named).resolve()


def _below(base: Path, root: str, path: str) -> tuple[str, ...]:
    """The names that lead from the root to `path`, which may be written by either spelling of the root.

    By their spelling only: what they lead to is looked at when they are opened, one by one.
    """
    wanted = Path(os.path.normpath(base / path))
    for spelling in (base, Path(os.path.normpath(Path(os.path.expandvars(root)).absolute()))):
        if wanted != spelling and wanted.is_relative_to(spelling):
            return wanted.relative_to(spelling).parts
    raise Refused(f"{path} is outside {base}")
