"""Reading a server's list of tools: every page of it, and which arguments are repeated in headers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp.shared.inbound import x_mcp_header_map

from takeback.ports import OutcomeUnknown, ToolDefinition

PAGES: Final = 1000
"""Pages that a list may have; one that goes on gives the same cursor for ever."""

ReadPage = Callable[[Mapping[str, Any] | None], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Listed:
    """A tool list, and which arguments of its tools are repeated in headers."""

    tools: tuple[ToolDefinition, ...]
    param_headers: Mapping[str, Mapping[tuple[str, ...], str]]


async def read_list(upstream: str, page: ReadPage) -> Listed:
    """All pages of a tool list.

    Raises:
        OutcomeUnknown: the list is malformed, or does not end.
    """
    tools = tuple(ToolDefinition(upstream, tool["name"], tool) for tool in await _all(upstream, page))
    return Listed(tools, {tool.name: x_mcp_header_map(tool.input_schema) for tool in tools})


async def _all(upstream: str, page: ReadPage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: object = None
    for _ in range(PAGES):
        read = await page({"cursor": cursor} if cursor is not None else None)
        tools = read.get("tools")
        if not isinstance(tools, list) or not all(
            isinstance(t, dict) and isinstance(t.get("name"), str) for t in tools
        ):
            raise OutcomeUnknown("malformed", f"upstream {upstream} gave a list of tools that is none")
        found += tools
        cursor = read.get("nextCursor")
        if cursor is None:
            return found
    raise OutcomeUnknown("malformed", f"the tool list of upstream {upstream} does not end")
