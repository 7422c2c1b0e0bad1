"""Targets that were made anew under another id: what an action knew by the old one is looked for under the new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from takeback.core.action import Action, Target
from takeback.core.images import Image
from takeback.core.jsontext import JSON
from takeback.guard.services import Services

MOVED: Final = "moved"
"""In the outcome of a re-creation: `{"from": id, "to": id}` of the target."""

_MOST: Final = 20
"""How often a target may have moved."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where an action's targets are now. `names` leads from old ids to new ones; empty when nothing moved."""

    action: Action
    names: Mapping[str, str]

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets under the ids that they have now."""
        return tuple(replace(t, id=self.names.get(t.id, t.id)) for t in self.action.targets)

    @property
    def known_as(self) -> Action:
        """The action, with its targets under every id that they have had: for questions to the ledger."""
        here = [target for target in self.targets if target not in self.action.targets]
        return replace(self.action, targets=(*self.action.targets, *here))

    def renamed(self, value: JSON) -> JSON:
        """A value in which the old ids are the new ones, wherever one stands by itself."""
        return renamed(value, self.names)

    def image(self, image: Image | None) -> Image | None:
        """An image as it would have been taken under the new ids."""
        if image is None or not self.names:
            return image
        return Image(tuple(replace(part, value=self.renamed(part.value)) for part in image.parts))


async def whereabouts(services: Services, action: Action) -> Whereabouts:
    """Look for re-creations of the action's targets since it ran, however often they moved."""
    names: dict[str, str] = {}
    found = Whereabouts(action, names)
    for _ in range(_MOST):
        moves = [_move(one) for one in await services.ledger.deletions_taken_back(found.known_as)]
        new = {old: to for old, to in filter(None, moves) if old not in names and to not in names}
        if not new:
            return found
        names = {old: new.get(to, to) for old, to in names.items()} | new
        found = Whereabouts(action, names)
    return found


def _move(action: Action) -> tuple[str, str] | None:
    move = (action.outcome or {}).get(MOVED)
    return (str(move["from"]), str(move["to"])) if isinstance(move, Mapping) else None


def renamed(value: JSON, names: Mapping[str, str]) -> JSON:
    """A value in which ids that stand by themselves are exchanged; numbers stay numbers where they can."""
    if not names:
        return value
    if isinstance(value, dict):
        return {name: renamed(item, names) for name, item in value.items()}
    if isinstance(value, list):
        return [renamed(item, names) for item in value]
    if isinstance(value, bool) or not isinstance(value, str | int):
        return value
    new: Any = names.get(str(value))
    if new is None:
        return value
    return int(new) if isinstance(value, int) and new.isdecimal() else new
