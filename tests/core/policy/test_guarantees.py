"""The table of guarantees: what each rule has, and that what it is told to add really makes it stronger."""

from __future__ import annotations

import pytest

from takeback.core.policy.guarantees import COLUMNS, Strength, guarantees, wishes
from takeback.core.policy.live.offers import Live, Tool
from tests.core.policy.policies import HEAD, READ_BACK, loaded

KEYED = '[upstream.desk]\ncommand = "desk"\nidempotency = { argument = "key" }\n'
LANDS = '[upstream.desk]\ncommand = "desk"\nlands_within = "2s"\n'
UNDO = 'undo = { tool = "desk.set", args = { id = "target.id", title = "before.title" } }\n'
PROBE = 'probe = { tool = "desk.get", args = {}, found = "true" }\n'
CONDITION = 'condition = { argument = "version", version = "before.version" }\n'
ONCE, SET = 'effect = "once"\n', 'effect = "set"\n'
TARGET = 'target = { type = "record", id = "args.id" }\n'
BARE = HEAD.partition("[[rule]]")[0]

CASES: dict[str, tuple[str, str, tuple[str, str, str]]] = {
    "nothing": (BARE, ONCE, ("fair", "weak", "none")),
    "a target": (BARE, ONCE + TARGET, ("good", "weak", "none")),
    "a key": (KEYED, ONCE + TARGET, ("strong", "strong", "none")),
    "a probe": (BARE, ONCE + TARGET + PROBE, ("good", "fair", "none")),
    "a probe, and a landing": (LANDS, ONCE + TARGET + PROBE, ("good", "good", "none")),
    "a set": (BARE, SET + TARGET, ("strong", "weak", "none")),
    "a set that is read": (BARE, SET + READ_BACK, ("strong", "good", "none")),
    "a set that is read, and a landing": (LANDS, SET + READ_BACK, ("strong", "strong", "none")),
    "an undo": (BARE, SET + TARGET + UNDO.replace("before.title", "args.title"), ("strong", "weak", "fair")),
    "an undo that is read back": (BARE, SET + READ_BACK + UNDO, ("strong", "good", "good")),
    "an undo on condition": (BARE, SET + READ_BACK + UNDO + CONDITION, ("strong", "good", "strong")),
    "a counter": (BARE, ONCE + READ_BACK + 'by = { n = "args.n" }\n' + UNDO, ("good", "weak", "strong")),
    "a correction": (BARE, ONCE + TARGET + 'correct = { tool = "desk.set", args = {} }\n', ("good", "weak", "weak")),
}


@pytest.mark.parametrize("what", CASES)
def test_a_rule_has_what_its_keys_give_it(what: str) -> None:
    head, keys, expected = CASES[what]
    policy = loaded(f'{head}[[rule]]\ntool = "desk.set"\nclass = "internal_update"\n{keys}')
    found = guarantees(policy, policy.rules[0].rule)
    assert tuple(found[column].strength for column in COLUMNS) == expected


def test_every_kind_of_protection_is_had_by_some_rule() -> None:
    had = set()
    for head, keys, _ in CASES.values():
        policy = loaded(f'{head}[[rule]]\ntool = "desk.set"\nclass = "internal_update"\n{keys}')
        had |= {(column, one.says) for column, one in guarantees(policy, policy.rules[0].rule).items()}
    assert had == {(column, kind.says) for column, kinds in COLUMNS.items() for kind in kinds}


def test_the_kinds_are_in_order_and_the_last_one_is_for_everybody() -> None:
    ranks = list(Strength)
    for kinds in COLUMNS.values():
        assert [ranks.index(kind.strength) for kind in kinds] == sorted(ranks.index(kind.strength) for kind in kinds)


@pytest.mark.parametrize(
    ("keys", "wish", "added"),
    [
        (ONCE, "a target", TARGET),
        (ONCE + TARGET, "probe", PROBE),
        (SET + TARGET, "read", READ_BACK.replace(TARGET, "")),
        (SET + READ_BACK, "undo", UNDO),
        (SET + READ_BACK + UNDO, "condition (in the rule of the tool that undoes it)", CONDITION),
    ],
)
def test_what_is_wished_for_makes_it_stronger(keys: str, wish: str, added: str) -> None:
    rule = '[[rule]]\ntool = "desk.set"\nclass = "internal_update"\n'
    before, after = loaded(BARE + rule + keys), loaded(BARE + rule + keys + added)
    weaker, stronger = guarantees(before, before.rules[0].rule), guarantees(after, after.rules[0].rule)
    assert wish in wishes(weaker)
    ranks = list(Strength)
    gained = [ranks.index(weaker[c].strength) - ranks.index(stronger[c].strength) for c in COLUMNS]
    assert min(gained) == 0
    assert max(gained) > 0


def test_a_read_needs_no_protection() -> None:
    policy = loaded(HEAD)
    assert guarantees(policy, policy.rules[0].rule) == {}


def test_an_api_that_takes_conditions_makes_the_undo_stronger_without_a_word_in_the_policy() -> None:
    head = '[upstream.desk]\nopenapi = "https://desk.example/openapi.json"\n'
    policy = loaded(f'{head}[[rule]]\ntool = "desk.set"\nclass = "internal_update"\n{SET}{READ_BACK}{UNDO}')
    http = {"io.takeback/http": {"method": "PUT", "path": "/x", "conditional": True}}
    live = Live({"desk": (Tool("desk", {"name": "set", "_meta": http}),)})
    assert guarantees(policy, policy.rules[0].rule, live)["undo"].strength is Strength.STRONG
    assert guarantees(policy, policy.rules[0].rule)["undo"].strength is Strength.GOOD
