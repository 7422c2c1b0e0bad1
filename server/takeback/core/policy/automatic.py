"""Where a write may be taken back without asking anybody: only what is harmless, and only what can be read back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from takeback.core.policy.mistakes import Mistake
from takeback.core.policy.places import is_read_back
from takeback.core.policy.schema import Rule
from takeback.core.vocabulary import ActionClass, Risk

_KEY: Final = ("auto_compensate",)
_HARMLESS: Final = (ActionClass.DRAFT, ActionClass.INTERNAL_UPDATE)


def automatic_mistakes(rule: Rule) -> Iterator[Mistake]:
    """What stands against `auto_compensate`, with keys within the rule."""
    if not rule.auto_compensate or rule.is_read:
        return
    if rule.action_class not in _HARMLESS:
        only = " and ".join(one.value for one in _HARMLESS)
        yield Mistake(_KEY, f"is for the classes {only} only, and this is {rule.action_class.value}", "take it out")
    elif rule.effective_risk is not Risk.LOW:
        yield Mistake(
            _KEY,
            f"is for low risk only, and this rule's is {rule.effective_risk.value}",
            'say `risk = "low"` if that is so, or take it out',
        )
    if not (isinstance(rule.undo, tuple) and rule.undo):
        yield Mistake(_KEY, "has no `undo` to take the write back with", "give the rule an `undo`, or take this out")
    elif not is_read_back(rule):
        yield Mistake(_KEY, "needs a `read`: what is not read back cannot be seen to fail", "give the rule a `read`")
