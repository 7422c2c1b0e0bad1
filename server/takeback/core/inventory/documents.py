"""The inventory as JSON, for programs."""

from __future__ import annotations

from collections.abc import Sequence

from takeback.core.inventory.calls import Asked
from takeback.core.inventory.drafting import Drafted
from takeback.core.jsontext import JSON


def document(tools: Sequence[Drafted]) -> JSON:
    """All that was found out about the tools of one upstream."""
    return {
        "tools": [_tool(tool) for tool in tools],
        "cannot_be_undone": {tool.tool: tool.lost for tool in tools if tool.lost is not None},
    }


def _tool(tool: Drafted) -> JSON:
    return {
        "tool": tool.tool,
        "nature": tool.nature.value,
        "confidence": tool.confidence.value,
        "evidence": [finding.document() for finding in tool.findings],
        "rules": [dict(rule) for rule in tool.rules],
        "read": None if tool.read_back is None else _asked(tool.read_back),
        "undo": [_asked(asked) for asked in tool.undo],
        "notes": list(tool.notes),
    }


def _asked(asked: Asked) -> JSON:
    return {
        "tool": asked.tool,
        "args": None if asked.arguments is None else dict(asked.arguments),
        "confidence": asked.confidence.value,
        "reason": asked.reason,
    }
