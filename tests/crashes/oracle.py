"""What must hold when a case is over, whatever was killed where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from takeback.core.action import Action
from takeback.core.states import OCCUPYING, Happening
from takeback.core.vocabulary import ActionClass, Status
from takeback.ledger.rebuild import rebuilt
from tests.crashes.agent import Answer
from tests.crashes.evidence import Evidence
from tests.crashes.upstream import Effect
from tests.crashes.workloads import MAY_BE_QUEUED

_DONE: Final = frozenset({Status.SUCCEEDED, Status.COMPENSATED, Status.COMPENSATING})
_OPEN: Final = frozenset({Status.NEEDS_OPERATOR, *OCCUPYING})

Plan = Mapping[str, Counter[str]]
"""The effects of each step of a workload that nothing disturbed, by logical operation."""


@dataclass(frozen=True, slots=True)
class Judged:
    """How a case ended.

    What is wrong (nothing, if all is well), effects too many, effects nobody knows of, what waits for a person.
    """

    problems: tuple[str, ...]
    duplicates: int
    lost: int
    queued: int


def plan_of(effects: Sequence[Effect]) -> dict[str, Counter[str]]:
    """The effects by step and logical operation."""
    found: dict[str, Counter[str]] = {}
    for effect in effects:
        found.setdefault(effect.step, Counter())[effect.operation] += 1
    return found


def judge(plan: Plan, effects: Sequence[Effect], answers: Sequence[tuple[str, Answer]], evidence: Evidence) -> Judged:
    """Hold everything against everything."""
    got = plan_of(effects)
    twice = list(_too_many(_as_often_as_begun(plan, evidence), got))
    lost = list(_unknown(effects, evidence))
    problems = [
        *twice,
        *lost,
        *_untrue(plan, got, answers),
        *_unrecorded(evidence),
        *_left(evidence),
        *_unjustified(evidence),
        *_held(evidence),
    ]
    return Judged(tuple(problems), len(twice), len(lost), len(evidence.queue))


def _as_often_as_begun(plan: Plan, evidence: Evidence) -> Plan:
    """A plan that failed, and all of which went back, is tried anew when it is submitted again."""
    times = sum(one.action_class is ActionClass.WORKFLOW for one in evidence.actions.values())
    return {step: Counter({name: n * max(times, 1) for name, n in counts.items()}) for step, counts in plan.items()}


def _too_many(plan: Plan, got: Plan) -> Iterator[str]:
    for step, counts in got.items():
        for operation, count in counts.items():
            if count > (wanted := plan.get(step, Counter())[operation]):
                yield f"DUPLICATE: {operation!r} took effect {count} times in step {step}, {wanted} were wanted"


def _unknown(effects: Sequence[Effect], evidence: Evidence) -> Iterator[str]:
    """The ledger and the world, held against each other by logical operation."""
    counts = Counter(effect.operation for effect in effects)
    by_operation: dict[str, list[Action]] = {}
    for action in evidence.actions.values():
        if action.action_class is ActionClass.WORKFLOW:
            continue  # its steps have effects
        by_operation.setdefault(_operation(action), []).append(action)
    for operation in counts.keys() | by_operation.keys():
        actions = by_operation.get(operation, [])
        certain = sum(one.status in _DONE or (one.status is Status.FAILED and one.in_force) for one in actions)
        perhaps = sum(one.status in _OPEN - _DONE for one in actions)
        if not certain <= counts[operation] <= certain + perhaps:
            ledger = f"{certain} for certain, {perhaps} in doubt"
            yield f"LOST: {operation!r} took effect {counts[operation]} times; the ledger knows {ledger}"


def _operation(action: Action) -> str:
    """As the world names what the action does."""
    arguments = dict(action.arguments or {})
    match action.tool:
        case "set":
            return f"priority {arguments['id']} {arguments['priority']}"
        case "escalate":
            return f"level {arguments['id']} {arguments['level']}"
        case _:
            return " ".join([action.tool, *map(str, arguments.values())])


def _untrue(plan: Plan, got: Plan, answers: Sequence[tuple[str, Answer]]) -> Iterator[str]:
    """What the agent was told last in each step, against what is so."""
    for step, answer in dict(answers).items():
        if answer.outcome == "stuck":
            yield f"STUCK: step {step} got no answer within the bound but: {answer.text}"
        if answer.outcome == "done" and (missing := plan.get(step, Counter()) - got.get(step, Counter())):
            yield f"UNTRUE: step {step} was said to be done, and {dict(missing)} did not happen: {answer.text}"
        if answer.outcome == "none" and got.get(step) and not step.startswith("quiet"):
            yield f"UNTRUE: step {step} was said to have changed nothing: {answer.text}"


def _unrecorded(evidence: Evidence) -> Iterator[str]:
    for action in evidence.actions.values():
        if rebuilt(evidence.events.get(action.id, ())) != action:
            yield f"ROWS: {action.id} is not what its events make of it"


def _left(evidence: Evidence) -> Iterator[str]:
    for action in evidence.actions.values():
        if action.status in _OPEN and action.id not in evidence.queue and not _asked_elsewhere(action, evidence):
            yield f"LEFT: {action.id} ({action.name}) is {action.status.value}, and nobody is asked about it"


def _asked_elsewhere(action: Action, evidence: Evidence) -> bool:
    """An original whose undo waits for a person, and an undo whose original does."""
    related = [one.id for one in evidence.actions.values() if one.original == action.id]
    return any(one in evidence.queue for one in (*related, action.original))


def _unjustified(evidence: Evidence) -> Iterator[str]:
    """Asking a person about what looking settles is no answer."""
    for action_id, why in evidence.queue.items():
        action = evidence.actions[action_id]
        if action.action_class is ActionClass.WORKFLOW:
            continue  # so must one of its steps be, which `plans.Ends` sees to
        claimed = any(event.happening is Happening.LOSE for event in evidence.events[action_id])
        if action.tool not in MAY_BE_QUEUED or not claimed:
            yield f"QUEUED: {action_id} ({action.name}) could be settled without a person: {why}"


def _held(evidence: Evidence) -> Iterator[str]:
    """Leases of the dead have run out by now; those of the last guard were given back."""
    now = datetime.now(UTC)
    for name, until in evidence.held.items():
        if until > now:
            yield f"HELD: somebody holds {name} at the end"
