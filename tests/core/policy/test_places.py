from __future__ import annotations

import pytest

from tests.core.policy.policies import READ_BACK, loaded, mistakes, with_rule

OF_CREATED = """target = { type = "record", id = "result.id" }
read = { tool = "desk.get", args = { id = "result.id" } }
"""
TWO = 'target = [{ type = "record", id = "args.a", name = "a" }, { type = "record", id = "args.b", name = "b" }]\n'
ONE = 'target = { type = "record", id = "args.id" }\n'
BOTH_SIDES = "stands only in an argument that needs nothing else"


def nothing(key: str, source: str, name: str, here: str) -> str:
    return f"rule[2].{key} (desk.set): `{source}` names `{name}`, which has no value here; here are {here}"


NAMES = (
    ('when = "target.id"', nothing("when", "target.id", "target", "args, run, tenant, user")),
    (
        'target = { type = "r", id = "before.id" }',
        nothing("target.id", "before.id", "before", "args, result, run, tenant, user"),
    ),
    (
        'target = { type = "r", id = "args.id", canonical = "args.id + id" }',
        nothing("target.canonical", "args.id + id", "args", "id"),
    ),
    (
        'target = { type = "r", id = "args.id", resource = "target.id" }',
        nothing("target.resource", "target.id", "target", "args, id, result, run, tenant, user"),
    ),
    (
        'target = { type = "r", id = "args.id", label = "result.title" }',
        nothing("target.label", "result.title", "result", "after, args, before, run, target, targets, tenant, user"),
    ),
    (
        'approval = "before.x == 1"',
        nothing("approval", "before.x == 1", "before", "args, run, target, targets, tenant, user"),
    ),
    ('operation = "result.x"', nothing("operation", "result.x", "result", "args, run, target, targets, tenant, user")),
    (
        READ_BACK + 'require = "after.tenant == tenant"',
        nothing("require", "after.tenant == tenant", "after", "args, before, run, target, targets, tenant, user"),
    ),
    (
        READ_BACK + 'verify = "error == null"',
        nothing("verify", "error == null", "error", "after, args, before, result, run, target, targets, tenant, user"),
    ),
    (
        'read = { tool = "desk.get", select = "result.tenants[tenant]" }',
        nothing("read.select", "result.tenants[tenant]", "tenant", "args, error, result, target, targets"),
    ),
    (
        'read = { tool = "desk.get", absent = "before == null" }',
        nothing("read.absent", "before == null", "before", "args, error, result, target, targets"),
    ),
    (
        'read = { tool = "desk.get", args = { x = "before.id" } }',
        nothing("read.args.x", "before.id", "before", "args, result, run, target, targets, tenant, user"),
    ),
    (
        'probe = { tool = "desk.get", found = "after.x" }',
        nothing("probe.found", "after.x", "after", "args, before, result, run, target, targets, tenant, user"),
    ),
    (
        'probe = { tool = "desk.get", args = { x = "result.x" }, found = "true" }',
        nothing("probe.args.x", "result.x", "result", "args, before, run, target, targets, tenant, user"),
    ),
    (
        READ_BACK + 'result = "result.x"',
        nothing("result", "result.x", "result", "after, args, before, current, run, target, targets, tenant, user"),
    ),
    (
        READ_BACK + 'undo = { tool = "desk.set", args = { x = "error" } }',
        nothing(
            "undo.args.x",
            "error",
            "error",
            "after, args, before, current, reason, restored, result, run, target, targets, tenant, user",
        ),
    ),
    (
        READ_BACK + 'undo = { when = "current == null", tool = "desk.set" }',
        nothing(
            "undo.when",
            "current == null",
            "current",
            "after, args, before, result, run, target, targets, tenant, user",
        ),
    ),
    (
        'by = { total = "reason" }',
        nothing("by.total", "reason", "reason", "after, args, before, result, run, target, targets, tenant, user"),
    ),
    (
        'verify = "after.x == 1"',
        "rule[2].verify (desk.set): `after.x == 1` names `after`, and nothing is read; give the rule a `read`",
    ),
    (
        'require = "before.x == 1"',
        "rule[2].require (desk.set): `before.x == 1` names `before`, and nothing is read; give the rule a `read`",
    ),
    (
        ONE + 'undo = { tool = "desk.set", args = { x = "before.x" } }',
        "rule[2].undo.args.x (desk.set): `before.x` names `before`, and nothing is read; give the rule a `read`",
    ),
    (
        'result = "current.x"',
        "rule[2].result (desk.set): `current.x` names `current`, and nothing is read; give the rule a `read`",
    ),
    (
        'operation = "target.id"',
        "rule[2].operation (desk.set): `target.id` names `target`, and the rule has no `target`; give it one",
    ),
    (
        ONE + 'operation = "targets.target.id"',
        (
            "rule[2].operation (desk.set): `targets.target.id` names `targets`, and the rule has one target; "
            "write `target`"
        ),
    ),
    (
        OF_CREATED + "approval = \"target.id == 'x'\"",
        (
            "rule[2].approval (desk.set): `target.id == 'x'` names `target`, and the target is known only "
            "from the result, "
            "too late for this; use `args`"
        ),
    ),
    (
        OF_CREATED + 'require = "before.tenant == tenant"',
        (
            "rule[2].require (desk.set): `before.tenant == tenant` names `before`, and there is nothing "
            "before the call "
            "creates it; use `after`, `result` or `args`"
        ),
    ),
    (
        ONE + 'read = { tool = "desk.get", args = { id = "result.id" } }',
        (
            "rule[2].read.args.id (desk.set): `result.id` names `result`, and no target of the rule is "
            "named by the result, "
            "so this is needed before there is one; name it by `args`"
        ),
    ),
    (
        READ_BACK + 'undo = { tool = "desk.set", args = { x = "current.x - args.x" } }',
        f"rule[2].undo.args.x (desk.set): `current` is known only at the undo, and {BOTH_SIDES}",
    ),
    (
        ONE + 'correct = { tool = "desk.set", args = { x = "args.x + reason" } }',
        f"rule[2].correct.args.x (desk.set): `reason` is known only at the undo, and {BOTH_SIDES}",
    ),
    (
        ONE + 'correct = { tool = "desk.set", args = { x = { text = "reason" } } }',
        f"rule[2].correct.args.x (desk.set): `reason` is known only at the undo, and {BOTH_SIDES}",
    ),
)


