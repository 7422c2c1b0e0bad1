"""What installing and uninstalling make of the text of one configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from takeback.core.clients.entries import Entry, Judged, Refusal, Remote, entries, judge
from takeback.core.clients.guarded import Guarded, Launcher
from takeback.core.clients.names import upstream_name
from takeback.core.clients.wrapping import Original, unwrapped, wrapped
from takeback.core.jsonc import Edit, edited, read, replaced

Wanted = Callable[[str], bool]
"""Whether a server of this name is meant."""

Place = tuple[str, ...]


class Fate(StrEnum):
    """What became of a server."""

    WRAPPED = "wrapped"  # it runs behind the guard now
    ALREADY = "already wrapped"  # it did before
    REFUSED = "left alone"  # it cannot be wrapped
    RESTORED = "restored"  # as it was, to the letter
    MENDED = "taken out"  # the guard is out of it, and what somebody changed in it since stays
    GONE = "no longer there"  # somebody else took it out, or the guard out of it
    FOREIGN = "not ours"  # it runs behind the guard, and we did not put it there


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the server at a place, with what there is to say about it."""

    place: Place
    fate: Fate
    why: str = ""


@dataclass(frozen=True, slots=True)
class Wrapping:
    """One entry that was put behind the guard: where it stands, the upstream's name, its text before and after."""

    place: Place
    upstream: str
    was: str
    wrote: str


@dataclass(frozen=True, slots=True)
class Change:
    """A configuration's new text, what became of each server that was wanted, and what was wrapped."""

    text: str
    outcomes: tuple[Outcome, ...]
    wrappings: tuple[Wrapping, ...] = ()


def installed(text: str, wanted: Wanted, launcher: Launcher) -> Change:
    """Put the servers that are wanted behind the guard.

    Raises:
        MalformedJSON: the text is no configuration.
    """
    found = [(entry, judge(entry)) for entry in entries(read(text)) if wanted(entry.name)]
    wrapping = [(entry, judged) for entry, judged in found if not isinstance(judged, Guarded | Refusal)]
    edits = [edit for entry, judged in wrapping for edit in wrapped(text, judged, launcher, upstream_name(entry.name))]
    after = edited(text, edits)
    now = {entry.place: after[entry.node.start : entry.node.end] for entry in entries(read(after))}
    wrappings = tuple(
        Wrapping(entry.place, upstream_name(entry.name), text[entry.node.start : entry.node.end], now[entry.place])
        for entry, _ in wrapping
    )
    return Change(after, tuple(_outcome(entry, judged) for entry, judged in found), wrappings)


def _outcome(entry: Entry, judged: Judged) -> Outcome:
    if isinstance(judged, Guarded):
        return Outcome(entry.place, Fate.ALREADY)
    if isinstance(judged, Refusal):
        return Outcome(entry.place, Fate.REFUSED, judged.reason)
    if isinstance(judged, Remote) and not (judged.headers and judged.headers.value.members):
        return Outcome(entry.place, Fate.WRAPPED, "if it wants a login in the browser, it will not start: uninstall it")
    return Outcome(entry.place, Fate.WRAPPED)


def uninstalled(text: str, ours: Iterable[Wrapping], wanted: Wanted, *, named: bool) -> Change:
    """Take our entries out again, those that are wanted; every other change that was made since stays.

    An entry as we wrote it gets its old text back. One that was changed since is mended. One that runs behind the
    guard without being ours is taken out only when it was `named`.

    Raises:
        MalformedJSON: the text is no configuration.
    """
    known = {wrapping.place: wrapping for wrapping in ours if wanted(wrapping.place[-1])}
    edits: list[Edit] = []
    outcomes: list[Outcome] = []
    for entry in entries(read(text)):
        judged = judge(entry)
        if wanted(entry.name) and isinstance(judged, Guarded):
            fate, more = _taken_out(text, entry, judged, known.get(entry.place), named=named)
            edits += more
            outcomes.append(Outcome(entry.place, fate))
    return Change(edited(text, edits), (*outcomes, *_gone(known, outcomes)))


def _taken_out(
    text: str, entry: Entry, guarded: Guarded, wrapping: Wrapping | None, *, named: bool
) -> tuple[Fate, list[Edit]]:
    if wrapping is not None and text[entry.node.start : entry.node.end] == wrapping.wrote:
        return Fate.RESTORED, [replaced(entry.node, wrapping.was)]
    if not guarded.own or (wrapping is None and not named):
        return Fate.FOREIGN, []
    return Fate.MENDED, unwrapped(text, entry.node, guarded, Original.of(wrapping.was) if wrapping else Original())


def _gone(known: Mapping[Place, Wrapping], outcomes: Iterable[Outcome]) -> list[Outcome]:
    there = {outcome.place for outcome in outcomes}
    return [Outcome(place, Fate.GONE) for place in known if place not in there]
