"""A policy against what is really there: each thing that does not fit is found, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from takeback.core.policy.live.findings import Severity
from takeback.core.policy.live.offers import Live, Tool
from takeback.core.policy.live.survey import survey
from tests.core.policy.live.desks import TEXT, TOOLS, desk, record, told
from tests.core.policy.policies import HEAD, loaded

SET = """
[[rule]]
tool = "desk.set"
class = "internal_update"
effect = "set"
risk = "low"
target = { type = "ticket", id = "args.id" }
read = { tool = "desk.get", args = { id = "args.id" } }
undo = { tool = "desk.set", args = { id = "target.id", priority = "before.priority", title = "before.title" } }
"""
REST = """
[[rule]]
tool = "desk.find"
class = "read_only"

[[rule]]
tool = "desk.remove"
class = "internal_update"
does = "delete"
effect = "set"
approval = "always"
target = { type = "ticket", id = "args.number" }
read = { tool = "desk.get", args = { id = "string(args.number)" } }
undo = "none"
"""
UNDO = 'undo = { tool = "desk.set", args = { id = "target.id", priority = "before.priority", title = "before.title" } }'
READ = 'read = { tool = "desk.get", args = { id = "args.id" } }'


def test_a_policy_that_fits_is_told_nothing() -> None:
    assert told(SET + REST) == []


CHILDREN = 'children = { tool = "desk.find", type = "x", args = {}, ids = "result.hits.map(h, h.nr)" }'
SELECTED = READ.replace(" } }", " }, select = \"{'prio': result.priority}\" }")
PICKED = 'read = { tool = "desk.find", args = {}, select = "result.hits.filter(h, h.id == target.id)[0]" }'
WRONG: dict[str, tuple[str, str, list[str]]] = {
    "a read by a tool that is not there": (
        READ,
        'read = { tool = "desk.gte", args = { id = "args.id" } }',
        ["error: rule[2].read.tool (desk.set): desk has no tool `gte`; did you mean `get`?"],
    ),
    "an argument that the read does not know": (
        READ,
        'read = { tool = "desk.get", args = { id = "args.id", di = "args.id" } }',
        ["error: rule[2].read.args.di (desk.set): desk.get has no argument `di`"],
    ),
    "an argument that the read needs": (
        READ,
        'read = { tool = "desk.get", args = {} }',
        ["error: rule[2].read.args (desk.set): desk.get needs the argument `id`, which is not given"],
    ),
    "a value that the schema refuses": (
        UNDO,
        'undo = { tool = "desk.set", args = { id = "target.id", priority = "\'hihg\'", title = "before.title" } }',
        ['error: rule[2].undo.args.priority (desk.set): desk.set refuses this value: "hihg" is not one of'],
    ),
    "a number that is no expression, where a text is taken": (
        UNDO,
        'undo = { tool = "desk.set", args = { id = 7, priority = "before.priority", title = "before.title" } }',
        ["error: rule[2].undo.args.id (desk.set): desk.set refuses this value: 7 is not of type"],
    ),
    "the id of a target, where a number is taken": (
        UNDO,
        'undo = { tool = "desk.remove", args = { number = "target.id" } }',
        [
            "error: rule[2].undo.args.number (desk.set): `target.id` is string, and desk.remove takes integer",
            "warning: rule[2].undo.tool (desk.set): desk.remove would wait for a person: the rule asks",
        ],
    ),
    "a field of another type": (
        UNDO,
        'undo = { tool = "desk.set", args = { id = "target.id", priority = "before.version" } }',
        ["warning: rule[2].undo.args.priority (desk.set): `before.version` is integer, and desk.set takes string"],
    ),
    "an argument that no call has": (
        'id = "args.id" }\nread',
        'id = "args.ticket" }\nread',
        ["error: rule[2].target.id (desk.set): `args.ticket`: desk.set has no argument `ticket`"],
    ),
    "a field that the record does not have": (
        READ,
        f'{READ}\nrequire = "before.tennant == tenant"',
        ["error: rule[2].require (desk.set): `before.tennant`: before has no field `tennant`; did you mean `tenant`?"],
    ),
    "a field of a field": (
        READ,
        f'{READ}\nverify = "after.priority.level == args.priority"',
        [
            "error: rule[2].verify (desk.set): `after.priority.level`: after.priority has no field `level`",
            "warning: rule[2].verify (desk.set): `priority` is optional, and a call that leaves it out will fail",
        ],
    ),
    "a field of the elements of a list": (
        READ,
        f"{READ}\nverify = \"after.lines.exists(l, l.suk == 'x') && after.lines[0].sku == 'x'\"",
        ["error: rule[2].verify (desk.set): `after.lines[…].suk`: after.lines[…] has no field `suk`"],
    ),
    "what the tool does not answer": (
        READ,
        f'{READ}\nverify = "result.okay"',
        ["error: rule[2].verify (desk.set): `result.okay`: result has no field `okay`; did you mean `ok`?"],
    ),
    "what the probe does not answer": (
        READ,
        f'{READ}\nprobe = {{ tool = "desk.find", args = {{ words = "args.title" }}, found = "result.hit.size() > 0" }}',
        ["error: rule[2].probe.found (desk.set): `result.hit`: result has no field `hit`; did you mean `hits`?"],
    ),
    "what the list of children does not answer": (
        f"{READ}\n{UNDO}",
        f'{READ}\nundo = {{ tool = "desk.remove", args = {{ number = 1 }} }}\ndoes = "create"\n{CHILDREN}',
        [
            "error: rule[2].children.ids (desk.set): `result.hits[…].nr`: result.hits[…] has no field `nr`",
            "warning: rule[2].undo.tool (desk.set): desk.remove would wait for a person: the rule asks",
        ],
    ),
    "a field of what `select` made": (
        READ,
        f"{SELECTED}\nrequire = \"before.priority == 'low'\"",
        [
            "error: rule[2].require (desk.set): `before.priority`: before has no field `priority`; did you mean `prio`",
            "error: rule[2].undo.args.priority (desk.set): `before.priority`: before has no field `priority`",
            "error: rule[2].undo.args.title (desk.set): `before.title`: before has no field `title`",
        ],
    ),
    "a field of an element that `select` picked": (
        READ,
        f'{PICKED}\nrequire = "before.tenat == tenant"',
        ["error: rule[2].require (desk.set): `before.tenat`: before has no field `tenat`; did you mean `tenant`?"],
    ),
    "fields that are written and do not exist": (
        READ,
        f'{READ}\nwrites = ["prioritty"]\nvolatile = ["not"]',
        [
            "error: rule[2].writes[1] (desk.set): what is read has no field `prioritty`; did you mean `priority`?",
            "warning: rule[2].volatile[1] (desk.set): desk.set has no argument `not`",
        ],
    ),
    "a version that travels in no argument": (
        READ,
        f'{READ}\ncondition = {{ argument = "expected", version = "before.version" }}',
        ["error: rule[2].condition.argument (desk.set): desk.set has no argument `expected`"],
    ),
    "a compensation that is not installed": (
        UNDO,
        'undo = { tool = "desk.set", args = { id = "target.id" }, compensation = "restoer" }',
        ["error: rule[2].undo.compensation (desk.set): no compensation `restoer` is installed"],
    ),
    "nothing read back": (
        f"{READ}\n{UNDO}",
        "",
        [
            "warning: rule[2] (desk.set): nothing is read back, so neither success nor an undo can be verified",
            'warning: rule[2] (desk.set): has no `undo`; give it one, or say `undo = "none"`',
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_found_where_it_stands(what: str) -> None:
    old, new, expected = WRONG[what]
    assert old in SET
    live = Live(desk().reached, frozenset({"restore", "inverse"}))
    found = told(SET.replace(old, new) + REST, live)
    assert [any(line.startswith(start) for line in found) for start in expected] == [True] * len(expected), found
    assert len(found) == len(expected) or not expected, found


def test_what_cannot_be_undone_and_asks_nobody_is_a_warning() -> None:
    final = SET.replace('"internal_update"', '"workflow"').replace(UNDO, 'undo = "none"')
    (line,) = told(final + REST)
    assert line.startswith(
        "warning: rule[2].approval (desk.set): it cannot be undone, and nobody is asked: its risk is"
    )
    assert told(final.replace('risk = "low"', 'risk = "low"\napproval = "always"') + REST) == []


@pytest.mark.parametrize(
    ("defaults", "severity", "fate"),
    [("ask", "note", "a person is asked"), ("deny", "note", "is denied"), ("allow", "warning", "they run unprotected")],
)
def test_tools_that_no_rule_names_are_told_with_what_becomes_of_them(defaults: str, severity: str, fate: str) -> None:
    found = told(f'[defaults]\nunknown_tools = "{defaults}"\n' + SET, least=Severity.NOTE)
    (line,) = [line for line in found if "no rule names" in line]
    assert line.startswith(f"{severity}: upstream.desk: no rule names desk.find, desk.remove: ")
    assert fate in line


def test_a_tool_that_clients_are_not_offered_needs_no_rule() -> None:
    hidden = Live({"desk": tuple(Tool("desk", {"name": name}, offered=False) for name in ("get", "x"))})
    assert told("", hidden, least=Severity.NOTE) == []


def test_rules_for_nothing_are_found() -> None:
    rules = '[[rule]]\ntool = "desk.sett"\nclass = "read_only"\n[[rule]]\ntool = "desk.list_*"\nclass = "read_only"\n'
    assert told(rules) == [
        "error: rule[2].tool (desk.sett): desk has no tool `sett`; did you mean `set`?",
        "warning: rule[3].tool (desk.list_*): matches no tool of desk that is left to it; it may be left out",
    ]


def test_an_undo_that_no_rule_allows_is_found() -> None:
    lone = SET.replace(UNDO, 'undo = { tool = "desk.remove", args = { number = 1 } }')
    (line,) = [line for line in told(lone) if "undo.tool" in line]
    assert line.endswith("no rule names desk.remove, so this would wait for a person; give it a rule")


def test_a_read_that_looks_like_a_write_is_found() -> None:
    lie = '[[rule]]\ntool = "desk.remove"\nclass = "read_only"\n'
    (line,) = told(lie)
    assert line.startswith("warning: rule[2].class (desk.remove): desk.remove passes as a read, and its definition")
    agreed = {"remove": {**TOOLS["remove"], "annotations": {"readOnlyHint": True}}}
    assert told(lie, desk(TOOLS | agreed)) == []
    hinted = desk({"get": {"annotations": {"readOnlyHint": False}}})
    assert "readOnlyHint is false" in told("", hinted)[0]


def test_a_blocked_tool_is_found_and_by_whom_it_is_needed() -> None:
    tools = (
        Tool("desk", {"name": "get", **TOOLS["get"]}, blocked="desk.get is blocked: it changed"),
        *desk().reached["desk"][1:],
    )
    found = told(SET + REST, Live({"desk": tools}))
    assert (
        "error: upstream.desk: desk.get is blocked: it changed; `takeback pin diff desk.get` shows the difference"
        in found
    )
    assert sum("read.tool" in line for line in found) == 2


def test_where_there_is_no_schema_nothing_is_said_to_be_wrong() -> None:
    blank: dict[str, dict[str, Any]] = {name: {} for name in TOOLS}
    policy = SET.replace(READ, f'{READ}\nrequire = "before.whatever == result.anything.at.all"').replace(
        "result", "args"
    )
    assert told(policy + REST, desk(blank)) == []


def test_a_schema_that_names_others_makes_a_warning_and_one_that_is_open_makes_none() -> None:
    policy = SET.replace(READ, f'{READ}\nrequire = "before.tennant == tenant"') + REST
    for read, expected in (
        (record(id=TEXT, title=TEXT, priority=TEXT, tenant=TEXT), 1),
        ({**record(id=TEXT), "additionalProperties": True}, 0),
        ({"$ref": "#/nowhere"}, 0),
        ({"$ref": "https://elsewhere.example/schema"}, 0),
        (
            {
                "anyOf": [{"type": "null"}, {"$ref": "#/$defs/t"}],
                "$defs": {"t": record(title=TEXT, priority=TEXT, tennant=TEXT)},
            },
            0,
        ),
        ({"allOf": [record(title=TEXT, priority=TEXT), {"properties": {"tennant": TEXT}}]}, 0),
    ):
        found = told(policy, desk({**TOOLS, "get": {**TOOLS["get"], "outputSchema": read}}))
        assert len(found) == expected, (read, found)
        assert all(line.startswith("warning: rule[2].require") for line in found)


def test_an_upstream_that_was_not_asked_is_left_alone() -> None:
    wrong = SET.replace("desk.get", "desk.gte").replace("before.priority", "before.prioritty")
    assert told(wrong + REST, Live()) == []


def test_what_the_policy_alone_shows_is_found_without_upstreams() -> None:
    assert told(SET.replace('"target.id"', '"target.key"') + REST, Live()) == [
        "error: rule[2].undo.args.id (desk.set): `target.key`: target has no field `key`; there are type, id"
    ]


def test_several_targets_are_looked_at_by_name() -> None:
    two = """
