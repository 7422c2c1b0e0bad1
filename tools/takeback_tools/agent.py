"""The agent's own tools: history, undo, repeat, and plans by policy. One more connector, in process, over use cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import jsonschema_rs

from takeback.ports import AgentUseCases, Caller, LedgerFailure, NotFound, ProgressSink
from takeback_tools.pausing import CHECKPOINT
from takeback_tools.planning import PLAN

_TEXT: Final = {"type": "string", "maxLength": 2000}

DEFINITIONS: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "takeback_history",
        "title": "What did I change?",
        "description": (
            "What this run has changed, newest first, one line each. With `action`: the full story of one action; "
            "`action: run` answers for the whole run what was changed, what can be undone, and what is proven. "
            "`filter` searches tools and targets; `needs_attention` shows only what is unsettled or waits for a person."
        ),
        "inputSchema": {
            "type": "object",
            "properties": {
                "filter": {**_TEXT, "description": "words to look for in tool names and targets"},
                "action": {**_TEXT, "description": "an action's id, as in [takeback ID], or `run`"},
                "needs_attention": {"type": "boolean", "default": False},
                "cursor": {**_TEXT, "description": "from the page before"},
            },
            "additionalProperties": False,
        },
        "annotations": {"readOnlyHint": True, "openWorldHint": False},
    },
    {
        "name": "takeback_undo",
        "title": "Take a change back",
        "description": (
            "Takes changes of this run back: `what` is an action's id, `last 3`, `since ID`, or `run`; without it, the "
            "last change. The id of an undo redoes it. A simple, exact undo runs at once; anything else returns a "
            "preview and a `confirm` value to call again with. The answer says what was read back: exact, compensated "
            "with what is left over, or refused with the reason."
        ),
        "inputSchema": {
            "type": "object",
            "properties": {
                "what": {**_TEXT, "description": "an action's id, `last N`, `since ID`, `run`"},
                "reason": {**_TEXT, "minLength": 1, "description": "why, for the people who read the record"},
                "confirm": {**_TEXT, "description": "from the preview"},
            },
            "required": ["reason"],
            "additionalProperties": False,
        },
        "annotations": {
            "readOnlyHint": False,
            "destructiveHint": False,
            "idempotentHint": True,
            "openWorldHint": False,
        },
    },
    {
        "name": "takeback_repeat",
        "title": "Do the same again, on purpose",
        "description": (
            "Equal calls are taken for retries and not executed twice. If the same change is really meant once more (a "
            "second equal refund, say), repeat its action here with a reason."
        ),
        "inputSchema": {
            "type": "object",
            "properties": {
                "action": {**_TEXT, "minLength": 1, "description": "the action to repeat"},
                "reason": {**_TEXT, "minLength": 1, "description": "why it is meant again"},
            },
            "required": ["action", "reason"],
            "additionalProperties": False,
        },
        "annotations": {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": True, "openWorldHint": True},
    },
)


BY_POLICY: Final[Mapping[str, dict[str, Any]]] = {"checkpoint": CHECKPOINT, "plan": PLAN}
"""Tools that are offered where the policy says so (`defaults.agent_tools`), by its word for them."""


class AgentTools:
    """Offers the three tools, and those that the policy adds (`more`), and carries their calls to the use cases."""

    def __init__(self, use_cases: AgentUseCases, more: Sequence[str] = ()) -> None:
        self._use_cases = use_cases
        self._definitions = (*DEFINITIONS, *(BY_POLICY[name] for name in more))
        self._validators = {d["name"]: jsonschema_rs.validator_for(d["inputSchema"]) for d in self._definitions}

    @property
    def definitions(self) -> Sequence[Mapping[str, Any]]:
        """What `tools/list` offers."""
        return self._definitions

    def offers(self, name: str) -> bool:
        """Whether `name` is one of these tools."""
        return name in self._validators

    async def call(
        self, caller: Caller, name: str, arguments: Mapping[str, Any], *, progress: ProgressSink | None = None
    ) -> Mapping[str, Any]:
        """Run one of the tools and return its result. Bad arguments and unknown ids are error results.

        `progress` hears how far a plan is.
        """
        problems = [error.message for error in self._validators[name].iter_errors(dict(arguments))]
        if problems:
            return _said(
                f"The call is malformed: {'; '.join(problems)}. Nothing was done; mend it and send it again.",
                error=True,
            )
        try:
            return await self._dispatch(caller, name, arguments, progress)
        except NotFound as error:
            return _said(f"{error}. Nothing was changed; takeback_history lists what there is.", error=True)
        except LedgerFailure as error:
            return _said(
                f"The ledger cannot be used right now ({error}). Nothing was changed; try again later.", error=True
            )

    async def _dispatch(
        self, caller: Caller, name: str, arguments: Mapping[str, Any], progress: ProgressSink | None
    ) -> Mapping[str, Any]:
        match name:
            case "takeback_history":
                text = await self._use_cases.history(
                    caller,
                    text=arguments.get("filter"),
                    action=arguments.get("action"),
                    needs_attention=bool(arguments.get("needs_attention")),
                    cursor=arguments.get("cursor"),
                )
                return _said(text)
            case "takeback_undo":
                answer = await self._use_cases.undo(
                    caller, what=arguments.get("what"), reason=arguments["reason"], confirm=arguments.get("confirm")
                )
                facts = {"action": answer.action, "outcome": answer.outcome, "confirm": answer.confirm}
                meta = {f"io.takeback/{name}": value for name, value in facts.items() if value is not None}
                return {**_said(answer.text, error=not answer.ok), "_meta": meta}
            case "takeback_checkpoint":
                return await self._use_cases.checkpoint(caller, arguments)
            case "takeback_plan":
                return await self._use_cases.plan(caller, arguments, progress=progress)
            case _:
                return await self._use_cases.repeat(caller, action=arguments["action"], reason=arguments["reason"])


def _said(text: str, *, error: bool = False) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "isError": error}
