"""Putting servers of a client's configuration behind the guard, and taking them out again: one file at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from dataclasses import replace as replaced
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from takeback.clients.files import Changed, Snapshot, Trouble, replace, snapshot
from takeback.clients.records import Record, Records, digest
from takeback.core.clients.change import Change, Wanted, Wrapping, installed, uninstalled
from takeback.core.clients.guarded import Launcher
from takeback.core.jsontext import MalformedJSON

_TRIES: Final = 5
"""Times that a file is read anew because somebody else changes it meanwhile."""

_PATIENCE: Final = 30.0
"""Seconds to wait for another install or uninstall."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of one file. `before` and `after` are its text; `copy` is where the old text is kept, if it changed."""

    path: Path
    before: str
    change: Change
    copy: Path | None = None

    @property
    def after(self) -> str:
        """The new text."""
        return self.change.text


class Installation:
    """Everything that was installed by this user; `folder` holds what is known about it."""

    def __init__(self, folder: Path, launcher: Launcher) -> None:
        self.records = Records(folder)
        self._launcher = launcher

    def install(self, path: Path, wanted: Wanted, *, dry: bool) -> Done:
        """Put the servers that are wanted behind the guard. `dry`: only say what would come of it.

        Raises:
            FileNotFoundError: there is no such file.
            Trouble: the file is no configuration, or cannot be changed; it was not.
        """
        return self._settled(path, lambda old: self._install(old, wanted, dry=dry), dry=dry)

    def uninstall(self, path: Path, wanted: Wanted, *, named: bool, dry: bool) -> Done:
        """Take the servers that are wanted out of the guard again; `named` ones also where no record knows them.

        Raises:
            As `install`.
        """
        return self._settled(path, lambda old: self._uninstall(old, wanted, named=named, dry=dry), dry=dry)

    def _settled(self, path: Path, attempt: Callable[[Snapshot], Done], *, dry: bool) -> Done:
        """One attempt after the other, each on what the file holds then, until nobody comes between."""
        if dry:
            return attempt(snapshot(path))
        with self._alone():
            for _ in range(_TRIES):
                with suppress(Changed):
                    return attempt(snapshot(path))
        raise Trouble(f"{path} was changed by somebody else each of {_TRIES} times; close the client and try again")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While nobody else installs or uninstalls."""
        lock = FileLock(self.records.folder / ".lock")
        try:
            self.records.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock.acquire(timeout=_PATIENCE)
        except Timeout:
            raise Trouble(f"another install has held {lock.lock_file} for {_PATIENCE:.0f} s") from None
        except OSError as error:
            raise Trouble(f"cannot write {lock.lock_file}: {error.strerror}") from None
        try:
            yield
        finally:
            lock.release()

    # --- install -----------------------------------------------------------------------------------------------------

    def _install(self, old: Snapshot, wanted: Wanted, *, dry: bool) -> Done:
        change = _read(old, lambda text: installed(text, wanted, self._launcher))
        if dry or not change.wrappings:
            return Done(old.path, old.text, change)
        known = self.records.of(old.path)
        new = {wrapping.place for wrapping in change.wrappings}
        kept = tuple(wrapping for wrapping in known.wrappings if wrapping.place not in new) if known else ()
        record = Record(
            path=old.path,
            wrote=digest(change.text.encode()),
            before=self.records.copy(self._without_us(old, known)),
            wrappings=(*kept, *change.wrappings),
        )
        copy = self.records.copy(old.content)
        self._write(old, change.text.encode(), known, record)
        return Done(old.path, old.text, change, self.records.copy_of(copy))

    def _without_us(self, old: Snapshot, known: Record | None) -> bytes:
        """What the file would be now if nothing had ever been installed in it."""
        if known is None:
            return old.content
        content = self.records.content(known.before) if known.wrote == digest(old.content) else None
        return content if content is not None else _without(old.text, known.wrappings)

    def _write(self, old: Snapshot, content: bytes, known: Record | None, record: Record) -> None:
        """The record first: one that knows too much is harmless, one that knows too little loses the way back."""
        self.records.save(record)
        try:
            replace(old, content)
        except (Trouble, Changed):
            self._as_before(record, known)
            raise

    def _as_before(self, record: Record, known: Record | None) -> None:
        if known is None:
            self.records.forget(record)
        else:
            self.records.save(known)

    # --- uninstall ---------------------------------------------------------------------------------------------------

    def _uninstall(self, old: Snapshot, wanted: Wanted, *, named: bool, dry: bool) -> Done:
        known = self.records.of(old.path)
        ours = known.wrappings if known else ()
        change = _read(old, lambda text: uninstalled(text, ours, wanted, named=named))
        staying = tuple(wrapping for wrapping in ours if not wanted(wrapping.place[-1]))
        untouched = known is not None and known.wrote == digest(old.content)
        content = change.text.encode()
        if known is not None and untouched and not staying:
            content = self.records.content(known.before) or content
        copy = None
        if not dry and content != old.content:
            copy = None if untouched else self.records.copy(old.content)
            replace(old, content)
        if not dry and known is not None:
            self._remember(known, content, staying, untouched=untouched)
        kept = self.records.copy_of(copy) if copy else None
        return Done(old.path, old.text, replaced(change, text=content.decode()), kept)

    def _remember(self, known: Record, content: bytes, staying: tuple[Wrapping, ...], *, untouched: bool) -> None:
        """After the file: a record that knows too much is harmless."""
        if not staying:
            self.records.forget(known, restored=digest(content) == known.before)
            return
        before = known.before if untouched else self.records.copy(_without(content.decode(), staying))
        self.records.save(Record(path=known.path, wrote=digest(content), before=before, wrappings=staying))


def _read(old: Snapshot, make: Callable[[str], Change]) -> Change:
    try:
        return make(old.text)
    except MalformedJSON as error:
        raise Trouble(f"{old.path} cannot be understood: {error}") from None


def _without(text: str, wrappings: Iterable[Wrapping]) -> bytes:
    """The file without what is ours in it."""
    return uninstalled(text, wrappings, lambda _: True, named=False).text.encode()
