"""The face that all transports share: lists the tools, carries calls to the guard, climbs the ladder of approval."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

from mcp.server.subscriptions import InMemorySubscriptionBus
from mcp.shared.exceptions import MCPError
from mcp.types import SERVER_INFO_META_KEY

from takeback.core.jsontext import JSON, dumps
from takeback.core.policy.schema import Rule
from takeback.core.run import Approval
from takeback.core.vocabulary import RetryLayer
from takeback.core.wording import refused, shown
from takeback.guard.approving import NotDecidable
from takeback.guard.calling import CallRequest
from takeback.guard.catalog import CatalogError
from takeback.guard.replies import META, Reply, own_word
from takeback.guard.use_cases import UseCases
from takeback.mcp.asking import by_requests
from takeback.mcp.exchange import Exchange
from takeback.mcp.holding import Holding, Identity, Work
from takeback.mcp.relaying import another_resource
from takeback.ports import Caller, Downstream, LedgerFailure, ProgressSink

HASTE: Final = 0.3
"""Seconds: a "no" that comes sooner was given by a machine, and the question stays open for a person."""

LONGEST_VALUE: Final = 4000
"""Characters of one value that a person is shown before they decide."""

FORM: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "decision": {"type": "string", "enum": ["approve", "deny"], "title": "Decision"},
        "reason": {"type": "string", "title": "Reason (optional)", "maxLength": 500},
    },
    "required": ["decision"],
}
_SERVER_ERROR: Final = -32000


Again = Callable[[], Awaitable[Reply]]
"""The same call once more, which finds what was decided."""


class OwnTools(Protocol):
    """Tools of the guard's own, in process. `definitions` are as in `tools/list`."""

    @property
    def definitions(self) -> Sequence[Mapping[str, Any]]:
        """What is offered."""

    def offers(self, name: str) -> bool:
        """Whether `name` is one of them."""

    async def call(
        self, caller: Caller, name: str, arguments: Mapping[str, Any], *, progress: ProgressSink | None = None
    ) -> Mapping[str, Any]:
        """Run one; returns a tool result."""


