"""The enumeration is tested: without a safeguard, something goes wrong (`python -m tests.crashes.safeguards`).

Most are caught by a case of the enumeration. What no death shows (a stall, a cancelled caller, two guards at once, an
edit of others after a person's yes) has a scene of its own here.
"""

from __future__ import annotations

import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from tests.crashes.agent import Agent, understood
from tests.crashes.cases import Case, Stage, case_named, stage
from tests.crashes.evidence import gathered, under_way
from tests.crashes.oracle import judge
from tests.crashes.plans import DOCUMENTS, kept
from tests.crashes.playing import fresh_folder
from tests.crashes.switches import SWITCHES

_PATIENCE: Final = 15.0
_PAUSE: Final = 0.02
_SET: Final = {"id": "S-1", "priority": "p0"}


@dataclass(frozen=True, slots=True)
class Shown:
    """What shows that a safeguard is there. `problems` is empty while it is."""

    by: str
    problems: Callable[[Stage], Sequence[str]]


def _case(name: str) -> Shown:
    def problems(on: Stage) -> Sequence[str]:
        return on.play(case_named(name)).judged.problems

    return Shown(f"--only '{name}'", problems)


@contextmanager
def _pair(on: Stage, target: str | None = None) -> Iterator[tuple[Agent, Agent, str]]:
    """Two agents with a guard each, on one ledger; the first guard stops (and does not die) at `target`."""
    with on.beginning(Case(workload=("set",))) as (one, url, _):
        one.first = replace(one.first, target=target, number=signal.SIGSTOP)
        other = Agent(on.zygote, on.world, one.later, one.later)
        try:
            yield one, other, url
        finally:
            other.close()


def _order(arguments: Mapping[str, object], *, name: str = "set", run: str = "r1") -> dict[str, object]:
    return {"do": "call", "step": "0", "run": run, "name": name, "arguments": arguments}


def _until(true: Callable[[], bool]) -> None:
    """Wait for another process: there is no signal that it stands still."""
    until = time.monotonic() + _PATIENCE
    while not true():
        if time.monotonic() > until:
            raise TimeoutError("it did not come about")
        time.sleep(_PAUSE)


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def _effects(on: Stage, wanted: Mapping[str, int]) -> list[str]:
    on.world.quiet()
    counts = Counter(effect.operation for effect in on.world.state.effects)
    return [] if counts == Counter(wanted) else [f"DUPLICATE: effects are {dict(counts)}, wanted were {dict(wanted)}"]


def cancelled(on: Stage) -> Sequence[str]:
    """The caller goes away in the middle of a call that nothing could settle afterwards."""
    with _pair(on) as (agent, _, url):
        line = agent.alive()
        on.world.hold()
        number = line.tell(_order({"account": "A-1", "amount": "0"}, name="charge"))
        if not on.world.arrived.wait(_PATIENCE):
            return ["the call did not arrive"]
        line.tell({"do": "cancel", "of": number})
        # An answer to another order shows that the cancellation was taken in.
        line.ask(_order({}, name="takeback_history"))
        on.world.opened.set()
        agent.finish()
        statuses = [action.status.value for action in gathered(url).actions.values()]
    return [] if statuses == ["succeeded"] else [f"UNRECORDED: the cancelled call is {statuses}"]


def landing(on: Stage) -> Sequence[str]:
    """What a dead guard sent is carried out right after the next one has looked for it."""
    with _pair(on, "0/request set#1/late") as (agent, _, _):
        on.world.state.late = _PATIENCE
        agent.call("0", "set", dict(_SET))
        found = _effects(on, {"priority S-1 p0": 1})
        agent.finish()
    return found


def both_at_once(on: Stage) -> Sequence[str]:
    """Two guards get the same call; the first one's is still upstream."""
    with _pair(on) as (one, other, _):
        on.world.hold()
        first = one.alive().tell(_order(_SET))
        if not on.world.arrived.wait(_PATIENCE):
            return ["the call did not arrive"]
        on.world.arrived.clear()
        second = other.alive().tell(_order(_SET))
        on.world.arrived.wait(4.0)  # longer than the second one joins the first: then it is told to come again
        on.world.opened.set()
        one.alive().answer_to(first)
        other.alive().answer_to(second)
        found = _effects(on, {"priority S-1 p0": 1})
        one.finish()
        other.finish()
    return found


def stalled(on: Stage) -> Sequence[str]:
    """A guard stands still between claim and send until another one has done its work; then it goes on."""
    with _pair(on, "0/commit claim#1/after") as (one, other, _):
        number = one.alive().tell(_order(_SET))
        _until(lambda: _is_stopped(one.alive().pid))
        told = other.call("0", "set", dict(_SET))
        one.alive().signal(signal.SIGCONT)
        one.alive().answer_to(number)
        found = _effects(on, {"priority S-1 p0": 1})
        one.finish()
        other.finish()
    return found if told.outcome == "done" else [f"the other guard said {told}"]


