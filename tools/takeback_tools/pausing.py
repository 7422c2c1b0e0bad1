"""The agent's tool for checkpoints, as it is offered."""

from __future__ import annotations

from typing import Any, Final

_NAME: Final = {"type": "string", "minLength": 1, "maxLength": 100}
_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 2000}

CHECKPOINT: Final[dict[str, Any]] = {
    "name": "takeback_checkpoint",
    "title": "A safe point to go on from",
    "description": (
        "Keeps where this run stands under a name: what was done and verified, what waits, and your own notes. "
        "`resume` names one to go on from: it is refused, with the differences, where something changed since. "
        "takeback_undo with `since NAME` takes back what came after it."
    ),
    "inputSchema": {
        "type": "object",
        "properties": {
            "name": {**_NAME, "description": "by which to find it again"},
            "summary": {**_TEXT, "description": "where things stand, for the user"},
            "state": {"type": "object", "description": "your own notes, at most 16 KB as JSON"},
            "next": {"type": "array", "items": _TEXT, "maxItems": 50, "description": "what you meant to do next"},
            "resume": {
                **_NAME,
                "description": "a checkpoint's name or id, or a verified write's id, to go on from",
            },
        },
        "anyOf": [{"required": ["name", "summary"]}, {"required": ["resume"]}],
        "additionalProperties": False,
    },
    "annotations": {"readOnlyHint": False, "destructiveHint": False, "idempotentHint": False, "openWorldHint": False},
}
