"""Upstreams that are busy, that answer errors which tell nothing, and that only accept a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from takeback.core.results import HTTP
from takeback.core.vocabulary import Status, Verified
from takeback.ports import Busy, OutcomeUnknown
from takeback.testing import MemoryTools, guarded
from tests.guard.test_life import HIGH, said
from tests.guard.world import POLICY, Desk

PATIENT = POLICY.replace('timeout = "1s"', 'timeout = "10s"')


async def test_an_upstream_that_names_a_time_is_asked_again_then_and_not_sooner(tmp_path: Path) -> None:
    desk = Desk()
    desk.tools.faults["set"] = [Busy("HTTP 429 Too Many Requests", 7.0)]
    async with guarded(PATIENT, [desk.tools], tmp_path) as guard:
        reply = await guard.call("set", HIGH)
        assert reply.action is not None
        assert (reply.action.status, desk.effects) == (Status.SUCCEEDED, 1)
        assert max(guard.clock.slept) == 7.0


async def test_one_that_names_a_time_after_the_deadline_is_not_waited_for(tmp_path: Path) -> None:
    desk = Desk()
    desk.tools.faults["set"] = [Busy("HTTP 429 Too Many Requests", 3600.0)]
    async with guarded(PATIENT, [desk.tools], tmp_path) as guard:
        reply = await guard.call("set", HIGH)
        assert reply.action is not None
        assert (reply.action.status, desk.effects, guard.clock.slept) == (Status.FAILED, 0, [])
        assert "turned the call away" in said(reply)
        assert "Try again after 3600 s" in said(reply)


async def test_a_busy_read_back_is_read_again(tmp_path: Path) -> None:
    desk = Desk()
    async with guarded(PATIENT, [desk.tools], tmp_path) as guard:
        desk.tools.faults["get"] = [Busy("HTTP 503", 1.0), Busy("HTTP 503", 1.0)]
        reply = await guard.call("set", HIGH)
        assert reply.action is not None
        assert reply.action.verified is Verified.YES


async def test_a_busy_read_of_the_agent_is_read_again(tmp_path: Path) -> None:
    desk = Desk()
    desk.tools.faults["get"] = [Busy("HTTP 503", 1.0)]
    async with guarded(PATIENT, [desk.tools], tmp_path) as guard:
        reply = await guard.call("get", {"id": "T-1"})
        assert (reply.result or {}).get("isError") is not True


@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "after the effect"])
async def test_an_error_that_tells_nothing_is_settled_by_looking(tmp_path: Path, after: bool) -> None:
    desk = Desk()
    failure = OutcomeUnknown("error", "HTTP 500 Internal Server Error", over=True)
    desk.tools.faults["set"] = [("after", failure) if after else failure]
    slow = POLICY.replace('lands_within = "1s"', 'lands_within = "1h"')
    async with guarded(slow, [desk.tools], tmp_path) as guard:
        reply = await guard.call("set", HIGH)
        assert reply.action is not None
        assert (reply.action.status, reply.action.verified) == (Status.SUCCEEDED, Verified.YES)
        assert desk.effects == 1
        assert reply.action.error is None


async def test_an_error_that_goes_on_without_an_effect_is_a_certain_failure(tmp_path: Path) -> None:
    desk = Desk()
    desk.tools.faults["set"] = [OutcomeUnknown("error", "HTTP 500 Internal Server Error", over=True)] * 4
    async with guarded(POLICY, [desk.tools], tmp_path) as guard:
        reply = await guard.call("set", HIGH)
        assert reply.action is not None
        assert (reply.action.status, reply.action.in_force, desk.effects) == (Status.FAILED, False, 0)
        assert "reading back shows that nothing was changed" in said(reply)
        assert await guard.ledger.queue("acme") == []
        again = await guard.call("set", HIGH)
        assert again.action is not None
        assert (again.action.id, again.action.status, desk.effects) == (reply.action.id, Status.SUCCEEDED, 1)


async def test_such_an_error_of_a_call_that_acts_once_goes_to_a_person(tmp_path: Path) -> None:
    desk = Desk()
    desk.tools.faults["charge"] = [("after", OutcomeUnknown("error", "HTTP 500", over=True))]
    async with guarded(POLICY, [desk.tools], tmp_path) as guard:
        reply = await guard.call("charge", {"id": "T-1"})
        again = await guard.call("charge", {"id": "T-1"})
        assert reply.action is not None
        assert again.action is not None
        assert (again.action.id, again.action.status) == (reply.action.id, Status.NEEDS_OPERATOR)
        assert desk.effects == 1


JOBS = (
    POLICY
    + """
