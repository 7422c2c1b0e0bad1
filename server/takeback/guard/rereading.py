"""Reading back once more: what did not show what was expected when it was made, or could not be read then.

A person asks for it (`takeback resolve --resume`), and a worker does it by itself, each time after a longer pause.
Where a later write of ours has changed a target, nothing is told any more.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from takeback.core.action import Action
from takeback.core.images import Image
from takeback.core.jsontext import JSON
from takeback.core.queue import Cause
from takeback.core.redaction import is_redacted
from takeback.core.results import record
from takeback.core.states import Happening
from takeback.core.verification import Verification
from takeback.core.vocabulary import Verified
from takeback.core.wording import expected_and_found
from takeback.guard.ending import without_secrets
from takeback.guard.judging import stored_image
from takeback.guard.purposes import differing, way_back
from takeback.guard.reading import take_image
from takeback.guard.recording import blob, next_fact, recovery_item, settled
from takeback.guard.resuming import BeingWorkedOn, NotResumable, under_leases, work_again
from takeback.guard.services import Services, Work
from takeback.guard.suggesting import is_wrong
from takeback.guard.undo.dependencies import result_of
from takeback.ports import Change, Pruned, Standing

log = logging.getLogger(__name__)

UNREAD_FOR: Final = timedelta(minutes=10)
"""How long what could not be read back is read again, before it counts as never read."""

_OVER: Final = frozenset({Cause.MISMATCH, Cause.PARTIAL})
_AS_EXPECTED: Final = "reading back shows what was expected"


class NotReadable(Exception):
    """It was not read back now; the message says why. Nothing was changed."""


class Overwritten(NotReadable):
    """A later write of ours has changed it: reading will never tell."""


async def read_again(services: Services, action: Action, *, by: str = "guard") -> Verification | None:
    """Whether the target is by now as it should be; recorded, if so. None: that was settled meanwhile.

    What was expected and what was found are redacted in it, as they may be told.

    Raises:
        NotReadable: it cannot be read.
        BeingWorkedOn: somebody else is at it just now.
        Overwritten: a later write of ours has changed it.
        Pruned: what is needed for that was taken by retention.
        NotResumable: the policy of today cannot judge the call any more.
        LedgerFailure: the ledger is out of reach, or somebody else was first.
    """
    if is_redacted(action.arguments):
        raise NotReadable(f"what {action.id} should have made was redacted, and is not kept")
    result = await result_of(services, action)
    answered: JSON = record(result) if result is not None else None
    work = work_again(services, action)
    work = work.purpose.located(work, answered)
    if not work.readings:
        raise NotReadable(f"there is no way to read back what {action.id} did")
    async with under_leases(services, work, action) as (standing, now):
        if not (is_wrong(now) or now.is_unread):
            return None
        return await _Look(services, work, standing, now, answered, by).read()


async def read_by_itself(services: Services, action: Action) -> None:
    """A worker's look at what did not verify, or could not be read. What cannot be read for long is left as never read.

    Raises:
        LedgerFailure: the ledger is out of reach, or somebody else was first.
    """
    try:
        await read_again(services, action)
    except (NotReadable, NotResumable, BeingWorkedOn, Pruned) as problem:
        now = await services.ledger.action(action.tenant, action.id)
        since = services.clock.now() - now.ended_at
        if now.is_unread and (since >= UNREAD_FOR or isinstance(problem, Overwritten)):
            why = f"it was not read back in time: {problem}"
            fact = next_fact(services, now, Happening.NOTE, detail=why, verified=Verified.IMPOSSIBLE)
            await services.ledger.commit(Change(actions=(fact,), tenant=action.tenant))
        else:
            log.info("%s was not read back: %s", action.id, problem)


@dataclass(frozen=True, slots=True)
class _Look:
    """One more reading of what an action did, under the leases of its targets. `answered` is what its tool had said."""

    services: Services
    work: Work
    standing: Standing
    action: Action
    answered: JSON
    by: str

    async def read(self) -> Verification:
        services, work = self.services, self.work
        if later := await services.ledger.later_writes(self.action):
            raise Overwritten(f"{later[0].id} has changed it since, so that what is there now says nothing of it")
        before = await stored_image(services, self.action.before)
        now = await take_image(services, work.readings, {**work.variables, "result": self.answered})
        found = self._redacted(work.purpose.check(work, work.arguments, before, now, self.answered))
        if found.verified is Verified.YES:
            await services.ledger.commit(self._confirmed(before, services.stored_image(now, work.redact)))
        elif self.action.is_unread and now.readable:
            await services.ledger.commit(self._told_otherwise(found))
        elif self.action.is_unread:
            raise NotReadable("it cannot be read now")
        return found

    def _redacted(self, found: Verification) -> Verification:
        seen = self.services.redacted(found.as_json(), self.work.redact) or {}
        return replace(found, expected=seen.get("expected"), actual=seen.get("actual"))

    def _confirmed(self, before: Image | None, now: Image) -> Change:
        """It is as it should be: what changed is known now, and with it what an undo would come to."""
        services, work, action = self.services, self.work, self.action
        digest, data = blob(now.document())
        changes: dict[str, Any] = {"verified": Verified.YES, "mismatch": None, "error": None, "after": digest}
        changes["changed"] = tuple(one.field for one in differing(work, action, before, now))
        if action.policy_digest == work.decision.policy_digest:
            said = services.redacted(self.answered, work.redact)
            held = without_secrets(services, work)
            changes |= way_back(services.policy, held, before, now, said, action.ended_at)
        fact = next_fact(services, action, Happening.CONFIRM, actor=self.by, detail="read back once more", **changes)
        return Change(
            actions=(fact,),
            images={digest: data},
            settled=(settled(services, action, _OVER, _AS_EXPECTED),),
            tenant=action.tenant,
            leases=self.standing.leases,
        )

    def _told_otherwise(self, found: Verification) -> Change:
        """Of what was never read back: reading shows now something else than was expected."""
        what = expected_and_found(found.as_json())
        why = f"it could not be read back when it was made; reading shows something else now: {what}"
        entry = recovery_item(self.services, self.action, f"{why}. Somebody may have changed it since", Cause.MISMATCH)
        fact = next_fact(self.services, self.action, Happening.NOTE, detail=why, verified=Verified.IMPOSSIBLE)
        return Change(actions=(fact,), queue=(entry,), tenant=self.action.tenant, leases=self.standing.leases)
