"""Whatever a policy and whatever the tools: the look ends, raises nothing, and comes to the same each time."""

from __future__ import annotations

from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from takeback.core.policy.guarantees import COLUMNS, guarantees, wishes
from takeback.core.policy.live.offers import Live, Tool
from takeback.core.policy.live.survey import survey
from takeback.core.policy.mistakes import PolicyMistakes
from tests.core.policy.policies import loaded

NAMES = ["get", "set", "find", "drop_all"]
FIELDS = st.sampled_from(["id", "title", "x", "a-b", "items"])
SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([None, True, False, {}, 7, "x", {"type": "string"}, {"type": ["integer", "null"]}, {"enum": [1]},
                     {"$ref": "#"}, {"$ref": "#/properties/id"}, {"$ref": "https://x.example"}, {"type": 7}]),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", "string", ["object", "null"], 7]),
            "properties": st.dictionaries(FIELDS, inner, max_size=3) | st.just([]),
            "required": st.lists(FIELDS, max_size=2) | st.just("id"),
            "additionalProperties": inner,
            "patternProperties": st.just({"^x": {}}),
            "items": inner,
            "allOf": st.lists(inner, max_size=2) | st.just({}),
            "anyOf": st.lists(inner, max_size=2),
            "oneOf": st.lists(inner, max_size=2),
            "$ref": st.sampled_from(["#", "#/$defs/a", "#/properties/id", "#/oneOf/0"]),
            "$defs": st.dictionaries(st.just("a"), inner),
        },
    ),
    max_leaves=8,
)  # fmt: skip
STEPS = st.lists(st.sampled_from(["id", "title", "x", "items"]), max_size=3)
PATHS = st.builds(
    lambda root, steps: ".".join([root, *steps]), st.sampled_from(["args", "before", "after", "result"]), STEPS
)
EXPRESSIONS = PATHS | PATHS.map(lambda path: f"{path}.exists(e, e.id == 1)") | st.just("true")
CALLS = st.builds(
    lambda tool, name, value: f'{{ tool = "desk.{tool}", args = {{ {name} = "{value}" }} }}',
    st.sampled_from([*NAMES, "gone"]), st.sampled_from(["id", "title", "x"]),
    STEPS.map(lambda steps: ".".join(["args", *steps])) | st.just("target.id"),
)  # fmt: skip
RULES = st.builds(
    lambda tool, kind, effect, keys: f'[[rule]]\ntool = "desk.{tool}"\nclass = "{kind}"\neffect = "{effect}"\n' + keys,
    st.sampled_from([*NAMES, "*", "g?t"]),
    st.sampled_from(["internal_update", "external_irreversible", "workflow", "external_reversible"]),
    st.sampled_from(["set", "once"]),
    st.builds(
        lambda read, verify, undo, more: (
            f'target = {{ type = "t", id = "args.id" }}\nread = {read}\nverify = "{verify}"\n'
            + ("" if undo is None else f"{undo[0]} = {undo[1]}\n") + more
        ),
        CALLS, EXPRESSIONS, st.none() | st.tuples(st.sampled_from(["undo", "correct"]), CALLS),
        st.sampled_from(["", 'writes = ["x"]\n', 'by = { x = "args.x" }\n', 'approval = "never"\n', 'risk = "low"\n']),
    ),
)  # fmt: skip


@settings(deadline=None)  # the bound is on steps, not on a busy machine
@given(RULES, st.lists(st.tuples(st.sampled_from(NAMES), SCHEMAS, SCHEMAS), max_size=4), st.booleans())
def test_a_look_never_fails(rule: str, tools: list[tuple[str, Any, Any]], reached: bool) -> None:
    try:
        policy = loaded('[upstream.desk]\ncommand = "x"\n' + rule)
    except PolicyMistakes:
        event("a policy with mistakes")
        return
    offered = [{"name": name, "inputSchema": taken, "outputSchema": given_} for name, taken, given_ in tools]
    live = Live({"desk": tuple(Tool("desk", definition) for definition in offered)} if reached else {})
    found = survey(policy, live)
    assert found == survey(policy, live)
    assert all(finding.mistake.message and finding.mistake.keys for finding in found)
    for numbered in policy.rules:
        protections = guarantees(policy, numbered.rule, live)
        assert set(protections) == set(COLUMNS)
        assert all(wishes(protections))


def test_schemas_that_lead_in_circles_or_multiply_are_left_in_time() -> None:
    circles = {"anyOf": [{"$ref": "#"}, {"$ref": "#"}], "oneOf": [{"$ref": "#"}] * 9, "allOf": [{"$ref": "#"}] * 9}
    doubling = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(60)}
    deep: Any = {"type": "object"}
    for _ in range(900):
        deep = {"anyOf": [deep]}
    policy = loaded('[upstream.desk]\ncommand = "x"\n[[rule]]\ntool = "desk.*"\nclass = "read_only"\nwhen = "args.x.y"')
    for schema in (circles, {"$ref": "#/$defs/d0", "$defs": doubling}, deep):
        live = Live({"desk": (Tool("desk", {"name": "get", "inputSchema": schema, "outputSchema": schema}),)})
        assert survey(policy, live) == survey(policy, live)
