"""A policy on the basis of another one."""

from __future__ import annotations

import pytest

from takeback.core.policy.extending import Base, named_base
from takeback.core.policy.load import Policy, load
from takeback.core.policy.mistakes import PolicyMistakes
from takeback.core.vocabulary import Risk
from tests.core.policy.policies import ENV

BASE = """
[ledger]
url = "sqlite+aiosqlite:///${STATE}/base.db"
[defaults]
tenant = "acme"
user = "agent"
[upstream.desk]
command = "${ABSENT}"
[upstream.other]
url = "https://other.example/mcp"
[[rule]]
tool = "desk.get"
class = "read_only"
[[rule]]
tool = "desk.set"
class = "internal_update"
"""
OWN = """
extends = "base.toml"
[defaults]
tenant = "globex"
approval = "medium"
[upstream.desk]
url = "https://desk.example/mcp"
[[rule]]
tool = "desk.set"
class = "external_irreversible"
"""


def over(own: str = OWN, base: str = BASE) -> Policy:
    return load(own, env=ENV, source="own.toml", base=Base("base.toml", base.encode()))


def mistakes(own: str, base: str = BASE) -> list[str]:
    with pytest.raises(PolicyMistakes) as raised:
        over(own, base)
    return [str(mistake) for mistake in raised.value.mistakes]


def test_own_tables_lie_over_those_of_the_base() -> None:
    file = over().file
    assert (file.defaults.tenant, file.defaults.user, file.defaults.approval) == ("globex", "agent", Risk.MEDIUM)
    assert file.ledger.url.endswith("/base.db")
    # Whole: no key of the base's table is left, so that its `command`, and what that would need, is gone.
    assert (file.upstream["desk"].url, file.upstream["desk"].command) == ("https://desk.example/mcp", None)
    assert file.upstream["other"].url == "https://other.example/mcp"


def test_own_rules_come_first_and_replace_those_for_the_same_tool() -> None:
    assert [n.rule.action_class.value for n in over().rules_for("desk.set")] == ["external_irreversible"]
    sometimes = over(OWN + 'when = "args.loud"\n')
    assert [n.rule.action_class.value for n in sometimes.rules_for("desk.set")] == [
        "external_irreversible",
        "internal_update",
    ]


def test_the_digest_is_over_all_that_holds() -> None:
    assert over().digest != over(base=BASE.replace('"read_only"', '"draft"')).digest
    assert over().digest != over(OWN.replace("globex", "initech")).digest
    assert over().digest == over(OWN.replace("base.toml", "./base.toml")).digest


def test_a_mistake_is_told_with_the_file_and_the_place_that_it_stands_in() -> None:
    broken = BASE + '[[rule]]\ntool = "desk.put"\nclass = "draft"\nrisk = "huge"\n'
    (told,) = mistakes(OWN, broken)
    assert told.startswith("base.toml: rule[3].risk (desk.put): ")
    (told,) = mistakes(OWN + 'risk = "huge"\n')
    assert told.startswith("rule[1].risk (desk.set): ")
    assert any("base.toml: defaults.usr: " in told for told in mistakes(OWN, BASE.replace("user =", "usr =")))
    assert any("base.toml: upstream.third" in told for told in mistakes(OWN, BASE + '[upstream.third]\ncwd = "/"\n'))


@pytest.mark.parametrize(
    ("own", "base", "told"),
    [
        (OWN, 'extends = "third.toml"\n' + BASE, "extends: base.toml itself extends another policy; extend that one"),
        (OWN, "[", "not TOML"),
    ],
)
def test_a_base_that_is_none_is_refused(own: str, base: str, told: str) -> None:
    assert any(told in one for one in mistakes(own, base))


@pytest.mark.parametrize("odd", ["rule = 3", 'rule = ["a", 3]', "rule = [{ tool = [1] }]", "upstream = 1", "rule = {}"])
def test_what_is_no_rule_is_a_mistake_on_either_side(odd: str) -> None:
    assert mistakes('extends = "base.toml"\n' + odd)
    assert all(told.startswith("base.toml: ") for told in mistakes('extends = "base.toml"', odd))


@pytest.mark.parametrize("value", ["7", '""', '["a"]', '"base.toml"'])
def test_a_base_that_was_not_read_is_a_mistake(value: str) -> None:
    with pytest.raises(PolicyMistakes, match="extends"):
        load(f"extends = {value}\n", env=ENV)


def test_the_base_is_named_by_the_text() -> None:
    assert named_base(OWN.encode()) == "base.toml"
    for text in (BASE, "extends = 7", 'extends = ""', "["):
        assert named_base(text.encode()) is None
