from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from takeback.core.policy.load import Policy, load
from takeback.core.policy.mistakes import PolicyMistakes
from takeback.core.policy.schema import Defaults, Limits, PolicyFile, Rule, Upstream
from tests.core.policy.policies import ENV, HEAD, READ_BACK, with_rule


def _keys(*models: Any) -> list[str]:
    return sorted({field.alias or name for model in models for name, field in model.model_fields.items()})


_WORDS = st.sampled_from(
    [
        *(
            "args.id",
            "before.x",
            "result.id",
            "read_only",
            "workflow",
            "internal_update",
            "set",
            "always",
            "none",
            "low",
        ),
        *("desk.get", "desk.*", "desk", "desk.set", "python.x", "*.*", "1s", "0s", "99999999999999d", "${TOKEN}", "${"),
        *("target.id", "current.x + reason", "x", ""),
    ]
)
_SCALARS = st.one_of(_WORDS, st.text(max_size=8), st.integers(), st.booleans(), st.floats())
_NAMES = st.sampled_from(
    [*_keys(PolicyFile, Rule, Upstream, Defaults, Limits), "type", "id", "args", "compensation", "x y"]
)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4), max_leaves=12
)
_RULES = st.fixed_dictionaries(
    {"tool": _WORDS, "class": _WORDS}, optional={name: _VALUES for name in _keys(Rule) if name not in {"tool", "class"}}
)
_SECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "rule": st.lists(_RULES, max_size=3) | _VALUES,
        "upstream": st.dictionaries(_WORDS, st.dictionaries(st.sampled_from(_keys(Upstream)), _VALUES, max_size=4)),
        "defaults": _VALUES,
        "ledger": _VALUES,
    },
)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


def _tried(text: str) -> Policy | None:
    try:
        return load(text, env=ENV)
    except PolicyMistakes as mistakes:
        found = mistakes
    assert found.mistakes
    assert "s3cr3t" not in str(found)
    assert "pydantic" not in str(found)
    return None


@settings(deadline=None)
@given(st.text())
@example("a = 0000-00-00")
@example("\x00")
@example("[[rule]]\n[rule.undo]\n[[rule.undo]]")
def test_any_text_is_a_policy_or_has_mistakes(text: str) -> None:
    _tried(text)


@settings(deadline=None)
@given(_SECTIONS)
def test_any_tables_are_a_policy_or_have_mistakes(document: dict[str, Any]) -> None:
    _tried("\n".join(f"{json.dumps(key)} = {_toml(value)}" for key, value in document.items()))


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=5) | _NAMES, _VALUES, max_size=4))
def test_any_keys_are_a_policy_or_have_mistakes(document: dict[str, Any]) -> None:
    _tried("\n".join(f"{json.dumps(key)} = {_toml(value)}" for key, value in document.items()))


@settings(deadline=None)
@given(st.sampled_from(_keys(Rule)), _VALUES)
def test_any_value_of_any_key_of_a_rule_is_right_or_a_mistake(key: str, value: Any) -> None:
    rule = {"tool": "desk.set", "class": "internal_update", key: value}
    _tried(HEAD + "[[rule]]\n" + "\n".join(f"{name} = {_toml(given)}" for name, given in rule.items()))
    _tried(with_rule(READ_BACK if key not in READ_BACK.split() else "") + f"[[rule]]\ntool = 3\n{key} = {_toml(value)}")
