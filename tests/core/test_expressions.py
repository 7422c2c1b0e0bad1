"""Expressions and templates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from takeback.core.expressions import Expression, ExpressionError, Template

VARIABLES = {"args": {"id": "T-1", "n": 3, "none": None}, "before": {"tags": ["a"], "big": 2**70}, "tenant": "acme"}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("args.id", "T-1"),
        ("before.big", 2**70),
        ("args.none == null", True),
        ("has(args.nope) ? args.nope : 'none'", "none"),
        ("before.tags.exists(t, t == 'a')", True),
        ("'Correction: ' + args.id", "Correction: T-1"),
        ("lower('ABC')", "abc"),
        ("true", True),
    ],
)
def test_values(source: str, value: object) -> None:
    variables = {**VARIABLES, "before": {"tags": ["a"], **({"big": 2**70} if source == "before.big" else {})}}
    assert Expression(source).value(variables) == value


@pytest.mark.parametrize("source", ["before.", "1 +", "a ? b", "foo(1)", "befor.x", ""])
def test_what_is_no_expression_is_refused_at_once(source: str) -> None:
    with pytest.raises(ExpressionError):
        Expression(source)


@pytest.mark.parametrize("source", ["args.nope", "args.id.x", "after.x", "args.id + 1", "args.nope == 1"])
def test_what_has_no_value_here_says_so(source: str) -> None:
    with pytest.raises(ExpressionError, match=r"`.*`"):
        Expression(source).value(VARIABLES)


@pytest.mark.parametrize(
    "source",
    [
        "before.tags[7]",
        "args.n / 0",
        "args.n % 0",
        "9223372036854775807 + args.n",
        "int(1e300)",
        "lower(args.n)",
        "split(args.id, '')",
        "target == target",
        "user == 'x'",
    ],
)
def test_no_value_of_a_tool_makes_an_expression_raise_anything_else(source: str) -> None:
    deep: object = 1
    for _ in range(3000):
        deep = {"in": deep}
    with pytest.raises(ExpressionError):
        Expression(source).value(
            {"args": VARIABLES["args"], "before": {"tags": ["a"]}, "target": deep, "user": "\ud800"}
        )


def test_a_number_beyond_64_bits_is_never_rounded() -> None:
    with pytest.raises(ExpressionError, match="64 bits"):
        Expression("before.big == 1").value(VARIABLES)


def test_truth_is_not_truthiness() -> None:
    with pytest.raises(ExpressionError, match="true or false"):
        Expression("args.n").truth(VARIABLES)


@given(st.recursive(st.integers() | st.none() | st.booleans(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_a_template_without_expressions_is_its_own_value(value: object) -> None:
    assert Template(value).value({}) == value


def test_a_template_fills_strings_and_keeps_the_rest() -> None:
    template = Template({"id": "args.id", "force": True, "nested": {"who": "tenant", "n": 1}})
    assert template.value(VARIABLES) == {"id": "T-1", "force": True, "nested": {"who": "acme", "n": 1}}
    assert template.names == {"args", "tenant"}
    part = template.part("id")
    assert part is not None
    assert part.path == ("args", "id")
