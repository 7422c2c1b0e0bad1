"""Cases: one workload, killed at one boundary. They are counted in an undisturbed run first, and then played."""

from __future__ import annotations

import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.crashes.agent import BOUND, Agent, Away
from tests.crashes.evidence import gathered, under_way
from tests.crashes.life import Life
from tests.crashes.lives import Zygote, zygote
from tests.crashes.oracle import Judged, Plan, judge, plan_of
from tests.crashes.plans import ASKING, DOCUMENTS, SEVERAL_AT_ONCE, Ends, kept
from tests.crashes.policies import policy
from tests.crashes.upstream import State, World, serving
from tests.crashes.workloads import Workload, carry_out

_TRIES: Final = 4
"""How often a case is begun anew when it did not come to its boundary, or the world broke its word."""

_PAUSE: Final = 0.05
_AT_ONCE: Final = 8
_SLOW: Final = 0.35
"""Seconds that a slow upstream takes: longer than a heartbeat's pause."""

_NAME: Final = re.compile(r"(?P<flags>(?:away |cold |slow |face |rivals )*)(?P<workload>[\w,-]+)(?:@(?P<target>.+))?")

Urls = Callable[[bool], str]
"""Makes a fresh ledger and gives its url. True: an empty one, at which no guard was yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A workload and where the guard dies (None: nowhere).

    `away`: the agent does not come again, and the next guard is alone with what was left. `cold`: the ledger is empty,
    so that the guard's start is enumerated, too. `slow`: the upstream is, so that leases are extended. `face`: all of
    it through MCP over stdio. `rivals`: two guards take up at once what the dead one left.
    """

    workload: Workload
    target: str | None = None
    away: bool = False
    cold: bool = False
    slow: bool = False
    face: bool = False
    rivals: bool = False

    @property
    def name(self) -> str:
        flags = "".join(f"{flag} " for flag in ("away", "cold", "slow", "face", "rivals") if getattr(self, flag))
        return f"{flags}{','.join(self.workload)}" + (f"@{self.target}" if self.target else "")

    @property
    def nth(self) -> int | None:
        """Where its boundaries have numbers only: which one of all that the guard passes."""
        return int(self.target[1:]) if self.target is not None and self.target.startswith("#") else None

    @property
    def kind(self) -> str:
        """The kind of action during which the guard dies."""
        step = (self.target or "").partition("/")[0]
        return self.workload[int(step)] if step.isdigit() else self.workload[0]


def case_named(name: str) -> Case:
    """The case that a report named. Raises ValueError."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"{name!r} names no case")
    flags = dict.fromkeys(found["flags"].split(), True)
    return Case(workload=tuple(found["workload"].split(",")), target=found["target"], **flags)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a case."""

    case: Case
    judged: Judged
    seconds: float
    excerpt: str = ""
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Recording:
    """A workload that nothing disturbed: its effects, and the boundaries that it passed. `ends`: how a plan may end."""

    plan: Plan
    boundaries: tuple[str, ...]
    ends: Ends | None = None


class Missed(Exception):
    """The guard did not come to its boundary, or the world broke its word: nothing was shown."""


