"""Reading and replacing a file that belongs to somebody else: whole or not at all, and only as it was read."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a configuration that are read."""


class Trouble(Exception):
    """A file cannot be read or changed; the message says which and why. It was not changed."""


class Changed(Exception):
    """Somebody else changed the file after it was read. It was not changed by us."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A file as it was read. `path` is the file itself, behind all links; `mode` its rights."""

    path: Path
    content: bytes
    mode: int

    @property
    def text(self) -> str:
        """Its text, with its byte order mark and its line endings.

        Raises:
            Trouble: it is not UTF-8.
        """
        try:
            return self.content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Trouble(f"{self.path} is not UTF-8 (byte {error.start})") from None


def real(path: Path) -> Path:
    """The file behind all links."""
    return Path(os.path.realpath(path))


def snapshot(path: Path) -> Snapshot:
    """Read a file.

    Raises:
        FileNotFoundError: there is none.
        Trouble: it cannot be read, or it is not a plain file.
    """
    behind = real(path)
    try:
        found = behind.stat()
        if not stat.S_ISREG(found.st_mode):
            raise Trouble(f"{path} is not a file")
        if found.st_size > LARGEST:
            raise Trouble(f"{path} has {found.st_size} bytes, more than any configuration")
        return Snapshot(behind, behind.read_bytes(), stat.S_IMODE(found.st_mode))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Trouble(f"cannot read {path}: {error.strerror}") from None


def replace(old: Snapshot, content: bytes) -> None:
    """Put new content in the place of a file, at once or not at all, with the rights that it had.

    Between the last look and the replacement lies an instant in which somebody else's change would be lost; a change
    in all the time before is seen.

    Raises:
        Changed: it is no longer as it was read.
        Trouble: it cannot be written.
    """
    if not old.mode & 0o222 or not os.access(old.path, os.W_OK):
        raise Trouble(f"{old.path} is read-only")
    begun = old.path.with_name(f".{old.path.name}.takeback-{os.getpid()}")
    try:
        if old.path.stat().st_nlink > 1:
            raise Trouble(f"{old.path} has another name (a hard link), which would keep the old content")
        _write(begun, content, old.mode)
        if old.path.read_bytes() != old.content:
            raise Changed(f"{old.path} was changed by somebody else meanwhile")
        begun.replace(old.path)
        _sync(old.path.parent)
    except FileNotFoundError:
        raise Changed(f"{old.path} is no longer there") from None
    except OSError as error:
        raise Trouble(f"cannot write {old.path}: {error.strerror}") from None
    finally:
        with suppress(OSError):
            begun.unlink(missing_ok=True)


def keep(path: Path, content: bytes) -> None:
    """Write a file of our own, whole or not at all, for nobody but its owner.

    Raises:
        Trouble: it cannot be written.
    """
    begun = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(begun, content, 0o600)
        begun.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise Trouble(f"cannot write {path}: {error.strerror}") from None
    finally:
        with suppress(OSError):
            begun.unlink(missing_ok=True)


def _write(path: Path, content: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)  # left by a process of the same number that died
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(mode)


def _sync(folder: Path) -> None:
    """Make a new name durable, where the system lets a folder be opened."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
