"""What the answer of an upstream comes to: reading back, and the verdict on a call that had a definite end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from takeback.core.images import Image
from takeback.core.jsontext import JSON
from takeback.core.states import Happening
from takeback.core.undo import had_effect
from takeback.core.verification import Verification
from takeback.core.vocabulary import COMPENSATIONS, RetryLayer, Verified
from takeback.core.wording import not_sent, overtaken, shown, took_effect, withdrawn
from takeback.guard.breaking import Resting
from takeback.guard.ending import LONGEST_JOB, end, mismatched, outcome_images, succeeded
from takeback.guard.execution import Begun
from takeback.guard.freezing import Frozen, told
from takeback.guard.pausing import afterwards
from takeback.guard.probing import probe, seen
from takeback.guard.reading import take_image
from takeback.guard.rebuilding import rebuilt
from takeback.guard.recording import next_fact
from takeback.guard.replies import Reply, own_result, own_word
from takeback.guard.retrying import Withheld, asked_to_wait
from takeback.guard.sending import Sent
from takeback.guard.services import Services
from takeback.ports import Busy

CONTRADICTED: Final = "The tool reported an error, but reading back shows that it took effect: do not call again."
_TOUCHED: Final = "reading back shows that the target changed all the same. Do not call again; tell the user."
READ_BACK: Final = "the tool reported an error; reading back shows that it took effect"

_VOID: Final = frozenset({"cancelled", "frozen"})
"""Why a call is withheld that then counts as never made."""

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
    if begun.work.origin not in COMPENSATIONS:
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
    if withheld is not None and withheld.kind in _VOID and not begun.action.attempts:
        return await _withdrawn(services, begun, withheld)
    why = services.stored_why(sent.not_sent, begun.work)
    error = {"layer": RetryLayer.TOOL.value, "message": why}
    fact = next_fact(
        services, begun.action, Happening.FAIL, detail="nothing was sent", error=error, settled_at=services.clock.now()
    )
    await end(services, begun, fact, {})
    if isinstance(withheld, Frozen):
        return told(withheld.freeze, fact[1])
    text = not_sent(fact[1], _could_not(begun, sent, why), wait=asked_to_wait(sent.not_sent))
    return own_word(text, fact[1], layer=RetryLayer.TOOL)


def _could_not(begun: Begun, sent: Sent, why: str) -> str:
    if isinstance(sent.not_sent, Withheld):
        return why
    turned_away = isinstance(sent.not_sent, Busy) and not isinstance(sent.not_sent, Resting)
    could_not = "turned the call away" if turned_away else "could not be reached"
    return f"{begun.work.entry.client.name} {could_not} ({why}), {sent.attempts} attempts"


async def _withdrawn(services: Services, begun: Begun, withheld: Withheld) -> Reply:
    """The caller has gone, or it was frozen, and nothing had been sent: there is nothing to remember it for."""
    frozen = withheld.freeze if isinstance(withheld, Frozen) else None
    why = "cancelled before anything was sent" if frozen is None else f"{withheld} ({frozen.id}); nothing was sent"
    fact = next_fact(services, begun.action, Happening.CANCEL, detail=why, settled_at=services.clock.now())
    await end(services, begun, fact, {})
    if frozen is not None:
        return told(frozen, fact[1])
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
        return await _contradicted(services, begun, sent, after, verification)
    changes: dict[str, Any] = {
        "error": {"layer": RetryLayer.MODEL.value, "message": services.stored_text(sent.said, begun.work)},
        "settled_at": services.clock.now(),
        "attempts": begun.action.attempts + 1,
        "in_force": touched,
    }
    if touched:
        wrong = mismatched(services, begun.work, verification, sent, after)
        changes |= {"verified": Verified.MISMATCH, "mismatch": wrong}
    stored = services.stored_image(after, begun.work.redact) if after is not None else None
    images = outcome_images(services, begun, stored, None, changes)
    fact = next_fact(services, begun.action, Happening.FAIL, detail="the tool reported an error", **changes)
    await end(services, begun, fact, images)
    if sent.answered is not None and not touched:
        return Reply(answered=sent.answered, action=fact[1])
    line = f"[takeback {fact[1].id}] The tool reported an error"
    line += f"; {_TOUCHED}{afterwards(services, fact[1])}" if touched else "."
    if sent.answered is not None:
        return own_word(f"{line} It said: {shown(sent.said)}.", fact[1], layer=RetryLayer.HUMAN)
    if sent.job is not None:
        said = shown(services.redacted(sent.data, begun.work.redact), LONGEST_JOB)
        return own_word(f"{line} The job said: {said}.", fact[1], layer=RetryLayer.MODEL)
    return own_result(sent.result or {}, fact[1], line=line if services.policy.file.defaults.announce else None)


async def _contradicted(
    services: Services, begun: Begun, sent: Sent, after: Image | None, verification: Verification
) -> Reply:
    """The tool says that it failed, and did what it was asked for: its answer is no result of that."""
    result = rebuilt(begun.work, begun.before, after)
    truth = replace(sent, result=result, answered=None, job=None)
    reply = await succeeded(
        services, begun, truth, after, verification, attempts=sent.attempts, remark=CONTRADICTED, detail=READ_BACK
    )
    if result is not None or reply.action is None:
        return reply
    stored = services.stored_image(after, begun.work.redact) if after is not None else None
    text = took_effect(reply.action, stored.variable() if stored else None, lost=False)
    told = f"{CONTRADICTED} It said: {shown(services.stored_text(sent.said, begun.work))}. {text}"
    return own_word(told, reply.action, layer=RetryLayer.TOOL)


async def _found_all_the_same(services: Services, begun: Begun) -> bool:
    """Whether the probe finds now what it did not find before: then the tool did it, whatever it says."""
    if begun.action.found_before is not False:
        return False
    return await probe(services, begun.work, begun.before, begun.action) is True
