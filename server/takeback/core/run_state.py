"""Where a run stands: by its row, and by what is going on in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from takeback.core.pausing import Concern, pausing
from takeback.core.run import CLOSED, IDLE, Run
from takeback.core.vocabulary import PauseFrom, RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What is going on in a run. `active_at`: its last call, or the last that happened to one.

    `unsettled` counts the actions that are under way or wait for a person, `going_back` those of them that are being
    taken back.
    """

    active_at: datetime
    unsettled: int = 0
    going_back: int = 0
    concerns: tuple[Concern, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """A run with where it stands, and what pauses it: that may be so in whatever state it is."""

    run: Run
    status: RunStatus
    active_at: datetime
    paused_by: tuple[Concern, ...] = ()


def state_of(run: Run, facts: RunFacts, least: PauseFrom, now: datetime) -> RunState:
    """Where a run stands, by its row and by what is going on in it. `least` is the risk from which it pauses.

    A run that is over because its connection ended or it was idle is open again with the next call that names it.
    """
    paused_by = pausing(facts.concerns, least)
    status = _status(run, facts, paused=bool(paused_by), now=now)
    return RunState(run=run, status=status, active_at=facts.active_at, paused_by=paused_by)


def _status(run: Run, facts: RunFacts, *, paused: bool, now: datetime) -> RunStatus:
    if run.status in CLOSED:
        return run.status
    if facts.going_back:
        return RunStatus.RECOVERING
    if paused:
        return RunStatus.PAUSED
    over = now - facts.active_at > IDLE or (run.ended_at is not None and facts.active_at <= run.ended_at)
    return RunStatus.FINISHED if over and not facts.unsettled else RunStatus.OPEN
