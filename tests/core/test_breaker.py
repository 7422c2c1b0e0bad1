"""The circuit breaker, against a model of what it promises."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from takeback.core.breaker import Breaker

REST = 10.0


def test_so_many_failures_in_a_row_open_it_and_one_trial_decides() -> None:
    breaker = Breaker(3, REST)
    for now in range(3):
        assert breaker.wait(now) is None
        breaker.failed(now)
    assert breaker.wait(2) == REST
    assert breaker.wait(11.9) is not None
    assert breaker.wait(12) is None
    assert breaker.wait(12) == REST  # one trial at a time
    breaker.failed(12)
    assert breaker.wait(13) == REST - 1
    assert breaker.wait(22) is None
    breaker.succeeded()
    assert breaker.wait(22) is None
    assert breaker.in_a_row == 0


def test_the_wait_is_never_longer_than_the_rest() -> None:
    """Also where adding and taking away does not come out even."""
    breaker = Breaker(1, REST)
    for now in (0.1 * n for n in range(200)):
        if breaker.wait(now) is None:
            breaker.failed(now)
        wait = breaker.wait(now)
        assert wait is not None
        assert wait <= REST


def test_a_success_in_between_starts_the_count_again() -> None:
    breaker = Breaker(2, REST)
    for now in range(20):
        assert breaker.wait(now) is None
        breaker.failed(now) if now % 2 else breaker.succeeded()


def test_a_trial_that_says_nothing_makes_room_for_the_next() -> None:
    breaker = Breaker(1, REST)
    assert breaker.wait(0) is None
    breaker.failed(0)
    assert breaker.wait(REST) is None
    breaker.ended()
    assert breaker.wait(REST) is None


@given(
    failures=st.integers(1, 4),
    steps=st.lists(st.tuples(st.sampled_from(["failed", "succeeded", "ended"]), st.floats(0, 7)), max_size=40),
)
def test_nothing_passes_while_it_rests_and_something_passes_when_it_has_rested(
    failures: int, steps: list[tuple[str, float]]
) -> None:
    breaker, now, row, resting_until = Breaker(failures, REST), 0.0, 0, None
    for outcome, passing in steps:
        now += passing
        wait = breaker.wait(now)
        if resting_until is not None and now < resting_until:
            assert wait is not None
            assert 0 < wait <= REST
            continue
        assert wait is None
        if outcome == "failed":
            row += 1
            breaker.failed(now)
            if row >= failures:
                resting_until = now + REST
        elif outcome == "succeeded":
            row, resting_until = 0, None
            breaker.succeeded()
        else:
            breaker.ended()
