"""What agents do in the enumeration: eight kinds of action, alone, in pairs, and in triples that cover all pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Final

from tests.crashes.agent import Agent, Outcome
from tests.crashes.plans import DOCUMENTS, submitted

Workload = tuple[str, ...]
"""The kinds of its actions, in order."""


def quiet(at: int) -> str:
    """The step in which an action's ground is laid; no boundary in it is enumerated."""
    return f"quiet {at}"


def _set(agent: Agent, at: int) -> Outcome:
    return agent.call(str(at), "set", {"id": "S-1", "priority": f"p{at}"}).outcome


def _note(agent: Agent, at: int) -> Outcome:
    return agent.call(str(at), "note", {"text": f"n{at}"}).outcome


def _charge(agent: Agent, at: int) -> Outcome:
    return agent.call(str(at), "charge", {"account": "A-1", "amount": f"{at}"}).outcome


def _pay(agent: Agent, at: int) -> Outcome:
    return agent.call(str(at), "pay", {"account": "B-1", "amount": f"{at}"}).outcome


def _delete(agent: Agent, at: int) -> Outcome:
    return agent.call(str(at), "delete", {"id": f"D-{at}"}).outcome


def _approved(agent: Agent, at: int) -> Outcome:
    step, arguments = str(at), {"id": "S-1", "level": f"l{at}"}
    answer = agent.call(step, "escalate", arguments)
    for _ in range(3):
        if answer.outcome != "pending" or answer.approval is None:
            break
        agent.approve(step, answer.approval)
        answer = agent.call(step, "escalate", arguments)
    return answer.outcome


def _undo(agent: Agent, at: int) -> Outcome:
    laid = agent.call(quiet(at), "set", {"id": "S-2", "priority": f"u{at}"})
    if laid.outcome != "done":
        return laid.outcome
    return _confirmed(agent, str(at), agent.run, laid.action)


def _undo_run(agent: Agent, at: int) -> Outcome:
    run = f"w{at}"
    for name in (f"U-{2 * at}", f"U-{2 * at + 1}"):
        laid = agent.call(quiet(at), "set", {"id": name, "priority": f"w{at}"}, run=run)
        if laid.outcome != "done":
            return laid.outcome
    return _confirmed(agent, str(at), run, "run")


def _confirmed(agent: Agent, step: str, run: str, what: str | None) -> Outcome:
    arguments = {"what": what, "reason": "wrong record"}
    answer = agent.call(step, "takeback_undo", arguments, run=run)
    if answer.outcome == "confirm":
        answer = agent.call(step, "takeback_undo", arguments | {"confirm": answer.confirm}, run=run)
    return answer.outcome


KINDS: Final[Mapping[str, Callable[[Agent, int], Outcome]]] = {
    "set": _set,
    "note": _note,
    "charge": _charge,
    "pay": _pay,
    "delete": _delete,
    "approved": _approved,
    "undo": _undo,
    "undo-run": _undo_run,
}

MEANING: Final[Mapping[str, str]] = {
    "set": "effect `set`, read back, `lands_within`",
    "note": "effect `once`, with a probe",
    "charge": "effect `once`, with nothing to look with",
    "pay": "effect `once`, at an API that honours keys",
    "delete": "a delete, read back",
    "approved": "a `set` that a person agrees to first",
    "undo": "one action taken back",
    "undo-run": "a run of two taken back",
}

MAY_BE_QUEUED: Final = frozenset({"charge"})
"""What nobody can settle by looking, once it may have been sent."""

MOST_ACTIONS: Final = 4


def singles() -> list[Workload]:
    return [(kind,) for kind in KINDS]


def pairs() -> list[Workload]:
    return list(product(KINDS, repeat=2))


def triples() -> list[Workload]:
    """Every pair of kinds in every two of three places, at least once: a Latin square."""
    kinds = list(KINDS)
    size = len(kinds)
    return [(kinds[a], kinds[b], kinds[(a + b) % size]) for a, b in product(range(size), repeat=2)]


def carry_out(agent: Agent, workload: Workload) -> dict[int, Outcome]:
    """All actions in order; what the last answer to each said. Raises Away."""
    outcomes: dict[int, Outcome] = {}
    for at, kind in enumerate(workload):
        outcomes[at] = "unknown"
        outcomes[at] = submitted(agent, kind) if kind in DOCUMENTS else KINDS[kind](agent, at)
    return outcomes
