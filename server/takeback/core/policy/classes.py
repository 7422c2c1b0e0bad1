"""What a rule's class and its other keys say against each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from takeback.core.policy.mistakes import Mistake
from takeback.core.policy.schema import Rule
from takeback.core.vocabulary import ActionClass

_OF_READS: Final = frozenset({"tool", "id", "when", "action_class", "limits", "timeout", "polling"})
_IRREVERSIBLE: Final = frozenset({ActionClass.EXTERNAL_IRREVERSIBLE, ActionClass.WORKFLOW})


def class_mistakes(rule: Rule) -> Iterator[Mistake]:
    """Contradictions, with keys within the rule."""
    if rule.is_read:
        yield from _of_a_read(rule)
        return
    yield from _way_back(rule)
    if rule.polling:
        yield Mistake(("polling",), "only a read polls", "take it out")
    if rule.approval == "never" and rule.risk is None and rule.action_class in _IRREVERSIBLE:
        yield Mistake(
            ("approval",),
            f'"never" lets a tool of the class {rule.action_class.value} run unseen',
            "say with `risk` that you mean it, or take `approval` out",
        )


def _of_a_read(rule: Rule) -> Iterator[Mistake]:
    """A read passes at once: it is not approved, imaged, verified or undone."""
    for key in type(rule).model_fields:
        if key in rule.model_fields_set and key not in _OF_READS:
            yield Mistake(
                (key,), "has no meaning for a tool that only reads", "take it out, or give the rule another class"
            )


def _way_back(rule: Rule) -> Iterator[Mistake]:
    has_undo = isinstance(rule.undo, tuple) and bool(rule.undo)
    if rule.undo == ():
        yield Mistake(("undo",), "is an empty list", 'write "none" if nothing takes it back')
    if has_undo and rule.action_class is ActionClass.EXTERNAL_IRREVERSIBLE:
        yield Mistake(
            ("undo",),
            "what is external_irreversible cannot be undone",
            "use `correct` for a correction, or another class",
        )
    elif has_undo and rule.correct is not None:
        yield Mistake(("correct",), "is never used, because the rule has an `undo`", "take one of them out")
    if rule.undo_within is not None and not has_undo:
        yield Mistake(
            ("undo_within",), "there is no `undo` to be in time for", "give the rule an `undo`, or take this out"
        )
