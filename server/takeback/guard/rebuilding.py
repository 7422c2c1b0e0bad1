"""A tool's result, made from what was read, where the tool's own was lost or says what is not so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from takeback.core.expressions import ExpressionError
from takeback.core.images import Image
from takeback.core.jsontext import JSON, dumps
from takeback.guard.services import Work


def rebuilt(work: Work, before: Image | None, current: Image | None) -> dict[str, Any] | None:
    """What the rule's `result` makes of the target as it is now; None where there is no such rule, or no value."""
    rule = work.decision.rule
    if rule is None or rule.result is None or current is None:
        return None
    variables: dict[str, JSON] = {**work.variables, "current": current.variable(), "after": current.variable()}
    if before is not None:
        variables["before"] = before.variable()
    try:
        value = rule.result.value(variables)
    except ExpressionError:
        return None
    return tool_result(value)


def tool_result(value: JSON) -> dict[str, Any]:
    """A tool result that carries `value`, as text and, for an object, as structured content."""
    text = value if isinstance(value, str) else dumps(value).decode()
    result: dict[str, Any] = {"content": [{"type": "text", "text": text}]}
    return result | {"structuredContent": value} if isinstance(value, Mapping) else result
