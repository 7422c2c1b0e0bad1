"""What pauses a run: while something that it did needs a look, its other writes wait."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from takeback.core.queue import Cause
from takeback.core.vocabulary import PauseFrom, Risk
from takeback.core.wording import refused

WORRYING: Final = frozenset({Cause.MISMATCH, Cause.PARTIAL, Cause.IN_DOUBT, Cause.UNDO_FAILED})
"""Why an entry of the recovery queue pauses its run: the world may not be as the agent believes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """An action of a run that is in doubt, or that did not verify and that nobody has looked at.

    `item` is its entry in the recovery queue; None while the guard itself still looks.
    """

    action: str
    cause: Cause
    risk: Risk
    since: datetime
    item: str | None = None


def pausing(concerns: Iterable[Concern], least: PauseFrom) -> tuple[Concern, ...]:
    """Those that pause a run, each action once, those first for which a person is waited."""
    if least == "never":
        return ()
    found: dict[str, Concern] = {}
    for one in sorted(concerns, key=lambda one: (one.item is None, one.since, one.action)):
        if one.risk.rank >= Risk(least).rank:
            found.setdefault(one.action, one)
    return tuple(found.values())


_WORRIES: Final = {
    Cause.MISMATCH: "did not read back as expected",
    Cause.PARTIAL: "was reported as failed, and changed its target all the same",
    Cause.IN_DOUBT: "may or may not have taken effect",
    Cause.UNDO_FAILED: "was not taken back as it should be",
}

PAUSES: Final = "Until that is settled or a person has looked, this run makes no other change."
"""What an answer adds that pauses the run."""


def worries(concerns: Sequence[Concern], most: int = 3) -> str:
    """What pauses a run, in one clause; what is beyond `most` is counted."""
    named = [
        f"{one.action} {_WORRIES[one.cause]}"
        + (f" ({one.item} in the recovery queue)" if one.item is not None else ", which is being looked at")
        for one in concerns[:most]
    ]
    left = len(concerns) - len(named)
    return "; ".join(named) + (f"; and {left} more" if left > 0 else "")


def paused(concerns: Sequence[Concern]) -> str:
    """When a write comes in a run that is paused."""
    why = f"this run is paused: {worries(concerns)}"
    if concerns[0].item is None:
        return refused(why, "Ask again in a moment; reads, takeback_history and takeback_undo work meanwhile.")
    return refused(
        why,
        "Its writes wait until a person has looked (`takeback queue`, `takeback resolve`): tell the user. "
        "Reads, takeback_history and takeback_undo work meanwhile.",
    )
