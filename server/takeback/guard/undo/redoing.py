"""Redo: an undo is an action, and can be taken back like one; then what it had taken back stands again."""

from __future__ import annotations

from typing import Any

from takeback.core.action import Action
from takeback.core.images import Image
from takeback.core.jsontext import JSON
from takeback.core.redaction import is_redacted
from takeback.core.undo import Forecast, Step
from takeback.core.vocabulary import Effect, Origin, Status, UndoOutcome
from takeback.guard.code_tools import CODE
from takeback.guard.purposes import way_back
from takeback.guard.services import Services, Work


def way_to_redo(
    services: Services, work: Work, original: Action, before: Image | None, after: Image | None, result: JSON
) -> dict[str, Any]:
    """How this undo could be taken back: as the rule of the tool that it called says, else by the original call again.

    The original call is made again only where it sets a state: what acts once is not simply done once more.
    """
    if not f"{work.entry.policy_name}".startswith(CODE):
        found = way_back(services.policy, work, before, after, result, services.clock.now())
        if (found.get("compensation") or {}).get("steps"):
            return found
    if original.effect is not Effect.SET or is_redacted(original.arguments):
        return {"forecast": Forecast(UndoOutcome.REFUSED, "impossible").document()}
    readable = after is not None and after.readable
    outcome = UndoOutcome.EXACT if readable else UndoOutcome.COMPENSATED
    text = "exact" if readable else "possible, but it cannot be read back"
    return {"compensation": _again(work, original), "forecast": Forecast(outcome, text).document()}


def _again(work: Work, original: Action) -> JSON:
    return {
        "policy": work.decision.policy_digest,
        "readings": [reading.document() for reading in work.readings],
        "way": "inverse",
        "corrects": False,
        "options": {},
        "ignore": list(work.ignore),
        "redact": list(work.redact),
        "steps": [Step(original.name, original.arguments).document()],
        "unwritable": [],
    }


async def stands_again(services: Services, undo: Action) -> Action | None:
    """What stands again once `undo` is taken back: its original, unless other calls of the same undo still stand."""
    if undo.origin is not Origin.UNDO or undo.original is None:
        return None
    original = await services.ledger.action(undo.tenant, undo.original)
    if original.status is not Status.COMPENSATED:
        return None
    others = await services.ledger.compensations(undo.tenant, undo.original)
    standing = [one for one in others if one.origin is Origin.UNDO and one.in_force and one.id != undo.id]
    return None if standing else original
