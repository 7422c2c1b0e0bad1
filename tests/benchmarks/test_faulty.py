"""The benchmark of faults counts rightly, and every subject meets the same faults."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.faulty.agent import Ended, Operation, operations, says_done
from benchmarks.faulty.faults import WRONG, Drawn, Fault, LostReply, plan_of
from benchmarks.faulty.report import BEGIN, END, write
from benchmarks.faulty.tally import Effects, tally
from benchmarks.faulty.world import World

CREATE = {"reference": "op-1", "title": "one"}


def draws(plan: Drawn, count: int = 4000) -> list[Fault]:
    return [plan.fault("create", f"op-{n}", 1) for n in range(count)]


def test_a_seed_says_what_goes_wrong() -> None:
    assert draws(Drawn(1, 0.3)) == draws(Drawn(1, 0.3))
    assert draws(Drawn(1, 0.3)) != draws(Drawn(2, 0.3))
    assert plan_of("drawn:7:0.3") == Drawn(7, 0.3)


def test_the_share_is_the_stated_one_and_every_fault_has_its_part() -> None:
    found = Counter(draws(Drawn(1, 0.3)))
    wrong = sum(found[fault] for fault in WRONG)
    assert 0.27 < wrong / found.total() < 0.33
    assert all(found[fault] > wrong / len(WRONG) / 2 for fault in WRONG)


def test_a_lost_reply_is_lost_once_and_only_for_writes() -> None:
    plan = LostReply()
    assert plan.fault("create", "op-1", 1) is Fault.RESET_AFTER
    assert plan.fault("create", "op-1", 2) is Fault.NONE
    assert plan.fault("search", "op-1", 1) is Fault.NONE


def test_the_oracle_counts_effects_and_not_calls(tmp_path: Path) -> None:
    with closing(World(tmp_path / "world.db")) as world:
        assert world.arrived("create", "op-1") == 1
        assert world.arrived("create", "op-1") == 2
        assert world.effects()["op-1"] == 0
        world.apply("create", CREATE, None)
        number, _ = world.postpone("create", CREATE, None)
        assert world.effects()["op-1"] == 1
        assert world.land(number) is not None
        assert world.land(number) is None
        assert world.effects()["op-1"] == 2


def test_an_upstream_that_honours_keys_acts_once_for_each(tmp_path: Path) -> None:
    with closing(World(tmp_path / "world.db")) as world:
        first = world.apply("create", CREATE, "key")
        assert world.apply("create", CREATE, "key") == first
        assert world.effects()["op-1"] == 1


def ended(number: int, *, told_done: bool = False, right: bool = False, told_took_effect: bool = False) -> Ended:
    operation = Operation(f"op-{number}", "create")
    return Ended(operation, told_done=told_done, right=right, told_took_effect=told_took_effect)


def test_the_tally_holds_what_was_said_against_what_happened() -> None:
    every = [
        ended(1, told_done=True, right=True),  # as it should be
        ended(2, told_done=True, right=True),  # "done", and twice
        ended(3, told_done=True, right=True),  # "done", and never
        ended(4),  # errors, and an effect
        ended(5),  # errors, and none
        ended(6),  # errors, an effect, and a person who looks
        ended(7, told_took_effect=True),  # an error that says how it is
        ended(8, told_took_effect=True),  # an error that says so, and it is twice
    ]
    effects = {"op-1": 1, "op-2": 2, "op-4": 1, "op-6": 1, "op-7": 1, "op-8": 2}
    found = tally(every, effects, frozenset({"op-6"}), restarts=3)
    assert found.created == Effects(once=4, more=2, none=2)
    assert found.were_set == Effects(once=0, more=0, none=0)
    assert (found.right, found.told_only, found.queued, found.restarts) == (3, 1, 1, 3)
    assert (found.gave_up_with_effect, found.gave_up_without) == (3, 1)
    assert found.silently_wrong == 4  # 2, 3, 4 and 8


@pytest.mark.parametrize(
    ("texts", "right"),
    [
        (('{"reference": "op-1", "title": "Title of op-1", "id": "R-1"}',), True),
        (("Already done.", '{"reference": "op-1", "title": "Title of op-1"}'), True),
        (('{"reference": "op-2", "title": "Title of op-1"}',), False),
        (("done",), False),
        ((), False),
    ],
)
def test_an_answer_is_right_when_it_is_about_the_operation(texts: tuple[str, ...], right: bool) -> None:
    assert Operation("op-1", "create").answered_by(texts) is right


def test_only_the_guards_own_words_say_that_an_error_is_none() -> None:
    assert says_done(("Already done as a1; nothing more is needed.", "internal error"))
    assert not says_done(("internal error", "[takeback a1] The tool reported an error."))


def test_creates_and_sets_come_by_turns() -> None:
    assert Counter(one.tool for one in operations(40)) == {"create": 20, "set": 20}


def test_the_figures_go_between_their_markers_and_nowhere_else(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write("new\n", readme)
    assert readme.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