@pytest.mark.parametrize(("body", "expected"), NAMES)
def test_names_without_a_value(body: str, expected: str) -> None:
    assert mistakes(with_rule(body)) == [expected]


@pytest.mark.parametrize(
    "body",
    [
        READ_BACK + "require = \"before.tenant == tenant && user != '' && run != ''\"",
        READ_BACK
        + 'undo = { tool = "desk.set", args = { id = "target.id", x = "current.x", y = "\'because \' + reason" } }',
        OF_CREATED + 'verify = "after.x == result.x"\nundo = { tool = "desk.set", args = { id = "target.id" } }',
        OF_CREATED.replace(
            'result.id" } }', 'target.id" }, select = "result.items[args.n]", absent = "error != null" }'
        ),
        READ_BACK + 'undo = { when = "before == null", tool = "desk.set", args = { id = "target.id" } }',
        ONE + 'undo = { compensation = "restore_file", options = { depth = 2 } }',
        ONE + 'undo = [{ tool = "desk.set" }, { tool = "python.note" }]',
        TWO + 'approval = "targets.a.id == target.b.id"',
        'target = { type = "r", id = "result.id", resource = "\'r:\' + id + result.kind", canonical = "lower(id)" }',
        'approval = "never"',
        'approval = "args.amount > 100"\nlands_within = "0s"\nread_lag = "0s"',
    ],
)
def test_what_fits_together_loads(body: str) -> None:
    assert len(loaded(with_rule(body)).rules) == 2
