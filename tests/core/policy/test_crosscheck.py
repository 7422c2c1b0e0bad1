from __future__ import annotations

import pytest

from takeback.core.policy.tools import covers
from tests.core.policy.policies import HEAD, WRITE, loaded, mistakes, with_rule
from tests.guard.world import POLICY

TWO = 'target = [{ type = "record", id = "args.a", name = "a" }, { type = "record", id = "args.b", name = "b" }]\n'
MOVE = "move this rule above it, or give that one a `when`"
NEVER_SEEN = "say with `risk` that you mean it, or take `approval` out"

TOOLS = (
    ('tool = "set"', 'rule[2].tool (set): must be an upstream and a tool, as in "upstream.tool", and is "set"'),
    ('tool = "desk."', 'rule[2].tool (desk.): must be an upstream and a tool, as in "upstream.tool", and is "desk."'),
    ('tool = "dsk.set"', "rule[2].tool (dsk.set): there is no upstream `dsk`; did you mean `desk`?"),
    ('tool = "crm.set"', "rule[2].tool (crm.set): there is no upstream `crm`; declared are desk"),
    ('tool = "python.set"', "rule[2].tool (python.set): there is no upstream `python`; declared are desk"),
    ('tool = "crm*.set"', "rule[2].tool (crm*.set): there is no upstream `crm*`; declared are desk"),
    ('tool = "desk.[ab]"', "rule[2].tool (desk.[ab]): only * and ? match"),
)

CALLS = (
    ('read = { tool = "dsk.get" }', "rule[2].read.tool (desk.set): there is no upstream `dsk`; did you mean `desk`?"),
    (
        'read = { tool = "get" }',
        'rule[2].read.tool (desk.set): must be an upstream and a tool, as in "upstream.tool", and is "get"',
    ),
    (
        'read = { tool = "desk.g*" }',
        "rule[2].read.tool (desk.set): must be one tool; patterns match only in a rule's own `tool`",
    ),
    (
        'read = { tool = "python.get" }',
        "rule[2].read.tool (desk.set): there is no upstream `python`; declared are desk",
    ),
    (
        'probe = { tool = "crm.get", found = "true" }',
        "rule[2].probe.tool (desk.set): there is no upstream `crm`; declared are desk",
    ),
    (
        'correct = { tool = "crm.set" }',
        "rule[2].correct.tool (desk.set): there is no upstream `crm`; declared are desk",
    ),
    ('undo = { tool = "crm.set" }', "rule[2].undo.tool (desk.set): there is no upstream `crm`; declared are desk"),
    (
        'undo = [{ tool = "desk.set" }, { tool = "crm.set" }]',
        "rule[2].undo[2].tool (desk.set): there is no upstream `crm`; declared are desk",
    ),
    (
        'target = { type = "r", id = "args.id", read = { tool = "crm.get" } }',
        "rule[2].target.read.tool (desk.set): there is no upstream `crm`; declared are desk",
    ),
    ('read = { tool = "desk.get", args = "args" }', "rule[2].read.args (desk.set): must be a table of arguments"),
    (
        'undo = { tool = "desk.get" }',
        (
            "rule[2].undo.tool (desk.set): desk.get only reads, by rule[1] (desk.get), and cannot take anything back; "
            "give desk.get a rule of its own"
        ),
    ),
    (
        'read = { tool = "desk.set" }',
        (
            "rule[2].read.tool (desk.set): desk.set writes, by rule[2] (desk.set), and what the guard "
            "asks must only read; "
            "name a tool that reads"
        ),
    ),
)

