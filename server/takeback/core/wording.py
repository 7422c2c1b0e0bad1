"""What the guard says: to the model in one clear line, to people in plain sentences. Facts only, no secrets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from takeback.core.action import LONGEST_NAME, Action, Target
from takeback.core.freezing import Freeze
from takeback.core.images import WHOLE, Difference
from takeback.core.jsontext import JSON, dumps
from takeback.core.limits import Exceeded
from takeback.core.operation import Tombstone
from takeback.core.phrases import LONGEST_REASON, one_line, quoted
from takeback.core.redaction import is_redacted
from takeback.core.run import Approval
from takeback.core.vocabulary import Does, Status, Verified

INSTRUCTIONS: Final = (
    "Takeback guards these tools: every change is recorded and most can be taken back. "
    "After a write, a line '[takeback ID] ...' says what changed and what undo can do. "
    "Wrong record? Call takeback_undo with a reason. Unsure what you did? takeback_history. "
    "Never repeat a call to be safe: retries are recognised. To do the same again on purpose: takeback_repeat."
)

_LONG: Final = 60
_MANY: Final = 8
_LONGEST_STATE: Final = 4000


def shown(value: JSON, most: int = _LONG) -> str:
    """A value in a sentence: one line of `most` characters, quoted where it could be taken for the sentence's own."""
    if is_redacted(value):
        return "(redacted)"
    if value is None:
        return "nothing"
    return quoted(value, most)


def targets_of(targets: Sequence[Target]) -> str:
    """The targets of an action, by id, with labels where known."""
    return ", ".join(dict.fromkeys(target.human for target in targets)) or "no named target"


def changes(differing: Sequence[Difference], most: int = 4) -> str:
    """`priority normal -> high, tags [] -> ["vip"]`; what is beyond `most` is counted."""
    parts = [_change(difference) for difference in differing[:most]]
    left = len(differing) - len(parts)
    return ", ".join(parts) + (f" and {left} more" if left > 0 else "")


def _change(difference: Difference) -> str:
    if difference.field.endswith(WHOLE):
        return "created" if difference.before is None else "deleted" if difference.after is None else "changed"
    return f"{one_line(difference.field, _LONG)} {shown(difference.before)} -> {shown(difference.after)}"


def announcement(action: Action, differing: Sequence[Difference]) -> str:
    """The line that a write's result ends with."""
    target = ", ".join(one_line(target.id, LONGEST_NAME) for target in action.targets)
    what = changes(differing) or _without_images(action)
    verified = {Verified.YES: "", Verified.IMPOSSIBLE: " Not read back.", Verified.NOT_YET: " Not read back yet."}
    undo = (action.forecast or {}).get("text", "impossible")
    return f"[takeback {action.id}] {target} {what}.{verified.get(action.verified, '')} Undo: {undo}.".replace(
        "]  ", "] "
    )


def _without_images(action: Action) -> str:
    done = {Does.CREATE: "created", Does.DELETE: "deleted", Does.SEND: "sent", Does.UPDATE: "is as asked"}
    if action.does is Does.UPDATE and action.verified is not Verified.YES:
        return f"{action.tool} done"
    return done[action.does]


def replayed(action: Action) -> str:
    """The lead of a replay."""
    return f"Already done as {action.id}; nothing more is needed. To do it again on purpose, call takeback_repeat."


def took_effect(action: Action, state: JSON, *, lost: bool = True) -> str:
    """When the effect is certain and there is no result of the tool's own to show; whether it was lost is said, too."""
    now = "" if state is None else f" This is the state now: {one_line(dumps(state).decode(), _LONGEST_STATE)}"
    why = "; the tool's own answer was lost" if lost else ""
    return f"[takeback {action.id}] It took effect{why}.{now} Do not call again."


def not_sent(action: Action, why: str, *, wait: float | None) -> str:
    """When a call provably did nothing: `wait` is in seconds, where its upstream said when to come again."""
    nothing, again = ("done", f"after {wait:g} s") if wait else ("sent", "later")
    return (
        f"Not executed: {why}. Nothing was {nothing} or changed. Try again {again} or tell the user. "
        f"[takeback {action.id}]"
    )


