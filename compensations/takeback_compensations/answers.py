"""What compensations in code answer with: a tool's result, or an error that says why nothing was done."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Final

from takeback.ports import Answered

_REFUSED: Final = -32000


class Refused(Exception):
    """It is not as the action left it, or not where the policy allows it. Nothing was changed."""


async def answer(work: Awaitable[str]) -> Mapping[str, Any]:
    """The outcome as a tool's result.

    Raises:
        Answered: it was refused, for the reason in the message.
    """
    try:
        return {"content": [{"type": "text", "text": await work}]}
    except Refused as refusal:
        raise Answered(_REFUSED, f"Not undone: {refusal}. Nothing was changed.") from None
