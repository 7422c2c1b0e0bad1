"""Class, effect and risk of a write, from what it does and from what is known of its way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from takeback.core.inventory.calls import Asked
from takeback.core.inventory.evidence import Confidence
from takeback.core.inventory.judging import Judgement, Nature
from takeback.core.inventory.lookback import Shown
from takeback.core.inventory.offered import Offered
from takeback.core.inventory.verbs import MOVERS, RELATIVE, SETTERS, Deed
from takeback.core.inventory.wayback import upserts
from takeback.core.inventory.words import vocabulary, words
from takeback.core.vocabulary import ActionClass, Does, Effect, Risk

_FLOWS: Final = vocabulary("workflow pipeline job build automation playbook flow deployment dag scenario task")
_STARTS: Final = vocabulary("run trigger start dispatch execute rerun invoke launch retry restart deploy redeploy")
_LEAVES: Final = vocabulary("merge escalate accept approve reject sign")
"""Verbs of change that set off what no later change takes back."""

_SETTLED: Final = vocabulary("assign unassign enable disable lock unlock archive unarchive pin unpin mark close reopen")
"""Verbs that bring about a state, beside those that write fields, move and delete."""

_ADDING: Final = frozenset({"edit", "operation", "mode", "patch", "change"})
"""Arguments by which a second call may do more than the first."""

_DOES: Final = {Deed.CREATE: Does.CREATE, Deed.UPDATE: Does.UPDATE, Deed.DELETE: Does.DELETE}
_UNKNOWN: Final = frozenset({None, Deed.RUN, Deed.SEND})
"""Deeds that leave the system, or are told by the arguments."""


def leaves_traces(tool: Offered) -> bool:
    """Whether a change sets off more than its own fields."""
    return tool.verb in _LEAVES


def action_class(tool: Offered, judged: Judgement, ready: Sequence[Asked]) -> ActionClass:
    """How hard the way back is, which is `ready` (empty where there is none)."""
    if judged.deed is Deed.RUN and tool.verb in _STARTS and _FLOWS.intersection(words(tool.name)):
        return ActionClass.WORKFLOW
    if _is_beyond_reach(tool, judged, ready):
        return ActionClass.EXTERNAL_IRREVERSIBLE
    if "draft" in tool.noun:
        return ActionClass.DRAFT
    return ActionClass.EXTERNAL_REVERSIBLE if _by_opposite(ready) else ActionClass.INTERNAL_UPDATE


def _is_beyond_reach(tool: Offered, judged: Judgement, ready: Sequence[Asked]) -> bool:
    if judged.nature is not Nature.WRITE or judged.several is not None:
        return True
    if judged.deed in {None, Deed.SEND} or (judged.deed is Deed.RUN and not _by_opposite(ready)):
        return True
    if leaves_traces(tool) or any(argument.is_command for argument in tool.arguments):
        return True
    return not ready and judged.deed is Deed.DELETE


def _by_opposite(ready: Sequence[Asked]) -> bool:
    """Whether a paired call takes it back: one that neither restores a record, nor removes or makes one."""
    if not ready or any(asked.more for asked in ready):
        return False
    values = [value for asked in ready for value in (asked.arguments or {}).values()]
    recorded = any(isinstance(value, str) and value.startswith(("before.", "target.")) for value in values)
    verbs = {word for asked in ready for word in words(asked.tool)}
    return not recorded and not verbs & {"delete", "destroy", "drop", "create"}


def does(tool: Offered, judged: Judgement, kind: ActionClass, shown: Shown | None) -> Does:
    """What a write does to its target. Membership is an update: what is read is there before and after."""
    if judged.deed is Deed.CREATE and upserts(tool):
        return Does.UPDATE
    found = Does.SEND if judged.deed is None else _DOES.get(judged.deed, Does.SEND)
    of_a_list = kind is ActionClass.EXTERNAL_REVERSIBLE and (shown is None or shown.whole)
    return Does.UPDATE if of_a_list and found is not Does.SEND else found


def effect(tool: Offered, judged: Judgement) -> Effect:
    """`set` only where a state is brought about, and nothing says that a second call adds to it."""
    if tool.hints.get("idempotentHint") is False or tool.verb in RELATIVE or judged.deed in _UNKNOWN:
        return Effect.ONCE
    if any(argument.key in _ADDING for argument in tool.arguments):
        return Effect.ONCE
    if tool.http is not None and tool.http.method == "POST":
        return Effect.ONCE  # RFC 9110, 9.2.2: nothing says that a second one changes nothing
    by_method = tool.http is not None and tool.http.method in {"PUT", "DELETE"}
    by_name = tool.verb in SETTERS | _SETTLED | MOVERS or judged.deed is Deed.DELETE
    return Effect.SET if by_method or by_name or tool.hints.get("idempotentHint") is True else Effect.ONCE


def _same_again(ready: Sequence[Asked]) -> bool:
    """Whether what was deleted is made again under the id that it had."""
    values = [value for asked in ready for value in (asked.arguments or {}).values()]
    return any(isinstance(value, str) and value.startswith("args.") for value in values)


def risk(kind: ActionClass, judged: Judgement, shown: Shown | None, ready: Sequence[Asked]) -> Risk:
    """Nobody has looked at a draft: a person agrees to whatever may be lost for good."""
    if kind in {ActionClass.EXTERNAL_IRREVERSIBLE, ActionClass.WORKFLOW}:
        return Risk.HIGH
    if judged.deed is Deed.DELETE and kind is not ActionClass.EXTERNAL_REVERSIBLE and not _same_again(ready):
        return Risk.HIGH
    if judged.deed is Deed.CREATE:
        return Risk.MEDIUM
    surely = bool(ready) and all(asked.confidence.rank >= Confidence.FAIR.rank for asked in ready)
    return Risk.MEDIUM if surely and shown is not None else Risk.HIGH