[[rule]]
tool = "desk.set"
class = "internal_update"
effect = "set"
risk = "low"
target = [
  { name = "one", type = "ticket", id = "args.id", read = { tool = "desk.get", args = { id = "args.id" } } },
  { name = "two", type = "ticket", id = "args.title", read = { tool = "desk.gte", args = { id = "args.title" } } },
]
require = "before.one.tenant == tenant && before.three.tenant == tenant && before.one.nope == 1"
writes = ["one.priority", "one.nothing", "title"]
ignore = ["version"]
undo = "none"
"""
    errors = [line.replace(" (desk.set)", "") for line in told(two + REST) if line.startswith("error")]
    expected = [
        "error: rule[2].require: `before.three.tenant`: before has no field `three`; there are one, two",
        "error: rule[2].require: `before.one.nope`: before.one has no field `nope`; ",
        "error: rule[2].writes[2]: what is read has no field `one.nothing`",
        "error: rule[2].target[2].read.tool: desk has no tool `gte`; did you mean `get`?",
    ]
    assert [error.startswith(start) for error, start in zip(errors, expected, strict=True)] == [True] * 4, errors


def test_what_is_found_is_the_same_each_time() -> None:
    policy = loaded(HEAD + SET.replace("before.priority", "before.prioritty") + REST)
    assert survey(policy, desk()) == survey(policy, desk())


@pytest.mark.parametrize(
    ("inner", "known"), [({"type": "string"}, False), ({"type": "object", "properties": {}}, True)]
)
def test_a_text_in_the_wrapping_of_a_framework_may_hold_any_json(inner: dict[str, Any], known: bool) -> None:
    wrapped = record(("result",), closed=True, result=inner)
    found = told(SET + REST, desk({**TOOLS, "get": {**TOOLS["get"], "outputSchema": wrapped}}))
    assert bool([line for line in found if "before." in line or "after." in line]) is known
