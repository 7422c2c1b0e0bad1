"""Whatever a server says of its tools, a draft is a policy, says what was drafted, and lets no write pass."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from takeback.core.inventory.documents import document
from takeback.core.inventory.drafting import inventory
from takeback.core.inventory.tables import comment, policy_text, value
from takeback.core.jsontext import dumps
from takeback.core.policy.load import load

NASTY = 'x"\nclass = "read_only"\n[[rule]]\ntool = "up.*'
WORDS = st.sampled_from(
    [
        "get",
        "list",
        "create",
        "update",
        "delete",
        "send",
        "note",
        "page",
        "id",
        "name",
        "query",
        "and",
        "or",
        "to",
        "_",
        "-",
        ".",
        "action",
        "mark",
        "read",
        "filename",
        "body",
    ]
)
NAMES = st.lists(WORDS, max_size=5).map("_".join) | st.text(max_size=12) | st.just(NASTY)
TEXTS = st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=60) | st.just(NASTY)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
TYPES = st.sampled_from(["string", "integer", "boolean", "array", "object", "null"])
ENUMS = st.lists(NAMES, max_size=3)
SCHEMAS = st.fixed_dictionaries(
    {}, optional={"type": TYPES | ANY, "enum": ENUMS | ANY, "description": TEXTS | ANY, "items": ANY}
)
OBJECTS = st.fixed_dictionaries(
    {},
    optional={"properties": st.dictionaries(NAMES, SCHEMAS | ANY, max_size=4) | ANY, "required": st.lists(NAMES) | ANY},
)
HINTS = st.dictionaries(
    st.sampled_from(["readOnlyHint", "destructiveHint", "idempotentHint", "title"]), st.booleans() | ANY
)
HTTPS = st.fixed_dictionaries(
    {"io.takeback/http": st.fixed_dictionaries({}, optional={"method": TEXTS | ANY, "path": TEXTS | ANY})}
)
TOOLS = st.fixed_dictionaries(
    {"name": NAMES},
    optional={
        "description": TEXTS | ANY,
        "title": TEXTS | ANY,
        "annotations": HINTS | ANY,
        "inputSchema": OBJECTS | ANY,
        "outputSchema": OBJECTS | ANY,
        "_meta": HTTPS | ANY,
    },
)


@settings(deadline=None)
@given(st.lists(TOOLS, max_size=5))
@example([{"name": NASTY, "description": NASTY, "inputSchema": {"properties": {NASTY: {}}, "required": [NASTY]}}])
@example(
    [{"name": "get_x", "description": "Gets\x7f\u2028 it\r# x", "annotations": {"readOnlyHint": True, "title": "\x00"}}]
)
def test_a_draft_is_a_policy_that_says_what_was_drafted(tools: list[dict[str, Any]]) -> None:
    found = inventory("up", tools)
    table = {"command": NASTY, "args": [NASTY, "\\", "\x7f"]}
    text = policy_text({"up": table}, {"up": found})
    parsed = tomllib.loads(text)
    assert parsed == {
        "defaults": {"unknown_tools": "ask"},
        "upstream": {"up": table},
        **({"rule": rules} if (rules := [dict(rule) for each in found for rule in each.rules]) else {}),
    } or sorted(map(dumps, parsed["rule"])) == sorted(map(dumps, rules))
    policy = load(text, env={"STATE": "/state"})
    assert policy.file.defaults.unknown_tools == "ask"
    assert [each.tool for each in found] == [str(tool["name"]) for tool in tools]
    dumps(document(found))


@settings(deadline=None)
@given(st.lists(TOOLS, max_size=4), st.sampled_from([False, None]))
def test_a_tool_that_is_not_declared_to_read_and_is_named_by_a_change_is_never_a_read(
    tools: list[dict[str, Any]], reads: bool | None
) -> None:
    for verb in ("delete", "update", "send", "create"):
        named = [{**tool, "name": f"{verb}_{index}_x"} for index, tool in enumerate(tools)]
        assert all(
            rule["class"] != "read_only" or "when" in rule for each in inventory("up", named) for rule in each.rules
        )


@settings(deadline=None)
@given(TEXTS)
def test_a_comment_is_one_line(text: str) -> None:
    line = comment(text)
    assert line.count("\n") == 1
    assert tomllib.loads(line) == {}


@settings(deadline=None)
@given(
    st.recursive(
        st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS,
        lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    )
)
def test_a_value_is_read_as_what_it_was(given: Any) -> None:
    assert tomllib.loads(f"x = {value(given)}")["x"] == given
