"""`allOf` of plain objects as one object, which models and people read more easily."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from takeback.core.jsontext import JSON

_COMPOSED: Final = frozenset(
    {"anyOf", "oneOf", "not", "if", "then", "else", "patternProperties", "propertyNames", "dependentSchemas", "$ref"}
    | {"unevaluatedProperties", "minProperties", "maxProperties"}
)


def is_plain(schema: Mapping[str, Any]) -> bool:
    """Whether a schema can be put together with others key by key."""
    return not any(key in schema for key in _COMPOSED)


def merged(schemas: Sequence[JSON]) -> dict[str, JSON] | None:
    """The schema that accepts what all of them accept; null where it cannot be said key by key.

    `additionalProperties: false` in one member would refuse what the others declare, which nobody means: it is left
    out unless it stands alone.
    """
    whole: dict[str, JSON] = {}
    closed = [one for one in schemas if isinstance(one, Mapping) and "additionalProperties" in one]
    speaking = [one for one in schemas if isinstance(one, Mapping) and "properties" in one]
    for schema in schemas:
        if not isinstance(schema, Mapping):
            return None
        for key, value in schema.items():
            if key != "additionalProperties" and not _put(whole, key, value):
                return None
    extra = [one["additionalProperties"] for one in closed]
    if extra and (len(speaking) <= 1 or all(one == extra[0] and one is not False for one in extra)):
        whole["additionalProperties"] = extra[0]
    return whole


def _put(whole: dict[str, JSON], key: str, value: JSON) -> bool:
    if key == "properties":
        known = whole.get(key, {})
        both = {name: _both(known[name], new) for name, new in value.items() if name in known}
        whole[key] = {**known, **value, **both}
    elif key == "required":
        whole[key] = list(dict.fromkeys([*whole.get(key, []), *value]))
    elif key in whole and key not in {"title", "description", "default", "deprecated"}:
        return bool(whole[key] == value)
    else:
        whole[key] = value
    return True


def _both(one: JSON, other: JSON) -> JSON:
    if one in (other, {}):
        return other
    return one if other == {} else {"allOf": [one, other]}
