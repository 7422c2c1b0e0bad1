"""The transition table: total in what it refuses, and the same for live calls and recovery."""

from __future__ import annotations

from itertools import product

import pytest

from takeback.core.action import Event, IllegalChange, begin, evolve
from takeback.core.states import OCCUPYING, TABLE, UNSETTLED, VOID, Happening, IllegalTransition, next_status
from takeback.core.vocabulary import Status
from tests.core.examples import NOW, after, claimed, started

LEGAL = {(row.source, row.happening): row.target for row in TABLE}


@pytest.mark.parametrize(("status", "happening"), list(product([None, *Status], Happening)))
def test_every_pair_is_either_in_the_table_or_refused(status: Status | None, happening: Happening) -> None:
    if happening is Happening.NOTE and status is not None:
        assert next_status(status, happening) is status
    elif (status, happening) in LEGAL:
        assert next_status(status, happening) is LEGAL[status, happening]
    else:
        with pytest.raises(IllegalTransition, match="cannot happen"):
            next_status(status, happening)


def test_the_table_names_each_pair_once() -> None:
    assert len(LEGAL) == len(TABLE)


def test_final_states_are_left_by_nothing() -> None:
    assert not [row for row in TABLE if row.source in VOID]


def test_every_state_but_the_final_ones_can_be_left_and_every_state_reached() -> None:
    assert {row.source for row in TABLE} - {None} == set(Status) - VOID
    assert {row.target for row in TABLE} == set(Status)


def test_nothing_that_may_have_been_sent_becomes_void_without_a_person() -> None:
    to_void = {(row.source, row.happening) for row in TABLE if row.target in VOID}
    sent = {Status.IN_DOUBT, Status.COMPENSATING, Status.SUCCEEDED, Status.FAILED, Status.COMPENSATED}
    assert not {source for source, _ in to_void} & sent
    assert (Status.NEEDS_OPERATOR, Happening.CLOSE) in to_void


def test_what_occupies_a_target_is_unsettled() -> None:
    assert OCCUPYING < UNSETTLED


def test_an_update_that_is_taken_back_and_redone() -> None:
    action = claimed()
    for happening, status in [
        (Happening.SUCCEED, Status.SUCCEEDED),
        (Happening.COMPENSATE, Status.COMPENSATING),
        (Happening.RESTORE, Status.COMPENSATED),
        (Happening.REDO, Status.SUCCEEDED),
    ]:
        action = after(action, happening)
        assert action.status is status
    assert action.version == 5


def test_an_illegal_transition_changes_nothing() -> None:
    action = started(Happening.DENY)
    with pytest.raises(IllegalTransition):
        after(action, Happening.CLAIM)
    assert action.status is Status.DENIED
    assert action.version == 1


@pytest.mark.parametrize("seq", [1, 3, 0])
def test_an_event_must_be_the_next_one(seq: int) -> None:
    with pytest.raises(IllegalChange, match="does not follow"):
        evolve(claimed(), Event("a1", seq, Happening.SUCCEED, NOW, "guard"))


@pytest.mark.parametrize("field", ["status", "id", "version", "created_at", "colour"])
def test_no_event_sets_what_only_follows_from_others(field: str) -> None:
    with pytest.raises(IllegalChange, match=field):
        after(claimed(), Happening.SUCCEED, **{field: "x"})


def test_a_first_event_has_number_one() -> None:
    with pytest.raises(IllegalChange, match="cannot be the first"):
        begin(Event("a1", 2, Happening.CLAIM, NOW, "guard"))
