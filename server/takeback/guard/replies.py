"""What a call gets: the tool's own result with the guard's marks, or the guard's own word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from takeback.core.action import Action
from takeback.core.freezing import Freeze
from takeback.core.jsontext import JSON
from takeback.core.results import text_of
from takeback.core.run import Approval
from takeback.core.vocabulary import RetryLayer
from takeback.ports import Answered

META: Final = "io.takeback/"


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a call: `result` is a tool result, or `answered` the upstream's own protocol error.

    `pending` is the approval that waits for a person, so that a face whose client can ask one may do so. `frozen` is
    what stopped the call, where the stop switch did; `paused` that its run is, which stopped it.
    """

    result: dict[str, Any] | None = None
    answered: Answered | None = None
    action: Action | None = None
    pending: Approval | None = None
    frozen: Freeze | None = None
    paused: bool = False

    @property
    def text(self) -> str:
        """What it says, all text blocks one after the other."""
        return str(self.answered) if self.answered is not None else text_of(self.result or {})


def own_result(result: Mapping[str, Any], action: Action, *, line: str | None, lead: str | None = None) -> Reply:
    """The tool's own result, with `_meta` and text blocks: `lead` before its content, `line` after it."""
    found, meta = result.get("content"), result.get("_meta")
    content = list(found) if isinstance(found, list) else []
    if lead:
        content.insert(0, text_block(lead))
    if line:
        content.append(text_block(line))
    marked = {
        **result,
        "content": content,
        "_meta": {**(meta if isinstance(meta, Mapping) else {}), **marks(action, replayed=bool(lead))},
    }
    return Reply(result=marked, action=action)


def own_word(
    text: str, action: Action | None = None, *, layer: RetryLayer, pending: Approval | None = None, error: bool = True
) -> Reply:
    """The guard's own word. It is an error result, so that a strict client does not check it against an output schema.

    `layer` says whose turn it is next.
    """
    meta: dict[str, JSON] = {META + "layer": layer.value}
    if action is not None:
        meta |= marks(action, replayed=False)
    if pending is not None:
        meta[META + "approval"] = pending.id
    result: dict[str, Any] = {"content": [text_block(text)], "isError": error, "_meta": meta}
    return Reply(result=result, action=action, pending=pending)


def marks(action: Action, *, replayed: bool) -> dict[str, JSON]:
    """The guard's `_meta` for clients."""
    return {
        META + "action": action.id,
        META + "run": action.run,
        META + "status": action.status.value,
        META + "replayed": replayed,
        META + "verified": action.verified.value,
        META + "undo": (action.forecast or {}).get("outcome"),
    }


def text_block(text: str) -> dict[str, str]:
    """One text block of a tool result."""
    return {"type": "text", "text": text}
