"""`stale`: only where a run can have read what the rule looks at; and which answers are remembered for it."""

from __future__ import annotations

from typing import Final

import pytest

from takeback.core.policy.load import Policy, load
from takeback.core.policy.stale import Watched
from tests.core.policy.policies import ENV, HEAD, mistakes

READ: Final = 'read = { tool = "desk.get", args = { id = "args.id" } }\n'
RULE: Final = f"""
[[rule]]
tool = "desk.put"
class = "internal_update"
effect = "set"
risk = "low"
target = {{ type = "record", id = "args.id" }}
{READ}undo = "none"
stale = "refuse"
"""
WHERE: Final = "rule[2].stale (desk.put): "


def loaded(rules: str) -> Policy:
    return load(HEAD + rules, env=ENV, source="policy.toml")


def test_it_is_taken_where_the_target_is_read() -> None:
    assert loaded(RULE).rules_for("desk.put")[0].rule.stale == "refuse"
    assert loaded(RULE).watched == {"desk.get": Watched()}


@pytest.mark.parametrize("word", ['stale = "allow"\n', ""])
def test_nothing_is_remembered_where_no_rule_asks(word: str) -> None:
    assert loaded(RULE.replace('stale = "refuse"\n', word)).watched == {}


def test_what_is_never_read_cannot_be_seen_to_change() -> None:
    assert mistakes(HEAD + RULE.replace(READ, "")) == [
        WHERE + "needs a `read`: what is never read cannot be seen to have changed; give the rule a `read`"
    ]


def test_what_the_call_creates_cannot_have_been_read() -> None:
    made = RULE.replace('"args.id"', '"result.id"')
    assert mistakes(HEAD + made) == [WHERE + "there is nothing to have read before the call creates it; take it out"]


def test_a_read_that_no_agent_can_make_is_a_mistake() -> None:
    assert mistakes(HEAD + RULE.replace("desk.get", "desk.look")) == [
        WHERE + "no rule says that desk.look only reads, which `read` names: so what a run read by it is not known; "
        'give desk.look a rule with class = "read_only"'
    ]


def test_on_a_read_it_has_no_meaning() -> None:
    read = '\n[[rule]]\ntool = "desk.look"\nclass = "read_only"\nstale = "refuse"\n'
    [found] = mistakes(HEAD + read)
    assert found.startswith("rule[2].stale (desk.look): has no meaning for a tool that only reads")


def test_a_wrong_word_is_told_with_the_right_ones() -> None:
    [found] = mistakes(HEAD + RULE.replace('"refuse"', '"refused"'))
    assert found.startswith(WHERE + 'must be "refuse" or "allow"; did you mean `refuse`?')


def test_what_any_rule_redacts_is_not_remembered_and_a_path_counts_by_its_last_name() -> None:
    """An answer is kept before any `select`: a path from the top of the record is none from the top of the answer."""
    other = RULE.replace("desk.put", "desk.patch") + 'redact = ["owner.phone", "ssn"]\n'
    told = RULE.replace('"args.id" } }', '"args.id" }, absent = "error != null" }') + 'redact = ["pin"]\n'
    assert loaded(other + told).watched == {"desk.get": Watched(("phone", "pin", "ssn"), errors=True)}
    only = told.replace('stale = "refuse"', 'stale = "allow"')
    assert loaded(other + only).watched == {"desk.get": Watched(("phone", "ssn"))}


def test_of_several_targets_each_ones_read_counts() -> None:
    several = RULE.replace(READ, "").replace(
        'target = { type = "record", id = "args.id" }',
        'target = [{ type = "record", name = "from", id = "args.id", read = { tool = "desk.get", args = {} } }, '
        '{ type = "record", name = "to", id = "args.to", read = { tool = "desk.look", args = {} } }]',
    )
    look = '\n[[rule]]\ntool = "desk.look"\nclass = "read_only"\n'
    assert loaded(several + look).watched == {"desk.get": Watched(), "desk.look": Watched()}
    [found] = mistakes(HEAD + several)
    assert "no rule says that desk.look only reads, which `target[2].read` names" in found