def withdrawn(action: Action | None = None) -> str:
    """When whoever had called took that back, and nothing had been sent."""
    mark = f" [takeback {action.id}]" if action is not None else ""
    return f"Cancelled before anything was sent: nothing was changed. To have it done, call again.{mark}"


def pending(action: Action, approval: Approval) -> str:
    """When a person must agree first."""
    return (
        f"Not executed: a person must agree first. Tell the user that approval {approval.id} waits for them "
        f"(`takeback approve {approval.id}`, until {approval.expires_at:%H:%M} UTC); do not call again "
        f"before they answer. [takeback {action.id}]"
    )


def denied(action: Action, why: str) -> str:
    """When a person, the policy or the clock said no."""
    return (
        f"Not executed: {why}. Nothing was changed. Do not call it again; ask the user how to go on. "
        f"[takeback {action.id}]"
    )


def blocked(why: str, tool: str) -> str:
    """When a tool that a call needs is not as it was pinned."""
    return refused(
        why,
        f"Tell the user: `takeback pin diff {tool}` shows the difference, and `takeback pin accept {tool}` accepts it. "
        "Do not try another way around it.",
    )


def refused(why: str, next_step: str) -> str:
    """A call that was not executed, for any other reason."""
    return f"Not executed: {why}. Nothing was changed. {next_step}"


def expected_and_found(mismatch: JSON) -> str:
    """What a verification came to that failed, as the ledger keeps it: `expected high, found urgent`."""
    found = mismatch or {}
    return f"expected {shown(found.get('expected'))}, found {shown(found.get('actual'))}"


def mismatch(action: Action) -> str:
    """When what was read back is not what was expected."""
    found = action.mismatch or {}
    return (
        f"[takeback {action.id}] The tool answered, but reading back shows something else: "
        f"{expected_and_found(found)} ({found.get('reason', 'different')}). "
        "It will not be executed again by itself. Look at the target, then tell the user."
    )


def in_doubt(action: Action, why: str, *, asked: bool = True) -> str:
    """When the outcome is unknown and looking has not settled it. `asked`: it is in the recovery queue."""
    who = "a person was asked to look" if asked else "it is looked at again until that is decided"
    return (
        f"[takeback {action.id}] The outcome is unknown: {why}. It may or may not have taken effect on "
        f"{targets_of(action.targets)}; {who}. Do not call it again; tell the user."
    )


def unrecorded(action: Action, why: str, *, sent: bool) -> str:
    """When what came of a claimed action could not be written down by this guard: it, or another one, will look."""
    if not sent:
        return (
            f"[takeback {action.id}] Not executed by this guard: {why}. Nothing was sent by it; another one may have "
            "taken over. Call again in a moment to be told what became of it."
        )
    return (
        f"[takeback {action.id}] The outcome is unknown: the call was sent, and {why}. It is looked at as soon as the "
        "ledger can be used. Call again in a moment to be told what became of it; nothing is executed twice by that."
    )


def no_effect(action: Action, why: str) -> str:
    """Every attempt failed in doubt, and looking shows that none of them did anything."""
    return (
        f"Not executed: every attempt on {targets_of(action.targets)} failed ({why}), and reading back shows that "
        f"nothing was changed. Try again later or tell the user. [takeback {action.id}]"
    )


def in_progress(action: Action, seconds: int) -> str:
    """When an equal call is still under way."""
    return (
        f"[takeback {action.id}] In progress: the same call is still running. "
        f"Nothing to mend; ask again after {seconds} s."
    )


def occupied(action: Action) -> str:
    """When another action holds a target."""
    where = f"{action.id} ({action.name})", targets_of(action.targets)
    if action.status is Status.NEEDS_OPERATOR:
        return refused(
            f"nobody knows whether {where[0]} took effect on {where[1]}",
            "Tell the user: a person must say so first (`takeback queue`, `takeback resolve`).",
        )
    state = "is in doubt" if action.status is Status.IN_DOUBT else "is still running"
    return refused(
        f"{where[0]} {state} on {where[1]}", "Wait for it to be settled; takeback_history shows where it stands."
    )


