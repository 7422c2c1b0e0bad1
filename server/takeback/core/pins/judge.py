"""Holding what an upstream shows against what is pinned: what may be called, and what is to be remembered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from takeback.core.canonical import digest
from takeback.core.jsontext import JSON
from takeback.core.pins.definition import NotPinnable, definition_digest, pinned_part


def pin_scope(place: str) -> str:
    """What pins are kept under: where the policy lies (`place`). Two policies may call two servers by one name."""
    return digest(["policy", place])


class PinState(StrEnum):
    """What a definition that was seen counts for."""

    PINNED = "pinned"  # it may be called
    OFFERED = "offered"  # an upstream shows it and nobody has accepted it: it may not be called
    RETIRED = "retired"  # it was one of the others, and is no more: kept for the record, worth nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One definition of one tool, as it was seen.

    `scope` names the policy: two policies may call two servers by one name. `definition` is the pinned part.
    `first_use` says that nobody was asked: it is what the first guard saw.
    """

    scope: str
    upstream: str
    tool: str
    digest: str
    definition: JSON
    state: PinState
    seen_at: datetime
    first_use: bool = False
    decided_at: datetime | None = None
    decided_by: str | None = None

    @property
    def name(self) -> str:
        """The tool as policies name it."""
        return f"{self.upstream}.{self.tool}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a definition counts for. `why` says why its tool is blocked (empty: it is not).

    `trusted` is what a client may be shown of a blocked tool: the pinned definition, None where there is none.
    """

    why: str = ""
    trusted: Mapping[str, Any] | None = None


FREE: Final = Judgement()


def judge(pins: Iterable[Pin], upstream: str, raw: Mapping[str, Any]) -> Judgement:
    """Whether a tool with this definition may be called. `pins` are all that is known of the upstream."""
    tool = str(raw.get("name"))
    known = [pin for pin in pins if pin.tool == tool and pin.state is PinState.PINNED]
    newest = max(known, key=lambda pin: pin.decided_at or pin.seen_at, default=None)
    trusted = newest.definition if newest is not None else None
    try:
        shown = definition_digest(raw)
    except NotPinnable as problem:
        return Judgement(f"{upstream}.{tool} is blocked: {problem}, so nobody could see it change", trusted)
    if any(pin.digest == shown for pin in known):
        return FREE
    if newest is None:
        return Judgement(f"{upstream}.{tool} is blocked: nobody has accepted its definition yet")
    since = f"{newest.decided_at or newest.seen_at:%Y-%m-%d}"
    return Judgement(
        f"{upstream}.{tool} is blocked: its definition is no longer the one that was pinned on {since}", trusted
    )


def news(
    pins: Sequence[Pin],
    definitions: Iterable[Mapping[str, Any]],
    *,
    scope: str,
    upstream: str,
    first_use: bool,
    now: datetime,
) -> tuple[Pin, ...]:
    """What is to be remembered of what an upstream shows now.

    With `first_use` the first definition of a tool is pinned; every other one is offered. An offer that the upstream
    has taken back is retired.
    """
    found: list[Pin] = []
    for raw in definitions:
        tool = str(raw.get("name"))
        known = [pin for pin in pins if pin.tool == tool]
        try:
            shown = definition_digest(raw)
        except NotPinnable:
            continue
        same = next((pin for pin in known if pin.digest == shown), None)
        if same is None:
            state = PinState.PINNED if first_use and not known else PinState.OFFERED
            found.append(
                Pin(
                    scope=scope, upstream=upstream, tool=tool, digest=shown, definition=pinned_part(raw),
                    state=state, seen_at=now, first_use=state is PinState.PINNED,
                )
            )  # fmt: skip
        elif same.state is PinState.PINNED:
            found += [replace(pin, state=PinState.RETIRED) for pin in known if pin.state is PinState.OFFERED]
        elif same.state is PinState.RETIRED:
            found.append(replace(same, state=PinState.OFFERED, seen_at=now))
    return tuple(found)
