"""In doubt is settled by looking: what each kind of evidence leads to."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from takeback.core.recovery import Evidence, diagnose
from takeback.core.states import Happening
from takeback.core.verification import Verification
from takeback.core.vocabulary import Effect, Verified
from tests.core.examples import NOW, UNREADABLE, after, claimed, image

B, A = image({"priority": "normal"}), image({"priority": "high"})
SOON = timedelta(seconds=5)


def kind(effect: Effect = Effect.SET, **evidence: Any) -> str:
    action = after(claimed(effect=effect), Happening.LOSE)
    given: dict[str, Any] = {"now": NOW + timedelta(seconds=1), "before": B, "current": B}
    return diagnose(Evidence(action=action, **(given | evidence))).kind


YES = Verification(Verified.YES)


def test_a_key_that_the_upstream_honours_is_used_again() -> None:
    assert kind(key_valid=True) == "same_key"
    assert kind(Effect.ONCE, key_valid=True) == "same_key"


def test_a_set_that_is_as_expected_took_effect() -> None:
    assert kind(current=A, verification=YES) == "took_effect"


def test_an_unchanged_set_may_still_land() -> None:
    assert kind(lands_within=SOON) == "wait"
    assert kind(lands_within=SOON, now=NOW + SOON) == "new_attempt"
    assert kind(lands_within=SOON, now=NOW + SOON, read_lag=SOON) == "wait"
    assert kind() == "queue", "nothing says by when it would have landed"


@pytest.mark.parametrize("current", [None, image({"priority": "urgent"}), image(None)])
def test_a_set_that_cannot_be_explained_goes_to_a_person(current: Any) -> None:
    assert kind(current=current, lands_within=SOON, now=NOW + SOON) == "queue"


def test_one_look_that_fails_proves_nothing() -> None:
    assert kind(current=UNREADABLE, lands_within=SOON, now=NOW + SOON) == "wait"
    assert kind(Effect.ONCE, probed=True, lands_within=SOON, now=NOW + SOON) == "wait"


def test_a_once_is_settled_by_a_probe_only() -> None:
    assert kind(Effect.ONCE, current=A, verification=YES) == "queue"
    assert kind(Effect.ONCE, found=True) == "took_effect"
    assert kind(Effect.ONCE, found=False) == "queue"
    assert kind(Effect.ONCE, found=False, lands_within=SOON) == "wait"
    assert kind(Effect.ONCE, found=False, lands_within=SOON, now=NOW + SOON) == "new_attempt"


@pytest.mark.parametrize(("found", "lands"), list(product([None, True, False], [None, SOON])))
def test_a_once_is_never_sent_again_before_it_can_no_longer_land(found: bool | None, lands: timedelta | None) -> None:
    for seconds in (0, 1, 4):
        assert kind(Effect.ONCE, found=found, lands_within=lands, now=NOW + timedelta(seconds=seconds)) != "new_attempt"