def freeze_line(freeze: Freeze) -> str:
    """What is frozen, since when, by whom and why, on one line."""
    reads = "reads and writes" if freeze.reads else "writes"
    why = quoted(freeze.reason, LONGEST_REASON)
    return f"{freeze.what}, {reads}, since {freeze.since:%Y-%m-%d %H:%M} UTC by {freeze.frozen_by}, because: {why}"


def frozen(freeze: Freeze, action: Action | None = None) -> str:
    """When the stop switch stops a call."""
    mark = f" [takeback {action.id}]" if action is not None else ""
    return (
        f"Not executed: this is frozen: {freeze_line(freeze)}. Nothing was executed. Do not call again and do not try "
        f"another way before a person thaws it (`takeback thaw {freeze.option}`); tell the user.{mark}"
    )


def limit_reached(limit: Exceeded) -> str:
    """When a limit stops a write."""
    return refused(
        f"the limit {limit.limit} = {limit.allowed} is reached",
        "Do not try other ways around it; tell the user what is done and what is left.",
    )


def loop_stopped(tool: str, count: int) -> str:
    """When equal calls come in a row without progress."""
    return refused(
        f"{tool} was called {count} times in a row with the same arguments and the same outcome",
        "Calling it again will not change the answer: use what it returned, or try something else.",
    )


def changed_meanwhile(action: Action, differing: Sequence[Difference]) -> str:
    """When a `set` call comes again and somebody else changed its target."""
    return (
        f"Not executed: this was done as {action.id}, and then changed meanwhile by others "
        f"({changes(differing)}). To overwrite their change on purpose, call takeback_repeat with a reason; "
        "otherwise leave it and tell the user."
    )


def overtaken(action: Action, state: JSON) -> str:
    """A conditional write that found its target changed: nothing was written, and the agent decides anew."""
    now = f" It is now: {quoted(state, _LONGEST_STATE)}." if state is not None else ""
    return (
        f"Not executed: {targets_of(action.targets)} was changed by somebody else between reading and writing. "
        f"Nothing was written.{now} If the change is still wanted, call again. [takeback {action.id}]"
    )


def outdated(where: str, differing: Sequence[Difference]) -> str:
    """When a write rests on what its run read, and that is not what is there any more."""
    return refused(
        f"{where} changed since this run last read it ({changes(differing, most=_MANY)})",
        "Read it again and decide anew; if the change is still wanted then, call again.",
    )


def undone_by(action: Action, who: str, why: str | None) -> str:
    """When an equal call comes after somebody else took the first one back."""
    because = f", because: {one_line(why, LONGEST_REASON)}" if why else ""
    return (
        f"Not executed: this was done as {action.id} and then undone by {who}"
        f"{because}. Ask the user before doing it again (takeback_repeat)."
    )


def pruned(stone: Tombstone) -> str:
    """Of an action that retention took: the begin of a sentence."""
    return (
        f"{stone.action} was pruned on {stone.pruned_at:%Y-%m-%d} by retention: it ended as {stone.status.value} on "
        f"{stone.ended_at:%Y-%m-%d}, and what it did is not kept any more"
    )


def expired(stone: Tombstone) -> str:
    """When an equal call comes after its action's retention is over, with the way to have it done anew."""
    anew = "with another idempotency key" if stone.client_key is not None else "in a new run or with a key of its own"
    return (
        f"Not executed: this call was made before, and {pruned(stone)}; so it can neither be replayed nor told from a "
        f"retry. Look whether it is still wanted, and tell the user. If it is meant anew, the client sends it {anew}."
    )


def beyond_comparing(action: Action) -> str:
    """When an equal `set` call comes after what its action left behind was pruned."""
    return (
        f"Not executed: this was done as {action.id} on {action.created_at:%Y-%m-%d}, and what it left behind was "
        "pruned by retention, so nothing tells whether it still is that way. Look at the target. To do it again on "
        "purpose, call takeback_repeat."
    )
