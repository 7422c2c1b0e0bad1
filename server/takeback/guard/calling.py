"""The life of one call: validate, decide, and then the short way of a read or the long way of a write."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, Final

from takeback.core.canonical import NotCanonical, canonical, digest
from takeback.core.expressions import ExpressionError
from takeback.core.jsontext import JSON, dumps
from takeback.core.operation import client_operation, fingerprint, logical_operation, step_operation, without_volatile
from takeback.core.policy.decide import Decision, Undecidable, target_variables
from takeback.core.policy.schema import Rule
from takeback.core.states import UNSETTLED
from takeback.core.vocabulary import Origin, RetryLayer, Risk
from takeback.core.wording import loop_stopped, refused
from takeback.guard.barring import barred, cautioned
from takeback.guard.catalog import Entry
from takeback.guard.freezing import no_reading
from takeback.guard.purposes import AgentCall
from takeback.guard.readings import needs_result, readings
from takeback.guard.replies import Reply, own_word
from takeback.guard.retrying import patiently
from takeback.guard.seeing import sighting
from takeback.guard.sending import forwarded_meta
from takeback.guard.services import Services, Work
from takeback.guard.undo.automatic import taken_back_at_once
from takeback.guard.writing import write
from takeback.ports import AccessEntry, Answered, Busy, Caller, ProgressSink, Sighting, ToolFailure

CLIENT_KEY: Final = "io.takeback/idempotencyKey"
_LONGEST_KEY: Final = 255
_MEND: Final = "Mend the call and send it again."
_LATER: Final = "Try it again later."


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """A tool call as it came from the client. `name` is the exposed one; `meta` the client's `_meta`, unchanged.

    `step` is which of the plan `original` it is, where it belongs to one.
    """

    caller: Caller
    name: str
    arguments: dict[str, JSON]
    meta: Mapping[str, Any] = field(default_factory=dict)
    progress: ProgressSink | None = None
    origin: Origin = Origin.AGENT
    original: str | None = None
    reason: str | None = None
    step: str | None = None


async def call(services: Services, request: CallRequest) -> Reply:
    """Guard one call.

    Never raises for what a client, a policy or an upstream does; the reply says it. When the awaiting task is
    cancelled, a write of which nothing was sent yet is cancelled, and any other one goes on to its record.

    Raises:
        LedgerFailure: the ledger is out of reach; a write was then not sent.
    """
    entry = await services.catalog.current(request.name)
    if entry is None:
        return Reply(answered=Answered(-32602, f"Unknown tool: {request.name}"))
    if not entry.valid(request.arguments):
        return _malformed(entry.problems(request.arguments))
    try:
        decision = services.decide(request.caller, entry.policy_name, request.arguments)
    except Undecidable as error:
        return _malformed([str(error)])
    if refusal := barred(services.catalog, entry, decision):
        return refusal
    if decision.verdict == "forward":
        return await forward(services, request, entry, decision)
    decision = cautioned(services.catalog, as_repeated(decision, request.origin))
    return await _guarded(services, request, entry, decision)


def as_repeated(decision: Decision, origin: Origin) -> Decision:
    """The decision; a repeat on purpose asks a person from medium risk on."""
    if origin is not Origin.REPEAT or decision.verdict != "run" or decision.risk.rank < Risk.MEDIUM.rank:
        return decision
    return replace(decision, verdict="ask", why=f"a repeat of {decision.risk.value} risk asks a person")


async def forward(services: Services, request: CallRequest, entry: Entry, decision: Decision) -> Reply:
    """The short way of a read: no durable write, no expression, and the tool's own result untouched."""
    if not (services.ledger.available or services.policy.file.defaults.reads_without_ledger):
        return own_word(refused("the ledger is out of reach", _LATER), layer=RetryLayer.TOOL)
    if (stop := await no_reading(services, request.caller, entry.policy_name)) is not None:
        return stop
    rule = decision.rule
    watched = rule is not None and not rule.polling
    mark = f"{entry.policy_name} {_print(request.arguments)}" if watched else ""
    if watched and (count := services.watch.count(request.caller.run, mark)) >= decision.limits.same_call:
        return own_word(loop_stopped(entry.exposed, count), layer=RetryLayer.MODEL)
    began = services.clock.now()
    params: dict[str, Any] = {"name": entry.definition.name, "arguments": request.arguments}
    if meta := forwarded_meta(request.meta):
        params["_meta"] = meta

    async def ask() -> dict[str, Any]:
        return await entry.client.request(
            "tools/call", params, timeout=decision.timeout.total_seconds(), progress=request.progress
        )

    heard: Reply | None = None
    try:
        reply = heard = Reply(result=await _answered(services, decision, ask))
    except Answered as failure:
        reply = heard = Reply(answered=failure)
    except ToolFailure as failure:
        text = f"{entry.client.name} gave no answer ({failure}). It is a read: nothing was changed; try it again."
        reply = own_word(text, layer=RetryLayer.TOOL)
    if watched:
        outcome = _print(reply.result) if reply.result is not None else str(reply.answered)
        services.watch.saw(request.caller.run, mark, outcome)
    seen = sighting(services, entry, request.arguments, heard, began) if heard is not None else None
    await _log(services, request, entry, decision, ok=reply.answered is None, seen=seen)
    return reply


async def _answered(
    services: Services, decision: Decision, ask: Callable[[], Awaitable[dict[str, Any]]]
) -> dict[str, Any]:
    """The answer to a read. An upstream that is busy is asked again when it says, within the call's own time."""
    try:
        return await ask()
    except Busy:
        deadline = services.clock.now() + decision.timeout
        return await patiently(services, decision.retry, deadline, ask, again=(Busy,))


