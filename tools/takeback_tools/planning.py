"""The agent's tool for plans, as it is offered."""

from __future__ import annotations

from typing import Any, Final

_NAME: Final = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_-]+$"}
_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 2000}

_STEP: Final = {
    "type": "object",
    "properties": {
        "id": {**_NAME, "description": "a short name, by which later steps refer to this one"},
        "tool": {"type": "string", "minLength": 1, "maxLength": 200, "description": "as tools/list names it"},
        "arguments": {
            "type": "object",
            "description": (
                'as for a call; {"$from": "ID", "path": "a.b.0"} stands for a part of the result of an earlier step'
            ),
        },
        "after": {
            "type": "array",
            "items": _NAME,
            "maxItems": 100,
            "description": "earlier steps that must be done first, beyond those it refers to",
        },
    },
    "required": ["id", "tool", "arguments"],
    "additionalProperties": False,
}
_GROUP: Final = {
    "type": "object",
    "properties": {
        "steps": {"type": "array", "items": _STEP, "minItems": 1, "maxItems": 10_000},
        "checkpoint": {
            "type": "boolean",
            "default": False,
            "description": "a safe point: if a later group fails, what was done up to here stays",
        },
    },
    "required": ["steps"],
    "additionalProperties": False,
}

PLAN: Final[dict[str, Any]] = {
    "name": "takeback_plan",
    "title": "Several calls as one",
    "description": (
        "Submits several calls at once, in groups: the steps of a group run side by side, and a group begins when the "
        "one before is done and read back. A person agrees once, to all of it, where one step needs that. If a step "
        "fails for good, what was done since the last checkpoint is taken back (or it stops there). It goes on without "
        "you if you are interrupted: submit it again to learn where it stands, never in another form. `preview` shows "
        "what would happen. `cancel` names a plan to stop."
    ),
    "inputSchema": {
        "type": "object",
        "properties": {
            "title": {**_TEXT, "maxLength": 200, "description": "what it is for, in a few words"},
            "groups": {"type": "array", "items": _GROUP, "minItems": 1, "maxItems": 10_000},
            "on_failure": {"type": "string", "enum": ["compensate", "stop"], "default": "compensate"},
            "retries": {"type": "integer", "minimum": 0, "maximum": 5, "default": 1},
            "reason": {**_TEXT, "description": "why, for the people who agree and who read the record"},
            "preview": {"type": "boolean", "default": False},
            "cancel": {"type": "string", "minLength": 1, "maxLength": 100, "description": "the id of a plan"},
        },
        "required": ["reason"],
        "anyOf": [{"required": ["title", "groups"]}, {"required": ["cancel"]}],
        "additionalProperties": False,
    },
    "annotations": {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": True, "openWorldHint": True},
}
