"""The story of a plan: what became of it as a whole, and then step by step, in sentences made from facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from takeback.core.phrases import LONGEST_REASON, quoted
from takeback.core.plan import PlanDocument
from takeback.core.trail import Facts, Sentence, done, record, review
from takeback.core.vocabulary import Status

_SO_FAR: Final = {
    Status.RUNNING: "it is under way",
    Status.COMPENSATING: "it is being taken back",
    Status.FAILED: "it stopped, and what it had done stands",
    Status.NEEDS_OPERATOR: "it waits for a person in the recovery queue",
}


def plan_trail(facts: Facts, steps: Mapping[str, Facts]) -> tuple[Sentence, ...]:
    """The sentences. `steps` has what is known of those steps that changed something, by the step's id."""
    plan = PlanDocument.from_document(facts.action.arguments)
    by_step = [] if facts.voice.outward else _by_step(plan, steps)
    return (_whole(facts, plan), *by_step, *review(facts), *record(facts))


def _by_step(plan: PlanDocument, steps: Mapping[str, Facts]) -> list[Sentence]:
    """Not for a customer: the steps of one plan may be about the records of several."""
    found: list[Sentence] = []
    for step in plan.steps:
        nothing = Sentence("left_alone", "recorded", "changed nothing.")
        told = done(steps[step.id]) if step.id in steps else (nothing,)
        found += [replace(sentence, text=f"{step.id}: {sentence.text}") for sentence in told]
    return found


def _whole(facts: Facts, plan: PlanDocument) -> Sentence:
    title, action = quoted(facts.voice.free(plan.title), LONGEST_REASON), facts.action
    why = "" if facts.voice.outward else str((action.error or {}).get("message", "")).rstrip(".")
    match action.status:
        case Status.SUCCEEDED:
            text = f"I carried out the plan {title}: all {len(plan.steps)} steps, in {len(plan.groups)} groups."
        case Status.COMPENSATED:
            text = f"I began the plan {title}, and what it had done was taken back" + (f": {why}." if why else ".")
        case status if status in _SO_FAR:
            text = f"I began the plan {title}; {_SO_FAR[status]}" + (f": {why}." if why else ".")
        case status:
            text = f"I did not begin the plan {title}: it is {status.value}."
    return Sentence("what", "recorded", text)
