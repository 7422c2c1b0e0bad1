"""The end of a call: what was found is written down in one durable commit, and whoever called is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from takeback.core.action import Action, Target
from takeback.core.images import Image
from takeback.core.jsontext import JSON
from takeback.core.queue import UNKNOWN_OUTCOME, Cause, RecoveryItem, Settled
from takeback.core.redaction import hidden, is_redacted
from takeback.core.results import version_of
from takeback.core.states import Happening
from takeback.core.verification import Verification
from takeback.core.vocabulary import COMPENSATIONS, RetryLayer, Status, Verified
from takeback.core.wording import announcement, expected_and_found, mismatch, shown
from takeback.guard.closing import is_closed
from takeback.guard.execution import Begun, labelled
from takeback.guard.pausing import afterwards
from takeback.guard.purposes import differing
from takeback.guard.recording import Fact, blob, next_fact, recovery_item, settled, with_companions
from takeback.guard.replies import Reply, own_result, own_word
from takeback.guard.sending import Sent
from takeback.guard.services import Services, Work
from takeback.ports import Change

REBUILT: Final = "The tool's own answer was lost; reading back shows that it took effect."

LATE: Final = "it took effect after its caller had cancelled it or gone away, so that nobody was told"
"""Why such an action is in the recovery queue, until its caller asks again and is told, or a person closes it."""

TOO_LATE: Final = "it took effect after its run had been closed"
"""Why such an action is in the recovery queue until a person decides."""

LONGEST_JOB: Final = 1000
"""Characters of what a job came to that the model is shown beside the tool's own answer."""


async def succeeded(
    services: Services,
    begun: Begun,
    sent: Sent,
    after: Image | None,
    verification: Verification,
    *,
    attempts: int = 1,
    remark: str = "",
    detail: str = "",
) -> Reply:
    """The effect is there, or reported: record what was read, the way back and the forecast; then answer."""
    work, result, data = begun.work, sent.result, sent.data
    wrong = verification.verified is Verified.MISMATCH
    stored_before = services.stored_image(begun.before, work.redact) if begun.before is not None else None
    stored_after = services.stored_image(after, work.redact) if after is not None else None
    held = without_secrets(services, work)
    changes: dict[str, Any] = {
        "attempts": begun.action.attempts + attempts,
        "verified": _verified(begun, verification),
        "mismatch": mismatched(services, work, verification, sent, after) if wrong else None,
        "in_force": True,
        "error": None,
        "settled_at": services.clock.now(),
        **work.purpose.conclusions(
            held, stored_before, stored_after, verification, services.redacted(data, work.redact)
        ),
    }
    if _named(work.decision.targets) != _named(begun.action.targets):
        changes["targets"] = labelled(work, before=stored_before, after=stored_after)
    images = outcome_images(services, begun, stored_after, result, changes)
    changed = differing(work, begun.action, stored_before, stored_after)
    changes["changed"] = tuple(difference.field for difference in changed)
    happening = Happening.FAIL if wrong else Happening.SUCCEED
    fact = next_fact(
        services, begun.action, happening, detail=detail or ("read back" if after else "not read back"), **changes
    )
    await end(services, begun, fact, images)
    services.watch.progress(work.caller.run)
    if sent.job is not None:
        remark = f"{remark} The job is done: {shown(services.redacted(data, work.redact), LONGEST_JOB)}.".lstrip()
    return _answer(services, fact[1], result, changed, remark)


def _verified(begun: Begun, verification: Verification) -> Verified:
    """The verdict; "not yet" where the target could not be read, which a worker tries again."""
    passing = verification.verified is Verified.IMPOSSIBLE and verification.reason == "unreadable"
    if passing and begun.work.origin not in COMPENSATIONS and not is_redacted(begun.action.arguments):
        return Verified.NOT_YET
    return verification.verified


def mismatched(services: Services, work: Work, verification: Verification, sent: Sent, after: Image | None) -> JSON:
    """What was expected and what was found; `ours` where a version proves that what was found is what the call left."""
    found = services.redacted(verification.as_json(), work.redact)
    version = version_of(sent.result) if sent.result is not None else None
    ours = version is not None and after is not None and all(part.version == version for part in after.parts)
    return {**found, "ours": True} if ours and found is not None else found


