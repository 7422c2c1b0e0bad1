"""What pauses a run, and where a run stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from takeback.core.pausing import WORRYING, Concern, paused, pausing, worries
from takeback.core.queue import Cause
from takeback.core.run import IDLE, Run
from takeback.core.run_state import RunFacts, state_of
from takeback.core.vocabulary import PauseFrom, Risk, RunStatus

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
RUN = Run(id="r1", tenant="acme", principal="ann", opened_at=NOW, active_at=NOW)
DOUBT = Concern(action="a1", cause=Cause.IN_DOUBT, risk=Risk.MEDIUM, since=NOW)
WRONG = Concern(action="a2", cause=Cause.MISMATCH, risk=Risk.HIGH, since=NOW + timedelta(seconds=1), item="q1")

LEASTS: tuple[PauseFrom, ...] = ("low", "medium", "high", "never")
some_concerns = some.lists(
    some.builds(
        Concern,
        action=some.sampled_from(["a1", "a2", "a3"]),
        cause=some.sampled_from(sorted(WORRYING)),
        risk=some.sampled_from(list(Risk)),
        since=some.integers(0, 9).map(lambda minutes: NOW + timedelta(minutes=minutes)),
        item=some.none() | some.sampled_from(["q1", "q2"]),
    )
)


@given(some_concerns, some.sampled_from(LEASTS))
def test_what_pauses_is_of_enough_risk_and_named_once(concerns: list[Concern], least: PauseFrom) -> None:
    found = pausing(concerns, least)
    assert len({one.action for one in found}) == len(found)
    assert set(found) <= set(concerns)
    if least == "never":
        assert not found
        return
    assert {one.action for one in found} == {one.action for one in concerns if one.risk.rank >= Risk(least).rank}
    waits_for_person = [one.item is not None for one in found]
    assert waits_for_person == sorted(waits_for_person, reverse=True)


@given(some_concerns, some.sampled_from(LEASTS))
def test_a_higher_threshold_never_pauses_for_more(concerns: list[Concern], least: PauseFrom) -> None:
    above = {one.action for one in pausing(concerns, "high")}
    assert above <= {one.action for one in pausing(concerns, "medium")}
    assert {one.action for one in pausing(concerns, least)} <= {one.action for one in pausing(concerns, "low")}


def test_the_words_name_each_and_count_the_rest() -> None:
    assert worries((WRONG,)) == "a2 did not read back as expected (q1 in the recovery queue)"
    assert worries((DOUBT,)) == "a1 may or may not have taken effect, which is being looked at"
    assert worries([replace(WRONG, action=f"a{n}") for n in range(5)]).endswith("; and 2 more")
    assert worries(()) == ""


def test_whoever_is_stopped_learns_what_to_do_next() -> None:
    assert "Ask again in a moment" in paused((DOUBT,))
    for word in ("a2", "q1", "Nothing was changed", "takeback queue", "takeback_undo", "tell the user"):
        assert word in paused((WRONG, DOUBT)), paused((WRONG, DOUBT))


@pytest.mark.parametrize(
    ("run", "facts", "status"),
    [
        (RUN, RunFacts(active_at=NOW), RunStatus.OPEN),
        (RUN, RunFacts(active_at=NOW, concerns=(DOUBT,)), RunStatus.PAUSED),
        (RUN, RunFacts(active_at=NOW, concerns=(replace(DOUBT, risk=Risk.LOW),)), RunStatus.OPEN),
        (RUN, RunFacts(active_at=NOW, unsettled=1, going_back=1, concerns=(WRONG,)), RunStatus.RECOVERING),
        (RUN, RunFacts(active_at=NOW - IDLE - timedelta(seconds=1)), RunStatus.FINISHED),
        (RUN, RunFacts(active_at=NOW - IDLE), RunStatus.OPEN),
        (RUN, RunFacts(active_at=NOW - 2 * IDLE, unsettled=1), RunStatus.OPEN),
        (RUN, RunFacts(active_at=NOW - 2 * IDLE, concerns=(WRONG,)), RunStatus.PAUSED),
        (replace(RUN, ended_at=NOW), RunFacts(active_at=NOW), RunStatus.FINISHED),
        (replace(RUN, ended_at=NOW), RunFacts(active_at=NOW, unsettled=1), RunStatus.OPEN),
        (replace(RUN, ended_at=NOW), RunFacts(active_at=NOW + timedelta(seconds=1)), RunStatus.OPEN),
        (replace(RUN, status=RunStatus.ABANDONED), RunFacts(active_at=NOW, concerns=(WRONG,)), RunStatus.ABANDONED),
        (replace(RUN, status=RunStatus.FINISHED), RunFacts(active_at=NOW, unsettled=1), RunStatus.FINISHED),
    ],
)
def test_a_run_stands_where_its_row_and_its_actions_say(run: Run, facts: RunFacts, status: RunStatus) -> None:
    assert state_of(run, facts, "medium", NOW).status is status


def test_a_state_says_what_pauses_it_whatever_else_it_is() -> None:
    state = state_of(RUN, RunFacts(active_at=NOW, going_back=1, unsettled=1, concerns=(WRONG,)), "medium", NOW)
    assert (state.status, state.paused_by, state.active_at) == (RunStatus.RECOVERING, (WRONG,), NOW)
