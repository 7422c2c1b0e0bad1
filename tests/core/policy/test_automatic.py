"""`auto_compensate`: only where taking back without a question is harmless, and where it can be seen to be needed."""

from __future__ import annotations

from typing import Final

import pytest

from takeback.core.policy.load import load
from takeback.core.policy.schema import Rule
from tests.core.policy.policies import ENV, HEAD, mistakes

RULE: Final = """
[[rule]]
tool = "desk.put"
class = "internal_update"
effect = "set"
risk = "low"
target = { type = "record", id = "args.id" }
read = { tool = "desk.get", args = { id = "args.id" } }
undo = { tool = "desk.put", args = { id = "target.id", priority = "before.priority" } }
auto_compensate = true
"""
WHERE: Final = "rule[2].auto_compensate (desk.put): "


def loaded(rule: str) -> Rule:
    return load(HEAD + rule, env=ENV, source="policy.toml").rules_for("desk.put")[0].rule


@pytest.mark.parametrize("kind", ["internal_update", "draft"])
def test_it_is_taken_for_what_is_harmless(kind: str) -> None:
    assert loaded(RULE.replace("internal_update", kind)).auto_compensate is True


@pytest.mark.parametrize(
    ("replaced", "by", "why"),
    [
        ('"internal_update"', '"external_reversible"', "is for the classes draft and internal_update only"),
        ('risk = "low"', 'risk = "medium"', "is for low risk only, and this rule's is medium"),
        ('risk = "low"\n', "", "is for low risk only, and this rule's is medium"),
        (
            'undo = { tool = "desk.put", args = { id = "target.id", priority = "before.priority" } }',
            "",
            "has no `undo`",
        ),
    ],
)
def test_it_is_a_mistake_elsewhere(replaced: str, by: str, why: str) -> None:
    assert replaced in RULE
    [found] = mistakes(HEAD + RULE.replace(replaced, by))
    assert found.startswith(WHERE + why)


def test_what_is_not_read_back_cannot_be_seen_to_fail() -> None:
    bare = RULE.replace('read = { tool = "desk.get", args = { id = "args.id" } }\n', "").replace(
        "before.priority", "args.id"
    )
    assert [one for one in mistakes(HEAD + bare) if one.startswith(WHERE)] == [
        WHERE + "needs a `read`: what is not read back cannot be seen to fail; give the rule a `read`"
    ]


def test_switched_off_it_means_nothing() -> None:
    off = RULE.replace("auto_compensate = true", "auto_compensate = false").replace('"low"', '"high"')
    assert loaded(off).auto_compensate is False
