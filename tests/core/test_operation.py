"""Retries are replayed and repetitions are not swallowed: the table of the design, row by row, and its totality."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from takeback.core.action import Action, Target
from takeback.core.operation import (
    Compare,
    Go,
    Join,
    Refuse,
    Replay,
    idempotency_key,
    judge,
    judge_client_key,
    judge_current,
    logical_operation,
    overlaps,
    without_volatile,
)
from takeback.core.states import Happening
from takeback.core.vocabulary import Effect, Origin, Status
from tests.core.examples import TICKET, after, claimed, started

H = Happening


def succeeded(**changes: object) -> Action:
    return after(claimed(**changes), H.SUCCEED, in_force=True)


def test_nothing_earlier_runs_as_the_first_generation() -> None:
    assert judge(None, newest_generation=-1) == Go(0)


def test_after_a_void_one_the_next_generation_runs() -> None:
    assert judge(None, newest_generation=4) == Go(5)


@pytest.mark.parametrize(
    "action",
    [
        started(H.ASK),
        after(started(H.ASK), H.APPROVE),
        claimed(),
        after(claimed(), H.LOSE),
        after(succeeded(), H.COMPENSATE),
        after(claimed(), H.LOSE, H.GIVE_UP),
    ],
    ids=lambda a: a.status.value,
)
def test_unsettled_ones_are_joined(action: Action) -> None:
    assert judge(action, newest_generation=0) == Join(action)


def test_a_certain_failure_without_effect_is_a_new_attempt_of_the_same_action() -> None:
    failed = after(claimed(), H.FAIL)
    assert judge(failed, newest_generation=0) == Go(0, attempt_of=failed)


def test_an_effect_that_failed_verification_is_never_executed_again() -> None:
    failed = after(claimed(), H.FAIL, in_force=True)
    assert judge(failed, newest_generation=0) == Refuse(failed, "mismatch")


def test_a_once_in_force_is_replayed() -> None:
    action = succeeded(effect=Effect.ONCE)
    later = succeeded(id="a2")
    assert judge(action, newest_generation=0, later=(later,)) == Replay(action)


def test_high_low_high_is_three_effects() -> None:
    high, low = succeeded(), succeeded(id="a2")
    assert judge(high, newest_generation=0, later=(low,)) == Go(1)


@pytest.mark.parametrize(
    "later",
    [
        succeeded(id="a2", fields=("status",)),
        succeeded(id="a2", targets=(Target("ticket", "T-204"),)),
        after(claimed(id="a2"), H.FAIL),
    ],
    ids=["another field", "another target", "no effect"],
)
def test_a_later_action_that_does_not_overlap_changes_nothing(later: Action) -> None:
    action = succeeded()
    assert judge(action, newest_generation=0, later=(later,)) == Compare(action)


def test_a_later_action_that_names_no_fields_overlaps_all() -> None:
    assert overlaps(succeeded(id="a2", fields=()), succeeded())


def test_a_set_in_force_is_compared_with_what_is_there() -> None:
    action = succeeded()
    assert judge(action, newest_generation=0) == Compare(action)
    assert judge_current(action, as_left=True) == Replay(action)
    assert judge_current(action, as_left=False) == Refuse(action, "changed_meanwhile")


def test_after_the_agents_own_undo_it_runs_again_and_after_another_ones_it_does_not() -> None:
    undone = after(succeeded(), H.COMPENSATE, H.RESTORE)
    by_agent = claimed(id="u1", origin=Origin.UNDO, principal="agent")
    by_other = claimed(id="u1", origin=Origin.UNDO, principal="anna (command line)")
    own = frozenset({"agent"})
    assert judge(undone, newest_generation=0, own_principals=own, undone_by=by_agent.principal) == Go(1)
    assert judge(undone, newest_generation=0, own_principals=own, undone_by=by_other.principal) == Refuse(
        undone, "undone_by_other"
    )
    assert judge(undone, newest_generation=0, own_principals=own) == Refuse(undone, "undone_by_other")


@pytest.mark.parametrize(("status", "effect", "in_force"), list(product(Status, Effect, [True, False])))
def test_the_table_is_total(status: Status, effect: Effect, in_force: bool) -> None:
    from dataclasses import replace

    action = replace(claimed(), status=status, effect=effect, in_force=in_force)
    verdict = judge(action, newest_generation=3)
    assert isinstance(verdict, Go | Join | Replay | Compare | Refuse)
    if in_force and status in {Status.SUCCEEDED, Status.FAILED}:
        assert not isinstance(verdict, Go), "what is in force never runs again by itself"


def test_other_arguments_under_a_clients_key_are_an_error() -> None:
    known = claimed()
    assert judge_client_key(known, "print") is None
    assert judge_client_key(known, "other") == Refuse(known, "other_arguments")


def operation(**changes: object) -> str:
    parts: dict[str, object] = {
        "tenant": "acme",
        "run": "r1",
        "tool": "desk.update",
        "targets": (TICKET,),
        "operation": {"a": 1},
    }
    return logical_operation(**(parts | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [{"tenant": "globex"}, {"run": "r2"}, {"tool": "desk.delete"}, {"targets": ()}, {"operation": {"a": 2}}],
    ids=lambda c: next(iter(c)),
)
def test_each_part_of_a_logical_operation_counts(change: dict[str, object]) -> None:
    assert operation(**change) != operation()


def test_a_label_is_no_part_of_it() -> None:
    from dataclasses import replace

    assert operation(targets=(replace(TICKET, label="Export fails"),)) == operation()


@given(st.dictionaries(st.text(max_size=5), st.integers(), max_size=4), st.data())
def test_the_order_of_arguments_does_not_count(arguments: dict[str, int], data: st.DataObject) -> None:
    shuffled = dict(data.draw(st.permutations(list(arguments.items()))))
    assert operation(operation=arguments) == operation(operation=shuffled)


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_keys_differ_exactly_when_generations_do(one: int, other: int) -> None:
    assert (idempotency_key("op", one) == idempotency_key("op", other)) == (one == other)


def test_volatile_arguments_are_left_out() -> None:
    assert without_volatile({"a": 1, "at": "now"}, ("at",)) == {"a": 1}
