"""What was done to which configuration, kept in the state folder, so that it can be taken back to the letter."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from takeback.clients.files import Trouble, keep
from takeback.core.clients.change import Wrapping


class Record(BaseModel):
    """What is known of one configuration.

    `wrote` is the digest of the file as we left it; `before` that of what it would be without us, of which there is a
    copy.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path
    wrote: str
    before: str
    wrappings: tuple[Wrapping, ...]


class Records:
    """The records and copies in a folder. They may hold secrets, as configurations do, and are the owner's alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(self, path: Path) -> Record | None:
        """The record of a configuration, if there is one.

        Raises:
            Trouble: there is one that cannot be read.
        """
        place = self._place(path)
        try:
            return Record.model_validate_json(place.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Trouble(f"cannot read {place}: {error.strerror}") from None
        except ValidationError:
            raise Trouble(f"{place} is damaged; move it away, and name the servers to uninstall") from None

    def all(self) -> list[Record]:
        """Every record that can be read."""
        found = []
        for place in sorted(self.folder.glob("*.json")):
            with suppress(OSError, ValidationError):
                found.append(Record.model_validate_json(place.read_bytes()))
        return found

    def save(self, record: Record) -> None:
        """Keep a record. Raises Trouble."""
        keep(self._place(record.path), record.model_dump_json(indent=1).encode())

    def forget(self, record: Record, *, restored: bool = False) -> None:
        """Without the record. The copy stays, unless the file itself is `restored` and nobody else needs it."""
        self._place(record.path).unlink(missing_ok=True)
        if restored and all(other.before != record.before for other in self.all()):
            self.copy_of(record.before).unlink(missing_ok=True)

    def copy(self, content: bytes) -> str:
        """Keep a copy and return its digest. Raises Trouble."""
        name = digest(content)
        if self.content(name) is None:  # not there, or damaged
            keep(self.copy_of(name), content)
        return name

    def copy_of(self, name: str) -> Path:
        """Where the copy of this digest lies."""
        return self.folder / "copies" / f"{name}.json"

    def content(self, name: str) -> bytes | None:
        """The copy of this digest, if it is there and whole."""
        try:
            content = self.copy_of(name).read_bytes()
        except OSError:
            return None
        return content if digest(content) == name else None

    def _place(self, path: Path) -> Path:
        return self.folder / f"{digest(str(path).encode('utf-8', 'surrogateescape'))[:24]}.json"


def digest(content: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