CLASSES = (
    (
        'class = "external_irreversible"\nundo = { tool = "desk.unset" }',
        (
            "rule[2].undo (desk.set): what is external_irreversible cannot be undone; "
            "use `correct` for a correction, or another class"
        ),
    ),
    (
        'class = "external_irreversible"\napproval = "never"',
        'rule[2].approval (desk.set): "never" lets a tool of the class external_irreversible run unseen; ' + NEVER_SEEN,
    ),
    (
        'class = "workflow"\napproval = "never"',
        'rule[2].approval (desk.set): "never" lets a tool of the class workflow run unseen; ' + NEVER_SEEN,
    ),
    (
        'class = "internal_update"\nundo_within = "1h"',
        (
            "rule[2].undo_within (desk.set): there is no `undo` to be in time for; "
            "give the rule an `undo`, or take this out"
        ),
    ),
    (
        'class = "internal_update"\nundo_within = "1h"\nundo = "none"',
        (
            "rule[2].undo_within (desk.set): there is no `undo` to be in time for; "
            "give the rule an `undo`, or take this out"
        ),
    ),
    (
        'class = "internal_update"\nundo_within = "0s"\nundo = { tool = "desk.unset" }',
        "rule[2].undo_within (desk.set): must be longer than nothing",
    ),
    (
        'class = "internal_update"\nundo = []',
        'rule[2].undo (desk.set): is an empty list; write "none" if nothing takes it back',
    ),
    (
        'class = "internal_update"\nundo = { tool = "desk.unset" }\ncorrect = { tool = "desk.unset" }',
        "rule[2].correct (desk.set): is never used, because the rule has an `undo`; take one of them out",
    ),
    ('class = "internal_update"\npolling = true', "rule[2].polling (desk.set): only a read polls; take it out"),
    (
        'class = "internal_update"\nretry = { backoff = "2s", max = "1s" }',
        "rule[2].retry.backoff (desk.set): is longer than `max`, the longest pause",
    ),
    (
        'class = "internal_update"\nidempotency = { header = "Key" }',
        "rule[2].idempotency.header (desk.set): an upstream with a `command` has no headers; use `argument` or `meta`",
    ),
)

WRITE_KEYS = (
    'effect = "set"',
    'does = "delete"',
    'risk = "low"',
    'approval = "never"',
    'target = { type = "r", id = "args.id" }',
    'read = { tool = "desk.get" }',
    'require = "args.x"',
    'verify = "args.x"',
    'writes = ["x"]',
    'ignore = ["x"]',
    'volatile = ["x"]',
    'operation = "args.x"',
    'duplicates = "ask"',
    'by = { total = "args.x" }',
    'undo = "none"',
    'undo_within = "1h"',
    'correct = { tool = "desk.get" }',
    'probe = { tool = "desk.get", found = "true" }',
    'result = "args.x"',
    'idempotency = { argument = "key" }',
    'lands_within = "1s"',
    'read_lag = "1s"',
    "retry = { attempts = 1 }",
    'redact = ["x"]',
)

TARGETS = (
    (
        TWO + 'read = { tool = "desk.get" }',
        "rule[2].read (desk.set): one read cannot read 2 targets; give each target its own `read`",
    ),
    (
        'target = { type = "r", id = "args.id", read = { tool = "desk.get" } }\nread = { tool = "desk.get" }',
        "rule[2].target.read (desk.set): the rule has a `read`, too, and only that one is used; take one of them out",
    ),
    (
        (
            'target = [{ type = "r", id = "args.a", name = "a" }, '
            '{ type = "r", id = "args.b", name = "b", read = { tool = "desk.get" } }]'
        ),
        "rule[2].target[1] (desk.set): has no `read`, though another target has; then none is read; give it a `read`",
    ),
    (
        'target = [{ type = "r", id = "args.a" }, { type = "r", id = "args.b" }]',
        'rule[2].target[2].name (desk.set): "target" names another target, too; give each target a name of its own',
    ),
)


@pytest.mark.parametrize(("tool", "expected"), TOOLS)
def test_tools_of_rules(tool: str, expected: str) -> None:
    assert mistakes(f'{HEAD}[[rule]]\n{tool}\nclass = "internal_update"\n') == [expected]


def test_a_rule_without_any_upstream_says_how_to_declare_one() -> None:
    assert mistakes('[[rule]]\ntool = "desk.get"\nclass = "read_only"\n') == [
        "rule[1].tool (desk.get): there is no upstream `desk`; declare it as [upstream.desk]"
    ]


@pytest.mark.parametrize(("body", "expected"), CALLS)
def test_tools_of_the_guards_own_calls(body: str, expected: str) -> None:
    assert mistakes(with_rule(body)) == [expected]


@pytest.mark.parametrize(("body", "expected"), CLASSES)
def test_classes_and_ways_back(body: str, expected: str) -> None:
    assert mistakes(f'{HEAD}[[rule]]\ntool = "desk.set"\n{body}\n') == [expected]


