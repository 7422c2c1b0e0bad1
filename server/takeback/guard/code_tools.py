"""Compensations that act by code of their own, in the shape of a tool client, so that they go the way of every call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from takeback.core.undo import Step
from takeback.guard.catalog import Entry
from takeback.ports import (
    CodedCompensation,
    Compensation,
    NotificationSink,
    NotSent,
    OutcomeUnknown,
    ProgressSink,
    ToolDefinition,
)

CODE: Final = "python."


class CodeTools:
    """A tool client whose tools are coded compensations."""

    name = CODE.rstrip(".")
    capabilities: Mapping[str, Any] = {}
    instructions: str | None = None

    def __init__(self, coded: Mapping[str, CodedCompensation]) -> None:
        self._coded = coded

    def entries(self) -> list[Entry]:
        """One hidden tool for each compensation."""
        return [Entry(self, ToolDefinition(self.name, name, {"name": name}), name) for name in self._coded]

    async def start(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        """Nothing to stop."""

    async def tools(self) -> Sequence[ToolDefinition]:
        """None is offered to anybody."""
        return ()

    def on_notification(self, sink: NotificationSink) -> None:
        """Code sends no notifications."""

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Carry out one step. Raises NotSent or OutcomeUnknown as any client does."""
        name = str((params or {}).get("name"))
        arguments = dict((params or {}).get("arguments") or {})
        if name not in self._coded:
            raise NotSent(f"there is no compensation {name!r}")
        try:
            async with asyncio.timeout(timeout):
                return dict(await self._coded[name].carry_out(Step(CODE + name, arguments)))
        except TimeoutError:
            raise OutcomeUnknown("timeout", f"the compensation {name!r} did not end in time") from None


def coded(compensations: Mapping[str, Compensation]) -> dict[str, CodedCompensation]:
    """Those compensations that act by code of their own."""
    return {name: found for name, found in compensations.items() if hasattr(found, "carry_out")}  # type: ignore[misc]
