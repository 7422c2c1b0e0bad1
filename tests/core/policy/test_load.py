from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from takeback.core.policy.load import load
from takeback.core.policy.schema import LedgerTable
from takeback.core.vocabulary import Risk
from tests.core.policy.policies import ENV, HEAD, READ_BACK, loaded, mistakes, with_rule

TOP = Path(__file__).parents[3]
REMOTE = '[upstream.api]\nurl = "https://desk.example/mcp"\n'


def test_the_repositorys_own_policy_loads() -> None:
    policy = load((TOP / "policy.toml").read_bytes(), env=ENV)
    assert policy.file.ledger.url == "sqlite+aiosqlite:////state/takeback.db"
    assert policy.rules_for("desk.update_ticket")


def test_an_empty_policy_is_the_defaults() -> None:
    policy = loaded("")
    assert policy.rules == ()
    assert policy.file.defaults.unknown_tools == "ask"
    assert policy.file.defaults.approval is Risk.HIGH
    assert policy.file.defaults.retry.backoff == timedelta(milliseconds=500)
    assert policy.file.ledger.url == "sqlite+aiosqlite:////state/takeback.db"


def test_without_a_state_folder_the_ledgers_default_stays_as_the_schema_has_it() -> None:
    assert loaded("", env={}).file.ledger.url == LedgerTable().url


def test_text_and_bytes_with_or_without_a_byte_order_mark_are_the_same_policy() -> None:
    digests = {load(text, env=ENV).digest for text in (HEAD, HEAD.encode(), b"\xef\xbb\xbf" + HEAD.encode())}
    assert len(digests) == 1


def test_rules_are_cited_by_id_or_by_number_and_tool() -> None:
    policy = loaded(with_rule('id = "set it"\n'))
    assert [numbered.id for numbered in policy.rules] == ["rule 1 (desk.get)", "set it"]


@pytest.mark.parametrize(
    ("tool", "found"),
    [
        ("desk.get", ["rule 1 (desk.get)", "rule 2 (desk.*)"]),
        ("desk.set", ["rule 2 (desk.*)"]),
        ("desk.GET", ["rule 2 (desk.*)"]),
        ("other.get", []),
    ],
)
def test_rules_for_a_tool_are_those_whose_pattern_matches_in_order_and_case(tool: str, found: list[str]) -> None:
    policy = loaded(HEAD + '[[rule]]\ntool = "desk.*"\nclass = "internal_update"\n')
    assert [numbered.id for numbered in policy.rules_for(tool)] == found
    assert policy.rules_for(tool) is policy.rules_for(tool)


def test_values_come_from_the_environment_with_defaults_and_an_escape() -> None:
    policy = loaded(
        '[ledger]\nurl = "postgresql+asyncpg://me:${TOKEN}@db/takeback"\n'
        '[upstream.api]\nurl = "${URL:-https://desk.example/mcp}"\n'
        'headers = { Authorization = "Bearer ${TOKEN}", Literal = "$${TOKEN}", Empty = "${EMPTY}", Other '
        '= "${EMPTY:-x}" }\n'
    )
    upstream = policy.file.upstream["api"]
    assert policy.file.ledger.url == "postgresql+asyncpg://me:s3cr3t-t0ken@db/takeback"
    assert upstream.url == "https://desk.example/mcp"
    assert upstream.headers == {
        "Authorization": "Bearer s3cr3t-t0ken",
        "Literal": "${TOKEN}",
        "Empty": "",
        "Other": "x",
    }


def test_values_are_filled_in_inside_lists_and_only_once() -> None:
    text = '[upstream.desk]\ncommand = "desk"\nargs = ["--key", "${KEY}"]\n'
    assert loaded(text, {"KEY": "${TOKEN}"}).file.upstream["desk"].args == ("--key", "${TOKEN}")


def test_secrets_are_the_values_taken_but_neither_defaults_nor_the_state_folder() -> None:
    text = (
        '[ledger]\nurl = "${STATE}/x"\n'
        + REMOTE
        + 'headers = { a = "${TOKEN}", b = "${NONE:-plain}", c = "${EMPTY}" }\n'
    )
    assert loaded(text).secrets == {"s3cr3t-t0ken"}


def test_the_digest_is_of_the_content_and_not_of_secrets_spacing_or_comments() -> None:
    text = REMOTE + 'headers = { a = "${TOKEN}" }\n'
    first = loaded(text)
    assert first.digest == loaded(text, {"TOKEN": "another"}).digest
    assert first.digest == loaded(f"# a comment\n\n{text}").digest
    assert (
        first.digest
        != loaded(text.replace("headers", "env = {}\nheaders").replace("env = {}\n", "read_lag = '1s'\n")).digest
    )


def test_the_policy_does_not_print_secrets() -> None:
    assert "s3cr3t" not in repr(loaded(REMOTE + 'headers = { a = "${TOKEN}" }\n'))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            REMOTE + 'headers = { a = "${MISSING} ${TOO}" }\n',
            [
                (
                    "upstream.api.headers.a: the environment variable MISSING is not set; "
                    "set it, or write `${MISSING:-default}`"
                ),
                "upstream.api.headers.a: the environment variable TOO is not set; set it, or write `${TOO:-default}`",
            ],
        ),
        (
            REMOTE + 'headers = { a = "${1x}" }\n',
            [
                (
                    "upstream.api.headers.a: `${` must begin `${NAME}` or `${NAME:-default}`; "
                    "write `$${` for the two characters"
                )
            ],
        ),
        (
            REMOTE + 'headers = { "${TOKEN}" = "a" }\n',
            ['upstream.api.headers."${TOKEN}": keys are not filled in from the environment, only values'],
        ),
        (
            '[defaults]\ntenant = "${TOKEN}"\n',
            ["defaults.tenant: `${...}` stands for the environment only in [upstream.*] and [ledger]"],
        ),
        (
            with_rule(READ_BACK + 'undo = { tool = "desk.set", args = { id = "${TOKEN}" } }\n'),
            [
                (
                    "rule[2].undo.args.id (desk.set): `${...}` stands for the environment only in "
                    "[upstream.*] and [ledger]"
                ),
            ],
        ),
    ],
)
def test_references_that_stand_for_nothing_are_told_with_key_and_variable(text: str, expected: list[str]) -> None:
    assert mistakes(text) == expected


@pytest.mark.parametrize(
    "body",
    [
        'transport = "${TOKEN}"',
        'timeout = "${TOKEN}"',
        'stateful = "${TOKEN}"',
        'idempotency = "${TOKEN}"',
        'idempotency = { valid_for = "${TOKEN}" }',
        'args = "${TOKEN}"',
        'command = "${TOKEN}"',
        'unknown = "${TOKEN}"',
    ],
)
def test_no_mistake_ever_shows_a_secret(body: str) -> None:
    assert "s3cr3t" not in "\n".join(mistakes(REMOTE + body + "\n"))