@pytest.mark.parametrize("key", WRITE_KEYS)
def test_a_read_has_no_keys_of_writes(key: str) -> None:
    name = key.partition(" ")[0]
    assert mistakes(f'{HEAD}[[rule]]\ntool = "desk.look"\nclass = "read_only"\n{key}\n') == [
        (
            f"rule[2].{name} (desk.look): has no meaning for a tool that only reads; "
            "take it out, or give the rule another class"
        )
    ]


def test_a_read_may_be_bounded_and_may_poll() -> None:
    keys = 'id = "look"\nwhen = "args.x == 1"\ntimeout = "1s"\nlimits = { same_call = 3 }\npolling = true\n'
    assert loaded(f'{HEAD}[[rule]]\ntool = "desk.look"\nclass = "read_only"\n{keys}').rules[1].rule.polling


@pytest.mark.parametrize(("body", "expected"), TARGETS)
def test_targets_and_reads(body: str, expected: str) -> None:
    assert mistakes(with_rule(body)) == [expected]


@pytest.mark.parametrize(
    ("earlier", "later", "hidden"),
    [
        ('tool = "desk.*"', 'tool = "desk.set"', True),
        ('tool = "desk.set"', 'tool = "desk.set"', True),
        ('tool = "*.*"', 'tool = "desk.s*"', True),
        ('tool = "desk.s*"', 'tool = "desk.*"', False),
        ('tool = "desk.se?"', 'tool = "desk.se*"', False),
        ('tool = "desk.*"\nwhen = "args.x == 1"', 'tool = "desk.set"', False),
        ('tool = "desk.other"', 'tool = "desk.set"', False),
    ],
)
def test_a_rule_behind_one_that_always_holds_is_a_mistake(earlier: str, later: str, hidden: bool) -> None:
    first, second = (f'[[rule]]\n{rule}\nclass = "internal_update"\n' for rule in (earlier, later))
    text = HEAD + first + second
    if not hidden:
        assert len(loaded(text).rules) == 3
        return
    behind, before = later.split('"')[1], earlier.split('"')[1]
    assert mistakes(text) == [
        f"rule[3] ({behind}): can never hold: rule[2] ({before}) comes first and matches the same tools; {MOVE}"
    ]


@pytest.mark.parametrize(
    ("pattern", "other", "expected"),
    [
        ("a.*", "a.b*", True),
        ("a.?", "a.*", False),
        ("a.?*", "a.?", True),
        ("a.*c", "a.b*", False),
        ("a.b", "a.b", True),
    ],
)
def test_covering(pattern: str, other: str, expected: bool) -> None:
    assert covers(pattern, other) is expected


def test_two_rules_with_one_id() -> None:
    rule = '[[rule]]\nid = "set"\ntool = "desk.set"\nwhen = "args.x == 1"\nclass = "internal_update"\n'
    assert mistakes(HEAD + rule + rule) == [
        'rule[3].id (desk.set): "set" is the name of rule[2], too; ids tell rules apart'
    ]


def test_an_undo_that_the_policy_itself_would_deny() -> None:
    text = f'[defaults]\nunknown_tools = "deny"\n{HEAD}{WRITE}undo = {{ tool = "desk.unset" }}\n'
    assert mistakes(text) == [
        (
            "rule[2].undo.tool (desk.set): no rule knows desk.unset, and unknown tools are denied, so "
            "this could never run; "
            "give desk.unset a rule"
        )
    ]
    assert len(loaded(f'{text}[[rule]]\ntool = "desk.unset"\nclass = "internal_update"\n').rules) == 3


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("retry", '{ backoff = "11s" }', "defaults.retry.backoff: is longer than `max`, the longest pause"),
        ("timeout", '"0s"', "defaults.timeout: must be longer than nothing"),
        ("approval_expires", '"0ms"', "defaults.approval_expires: must be longer than nothing"),
        ("join_within", f'"{"9" * 400}d"', "defaults.join_within: is longer than ten years"),
    ],
)
def test_spans_that_make_no_sense(key: str, value: str, expected: str) -> None:
    assert mistakes(f"[defaults]\n{key} = {value}\n") == [expected]


def test_the_policy_of_the_guards_tests_loads() -> None:
    assert [numbered.id for numbered in loaded(POLICY).rules if not numbered.rule.is_read][:2] == ["set", "create"]
