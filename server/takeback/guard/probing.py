"""The probe: a search that tells whether a call that leaves no readable target behind took effect."""

from __future__ import annotations

from takeback.core.action import Action
from takeback.core.expressions import ExpressionError
from takeback.core.images import Image
from takeback.core.results import is_error, record
from takeback.core.verification import Verification
from takeback.core.vocabulary import Origin, Verified
from takeback.guard.reading import ask
from takeback.guard.services import Services, Work
from takeback.ports import ToolFailure


async def probe(services: Services, work: Work, before: Image | None, action: Action | None = None) -> bool | None:
    """The probe's answer; None where there is none, or it could not be asked.

    After the send, with the `action`: what was found before it already proves nothing of it. A repetition looks like
    what it repeats: what a search finds of it may be the first.
    """
    search = work.decision.rule.probe if work.decision.rule is not None else None
    entry = services.catalog.named(search.tool) if search is not None else None
    known = action is not None and action.found_before is True
    if search is None or entry is None or work.origin is Origin.REPEAT or known:
        return None
    variables = {**work.variables, **({"before": before.variable()} if before is not None else {})}
    try:
        result = await ask(services, entry, search.args.value(variables))
        return None if is_error(result) else search.found.truth({**variables, "result": record(result)})
    except (ToolFailure, ExpressionError):
        return None


def can_tell(work: Work, action: Action) -> bool:
    """Whether there is a probe whose answer says something about the action."""
    rule = work.decision.rule
    told = action.found_before is not True and work.origin is not Origin.REPEAT
    return rule is not None and rule.probe is not None and told


async def seen(
    services: Services, work: Work, before: Image | None, verification: Verification, action: Action
) -> Verification:
    """What nothing could be read of is looked for: a probe that finds it is as good as reading back.

    One that does not find it proves nothing (lists lag and are cut), so it never makes things worse.
    """
    if verification.verified is not Verified.IMPOSSIBLE or verification.reason not in {"no_read", "nothing_named"}:
        return verification
    found = await probe(services, work, before, action)
    return Verification(Verified.YES) if found else verification
