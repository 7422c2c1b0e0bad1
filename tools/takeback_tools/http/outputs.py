"""What an operation answers, described so that no real answer is ever refused for it.

A client checks structured content against the output schema and throws away what does not fit, though the write was
done. Documents are often wrong about answers (a null, a number as text, a value that an enumeration lacks), so the
schema names fields and tells types in words, and asserts nothing beyond "an object".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from takeback.core.jsontext import JSON, dumps

LONGEST: Final = 16_384
"""Bytes of an output schema; a longer one is left out."""


def output_schema(schema: JSON, definitions: Mapping[str, JSON]) -> dict[str, JSON] | None:
    """The output schema for answers of this schema; null where they are no objects, or nothing is known of them."""
    if not isinstance(schema, Mapping) or not _is_object(schema):
        return None
    found = {"type": "object", **_loosened(schema, top=True)}
    if definitions:
        found["$defs"] = {name: _loosened(one) for name, one in definitions.items()}
    return found if len(dumps(found)) <= LONGEST else None


def _is_object(schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    return "object" in kinds or (kind is None and ("properties" in schema or "allOf" in schema))


def _loosened(schema: JSON, *, top: bool = False) -> dict[str, JSON]:
    if not isinstance(schema, Mapping):
        return {}
    found: dict[str, JSON] = {key: schema[key] for key in ("$ref", "title") if key in schema}
    words = [_types(schema) if not top else "", str(schema.get("description", ""))]
    if any(words):
        found["description"] = ": ".join(word for word in words if word)
    if isinstance(schema.get("properties"), Mapping):
        found["properties"] = {name: _loosened(one) for name, one in schema["properties"].items()}
    if isinstance(schema.get("items"), Mapping):
        found["items"] = _loosened(schema["items"])
    if isinstance(schema.get("additionalProperties"), Mapping):
        found["additionalProperties"] = _loosened(schema["additionalProperties"])
    alternatives = [one for key in ("anyOf", "oneOf") for one in schema.get(key, [])]
    if alternatives:
        found["anyOf"] = [_loosened(one) for one in alternatives]
    if isinstance(schema.get("allOf"), list):
        found["allOf"] = [_loosened(one) for one in schema["allOf"]]
    return found


def _types(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    return " or ".join(kind) if isinstance(kind, list) else str(kind or "")
