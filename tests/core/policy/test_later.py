from __future__ import annotations

import pytest
from pydantic import BaseModel

from takeback.core.policy.later import ANY, LATER
from takeback.core.policy.schema import Defaults, LedgerTable, PolicyFile, Rule, Upstream
from tests.core.policy.policies import HEAD, WRITE, mistakes

CASES: dict[tuple[str, ...], str] = {
    ("upstream", ANY, "stateful"): '[upstream.api]\ncommand = "a"\nstateful = true\n',
    ("rule", ANY, "confirm"): WRITE + 'confirm = "person"\n',
    ("tenants",): "[tenants.acme]\n",
    ("console",): "[console]\nport = 8080\n",
}
WHERE = {"upstream": "upstream.api.{key}", "rule": "rule[2].{key} (desk.set)"}


def test_every_later_key_has_a_case() -> None:
    assert set(CASES) == set(LATER)


@pytest.mark.parametrize("pattern", CASES, ids=str)
def test_a_key_of_a_later_version_is_refused_and_not_ignored(pattern: tuple[str, ...]) -> None:
    where = WHERE.get(pattern[0], ".".join(pattern)).format(key=pattern[-1])
    expected = f"{where}: is not in this version yet: {LATER[pattern]}; take it out for now"
    assert mistakes(HEAD + CASES[pattern]) == [expected]


@pytest.mark.parametrize("pattern", LATER, ids=str)
def test_later_keys_are_in_the_schema_so_that_their_names_are_kept(pattern: tuple[str, ...]) -> None:
    tables: dict[str, type[BaseModel]] = {
        "ledger": LedgerTable,
        "defaults": Defaults,
        "upstream": Upstream,
        "rule": Rule,
    }
    table = tables.get(pattern[0], PolicyFile)
    assert pattern[-1] in table.model_fields


def test_a_malformed_later_key_is_told_to_be_later_and_nothing_else() -> None:
    assert mistakes(HEAD + WRITE + "confirm = 7\n") == [
        (
            "rule[2].confirm (desk.set): is not in this version yet: ask a person to confirm what a call came to; "
            "take it out for now"
        )
    ]


def test_a_later_key_does_not_hide_what_else_is_wrong_with_its_rule() -> None:
    assert mistakes(HEAD + WRITE + 'confirm = "person"\nundo_within = "1h"\n') == [
        (
            "rule[2].confirm (desk.set): is not in this version yet: ask a person to confirm what a call came to; "
            "take it out for now"
        ),
        (
            "rule[2].undo_within (desk.set): there is no `undo` to be in time for; "
            "give the rule an `undo`, or take this out"
        ),
    ]
