"""The correction trail: what happened to one action, in plain sentences made from facts.

Each sentence says where it comes from: `observed` was read back, `reported` is the tool's word, `recorded` is what the
guard itself did or was told. No prompts, no chain of thought, no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from takeback.core.action import Action, Event
from takeback.core.images import WHOLE, Image, field_value
from takeback.core.jsontext import JSON
from takeback.core.run import Approval
from takeback.core.states import Happening
from takeback.core.undo import changed, unexplained
from takeback.core.vocabulary import Does, Origin, Status, UndoOutcome, Verified
from takeback.core.voice import Audience, Voice
from takeback.core.wording import shown

Source = Literal["observed", "reported", "recorded"]


_NOT_RUN: Final = {
    Status.DENIED: "denied",
    Status.CANCELLED: "cancelled",
    Status.AWAITING_APPROVAL: "not approved yet",
    Status.APPROVED: "not sent yet",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One fact. `topic` is the question that it answers."""

    topic: Literal["what", "why", "restored", "left_alone", "residue", "review", "record"]
    source: Source
    text: str

    def document(self) -> JSON:
        """For programs."""
        return {"topic": self.topic, "source": self.source, "text": self.text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything the trail is made from.

    `undos` are the compensations of the action, oldest first; `others` the other actions of its run that are none.
    `pruned` says, in sentences, which images retention took.
    """

    action: Action
    events: Sequence[Event]
    before: Image | None = None
    after: Image | None = None
    pruned: str = ""
    undos: Sequence[Action] = ()
    others: Sequence[Action] = ()
    approval: Approval | None = None
    ignore: tuple[str, ...] = ()
    audience: Audience = "internal"

    @property
    def voice(self) -> Voice:
        """How it is told."""
        return Voice.of(self.audience, self.action, self.others)


def trail(facts: Facts) -> tuple[Sentence, ...]:
    """The sentences, in the order of the questions."""
    return (
        *_what(facts),
        *_settled(facts),
        *_why(facts),
        *_restored(facts),
        *_left_alone(facts),
        *_residue(facts),
        *review(facts),
        *record(facts),
    )


def done(facts: Facts) -> tuple[Sentence, ...]:
    """What an action did, and what came of it since: what is told of one step of a plan."""
    return (*_what(facts), *_settled(facts), *_why(facts), *_restored(facts), *_residue(facts))


def as_text(sentences: Sequence[Sentence]) -> str:
    """The trail as lines of text."""
    return "\n".join(sentence.text for sentence in sentences)


def _what(facts: Facts) -> list[Sentence]:
    action, voice = facts.action, facts.voice
    target, tool = voice.targets(action.targets), voice.tool(action.name)
    if action.status in {Status.DENIED, Status.CANCELLED, Status.AWAITING_APPROVAL, Status.APPROVED, Status.PLANNED}:
        return [Sentence("what", "recorded", f"I did not run {tool} on {target}: it is {action.status.value}.")]
    if action.status in {Status.IN_DOUBT, Status.NEEDS_OPERATOR, Status.RUNNING}:
        return [Sentence("what", "recorded", f"I called {tool} on {target}; it is {action.status.value}.")]
    if facts.before is not None and facts.after is not None:
        return _observed(facts, target)
    if action.status is Status.FAILED and not action.in_force:
        return [
            Sentence("what", "reported", f"I called {tool} on {target}; it failed and changed nothing that is known.")
        ]
    if facts.pruned and action.after is not None:
        return [*_by_name(action, tool, target), Sentence("what", "recorded", facts.pruned)]
    done = {Does.SEND: "sent", Does.CREATE: "created", Does.DELETE: "deleted", Does.UPDATE: "called"}[action.does]
    about = f" for {target}" if action.targets else ""
    object_ = f"{tool} on {target}" if done == "called" else f"something through {tool}{about}"
    if _settled(facts):  # how it was found is told next; the tool itself never said a word
        return [Sentence("what", "recorded", f"I {done} {object_}.")]
    return [Sentence("what", "reported", f"I {done} {object_}; this was not read back.")]


def _by_name(action: Action, tool: str, target: str) -> list[Sentence]:
    """What changed, where its values are not kept any more."""
    changed = f" and changed {', '.join(action.changed)}" if action.changed else ""
    read = Sentence("what", "observed", f"I called {tool} on {target}{changed}; this was read back.")
    missed = [Sentence("what", "observed", "What was read back is not what was expected.")]
    return [read, *(missed if action.verified is Verified.MISMATCH else [])]


def _observed(facts: Facts, target: str) -> list[Sentence]:
    assert facts.before is not None
    assert facts.after is not None
    action = facts.action
    kinds = " ".join(dict.fromkeys(t.type for t in action.targets))
    found = changed(facts.before, facts.after, declared=action.fields, ignore=facts.ignore)
    sentences = []
    for difference in found:
        if difference.field.endswith(WHOLE):
            verb = "created" if difference.before is None else "deleted" if difference.after is None else "changed"
            sentences.append(f"I {verb} {kinds} {target}.")
        else:
            old, new = shown(difference.before), shown(difference.after)
            sentences.append(f"I changed {kinds} {target}: {difference.field} from {old} to {new}.")
    if not sentences:
        sentences = [f"I called {facts.voice.tool(action.name)} on {target}; nothing differed afterwards."]
    if action.verified is Verified.MISMATCH:
        sentences.append("What was read back is not what was expected.")
    others = unexplained(facts.before, facts.after, declared=action.fields, ignore=facts.ignore)
    if others:
        sentences.append(f"Also different, and not by this action: {', '.join(others)}.")
    return [Sentence("what", "observed", text) for text in sentences]


def _settled(facts: Facts) -> list[Sentence]:
    """How it was found out whether it took effect, where that was unknown for a time."""
    events = [event for event in facts.events if event.happening is not Happening.NOTE]
    lost = next((n for n, event in enumerate(events) if event.happening is Happening.LOSE), None)
    if lost is None or facts.voice.outward or facts.action.status in {Status.RUNNING, Status.IN_DOUBT}:
        return []
    found = next((e for e in events[lost + 1 :] if e.happening in {Happening.SUCCEED, Happening.FAIL}), None)
    if found is None:
        return []
    text = f"At first nobody knew whether it took effect ({events[lost].detail}). It was looked for: {found.detail}."
    return [Sentence("what", "recorded", text)]


def _why(facts: Facts) -> list[Sentence]:
    said = [
        f"It was taken back by {facts.voice.who(undo.principal)}, because: {facts.voice.free(undo.reason)}."
        for undo in facts.undos
        if undo.origin is Origin.UNDO and undo.reason
    ]
    return [Sentence("why", "recorded", text) for text in dict.fromkeys(said)]


def _restored(facts: Facts) -> list[Sentence]:
    found = [_of_undo(facts, undo) for undo in facts.undos]
    return [sentence for sentence in found if sentence is not None]


def _of_undo(facts: Facts, undo: Action) -> Sentence | None:
    """What one call of a compensation came to. A chain puts the target back once; its other calls are named as such."""
    outcome = undo.outcome or {}
    names = outcome.get("restored") or []
    if undo.status is not Status.SUCCEEDED:
        return Sentence("restored", "recorded", f"The attempt to take it back ({undo.id}) is {undo.status.value}.")
    if names and facts.before is not None and (undo.changed or undo is facts.undos[0]):
        values = ", ".join(_restored_value(facts, name) for name in names)
        return Sentence("restored", "observed", f"I restored it: {values} (read back, {undo.id}).")
    if names:
        return Sentence("restored", "reported", f"Then I called {facts.voice.tool(undo.name)} ({undo.id}).")
    if outcome:
        return Sentence("restored", "recorded", f"A correction was made ({undo.id}): {outcome.get('text')}.")
    return None


def _restored_value(facts: Facts, name: str) -> str:
    if name.endswith(WHOLE):
        return "the whole target"
    assert facts.before is not None
    return f"{name} to {shown(field_value(facts.before, name))}"


def _left_alone(facts: Facts) -> list[Sentence]:
    texts = []
    if facts.undos and facts.action.fields:
        texts.append(f"Only {', '.join(facts.action.fields)} was touched; every other field was left alone.")
    if facts.voice.outward:  # what was not done to others is none of this customer's business
        return [Sentence("left_alone", "recorded", text) for text in texts]
    own = {(t.type, t.id) for t in facts.action.targets}
    touched = {(t.type, t.id) for other in facts.others if other.in_force for t in other.targets}
    spared: dict[str, str] = {}
    for other in facts.others:
        for target in other.targets:
            if other.status in _NOT_RUN and (target.type, target.id) not in own | touched:
                why = f"{other.name} was {_NOT_RUN[other.status]}, {other.id}"
                spared.setdefault(target.id, f"{target.id} was left unchanged ({why}).")
    return [Sentence("left_alone", "recorded", text) for text in [*texts, *spared.values()]]


def _residue(facts: Facts) -> list[Sentence]:
    found = []
    for undo in facts.undos:
        outcome = undo.outcome or {}
        if outcome.get("outcome") == UndoOutcome.COMPENSATED.value and outcome.get("residue"):
            found.append(Sentence("residue", "observed", f"Not undone: {', '.join(outcome['residue'])}."))
    action = facts.action
    if action.in_force and action.compensation is None and action.status is Status.SUCCEEDED:
        found.append(Sentence("residue", "recorded", "There is no way to take it back."))
    return found


def review(facts: Facts) -> list[Sentence]:
    """Whether a person reviewed it."""
    approval = facts.approval
    if approval is None or approval.decided_by is None:
        return [Sentence("review", "recorded", "No person reviewed it.")]
    voice = facts.voice
    when = voice.when(approval.decided_at) if approval.decided_at else "at an unknown time"
    verb = "denied" if approval.status.value == "denied" else "approved"
    if voice.outward:
        return [Sentence("review", "recorded", f"A member of our staff {verb} it on {when}.")]
    return [Sentence("review", "recorded", f"{approval.decided_by} {verb} it ({approval.how}, {approval.id}, {when}).")]


def record(facts: Facts) -> list[Sentence]:
    """Where it is written down."""
    action = facts.action
    when = facts.voice.when(action.created_at)
    if facts.voice.outward:
        return [Sentence("record", "recorded", f"Our record of it: {action.id}, {when}.")]
    text = f"The record: action {action.id} in run {action.run}, {len(facts.events)} events, {when}."
    return [Sentence("record", "recorded", text)]
