"""In doubt: what a look at the world says about a call whose outcome is unknown. Looking settles it, never guessing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from takeback.core.action import Action
from takeback.core.images import Image, equal_images
from takeback.core.verification import Verification
from takeback.core.vocabulary import Effect, Verified

LOOK_AGAIN: Final = timedelta(seconds=1)
"""After which a target that could not be read is read again, at first."""

Kind = Literal["took_effect", "same_key", "new_attempt", "wait", "queue"]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What to do about an action in doubt. `wait_until` is set for `wait`; `why` is for the ledger and for people."""

    kind: Kind
    why: str
    wait_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that was read or is known.

    `found` is the probe's answer; None where there is no probe, or, where there is one that could tell (`probed`), it
    gave no answer this time.
    """

    action: Action
    now: datetime
    key_valid: bool = False
    before: Image | None = None
    current: Image | None = None
    verification: Verification | None = None
    ignore: tuple[str, ...] = ()
    found: bool | None = None
    probed: bool = False
    lands_within: timedelta | None = None
    read_lag: timedelta = timedelta(0)


def diagnose(evidence: Evidence) -> Diagnosis:
    """Decide from what was seen, beginning with what proves most."""
    if evidence.key_valid:
        return Diagnosis("same_key", "the upstream honours the key: the same call again cannot act twice")
    if evidence.found is True:
        return Diagnosis("took_effect", "the probe found it")
    if evidence.action.effect is Effect.ONCE:
        return _once(evidence)
    return _set(evidence)


def _once(evidence: Evidence) -> Diagnosis:
    if evidence.found is None and evidence.probed:
        return _unseen(evidence, "the probe gives no answer now")
    if evidence.found is None:
        return Diagnosis(
            "queue", "a call that acts once can only be settled by a probe, and there is none or it failed"
        )
    landing = _landing(evidence)
    if landing is None:
        return Diagnosis("queue", "the probe found nothing, but nothing says by when the call would have landed")
    if evidence.now < landing:
        return Diagnosis("wait", "the probe found nothing yet; the call may still land", landing)
    return Diagnosis("new_attempt", "the probe found nothing, and the call can no longer land")


def _set(evidence: Evidence) -> Diagnosis:
    if evidence.current is None:
        return Diagnosis("queue", "there is no way to read the target")
    if not evidence.current.readable:
        return _unseen(evidence, "the target cannot be read now")
    if evidence.verification is not None and evidence.verification.verified is Verified.YES:
        return Diagnosis("took_effect", "the target is as the call would have made it")
    before = evidence.before
    if before is None or not equal_images(before, evidence.current, ignore=evidence.ignore):
        return Diagnosis("queue", "the target is neither as it was nor as the call would have made it")
    landing = _landing(evidence)
    if landing is None:
        return Diagnosis("queue", "the target is unchanged, but nothing says by when the call would have landed")
    if evidence.now < landing:
        return Diagnosis("wait", "the target is unchanged so far; the call may still land", landing)
    return Diagnosis("new_attempt", "the target is unchanged, and the call can no longer land")


def _unseen(evidence: Evidence, why: str) -> Diagnosis:
    """One look that fails proves nothing: there will be another."""
    return Diagnosis("wait", why, evidence.now + LOOK_AGAIN)


def _landing(evidence: Evidence) -> datetime | None:
    """When the call has either landed (and can be read) or never will."""
    sent = evidence.action.sent_at
    lands_within = timedelta(0) if is_over(evidence.action) else evidence.lands_within
    if lands_within is None or sent is None:
        return None
    return sent + lands_within + evidence.read_lag


def is_over(action: Action) -> bool:
    """Whether the upstream itself has finished with the attempt: it answered an error that tells nothing of effects."""
    return bool((action.error or {}).get("over"))