class Face:
    """Translates between the protocol and the use cases; decides nothing.

    On the `bus` clients of the stateless era hear of what changed.
    """

    def __init__(self, use_cases: UseCases, own: OwnTools, server_info: Mapping[str, Any]) -> None:
        self.use_cases, self.own, self.server_info = use_cases, own, server_info
        self.holding = Holding()
        self.bus = InMemorySubscriptionBus()

    async def tools(self, exchange: Exchange) -> dict[str, Any]:
        """The result of `tools/list`: definitions as the upstreams sent them, under their exposed names."""
        entries = await self.use_cases.offers.listed(exchange.downstream(None, None))
        listed = [{**entry.definition.raw, "name": entry.exposed} for entry in entries]
        result: dict[str, Any] = {"tools": [*listed, *self.own.definitions]}
        if exchange.stateless:
            result |= {"ttlMs": 0, "cacheScope": "private"}
        return self.enveloped(result, stateless=exchange.stateless)

    async def call(self, exchange: Exchange, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The result of one `tools/call`; for a stateless client perhaps what its tool asks.

        Raises:
            MCPError: the upstream's own protocol error, unchanged.
        """

        async def work(seen: Exchange, downstream: Downstream) -> dict[str, Any]:
            return await self._called(
                replace(seen, caller=replace(seen.caller, downstream=downstream)), name, arguments
            )

        params = {"name": name, "arguments": arguments}
        return await self.answered(exchange, "tools/call", params, work, writes=self.may_write(name))

    async def answered(
        self, exchange: Exchange, method: str, params: JSON, work: Work, *, writes: bool = False
    ) -> dict[str, Any]:
        """Carry out a request in the course of which the client may be asked, in the way of its era. As `call`."""
        if not exchange.stateless:
            ask = by_requests(exchange.ask) if exchange.ask is not None else None
            return await work(exchange, exchange.downstream(ask, exchange.tell))
        caller = exchange.caller
        identity = Identity(
            caller.tenant,
            caller.principal,
            caller.run,
            method,
            json.dumps(params, sort_keys=True),
            writes=writes,
            joins=writes and self._equal_is_same(str(params.get("name"))),
        )
        result = await self.holding.run(exchange, identity, work)
        return self.enveloped(result, stateless=True) if result.get("resultType") == "input_required" else result

    async def _called(self, exchange: Exchange, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        request = CallRequest(
            caller=exchange.caller, name=name, arguments=arguments, meta=exchange.meta, progress=exchange.progress
        )
        does = self._own if self.own.offers(name) else self._guarded
        reply = await does(request)
        if reply.pending is not None:
            reply = await self._ask(exchange, partial(does, request), reply, reply.pending)
        if reply.answered is not None:
            raise MCPError(code=reply.answered.code, message=reply.answered.message, data=reply.answered.data)
        return self.enveloped(reply.result or {}, stateless=exchange.stateless)

    def may_write(self, name: str) -> bool:
        """Whether a tool is anything but a plain read by its rules."""
        rule = self._first_rule(name)
        return not (rule is not None and rule.is_read and rule.when is None)

    def _equal_is_same(self, name: str) -> bool:
        """Whether an equal call beside another is that call once more, by the tool's rules."""
        rule = self._first_rule(name)
        return rule is None or rule.duplicates == "retry"

    def _first_rule(self, name: str) -> Rule | None:
        entry = self.use_cases.offers.anywhere(name)
        rules = self.use_cases.services.policy.rules_for(entry.policy_name) if entry is not None else ()
        return rules[0].rule if rules else None

    async def meet(self, downstream: Downstream) -> None:
        """There is but this one client, and now it is known what it can do."""
        self.use_cases.offers.meet(downstream)
        with suppress(CatalogError):  # the tools as they were stay
            await self.use_cases.offers.home.refresh()

    async def heard(self, downstream: Downstream, method: str, params: JSON) -> None:
        """A client notified of something that upstreams may want to know."""
        for bridge in self.use_cases.offers.bridges():
            await bridge.heard(downstream, method, params)

    async def _own(self, request: CallRequest) -> Reply:
        """What one of the guard's own tools answers; a plan may have to wait for a person."""
        result = dict(await self.own.call(request.caller, request.name, request.arguments, progress=request.progress))
        marks = result.get("_meta") or {}
        if f"{META}checkpoint" in marks and request.caller.downstream is not None:
            await another_resource(request.caller.downstream, self.bus)
        waits_for = marks.get(f"{META}approval")
        if waits_for is None:
            return Reply(result=result)
        return Reply(result=result, pending=await self.use_cases.approval(request.caller.tenant, waits_for))

    async def _guarded(self, request: CallRequest) -> Reply:
        try:
            return await self.use_cases.call(request)
        except LedgerFailure as failure:
            text = refused(
                f"the ledger cannot be used right now ({failure})", "Without it no write goes out; try again later."
            )
            return own_word(text, layer=RetryLayer.WORKFLOW)

    async def _ask(self, exchange: Exchange, again: Again, reply: Reply, approval: Approval) -> Reply:
        """The ladder: a form in the call's own era, else the pending result that is there already."""
        if not exchange.takes_forms:
            return reply
        if exchange.stateless:
            answer = exchange.input_responses.get(approval.id)
            if not isinstance(answer, Mapping):
                return Reply(result=input_required(approval), action=reply.action)
            return await self._answered(exchange.caller, again, reply, approval, answer)
        if exchange.ask is None:
            return reply
        clock = self.use_cases.services.clock
        asked = clock.monotonic()
        try:
            answer = await exchange.elicit(question(approval), FORM)
        except (MCPError, TimeoutError):
            return reply
        if answer.get("action") == "decline" and clock.monotonic() - asked < HASTE:
            return reply
        return await self._answered(exchange.caller, again, reply, approval, answer)

    async def _answered(
        self, caller: Caller, again: Again, reply: Reply, approval: Approval, answer: Mapping[str, Any]
    ) -> Reply:
        content = answer.get("content")
        given = content if isinstance(content, Mapping) else {}
        action = answer.get("action")
        agree = action == "accept" and given.get("decision") == "approve"
        if not agree and action not in {"accept", "decline"}:
            return reply
        reason = str(given.get("reason") or "")[:500] or None
        by = f"the person at {caller.client or 'the client'}"
        with suppress(NotDecidable):  # decided elsewhere meanwhile: the next look tells
            await self.use_cases.decide_approval(
                caller.tenant, approval.id, agree=agree, by=by, how="elicitation", reason=reason
            )
        if agree:
            return await again()
        text = refused(
            f"a person denied approval {approval.id}{f': {reason}' if reason else ''}",
            "Do not call it again; ask the user how to go on.",
        )
        return own_word(text, reply.action, layer=RetryLayer.HUMAN)

    def enveloped(self, result: dict[str, Any], *, stateless: bool) -> dict[str, Any]:
        """The envelope that the era demands, and none of the other era's."""
        if not stateless:
            bare = {k: v for k, v in result.items() if k not in {"resultType", "ttlMs", "cacheScope"}}
            meta = bare.get("_meta")
            if isinstance(meta, Mapping) and SERVER_INFO_META_KEY in meta:
                bare["_meta"] = {k: v for k, v in meta.items() if k != SERVER_INFO_META_KEY}
            return bare
        meta = {**(result.get("_meta") or {}), SERVER_INFO_META_KEY: dict(self.server_info)}
        return {"resultType": "complete", **result, "_meta": meta}


def question(approval: Approval) -> str:
    """What the person is shown: exactly what the approval covers."""
    preview = approval.preview
    lines = [f"Approve {preview['tool']} on {', '.join(preview['targets']) or 'no named target'}?"]
    if "plan" in preview:
        lines += preview["plan"]
    lines += [f"  {c['field']}: {whole(c['before'])} -> {whole(c['after'])}" for c in preview["changes"]]
    named = {c["field"] for c in preview["changes"]} | (set(preview["arguments"]) if "plan" in preview else set())
    lines += [f"  {name}: {whole(value)}" for name, value in preview["arguments"].items() if name not in named]
    lines.append(
        f"Class {preview['class']}, risk {preview['risk']}. Undo: {preview['undo']}. Why asked: {preview['why']}."
    )
    lines.append(
        f"Approval {approval.id}, until {approval.expires_at:%H:%M} UTC."
        + (" (advisory)" if preview.get("advisory") else "")
    )
    return "\n".join(lines)


def whole(value: JSON) -> str:
    """A value as the person must see it before they agree to it: all of it, or how much is missing."""
    text = shown(value, LONGEST_VALUE)
    left = len(value if isinstance(value, str) else dumps(value)) - LONGEST_VALUE
    return text if left <= 0 else f"{text} ({left} more characters are not shown)"


def input_required(approval: Approval) -> dict[str, Any]:
    """The stateless era's question. The request is named after the approval, so that an answer can cover no other."""
    params = {"mode": "form", "message": question(approval), "requestedSchema": FORM}
    return {
        "resultType": "input_required",
        "inputRequests": {approval.id: {"method": "elicitation/create", "params": params}},
    }


def protocol_error(error: MCPError) -> dict[str, Any]:
    """A protocol error as it goes over the wire."""
    body: dict[str, Any] = {"code": error.error.code, "message": error.error.message}
    return body if error.error.data is None else body | {"data": error.error.data}


def internal_error() -> dict[str, Any]:
    """What a client sees of a fault of our own: no text of it, which may hold anything."""
    return {"code": _SERVER_ERROR, "message": "Takeback failed internally; takeback_history shows what was done"}