def _named(targets: tuple[Target, ...]) -> list[str]:
    return [target.lease_name for target in targets]


def without_secrets(services: Services, work: Work) -> Work:
    """The work as it may be stored: what the rule redacts is marked wherever the arguments occur."""
    args = services.redacted(work.variables.get("args"), work.redact)
    hide = hidden(work.variables.get("args"), work.redact)
    found = tuple(
        replace(
            reading,
            known={**reading.known, "args": args} if "args" in reading.known else reading.known,
            arguments={name: services.masked(value, hide) for name, value in reading.arguments.items()},
        )
        for reading in work.readings
    )
    return replace(work, variables={**work.variables, "args": args}, readings=found)


def _answer(
    services: Services, action: Action, result: Mapping[str, Any] | None, changed: tuple[Any, ...], remark: str
) -> Reply:
    if action.verified is Verified.MISMATCH:
        text = mismatch(action) + afterwards(services, action)
        if result is None:
            return own_word(text, action, layer=RetryLayer.HUMAN)
        return own_result({**result, "isError": True}, action, line=text)
    line = announcement(action, changed)
    if remark:
        line += f" {remark}"
    if result is None:
        return own_word(line, action, layer=RetryLayer.MODEL, error=False)
    return own_result(result, action, line=line if services.policy.file.defaults.announce or remark else None)


def outcome_images(
    services: Services, begun: Begun, stored: Image | None, result: Mapping[str, Any] | None, changes: dict[str, Any]
) -> dict[str, bytes]:
    """What is stored of the image and the result; their digests are put into `changes`."""
    images: dict[str, bytes] = {}
    if stored is not None:
        digest, data = blob(stored.document())
        images[digest], changes["after"] = data, digest
    if result is not None:
        digest, data = blob(services.stored_result(result, begun.work))
        images[digest], changes["result"] = data, digest
    return images


async def end(services: Services, begun: Begun, fact: Fact, images: Mapping[str, bytes]) -> None:
    """The second durable commit: the outcome stands, the recovery queue is rid of it, and the leases go back."""
    facts = with_companions(begun.work, fact)  # before what they put into the queue
    await services.ledger.commit(
        Change(
            actions=facts,
            queue=(*begun.work.purpose.queued(), *await _asked(services, begun, fact[1])),
            settled=(*_settled(services, begun, fact[1]), *begun.work.purpose.settles(fact[1])),
            images=images,
            tenant=begun.action.tenant,
            leases=begun.leases,
            release=begun.leases,
        )
    )


async def _asked(services: Services, begun: Begun, action: Action) -> tuple[RecoveryItem, ...]:
    """What somebody has to look at: an effect that is not as it should be, or of which nobody was told.

    What becomes of an undo is said in the entry of what it takes back.
    """
    if begun.work.origin in COMPENSATIONS or not action.in_force:
        return ()
    if action.status is Status.FAILED:
        return (asked_for_wrong(services, action),)
    if await is_closed(services, action.tenant, action.run):
        return (recovery_item(services, action, TOO_LATE, Cause.RUN_CLOSED),)
    return (recovery_item(services, action, LATE, Cause.LATE),) if begun.work.listener.cancelled else ()


def asked_for_wrong(services: Services, action: Action) -> RecoveryItem:
    """The entry for an effect that is not as it should be."""
    found = action.mismatch or {}
    seen = expected_and_found(found)
    if action.error is not None:
        why = "the tool reported an error, and reading back shows that the target changed all the same"
        return recovery_item(services, action, f"{why}: {seen}", Cause.PARTIAL)
    why = f"the tool answered, but reading back shows something else: {seen}"
    return recovery_item(services, action, f"{why} ({found.get('reason', 'different')})", Cause.MISMATCH)


def _settled(services: Services, begun: Begun, action: Action) -> tuple[Settled, ...]:
    """The outcome is known; only an action that was at its end before, or in doubt, can have an entry."""
    without_effect = action.status is Status.FAILED and not action.in_force
    if begun.action.version == 1 or (begun.resumed and without_effect):
        return ()
    return (settled(services, action, UNKNOWN_OUTCOME, "it was settled"),)
