"""Plans in the enumeration: what they are, and what must be true of the world when a guard was killed in one.

The kinds are played alone, with the agent coming again and without: what one plan does to the next is what one action
does to the next, which the pairs see to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from takeback.core.action import Action
from takeback.core.operation import step_operation
from takeback.core.vocabulary import ActionClass, Status
from tests.crashes.agent import Agent, Outcome
from tests.crashes.evidence import Evidence
from tests.crashes.policies import TENANT
from tests.crashes.upstream import State

Document = dict[str, Any]
Kept = Mapping[str, Any]
"""What a world is compared by: all of it but generated ids, and the order of what came side by side."""


def _step(name: str, tool: str, *after: str, **arguments: Any) -> Document:
    return {"id": name, "tool": tool, "arguments": arguments, "after": list(after)}


def _of(name: str, path: str) -> Document:
    return {"$from": name, "path": path}


def _plan(*groups: Sequence[Document], safe: int | None = None) -> Document:
    """`safe`: the group after which a failure leads back no further."""
    made = [{"steps": list(steps), "checkpoint": number == safe} for number, steps in enumerate(groups, 1)]
    return {"title": "Tidy up", "reason": "the user asked for it", "groups": made}


MIXED: Final = _plan(
    [_step("find", "get", id="S-1")],
    [_step("rank", "set", id=_of("find", "id"), priority="high"), _step("also", "set", id="S-2", priority="high")],
    [_step("made", "make", id="M-1", title=_of("find", "title"))],
    [_step("raised", "set", id=_of("made", "id"), priority="urgent")],
    [_step("look", "get", "raised", id=_of("made", "id"))],
    [_step("paid", "pay", account=_of("look", "id"), amount="5")],
    [_step("told", "note", text=_of("paid", "payment")), _step("named", "note", text=_of("find", "priority"))],
    [_step("gone", "delete", "told", id="D-0")],
    safe=3,
)
"""Ten steps in eight groups: reads, two steps side by side, references to what reads, writes and a payment answered.

