"""Following a job: a tool that only accepted the work is asked until it is done, as the rule says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from takeback.core.expressions import ExpressionError
from takeback.core.jsontext import JSON
from takeback.core.policy.schema import Poll
from takeback.core.results import http_status, is_error, record, text_of
from takeback.guard.reading import ask
from takeback.guard.sending import Sent
from takeback.guard.services import Services, Work
from takeback.ports import OutcomeUnknown, ToolFailure

_ACCEPTED: Final = 202


async def followed(services: Services, work: Work, sent: Sent) -> Sent:
    """What the job came to, where the answer only accepted it: its own last answer stands in for the call's.

    A job that failed is the tool's error. One that is not done in time, or cannot be asked for, is of unknown outcome.
    """
    poll = work.decision.rule.poll if work.decision.rule is not None else None
    if poll is None or sent.result is None or is_error(sent.result):
        return sent
    variables = {**work.variables, "result": record(sent.result)}
    try:
        if not _is_job(poll, sent.result, variables):
            return sent
        arguments = poll.args.value(variables)
        return replace(sent, job=await _watched(services, poll, arguments, variables))
    except ExpressionError as problem:
        return _in_the_dark(sent, f"the job cannot be followed ({problem})")
    except OutcomeUnknown as unknown:
        return replace(sent, result=None, unknown=unknown)


def _is_job(poll: Poll, result: Mapping[str, Any], variables: Mapping[str, JSON]) -> bool:
    if poll.when is not None:
        return poll.when.truth(variables)
    status = http_status(result)
    return status is None or status == _ACCEPTED


async def _watched(
    services: Services, poll: Poll, arguments: Mapping[str, JSON], variables: Mapping[str, JSON]
) -> dict[str, Any]:
    """The answer that shows the job done, or that shows it failed (then with `isError`)."""
    entry = services.catalog.named(poll.tool)
    if entry is None:
        raise OutcomeUnknown("lost", f"the job was accepted, and there is no tool {poll.tool} to follow it with")
    until: datetime = services.clock.now() + poll.within
    trouble = "it is still at work"
    while True:
        try:
            answer = await ask(services, entry, arguments)
            if is_error(answer):
                trouble = text_of(answer)
            elif (outcome := _judged(poll, answer, variables)) is not None:
                return outcome
        except ToolFailure as failure:
            trouble = str(failure)
        if services.clock.now() + poll.every > until:
            within = timedelta(seconds=round(poll.within.total_seconds()))
            raise OutcomeUnknown("timeout", f"the job was accepted and not done within {within}: {trouble}")
        await services.clock.sleep(poll.every.total_seconds())


def _judged(poll: Poll, answer: dict[str, Any], variables: Mapping[str, JSON]) -> dict[str, Any] | None:
    """The answer, once it shows an end; with `isError` where that is a failure."""
    seen = {**variables, "result": record(answer)}
    if poll.failed is not None and poll.failed.truth(seen):
        return {**answer, "isError": True}
    return answer if poll.done.truth(seen) else None


def _in_the_dark(sent: Sent, why: str) -> Sent:
    return replace(sent, result=None, unknown=OutcomeUnknown("lost", why))