def stalled_in_a_plan(on: Stage, kind: str, target: str) -> Sequence[str]:
    """A guard stands still in a plan until the worker of another one has done all of it; then it goes on."""
    case = Case(workload=(kind,), target=target)
    recording = on.recording(case)
    with on.beginning(case) as (one, url, _), closing(Agent(on.zygote, on.world, one.later, one.later)) as other:
        one.first = replace(one.first, number=signal.SIGSTOP)
        line, on.world.state.step = one.alive(), "0"
        number = line.tell(_order(DOCUMENTS[kind], name="takeback_plan"))
        _until(lambda: _is_stopped(line.pid))
        other.alive()
        _until(lambda: not under_way(url))
        line.signal(signal.SIGCONT)
        line.answer_to(number)
        one.finish()
        other.finish()
        on.world.quiet()
        evidence, world = gathered(url), kept(on.world.state)
        judged = judge(recording.plan, on.world.state.effects, (), evidence)
    return [*judged.problems, *(recording.ends.problems(world, evidence) if recording.ends is not None else ())]


def overtaken(on: Stage) -> Sequence[str]:
    """A guard stands still before its claim while another one changes the target; what it read is not true any more."""
    with _pair(on, "0/commit claim#1/before") as (one, other, _):
        line = one.alive()
        number = line.tell(_order(_SET))
        _until(lambda: _is_stopped(line.pid))
        other.call("0", "set", {"id": "S-1", "priority": "theirs"}, run="r2")
        line.signal(signal.SIGCONT)
        told = understood(line.answer_to(number))
        back = one.call("0", "takeback_undo", {"what": told.action, "reason": "wrong record"})
        found = on.world.state.records["S-1"]["priority"]
        one.finish()
        other.finish()
    if found != "theirs":
        return [f"TRAMPLED: after the undo it is {found!r}, not 'theirs': {back.text}"]
    return [] if told.outcome == "done" else [f"IN VAIN: claimed on what was not true any more: {told.text}"]


def to_and_fro(on: Stage) -> Sequence[str]:
    """High, low, high is three effects."""
    with _pair(on) as (agent, _, _):
        for value in ("p0", "p1", "p0"):
            agent.call("0", "set", {"id": "S-1", "priority": value})
        found = _effects(on, {"priority S-1 p0": 2, "priority S-1 p1": 1})
        agent.finish()
    return found


def changed_after_the_yes(on: Stage) -> Sequence[str]:
    """A person agrees to what was shown; then somebody changes what was shown."""
    with _pair(on) as (agent, _, _):
        wanted = {"id": "S-1", "level": "2"}
        asked = agent.call("0", "escalate", dict(wanted))
        agent.approve("0", asked.approval or "")
        on.world.state.records["S-1"]["level"] = "9"
        agent.call("0", "escalate", dict(wanted))
        found = _effects(on, {})
        agent.finish()
    return found


def _scene(play: Callable[[Stage], Sequence[str]]) -> Shown:
    return Shown(f"the scene `{play.__name__}`", partial(play))


SHOWN: Final[Mapping[str, Shown]] = {
    "claim before work": _case("charge@0/request charge#1/done"),
    "durable before send": _case("charge@0/request charge#1/late"),
    "shield from cancellation": _scene(cancelled),
    "lease": _scene(both_at_once),
    "fence before the send": _scene(stalled),
    "fence at the commit": _scene(overtaken),
    "both fences": _scene(overtaken),
    "generation": _scene(to_and_fro),
    "probe before a new attempt": _case("note@0/request note#1/done"),
    "look before a new attempt": _case("away set@0/request set#1/done"),
    "waiting for what may land": _scene(landing),
    "the same key": _case("pay@0/request pay#1/done"),
    "digest of the approval": _scene(changed_after_the_yes),
    "going on with plans": _case("away plan@0/commit succeed#2/after"),
    "what a plan's reads answered": _case("away plan@0/commit succeed#3/after"),
    "a plan's stop": _case("away plan-charge@0/request charge#1/done"),
}


def main() -> int:
    """Print the table; 1 if a safeguard could be taken out unnoticed, or its case goes wrong with it in place."""
    wrong = 0
    sys.stdout.write("| without | what shows it | what goes wrong |\n|---|---|---|\n")
    for name, shown in SHOWN.items():
        with fresh_folder() as folder, stage(Path(folder)) as on:
            sound = shown.problems(on)
            on.without = name
            found = shown.problems(on)
        wrong += bool(sound) or not found
        what = f"GOES WRONG WITH IT: {sound}" if sound else found[0] if found else "NOTHING"
        sys.stdout.write(f"| {name} | {shown.by} | {what} |\n")
        sys.stdout.flush()
    return 1 if wrong or SHOWN.keys() != SWITCHES.keys() else 0


if __name__ == "__main__":
    sys.exit(main())