[[rule]]
tool = "desk.job"
class = "read_only"
polling = true

[[rule]]
id = "export"
tool = "desk.export"
class = "internal_update"
effect = "set"
risk = "low"
target = { type = "record", id = "args.id" }
read = { tool = "desk.get", args = { id = "args.id" } }
ignore = ["seen"]
verify = "after.status == 'exported' && result.pages == 3"
[rule.poll]
tool = "desk.job"
args = { id = "result.job" }
done = "result.state == 'done'"
failed = "result.state == 'failed'"
every = "2s"
within = "10s"
"""
)


class Exporting(Desk):
    """A desk with a tool that only accepts its work; `states` are what the job says, one a look."""

    def __init__(self, *states: str) -> None:
        super().__init__()
        self.states = list(states)
        functions = {**self.tools.functions, "export": self._export, "job": self._job}
        self.tools = type(self.tools)("desk", functions, self.tools.schemas)

    def _export(self, args: dict[str, Any]) -> Any:
        self.effects += 1
        return {"job": 7}

    def _job(self, args: dict[str, Any]) -> Any:
        assert args == {"id": 7}
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if state == "done":
            self.records["T-1"]["status"] = "exported"
        return {"state": state, "pages": 3}


class AtOnce(MemoryTools):
    """What `export` would have begun a job for is done in the call itself, as an API says by its status."""

    def _run(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        result = super()._run(name, arguments)
        if name != "export":
            return result
        self.functions["set"]({"id": "T-1", "status": "exported"})
        return {**result, "structuredContent": {"pages": 3}, "_meta": {HTTP: {"status": 200}}}


async def test_a_job_is_followed_until_it_is_done_and_its_answer_is_the_result(tmp_path: Path) -> None:
    desk = Exporting("queued", "working", "done")
    async with guarded(JOBS, [desk.tools], tmp_path) as guard:
        reply = await guard.call("export", {"id": "T-1"})
        assert reply.action is not None
        assert (reply.action.status, reply.action.verified) == (Status.SUCCEEDED, Verified.YES)
        assert guard.clock.slept == [2.0, 2.0]
        assert (reply.result or {})["structuredContent"] == {"job": 7}
        assert "The job is done" in said(reply)


async def test_a_job_that_fails_is_the_tools_error(tmp_path: Path) -> None:
    desk = Exporting("working", "failed")
    async with guarded(JOBS, [desk.tools], tmp_path) as guard:
        reply = await guard.call("export", {"id": "T-1"})
        assert reply.action is not None
        assert (reply.action.status, reply.action.in_force) == (Status.FAILED, False)
        assert (reply.result or {}).get("isError") is True


async def test_a_job_that_is_not_done_in_time_is_in_doubt_and_never_begun_twice(tmp_path: Path) -> None:
    desk = Exporting("working")
    long = JOBS.replace('lands_within = "1s"', 'lands_within = "1h"')
    async with guarded(long, [desk.tools], tmp_path) as guard:
        reply = await guard.call("export", {"id": "T-1"})
        assert reply.action is not None
        assert reply.action.status is Status.IN_DOUBT
        again = await guard.call("export", {"id": "T-1"})
        assert again.action is not None
        assert (again.action.id, desk.effects) == (reply.action.id, 1)


async def test_over_http_only_what_was_accepted_is_a_job(tmp_path: Path) -> None:
    desk = Exporting("never asked")
    desk.tools = AtOnce("desk", desk.tools.functions, desk.tools.schemas)
    async with guarded(JOBS, [desk.tools], tmp_path) as guard:
        reply = await guard.call("export", {"id": "T-1"})
        assert reply.action is not None
        assert (reply.action.status, desk.tools.count("job")) == (Status.SUCCEEDED, 0)