def _print(value: JSON) -> str:
    """Tells values apart without keeping them."""
    return hashlib.blake2b(dumps(value), digest_size=16).hexdigest()


async def _log(
    services: Services, request: CallRequest, entry: Entry, decision: Decision, *, ok: bool, seen: Sighting | None
) -> None:
    caller = request.caller
    await services.ledger.log_access(
        AccessEntry(
            caller.tenant,
            caller.run,
            caller.principal,
            entry.client.name,
            entry.definition.name,
            services.clock.now(),
            ok,
            digest(services.redacted(request.arguments, decision.rule.redact if decision.rule else ())),
            seen,
        )
    )


async def _guarded(services: Services, request: CallRequest, entry: Entry, decision: Decision) -> Reply:
    key = request.meta.get(CLIENT_KEY)
    if key is not None and not (isinstance(key, str) and len(key) <= _LONGEST_KEY):
        return _malformed([f"{CLIENT_KEY} must be a text of at most {_LONGEST_KEY} characters"])
    if unknown := entry.unknown(request.arguments):
        names = ", ".join(sorted(unknown))
        return _malformed([f"the tool knows no argument {names}; it would be dropped silently"])
    try:
        work = make_work(services, request, entry, decision)
    except (ExpressionError, NotCanonical) as error:
        return _malformed([str(error)])
    mark = f"{entry.policy_name} {work.operation}"
    count = services.watch.count(request.caller.run, mark)
    if count >= decision.limits.same_call:
        return own_word(loop_stopped(entry.exposed, count), layer=RetryLayer.MODEL)
    try:
        reply = await services.tasks.shielded(_written(services, work))
    except asyncio.CancelledError:
        work.listener.cancel()
        raise
    if _counts(reply):
        services.watch.saw(request.caller.run, mark, _outcome(reply))
    return reply


async def _written(services: Services, work: Work) -> Reply:
    began = services.clock.now()
    return await taken_back_at_once(services, work, await write(services, work), began)


def _counts(reply: Reply) -> bool:
    """Whether a reply can be part of a loop. Asking after what is under way, or waits for a person, runs nothing."""
    return reply.frozen is None and not reply.paused and _is_new(reply)


def _is_new(reply: Reply) -> bool:
    return reply.action is None or not (reply.action.in_force or reply.action.status in UNSETTLED)


def _outcome(reply: Reply) -> str:
    if reply.action is not None:
        return f"{reply.action.status.value} {reply.action.error}"
    return str(reply.answered or (reply.result or {}).get("content"))


def make_work(services: Services, request: CallRequest, entry: Entry, decision: Decision) -> Work:
    """What is to be carried out, with its logical operation and the reads filled in.

    Raises:
        ExpressionError: the arguments lack what an expression of the rule needs.
        NotCanonical: the arguments have no canonical form.
    """
    caller, rule = request.caller, decision.rule
    request = replace(request, arguments=deepcopy(request.arguments))  # whoever called may go on to change theirs
    variables: dict[str, JSON] = {
        "args": request.arguments,
        "tenant": caller.tenant,
        "user": caller.principal,
        "run": caller.run,
        "reason": request.reason or "",
        **target_variables(decision.targets),
    }
    client_key = request.meta.get(CLIENT_KEY) or None
    named = entry.with_defaults(without_volatile(request.arguments, rule.volatile if rule else ()))
    compared = services.redacted(named, rule.redact if rule else ())  # digests of what is secret must be keyed ones
    canonical(request.arguments)
    meant = rule.operation.value(variables) if rule is not None and rule.operation is not None else compared
    return Work(
        caller=caller,
        entry=entry,
        arguments=request.arguments,
        decision=decision,
        operation=_operation(request, entry, decision, meant, client_key),
        fingerprint=fingerprint(tool=entry.policy_name, arguments=compared, principal=caller.principal),
        readings=_readings(rule, variables),
        variables=variables,
        purpose=AgentCall(services.clock.now(), services.policy),
        redact=rule.redact if rule else (),
        ignore=rule.ignore if rule else (),
        origin=request.origin,
        original=request.original,
        reason=request.reason,
        client_key=client_key if isinstance(client_key, str) else None,
        meta=request.meta,
        progress=request.progress,
        meant=meant if client_key is None and request.origin is Origin.AGENT else None,
    )


def _readings(rule: Rule | None, variables: Mapping[str, JSON]) -> tuple[Any, ...]:
    if rule is None or needs_result(rule) or _names_late_target(rule):
        return ()
    return readings(rule, variables)


def _names_late_target(rule: Rule) -> bool:
    return any("result" in spec.id.names for spec in rule.target)


def _operation(
    request: CallRequest,
    entry: Entry,
    decision: Decision,
    meant: JSON,
    client_key: object,
) -> str:
    caller = request.caller
    if isinstance(client_key, str) and client_key:
        return client_operation(tenant=caller.tenant, principal=caller.principal, client_key=client_key)
    if request.origin is Origin.REPEAT:
        return digest(["repeat", caller.tenant, request.original])
    if request.origin is Origin.PLAN:
        return step_operation(tenant=caller.tenant, plan=request.original or "", step=request.step or "")
    return logical_operation(
        tenant=caller.tenant, run=caller.run, tool=entry.policy_name, targets=decision.targets, operation=meant
    )


def _malformed(problems: list[str]) -> Reply:
    what = "; ".join(problems) or "the arguments do not fit the tool's schema"
    return own_word(refused(f"the call is malformed: {what}", _MEND), layer=RetryLayer.MODEL)
