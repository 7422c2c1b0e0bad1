"""Conditional writes: a write that the upstream executes only while its target is as it was read (RFC 9110, 13.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from takeback.core.expressions import ExpressionError
from takeback.core.images import Image, Part, Presence
from takeback.core.jsontext import JSON
from takeback.core.policy.schema import Condition

IF_MATCH: Final = "If-Match"
_IF_NONE_MATCH: Final = "If-None-Match"


@dataclass(frozen=True, slots=True)
class Conditions:
    """What makes a call conditional: headers and arguments that travel with it. Both empty: it is unconditioned."""

    headers: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, JSON] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.headers or self.arguments)


UNCONDITIONED: Final = Conditions()


def conditions(condition: Condition | None, read: Image | None, variables: Mapping[str, JSON]) -> Conditions:
    """The condition that a call can carry, given what was read last. `variables` hold the image as `before`.

    Without a version to name (nothing was read, or the read gave none) there is no condition: the write goes out
    unconditioned, and whoever reports on it says so. `If-Match` on a target that is absent becomes
    `If-None-Match: *`: it must still be absent.
    """
    if condition is None:
        return UNCONDITIONED
    part = _part(condition, read)
    if condition.header == IF_MATCH and part is not None and part.presence is Presence.ABSENT:
        return Conditions(headers={_IF_NONE_MATCH: "*"})
    version = _version(condition, part, variables)
    if version is None:
        return UNCONDITIONED
    if condition.header is not None:
        return Conditions(headers={condition.header: version if isinstance(version, str) else str(version)})
    assert condition.argument is not None  # the cross-check sees to one of the two
    return Conditions(arguments={condition.argument: version})


def _part(condition: Condition, read: Image | None) -> Part | None:
    if read is None or not read.readable:
        return None
    if condition.target is not None:
        return read.part(condition.target)
    return read.parts[0] if len(read.parts) == 1 else None


def _version(condition: Condition, part: Part | None, variables: Mapping[str, JSON]) -> JSON:
    if condition.version is None:
        return part.version if part is not None else None
    try:
        return condition.version.value(variables)
    except ExpressionError:
        return None


def did_not_hold(condition: Condition | None, error: str) -> bool:
    """Whether a tool's error text says that the condition did not hold; only where the rule says how it reads."""
    if condition is None or condition.failed is None:
        return False
    try:
        return condition.failed.truth({"error": error})
    except ExpressionError:
        return False
