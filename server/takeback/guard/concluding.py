"""From the answer of an upstream to the guard's own: reading back, the verdict, the second durable commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from takeback.core.action import Action, Target
from takeback.core.images import Image
from takeback.core.jsontext import JSON
from takeback.core.redaction import hidden
from takeback.core.results import text_of, version_of
from takeback.core.run import RecoveryItem
from takeback.core.states import Happening
from takeback.core.undo import had_effect
from takeback.core.verification import Verification
from takeback.core.vocabulary import Origin, RetryLayer, Verified
from takeback.core.wording import announcement, mismatch, not_sent, overtaken, shown, withdrawn
from takeback.guard.breaking import Resting
from takeback.guard.closing import is_closed
from takeback.guard.execution import Begun, labelled
from takeback.guard.probing import probe, seen
from takeback.guard.purposes import differing
from takeback.guard.reading import take_image
from takeback.guard.recording import Fact, blob, closed_by_guard, next_fact, recovery_item, with_companions
from takeback.guard.replies import Reply, own_result, own_word
from takeback.guard.retrying import Withheld, asked_to_wait
from takeback.guard.sending import Sent
from takeback.guard.services import Services, Work
from takeback.ports import Busy, Change

CONTRADICTED: Final = "The tool reported an error, but reading back shows that it took effect: do not call again."
REBUILT: Final = "The tool's own answer was lost; reading back shows that it took effect."

LATE: Final = "it took effect after its caller had cancelled it or gone away, so that nobody was told"
"""Why such an action is in the recovery queue, until its caller asks again and is told, or a person closes it."""

TOO_LATE: Final = "it took effect after its run had been closed"
"""Why such an action is in the recovery queue until a person decides."""

LONGEST_JOB: Final = 1000
"""Characters of what a job came to that the model is shown beside the tool's own answer."""

PATIENCE: Final = 3
"""How often a target is read again while its upstream's `read_lag` lasts."""


async def conclude(services: Services, begun: Begun, sent: Sent) -> Reply:
    """After-image, verification, the second durable commit, and the answer, for a call that had a definite end."""
    if sent.not_sent is not None:
        return await _never_sent(services, begun, sent)
    if sent.changed is not None:
        return await _changed_meanwhile(services, begun, sent)
    begun, data = _with_result(begun, sent)
    after = await after_image(services, begun, data, expect_change=not sent.failed)
    verification = begun.work.purpose.check(begun.work, begun.arguments, begun.before, after, data)
    if sent.failed:
        return await _tool_failed(services, begun, sent, after, verification)
    if begun.work.origin not in {Origin.UNDO, Origin.REDO}:
        verification = await seen(services, begun.work, begun.before, verification, begun.action)
    return await succeeded(services, begun, sent, after, verification, attempts=sent.attempts)


def _with_result(begun: Begun, sent: Sent) -> tuple[Begun, JSON]:
    """Targets and reads that only the result names are known now."""
    if sent.result is None or sent.failed:
        return begun, sent.data
    return replace(begun, work=begun.work.purpose.located(begun.work, sent.data)), sent.data


async def after_image(services: Services, begun: Begun, data: JSON, *, expect_change: bool) -> Image | None:
    """Read the targets after the write; and again while the upstream's `read_lag` lasts and nothing has changed."""
    work = begun.work
    if not work.readings:
        return None
    variables = {**work.variables, "result": data}
    image = await take_image(services, work.readings, variables)
    lag = services.policy.read_lag(work.decision.rule, work.entry.client.name)
    for _ in range(PATIENCE):
        if not lag or not expect_change:
            break
        if work.purpose.check(work, begun.arguments, begun.before, image, data).verified is not Verified.MISMATCH:
            break
        await services.clock.sleep(lag.total_seconds() / PATIENCE)
        image = await take_image(services, work.readings, variables)
    return image


async def _never_sent(services: Services, begun: Begun, sent: Sent) -> Reply:
    withheld = sent.not_sent if isinstance(sent.not_sent, Withheld) else None
    if withheld is not None and withheld.kind == "cancelled" and not begun.action.attempts:
        return await _withdrawn(services, begun)
    why = services.stored_why(sent.not_sent, begun.work)
    error = {"layer": RetryLayer.TOOL.value, "message": why}
    fact = next_fact(
        services, begun.action, Happening.FAIL, detail="nothing was sent", error=error, settled_at=services.clock.now()
    )
    await end(services, begun, fact, {})
    text = not_sent(fact[1], _could_not(begun, sent, why), wait=asked_to_wait(sent.not_sent))
    return own_word(text, fact[1], layer=RetryLayer.TOOL)


def _could_not(begun: Begun, sent: Sent, why: str) -> str:
    if isinstance(sent.not_sent, Withheld):
        return why
    turned_away = isinstance(sent.not_sent, Busy) and not isinstance(sent.not_sent, Resting)
    could_not = "turned the call away" if turned_away else "could not be reached"
    return f"{begun.work.entry.client.name} {could_not} ({why}), {sent.attempts} attempts"


async def _withdrawn(services: Services, begun: Begun) -> Reply:
    """Whoever had called does not wait any more, and nothing had been sent: there is nothing to remember it for."""
    why = "cancelled before anything was sent"
    fact = next_fact(services, begun.action, Happening.CANCEL, detail=why, settled_at=services.clock.now())
    await end(services, begun, fact, {})
    return own_word(withdrawn(fact[1]), fact[1], layer=RetryLayer.MODEL)


