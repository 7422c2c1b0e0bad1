"""What becomes of a call when a tool that it needs is blocked."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from takeback.core.policy.decide import Decision
from takeback.core.policy.tools import named_calls
from takeback.core.vocabulary import RetryLayer
from takeback.core.wording import blocked
from takeback.guard.catalog import Catalog, Entry
from takeback.guard.replies import Reply, own_word

_LOOKING: Final = frozenset({"read", "target"})
_SEARCHING: Final = frozenset({"probe"})


def barred(catalog: Catalog, entry: Entry, decision: Decision) -> Reply | None:
    """The refusal of a call whose tool is blocked, or the tool by which its target is read; None where none is."""
    if entry.definition.blocked:
        return _refusal(entry.definition.blocked, entry.policy_name)
    for keys, other in _needed(catalog, decision):
        if keys[0] in _LOOKING:
            why = f"{entry.policy_name} is not called, because its target could not be read: {other.definition.blocked}"
            return _refusal(why, other.policy_name)
    return None


def cautioned(catalog: Catalog, decision: Decision) -> Decision:
    """The decision, but a person is asked where the way back needs a blocked tool."""
    if decision.verdict != "run":
        return decision
    for keys, other in _needed(catalog, decision):
        if keys[0] not in _LOOKING | _SEARCHING:
            return replace(decision, verdict="ask", why=f"what follows it may fail: {other.definition.blocked}")
    return decision


def _needed(catalog: Catalog, decision: Decision) -> list[tuple[tuple[str | int, ...], Entry]]:
    """The blocked tools that the rule of a write names, with where it names them."""
    if decision.rule is None or decision.rule.is_read:
        return []
    found = [(keys, catalog.named(call.tool)) for keys, call in named_calls(decision.rule)]
    return [(keys, entry) for keys, entry in found if entry is not None and entry.definition.blocked]


def _refusal(why: str, tool: str) -> Reply:
    return own_word(blocked(why, tool), layer=RetryLayer.HUMAN)
