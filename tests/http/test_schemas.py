"""What documents describe, as input and output schemas of tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from takeback_tools.http.merging import merged
from takeback_tools.http.outputs import output_schema
from takeback_tools.http.references import Node, References
from takeback_tools.http.schemas import MOST_DEFINITIONS, Schemas
from tests.http.served import body, document, parameter, tools_of

BASE = "file:///api.json"


def converted(schema: Any, named: Any = None, direction: Any = "in") -> tuple[Any, dict[str, Any]]:
    references = References({BASE: {"components": {"schemas": named or {}}}})
    schemas = Schemas(references, direction)
    found = schemas.convert(Node(schema, BASE))
    return found, schemas.definitions()


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


CASES: list[tuple[Any, Any]] = [
    ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
    ({"type": "string", "x-nullable": True}, {"type": ["string", "null"]}),
    ({"type": "string", "nullable": True, "enum": ["a"]}, {"type": ["string", "null"], "enum": ["a", None]}),
    ({"nullable": True, "enum": ["a"]}, {"anyOf": [{"enum": ["a"]}, {"type": "null"}]}),
    ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, {"type": "integer", "exclusiveMinimum": 1}),
    ({"type": "integer", "maximum": 9, "exclusiveMaximum": False}, {"type": "integer", "maximum": 9}),
    ({"type": ["integer", "null"], "exclusiveMinimum": 0}, {"type": ["integer", "null"], "exclusiveMinimum": 0}),
    ({"type": "array", "items": {"type": "string", "example": "x"}}, {"type": "array", "items": {"type": "string"}}),
    ({"type": "file"}, {}),
    ({"type": "string", "pattern": 7, "minLength": -1, "enum": [], "required": True}, {"type": "string"}),
    ({"discriminator": {"propertyName": "k"}, "oneOf": [{"type": "object"}]}, {"oneOf": [{"type": "object"}]}),
    ({"const": None, "x-thing": 1, "xml": {}}, {"const": None}),
    (True, True),
    (None, {}),
    ("nonsense", {}),
    ({"$ref": "#/nowhere"}, {}),
    ({"$ref": "other.json#/x"}, {}),
]


@pytest.mark.parametrize(("schema", "expected"), CASES, ids=str)
def test_a_schema_is_said_in_the_words_of_json_schema(schema: Any, expected: Any) -> None:
    assert converted(schema) == (expected, {})


def test_what_is_referred_to_is_kept_once_and_circles_survive() -> None:
    tree = {"type": "object", "properties": {"children": {"type": "array", "items": ref("Tree")}, "up": ref("Tree")}}
    found, definitions = converted(ref("Tree"), {"Tree": tree})
    assert found == {"$ref": "#/$defs/Tree"}
    items = {"$ref": "#/$defs/Tree"}
    assert definitions == {
        "Tree": {"type": "object", "properties": {"children": {"type": "array", "items": items}, "up": items}}
    }
    validator = jsonschema_rs.validator_for({**found, "$defs": definitions})
    assert validator.is_valid({"children": [{"children": []}]})
    assert not validator.is_valid({"children": [{"children": 1}]})


def test_a_reference_may_be_null_where_it_says_so() -> None:
    found, _ = converted({**ref("A"), "nullable": True, "description": "d"}, {"A": {"type": "string"}})
    assert found == {"description": "d", "anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}


def test_a_reference_that_leads_to_itself_is_anything() -> None:
    assert converted(ref("A"), {"A": ref("B"), "B": ref("A")}) == ({"$ref": "#/$defs/A"}, {"A": {}})


def test_names_that_are_alike_are_told_apart() -> None:
    references = References({BASE: {"a": {"x": {"type": "string"}}, "b": {"x": {"type": "integer"}}}})
    schemas = Schemas(references, "in")
    found = schemas.convert(Node({"anyOf": [{"$ref": "#/a/x"}, {"$ref": "#/b/x"}]}, BASE))
    assert found == {"anyOf": [{"$ref": "#/$defs/x"}, {"$ref": "#/$defs/x_2"}]}
    assert schemas.definitions() == {"x": {"type": "string"}, "x_2": {"type": "integer"}}


def test_a_tool_carries_no_more_than_so_many_definitions() -> None:
    chain = {
        f"S{n}": {"type": "object", "properties": {"next": ref(f"S{n + 1}")}} for n in range(MOST_DEFINITIONS + 50)
    }
    _, definitions = converted(ref("S0"), chain)
    assert len(definitions) == MOST_DEFINITIONS
    assert definitions[f"S{MOST_DEFINITIONS - 1}"]["properties"]["next"] == {}


A = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}, "additionalProperties": False}
B = {"type": "object", "required": ["b"], "properties": {"b": {"type": "integer"}}}


def test_all_of_objects_is_one_object() -> None:
    found, definitions = converted(
        {"allOf": [ref("A"), ref("B"), {"description": "both"}], "title": "T"}, {"A": A, "B": B}
    )
    assert definitions == {}
    assert found == {
        "type": "object",
        "required": ["a", "b"],
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
        "description": "both",
        "title": "T",
    }


@pytest.mark.parametrize(
    "members",
    [
        [{"type": "object"}, {"type": "string"}],
        [ref("A"), {"anyOf": [ref("B")]}],
        [{"enum": ["a"]}, {"enum": ["b"]}],
        [{"minimum": 1}, {"minimum": 2}],
    ],
)
def test_what_cannot_be_merged_stays_all_of(members: list[Any]) -> None:
    found, _ = converted({"allOf": members}, {"A": A, "B": B})
    assert len(found["allOf"]) == 2


def test_inheritance_in_a_circle_stays_as_it_is() -> None:
    base = {"type": "object", "properties": {"kind": {"type": "string"}}, "oneOf": [ref("Cat")]}
    cat = {"allOf": [ref("Pet"), {"properties": {"lives": {"type": "integer"}}}]}
    _, definitions = converted(ref("Cat"), {"Pet": base, "Cat": cat})
    assert set(definitions) == {"Cat", "Pet"}
    assert definitions["Cat"]["allOf"][0] == {"$ref": "#/$defs/Pet"}
    loop = {"allOf": [ref("Loop"), {"type": "object"}]}
    assert converted(ref("Loop"), {"Loop": loop})[1]["Loop"]["allOf"] == [{"$ref": "#/$defs/Loop"}, {"type": "object"}]


OBJECT = st.fixed_dictionaries(
    {},
    optional={
        "type": st.just("object"),
        "properties": st.dictionaries(
            st.sampled_from("abc"),
            st.sampled_from([{"type": "integer"}, {"type": "string"}, {"enum": [1, "x"]}, {}]),
            max_size=3,
        ),
        "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
        "additionalProperties": st.sampled_from([True, {"type": "integer"}]),
    },
)
VALUE = st.one_of(
    st.dictionaries(st.sampled_from("abcd"), st.sampled_from([1, "x", None, [], 2]), max_size=4),
    st.sampled_from([1, "x"]),
)


@given(st.lists(OBJECT, min_size=1, max_size=3), VALUE)
def test_what_all_accept_the_merged_schema_accepts(schemas: list[dict[str, Any]], value: Any) -> None:
    whole = merged(schemas)
    if whole is not None and jsonschema_rs.is_valid({"allOf": schemas}, value):
        assert jsonschema_rs.is_valid(whole, value)


NOTE = {
    "type": "object",
    "required": ["id", "text", "secret"],
    "properties": {
        "id": {"type": "integer", "readOnly": True},
        "text": {"type": "string"},
        "secret": {"type": "string", "writeOnly": True},
    },
}


def test_what_is_read_only_is_no_argument_and_what_is_write_only_is_no_answer() -> None:
    assert converted(NOTE)[0]["required"] == ["text", "secret"]
    assert set(converted(NOTE, direction="out")[0]["properties"]) == {"id", "text"}


ANY_JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["id", "text", "a", "b"]), below, max_size=4)
    ),
    max_leaves=8,
)
STRICT = {
    "type": "object",
    "required": ["id", "text"],
    "additionalProperties": False,
    "minProperties": 2,
    "properties": {
        "id": {"type": "integer", "minimum": 1, "enum": [1, 2]},
        "text": {"type": "string", "pattern": "^a", "format": "date", "minLength": 2},
        "a": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        "b": {"type": "array", "items": ref("Note"), "uniqueItems": True, "not": {}},
    },
}


@given(st.dictionaries(st.sampled_from(["id", "text", "a", "b"]), ANY_JSON))
def test_no_object_that_an_api_answers_is_refused_for_its_output_schema(answer: dict[str, Any]) -> None:
    schemas = Schemas(References({BASE: {"components": {"schemas": {"Note": NOTE}}}}), "out")
    schema = output_schema(schemas.inline(Node(STRICT, BASE)), schemas.definitions())
    assert schema is not None
    assert jsonschema_rs.validator_for(schema).is_valid(answer)


@pytest.mark.parametrize("schema", [{"type": "array"}, {"type": "string"}, {}, True, {"oneOf": [{"type": "object"}]}])
def test_only_objects_have_an_output_schema(schema: Any) -> None:
    assert output_schema(schema, {}) is None


async def test_parameters_and_fields_lie_side_by_side(tmp_path: Path) -> None:
    paths = {
        "/things/{id}/{kind}": {
            "parameters": [parameter("id", "path", {"type": "integer"}, required=True), parameter("v", "query", {})],
            "put": {
                "operationId": "put thing!",
                "summary": "Put it.",
                "description": "With  care.",
                "parameters": [
                    parameter("id", "query", {"type": "string"}, description="which"),
                    parameter("v", "query", {"type": "boolean"}, required=True),
                    parameter("If-Match", "header", {"type": "string"}, required=True),
                    parameter("Accept", "header", {"type": "string"}),
                    parameter("filter[x]", "query", {"type": "string"}),
                ],
                "requestBody": body({"type": "object", "required": ["id"], "properties": {"id": {"type": "number"}}}),
                "responses": {"412": {"description": ""}},
            },
        }
    }
    tool = (await tools_of(document(paths), tmp_path))["put_thing"]
    assert tool["inputSchema"] == {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "v": {"type": "boolean"},
            "id_query": {"type": "string", "description": "which"},
            "filter_x_": {"type": "string"},
            "kind": {"type": "string"},
            "id_body": {"type": "number"},
        },
        "required": ["id", "v", "kind", "id_body"],
    }
    assert tool["description"] == "Put it.\n\nWith  care."
    assert tool["annotations"] == {"title": "Put it.", "idempotentHint": True}
    assert tool["_meta"] == {"io.takeback/http": {"method": "PUT", "path": "/things/{id}/{kind}", "conditional": True}}


async def test_names_are_legal_and_the_same_every_time(tmp_path: Path) -> None:
    long = "a" * 80
    paths = {
        "/x": {
            "get": {"operationId": "same"},
            "post": {"operationId": "same"},
            "put": {},
            "delete": {"operationId": long},
        },
        "/y/{id}": {"get": {"operationId": "ünïcode!!"}, "patch": {"operationId": "???"}},
    }
    first = list(await tools_of(document(paths), tmp_path))
    assert first == list(await tools_of(document(paths), tmp_path))
    assert [name for name in first if len(f"api_{name}") > 64] == []
    assert first[0] == "same"
    assert {"put_x", "n_code", "patch_y_id"} < set(first)
    assert len(set(first)) == 6


async def test_a_pattern_that_cannot_be_checked_does_not_switch_off_the_rest(tmp_path: Path) -> None:
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "pattern": "(?<n>a)\\k<m>["}}}
    paths = {"/x": {"post": {"operationId": "make", "requestBody": body(schema)}}}
    found = (await tools_of(document(paths), tmp_path))["make"]["inputSchema"]
    validator = jsonschema_rs.validator_for(found)
    assert validator.is_valid({"a": "b"})
    assert not validator.is_valid({"a": 1})


async def test_one_broken_operation_does_not_take_the_others_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = {
        "/x": {"get": {"operationId": "bad", "parameters": [{"$ref": "#/nowhere"}]}, "post": {"operationId": "good"}},
        "/y": {"$ref": "#/nowhere"},
        "/z": {"get": 7, "put": {"operationId": "odd", "parameters": 7, "responses": [], "tags": 7, "requestBody": []}},
        "x-more": {"get": {}},
    }
    assert set(await tools_of(document(paths), tmp_path)) == {"good", "odd"}
    assert "GET /x is left out" in caplog.text