async def _changed_meanwhile(services: Services, begun: Begun, sent: Sent) -> Reply:
    """The condition that travelled along did not hold, so nothing was written: somebody else changed the target.

    That is no failure of the tool: whoever asked decides anew, on what is there now.
    """
    work = begun.work
    now = await take_image(services, work.readings, work.variables) if work.readings else None
    stored = services.stored_image(now, work.redact) if now is not None and now.readable else None
    why = services.stored_why(sent.changed, work)
    fact = next_fact(
        services,
        begun.action,
        Happening.FAIL,
        detail="the target was changed meanwhile; nothing was written",
        error={"layer": RetryLayer.MODEL.value, "message": why, "changed": True},
        attempts=begun.action.attempts + sent.attempts,
        settled_at=services.clock.now(),
    )
    await end(services, begun, fact, {})
    return own_word(overtaken(fact[1], stored.variable() if stored else None), fact[1], layer=RetryLayer.MODEL)


async def _tool_failed(
    services: Services, begun: Begun, sent: Sent, after: Image | None, verification: Verification
) -> Reply:
    """The tool says that it failed. Reading back says whether that is so."""
    touched = had_effect(begun.action, begun.before, after, begun.work.ignore)
    if not touched and await _found_all_the_same(services, begun):
        touched, verification = True, Verification(Verified.YES)
    if touched and verification.verified is Verified.YES:
        return await succeeded(services, begun, sent, after, verification, attempts=sent.attempts, remark=CONTRADICTED)
    text = str(sent.answered) if sent.answered is not None else text_of(sent.job or sent.result or {})
    changes: dict[str, Any] = {
        "error": {"layer": RetryLayer.MODEL.value, "message": services.stored_text(text, begun.work)},
        "settled_at": services.clock.now(),
        "attempts": begun.action.attempts + 1,
        "in_force": touched,
    }
    if touched:
        mismatched = _mismatched(services, begun.work, verification, sent, after)
        changes |= {"verified": Verified.MISMATCH, "mismatch": mismatched}
    stored = services.stored_image(after, begun.work.redact) if after is not None else None
    images = _outcome_images(services, begun, stored, None, changes)
    fact = next_fact(services, begun.action, Happening.FAIL, detail="the tool reported an error", **changes)
    await end(services, begun, fact, images)
    if sent.answered is not None and not touched:
        return Reply(answered=sent.answered, action=fact[1])
    line = f"[takeback {fact[1].id}] The tool reported an error" + (
        "; reading back shows that the target changed all the same. Do not call again; tell the user."
        if touched
        else "."
    )
    if sent.answered is not None:
        return own_word(f"{line} It said: {shown(text)}.", fact[1], layer=RetryLayer.HUMAN)
    if sent.job is not None:
        said = shown(services.redacted(sent.data, begun.work.redact), LONGEST_JOB)
        return own_word(f"{line} The job said: {said}.", fact[1], layer=RetryLayer.MODEL)
    return own_result(sent.result or {}, fact[1], line=line if services.policy.file.defaults.announce else None)


async def _found_all_the_same(services: Services, begun: Begun) -> bool:
    """Whether the probe finds now what it did not find before: then the tool did it, whatever it says."""
    if begun.action.found_before is not False:
        return False
    return await probe(services, begun.work, begun.before, begun.action) is True


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
    held = _without_secrets(services, work)
    changes: dict[str, Any] = {
        "attempts": begun.action.attempts + attempts,
        "verified": verification.verified,
        "mismatch": _mismatched(services, work, verification, sent, after) if wrong else None,
        "in_force": True,
        "error": None,
        "settled_at": services.clock.now(),
        **work.purpose.conclusions(
            held, stored_before, stored_after, verification, services.redacted(data, work.redact)
        ),
    }
    if _named(work.decision.targets) != _named(begun.action.targets):
        changes["targets"] = labelled(work, before=stored_before, after=stored_after)
    images = _outcome_images(services, begun, stored_after, result, changes)
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


def _mismatched(services: Services, work: Work, verification: Verification, sent: Sent, after: Image | None) -> JSON:
    """What was expected and what was found; `ours` where a version proves that what was found is what the call left."""
    found = services.redacted(verification.as_json(), work.redact)
    version = version_of(sent.result) if sent.result is not None else None
    ours = version is not None and after is not None and all(part.version == version for part in after.parts)
    return {**found, "ours": True} if ours and found is not None else found


def _named(targets: tuple[Target, ...]) -> list[str]:
    return [target.lease_name for target in targets]


def _without_secrets(services: Services, work: Work) -> Work:
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
        text = mismatch(action)
        if result is None:
            return own_word(text, action, layer=RetryLayer.HUMAN)
        return own_result({**result, "isError": True}, action, line=text)
    line = announcement(action, changed)
    if remark:
        line += f" {remark}"
    if result is None:
        return own_word(line, action, layer=RetryLayer.MODEL, error=False)
    return own_result(result, action, line=line if services.policy.file.defaults.announce or remark else None)


def _outcome_images(
    services: Services, begun: Begun, stored: Image | None, result: Mapping[str, Any] | None, changes: dict[str, Any]
) -> dict[str, bytes]:
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
            queue=(*_settled(services, begun), *begun.work.purpose.queued(), *await _late(services, begun, fact[1])),
            images=images,
            tenant=begun.action.tenant,
            leases=begun.leases,
            release=begun.leases,
        )
    )


async def _late(services: Services, begun: Begun, action: Action) -> tuple[RecoveryItem, ...]:
    """What took effect when whoever had called had gone, or its run was closed: somebody has to know."""
    if begun.work.origin in {Origin.UNDO, Origin.REDO} or not action.in_force:
        return ()
    if await is_closed(services, action.tenant, action.run):
        return (recovery_item(services, action, TOO_LATE),)
    return (recovery_item(services, action, LATE),) if begun.work.listener.cancelled else ()


def _settled(services: Services, begun: Begun) -> tuple[RecoveryItem, ...]:
    return (closed_by_guard(services, begun.item, "it was settled"),) if begun.item is not None else ()