What `find` answered is not so any more when it is referred to last.
"""

CHARGED: Final = _plan(
    [_step("rank", "set", id="S-1", priority="high")],
    [_step("charged", "charge", account="A-1", amount="5")],
    [_step("also", "set", "charged", id="S-2", priority="high")],
    [_step("told", "note", "also", text="charged")],
)
"""Nothing tells whether the charge took effect, when its answer is lost."""

ASKED: Final = _plan(
    [_step("rank", "set", id="S-1", priority="high")],
    [_step("level", "escalate", id="S-2", level="3")],
    [_step("made", "make", id="M-1", title="A new one")],
    [_step("told", "note", "level", text="escalated")],
)
"""One step asks a person, so that one answer begins all of it."""

FAILING: Final = _plan(
    [_step("rank", "set", id="S-1", priority="high")],
    [_step("made", "make", id="M-1", title="A new one"), _step("also", "set", id="S-2", priority="high")],
    [_step("raised", "set", id=_of("made", "id"), priority="urgent")],
    [_step("lost", "set", "raised", id="S-404", priority="high")],
)
"""The last step certainly fails, and everything goes back."""

WIDE: Final = _plan(
    [
        _step("find", "get", id="S-1"),
        *(_step(f"rank{n}", "set", id=f"S-{n}", priority="high") for n in range(1, 4)),
        *(_step(f"made{n}", "make", id=f"M-{n}", title=f"New {n}") for n in range(1, 3)),
        _step("gone", "delete", id="D-0"),
    ],
    [_step("paid", "pay", account="B-1", amount="5"), _step("told", "note", text=_of("find", "title"))],
    [_step("last", "note", text=_of("paid", "payment"))],
)
"""Ten steps, seven of them at once."""

SEVERAL_AT_ONCE: Final = "plan-wide"
"""The kind whose steps run side by side. Its boundaries have numbers: what comes after what is chance."""

ASKING: Final = "plan-asked"
"""The kind that the agent begins again after a person's yes, before the guard's own worker does."""

DOCUMENTS: Final[Mapping[str, Document]] = {
    "plan": MIXED,
    "plan-charge": CHARGED,
    ASKING: ASKED,
    "plan-back": FAILING,
    SEVERAL_AT_ONCE: WIDE,
}

MEANING: Final[Mapping[str, str]] = {
    "plan": "ten steps of all kinds, one after the other",
    "plan-charge": "one step with nothing to look with",
    ASKING: "one answer of a person covers all of it",
    "plan-back": "the last step fails, and all goes back",
    SEVERAL_AT_ONCE: "ten steps, seven side by side",
}

_ENDS: Final[Mapping[str, Status]] = {"plan-back": Status.COMPENSATED}


def submitted(agent: Agent, kind: str) -> Outcome:
    """The agent submits a plan, and has a person agree where it is told that one must."""
    step, document = "0", DOCUMENTS[kind]
    answer = agent.call(step, "takeback_plan", document)
    for _ in range(3):
        if answer.outcome != "pending" or answer.approval is None:
            break
        agent.approve(step, answer.approval)
        answer = agent.call(step, "takeback_plan", document)
    return "done" if answer.outcome == "back" and kind in _ENDS else answer.outcome


def kept(state: State) -> Kept:
    """What of a world is compared. The ids of notes are given in the order in which they came."""
    return {
        "records": {name: dict(one) for name, one in state.records.items()},
        "notes": sorted(note["text"] for note in state.notes),
        "charges": list(state.charges),
        "paid": sorted(payment["amount"] for payment in state.paid.values()),
    }


@dataclass(frozen=True, slots=True)
class Ends:
    """What a plan of one kind may end as. `before`, `after`: the world that it found, and leaves undisturbed."""

    kind: str
    before: Kept
    after: Kept

    def problems(self, world: Kept, evidence: Evidence) -> Iterator[str]:
        """What is wrong with how it ended, with the world as it is."""
        plans = plans_of(evidence)
        for plan in plans[:-1]:  # what failed for certain and went back may be tried anew
            if plan.status is not Status.COMPENSATED or self.kind not in _ENDS:
                yield f"TWICE: {plan.id} is {plan.status.value}, and {plans[-1].id} is the same plan"
        if not plans or plans[-1].status is Status.AWAITING_APPROVAL:
            yield from _unlike(world, self.before, "no plan was begun")
        elif plans[-1].status is Status.NEEDS_OPERATOR:
            yield from self._stopped(plans[-1], evidence)
        elif plans[-1].status is _ENDS.get(self.kind, Status.SUCCEEDED):
            yield from _unlike(world, self.after, f"{plans[-1].id} is {plans[-1].status.value}")
            yield from _unlike_its_steps(plans[-1], evidence)
        else:
            yield f"PLAN: {plans[-1].id} ends as {plans[-1].status.value}"

    def _stopped(self, plan: Action, evidence: Evidence) -> Iterator[str]:
        """It waits for a person: so must the step that it stopped at, and nothing after that was begun."""
        begun, stuck = _steps(plan, evidence), False
        for group in plan.arguments["groups"]:
            actions = [begun[step["id"]] for step in group["steps"] if step["id"] in begun]
            if stuck and actions:
                yield f"BEYOND: {plan.id} waits for a person, and {actions[0].id} was begun after it had stopped"
            stuck |= any(one.id in evidence.queue for one in actions)
        if not stuck:
            yield f"QUEUED: {plan.id} waits for a person, and none of its steps does: {evidence.queue.get(plan.id)}"


def plans_of(evidence: Evidence) -> list[Action]:
    """All plans, in the order of their beginning."""
    return [one for one in evidence.actions.values() if one.action_class is ActionClass.WORKFLOW]


def _steps(plan: Action, evidence: Evidence) -> dict[str, Action]:
    """By id: what a plan's steps have become; the newest attempt where there are several."""
    names = [step["id"] for group in plan.arguments["groups"] for step in group["steps"]]
    by_operation = {step_operation(tenant=TENANT, plan=plan.id, step=name): name for name in names}
    mine = [one for one in evidence.actions.values() if one.operation in by_operation]
    return {by_operation[one.operation]: one for one in mine}


def _unlike_its_steps(plan: Action, evidence: Evidence) -> Iterator[str]:
    """What a plan says of itself, its steps must say, too."""
    stands = plan.status is Status.SUCCEEDED
    for name, one in _steps(plan, evidence).items():
        if stands != (one.status is Status.SUCCEEDED) or one.in_force != stands:
            yield f"STEP: {plan.id} is {plan.status.value}, and its step {name} ({one.id}) is {one.status.value}"


def _unlike(world: Kept, wanted: Kept, why: str) -> Iterator[str]:
    for name, value in wanted.items():
        if world[name] != value:
            yield f"WORLD: {why}, and the {name} are {_different(world[name], value)}"


def _different(found: Any, wanted: Any) -> str:
    if not isinstance(found, Mapping):
        return f"{found}, not {wanted}"
    names = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    return "; ".join(f"{name}: {found.get(name)}, not {wanted.get(name)}" for name in names)
