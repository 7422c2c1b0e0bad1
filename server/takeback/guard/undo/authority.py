"""Whether an undo may run: today's policy says so of the call that it would make, whoever was allowed what before."""

from __future__ import annotations

from takeback.core.action import Action
from takeback.core.jsontext import JSON
from takeback.core.policy.decide import Decision, Undecidable
from takeback.core.undo import Step
from takeback.guard.code_tools import CODE
from takeback.guard.services import Services
from takeback.guard.undo.manner import NotUndoable
from takeback.ports import Caller


def authority(services: Services, caller: Caller, action: Action, step: Step, arguments: dict[str, JSON]) -> Decision:
    """Today's decision: by the rule of the tool that is called, or of the original where code does it.

    Raises:
        NotUndoable: the policy cannot decide about it.
    """
    coded = step.tool.startswith(CODE)
    tool, judged = (action.name, action.arguments) if coded else (step.tool, arguments)
    try:
        return services.decide(caller, tool, judged)
    except Undecidable as error:
        raise NotUndoable(str(error)) from None


def stands_in_the_way(services: Services, caller: Caller, action: Action) -> str:
    """What the policy wants before an action is taken back, in a few words; empty where it wants nothing."""
    steps = (action.compensation or {}).get("steps") or ()
    try:
        found = [Step.from_document(step) for step in steps]
        verdicts = {authority(services, caller, action, step, step.arguments).verdict for step in found}
    except NotUndoable as error:
        return str(error)
    if "deny" in verdicts:
        return "today's policy denies it"
    return "a person must agree" if "ask" in verdicts and not caller.person else ""
