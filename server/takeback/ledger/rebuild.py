"""The row of an action, made again from its events alone: what the ledger's evidence rests on."""

from __future__ import annotations

from collections.abc import Iterable

from takeback.core.action import Action, Event, begin, evolve
from takeback.ports import NotFound


def rebuilt(events: Iterable[Event]) -> Action:
    """Fold an action's events, in order, into the action.

    Raises:
        NotFound: there are no events.
        IllegalTransition, IllegalChange: the events tell no legal story.
    """
    action: Action | None = None
    for event in events:
        action = begin(event) if action is None else evolve(action, event)
    if action is None:
        raise NotFound("an action without events was never in the ledger")
    return action