@dataclass(slots=True)
class Stage:
    """Where cases are played: one world, one zygote. `without` names a safeguard that all guards live without."""

    world: World
    zygote: Zygote
    urls: Urls
    without: str | None = None
    _recorded: dict[str, Recording] = field(default_factory=dict)

    def recording(self, case: Case) -> Recording:
        """What the workload does when nothing disturbs it."""
        case = replace(case, target=None, away=False, rivals=False)
        if case.name not in self._recorded:
            one, other = self._record(case), self._record(case)
            # What only one of them passed came by chance: a worker's look, a second round on a busy machine.
            both = tuple(boundary for boundary in one.boundaries if boundary in other.boundaries)
            if (one.ends and one.ends.after) != (other.ends and other.ends.after):
                raise AssertionError(f"{case.name} ends differently each time: {one.ends}, {other.ends}")
            self._recorded[case.name] = replace(one, boundaries=both)
        return self._recorded[case.name]

    def _record(self, case: Case) -> Recording:
        for _ in range(_TRIES):
            with self.beginning(case) as (agent, url, seen):
                outcomes = carry_out(agent, case.workload)
                agent.finish()
                passed = seen.read_text().splitlines() if case.face else agent.seen
                effects, left = tuple(self.world.state.effects), kept(self.world.state)
                evidence = gathered(url)
            if not _still(evidence.held):
                break  # otherwise its worker was stopped in the middle of a look; the leases run out
        plan = plan_of(effects)
        judged = judge(plan, effects, agent.answers, evidence)
        if set(outcomes.values()) != {"done"} or judged.problems or agent.deaths:
            raise AssertionError(f"{case.name} goes wrong undisturbed: {outcomes}, {judged.problems}, {agent.answers}")
        kind = case.workload[0]
        ends = Ends(kind, kept(State()), left) if kind in DOCUMENTS else None
        boundaries = _numbered(passed) if kind == SEVERAL_AT_ONCE else (one for one in passed if _counts(one, case))
        return Recording(plan, tuple(boundaries), ends)

    def play(self, case: Case, recording: Recording | None = None) -> Result:
        """Play one case, and judge what is left, held against its undisturbed workload."""
        began, recording = time.monotonic(), recording or self.recording(case)
        for _ in range(_TRIES):
            try:
                return self._play(case, recording, began)
            except Missed as missed:
                why = str(missed)
        judged = Judged((f"MISSED: {why}",), 0, 0, 0)
        return Result(case, judged, time.monotonic() - began)

    def _play(self, case: Case, recording: Recording, began: float) -> Result:
        with self.beginning(case) as (agent, url, _):
            stayed = not case.away
            try:
                outcomes = carry_out(agent, case.workload)
            except Away:
                outcomes, agent.answers = {}, agent.answers[:-1] if stayed else agent.answers
            with self._rival(case, agent):
                self._settled(agent, url)
                agent.finish()
            self.world.quiet()
            if case.target is not None and agent.deaths != 1:
                raise Missed(f"{agent.deaths} guards died")
            if self.world.state.overdue:
                raise Missed("the world was late")
            evidence = gathered(url)
            if _still(evidence.held):
                raise Missed(f"HELD: {', '.join(evidence.held)} at the end")
            judged = judge(recording.plan, self.world.state.effects, agent.answers, evidence)
            if recording.ends is not None:
                wrong = tuple(recording.ends.problems(kept(self.world.state), evidence))
                judged = replace(judged, problems=(*judged.problems, *wrong))
        if stayed and not judged.queued and set(outcomes.values()) != {"done"}:
            told = "; ".join(answer.text for _, answer in agent.answers)
            judged = replace(judged, problems=(*judged.problems, f"UNDONE: {outcomes}: {told}"))
        excerpt = evidence.excerpt() if judged.problems else ""
        return Result(case, judged, time.monotonic() - began, excerpt, agent.retries)

    @contextmanager
    def _rival(self, case: Case, agent: Agent) -> Iterator[None]:
        """Another guard begins beside the next one of the agent, and ends in order after it."""
        rival = Agent(self.zygote, self.world, agent.later, agent.later)
        try:
            if case.rivals:
                rival.alive()
            yield
            if case.rivals:
                rival.finish()
        finally:
            rival.close()

    def _settled(self, agent: Agent, url: str) -> None:
        """Give the living guard the time to take up what was left. What is still there then, the oracle names."""
        agent.alive()
        until = time.monotonic() + BOUND / 2
        while (under_way(url) or self._to_run_out(agent, url)) and time.monotonic() < until:
            time.sleep(_PAUSE)

    def _to_run_out(self, agent: Agent, url: str) -> bool:
        """Whether a lease of the dead still lasts that no agent will come for."""
        held = gathered(url).held.items()
        return not agent.stays and _still({name: until for name, until in held if not _says_that_one_lives(name)})

    @contextmanager
    def beginning(self, case: Case) -> Iterator[tuple[Agent, str, Path]]:
        """A world and a ledger for one case: its agent, the ledger's url, and where a face leaves what it passed."""
        self.world.reset()
        self.world.state.slow = _SLOW if case.slow else 0.0
        url = self.urls(case.cold)
        seen = Path(url.partition("///")[2] + ".seen")
        kind, nth = case.workload[0], case.nth
        at_once = _AT_ONCE if kind == SEVERAL_AT_ONCE else 1
        later = Life(policy=policy(url, self.world.port, side_by_side=at_once), without=self.without)
        first = replace(
            later,
            target=case.target if nth is None else None,
            nth=nth,
            works=kind != ASKING,
            number=signal.SIGKILL,
            face=case.face,
            seen_in=str(seen) if case.face else None,
        )
        agent = Agent(self.zygote, self.world, first, later, stays=not case.away)
        try:
            yield agent, url, seen
        finally:
            agent.close()


def _says_that_one_lives(lease: str) -> bool:
    """Whether it is the one by which a guard is known to be there, and it is: that does not run out."""
    return lease.startswith("guard:") and Path("/proc", lease.split("/")[-2]).exists()


def _still(held: Mapping[str, datetime]) -> bool:
    return any(until > datetime.now(UTC) for until in held.values())


def _numbered(passed: Sequence[str]) -> Iterator[str]:
    """Those after the start, by their numbers."""
    return (f"#{number}" for number, one in enumerate(passed, 1) if not one.startswith("start"))


def _counts(boundary: str, case: Case) -> bool:
    """Whether a boundary is enumerated: those of the start once, those of an action's ground where they are its own."""
    if boundary.startswith("quiet"):
        return False
    if case.slow:
        return "/renew#1/" in boundary  # how many more there are is chance
    if "/renew#" in boundary:
        return False  # a heartbeat comes when it likes; slow cases see to it
    return boundary.startswith("start") == case.cold


@contextmanager
def stage(folder: Path, urls: Urls | None = None) -> Iterator[Stage]:
    """A stage whose ledgers lie where `urls` says, or else in files in `folder`."""
    with serving() as world, zygote() as parent:
        yield Stage(world, parent, urls or _files(folder, world, parent))


def _files(folder: Path, world: World, parent: Zygote) -> Urls:
    """Ledgers in files: copies of one at which a guard was, or no file at all."""
    template, used = folder / "template.db", folder / "ledger.db"

    def fresh(cold: bool) -> str:
        for file in folder.glob("ledger.db*"):
            file.unlink()
        if not cold:
            shutil.copyfile(template, used)
        return f"sqlite+aiosqlite:///{used}"

    line = parent.begin(Life(policy=policy(f"sqlite+aiosqlite:///{template}", world.port)))
    line.end()
    line.close()
    return fresh
