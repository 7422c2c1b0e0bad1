"""The port to the ways of taking a write back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from takeback.core.action import Action
from takeback.core.images import Image
from takeback.core.jsontext import JSON
from takeback.core.standoff import Standoff, restored
from takeback.core.undo import Step


class Impossible(Exception):
    """This compensation cannot take the action back; the message says why, for a person. Nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Everything that a compensation may look at. `steps` were resolved when the action succeeded.

    `standoff` says which changed fields still hold what the action left. `keeps` are the arguments that a step's tool
    requires, by tool. Images are as stored: redacted values in them can be compared and never written.
    """

    action: Action
    steps: tuple[Step, ...]
    before: Image | None
    after: Image | None
    current: Image | None
    standoff: Standoff
    ignore: tuple[str, ...]
    reason: str
    keeps: Mapping[str, frozenset[str]] = field(default_factory=dict)
    options: Mapping[str, JSON] = field(default_factory=dict)

    @property
    def seen(self) -> bool:
        """Whether the target was read before the action, after it, and now: only then `standoff` tells anything."""
        return all(image is not None and image.readable for image in (self.before, self.after, self.current))

    @property
    def goal(self) -> JSON:
        """The target as it should be afterwards: what is there now, with only the fields in question put back.

        A map by name where there are several targets; null where nothing shows what is there.
        """
        if self.before is None or self.current is None or not self.seen:
            return None
        return restored(self.before, self.current, self.standoff)


@dataclass(frozen=True, slots=True)
class Remedy:
    """The calls that take an action back, what must then be read, and what will be left over.

    `expected` maps fields (as `core.images.differences` names them, `*` for a whole target) to values. An empty one
    means that nothing can be read back, and the outcome is never *exact*.
    """

    steps: tuple[Step, ...]
    expected: Mapping[str, JSON] = field(default_factory=dict)
    residue: tuple[str, ...] = ()


class Compensation(Protocol):
    """One way of taking a write back, found under the entry point `takeback.compensations`."""

    @property
    def name(self) -> str:
        """How policies name it."""

    def plan(self, material: Material) -> Remedy:
        """What to call now. Pure.

        Raises:
            Impossible: it cannot be taken back this way.
        """


class CodedCompensation(Compensation, Protocol):
    """A compensation that acts by code of its own instead of tools: each step's tool is `python.<name>`."""

    async def carry_out(self, step: Step) -> Mapping[str, Any]:
        """Do one step, bounded in time, and return a tool result (`content`, perhaps `isError`).

        Raises:
            ToolFailure: as a tool client would.
        """
