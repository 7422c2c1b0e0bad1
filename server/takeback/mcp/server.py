"""The SDK's server around the face: handshake, discovery, HTTP sessions and listening are the SDK's; calls are ours.

A middleware answers what passes the guard or passes through, without the SDK's handlers behind it: those would drop
every field that their models do not know. So the middleware owns the envelope of what it answers.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final

from mcp import types
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.subscriptions import ListenHandler
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp.types import INVALID_PARAMS
from pydantic import ValidationError

from takeback import __version__
from takeback.core.jsontext import JSON
from takeback.core.wording import INSTRUCTIONS
from takeback.mcp.client import WHO
from takeback.mcp.exchange import (
    CAPABILITIES_KEY,
    CLIENT_KEY,
    LEVEL_KEY,
    AskOne,
    Exchange,
    client_name,
    trace_of,
)
from takeback.mcp.face import Face
from takeback.mcp.holding import Work
from takeback.mcp.passing import Passing, question_apart
from takeback.mcp.relaying import RawMessage, RawResult, Sessions, TellingServer, Watchers
from takeback.mcp.resources import OwnResources
from takeback.mcp.runs import BadRun, RunBook
from takeback.ports import ANSWERED_WITHIN, Caller, Downstream, ProgressSink, Tell, ToolClient

NAME: Final = "takeback"
_CACHED: Final = {"resources/list", "resources/templates/list", "prompts/list", "resources/read"}
"""What the stateless era wants to know for how long it may be kept."""

_GONE: Final = {"logging/setLevel", "resources/subscribe", "resources/unsubscribe"}
"""What the stateless era has no requests for."""

HEARD: Final = {"notifications/roots/list_changed", "notifications/progress"}
"""What clients of the handshake era notify of, and upstreams want to know."""


class McpServer:
    """One server object for every transport and both eras. `connection` is the only one, on stdio."""

    def __init__(self, face: Face, passing: Passing, book: RunBook, *, tenant: str, principal: str) -> None:
        self.face, self.passing, self.book = face, passing, book
        self.tenant, self.principal = tenant, principal
        self.connection = ""
        self.resources = OwnResources(face.use_cases)
        self.bus = face.bus
        self.watchers = Watchers()
        self.sessions = Sessions(self.watchers)
        self._listening = ListenHandler(self.bus)
        self.sdk = self._sdk_server()

    def _sdk_server(self) -> TellingServer:
        with warnings.catch_warnings():
            # Logging is deprecated for those who build on it; it is passed on to clients that still use it.
            warnings.simplefilter("ignore", MCPDeprecationWarning)
            server = TellingServer(
                NAME,
                version=__version__,
                instructions=instructions(list(self.face.use_cases.services.catalog.clients.values())),
                get_tool_input_schema=self._input_schema,
                on_subscriptions_listen=self._listen,
                **self._declared(),
            )
        server.middleware.append(self._middleware)
        return server

    def _declared(self) -> dict[str, Any]:
        """Handlers that the SDK derives capabilities from. The middleware answers before any of them is reached."""
        handlers: dict[str, Any] = {"on_list_tools": _unreached, "on_call_tool": _unreached}
        theirs = self.passing.serves("resources/list")
        if theirs or self.resources.offered:
            names = ("list_resources", "list_resource_templates", "read_resource")
            handlers |= dict.fromkeys((f"on_{name}" for name in names), _unreached)
        if theirs:  # checkpoints stay as they are, so there is nothing to subscribe to
            handlers |= {"on_subscribe_resource": _unreached, "on_unsubscribe_resource": _unreached}
        if self.passing.serves("prompts/list"):
            handlers |= {"on_list_prompts": _unreached, "on_get_prompt": _unreached}
        if self.passing.serves("completion/complete"):
            handlers["on_completion"] = _unreached
        if self.passing.serves("logging/setLevel"):
            handlers["on_set_logging_level"] = _unreached
        return handlers

    def _input_schema(self, name: str) -> Mapping[str, Any] | None:
        entry = self.face.use_cases.offers.anywhere(name)
        return entry.definition.input_schema if entry is not None else None

    async def _middleware(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        stateless = ctx.protocol_version in types.version.MODERN_PROTOCOL_VERSIONS if ctx.protocol_version else False
        if ctx.request_id is None:
            if ctx.method in HEARD and not stateless:
                await self._heard(ctx)
            return await call_next(ctx)
        self._hear(ctx, stateless=stateless)
        if ctx.method == "tools/list":
            return await self.face.tools(await self._exchange(ctx))
        if ctx.method == "tools/call":
            return await self._call(ctx)
        served = self.passing.serves(ctx.method) or self.resources.concern(ctx.method, ctx.params)
        if served and not (stateless and ctx.method in _GONE):
            return await self._passed(ctx)
        return await call_next(ctx)

    async def _heard(self, ctx: ServerRequestContext[Any, Any]) -> None:
        exchange = await self._exchange(ctx)
        await self.face.heard(exchange.downstream(None, None), ctx.method, dict(ctx.params or {}) or None)

    def _hear(self, ctx: ServerRequestContext[Any, Any], *, stateless: bool) -> None:
        session_id = session_of(ctx)
        if session_id and not stateless:
            self.sessions.heard(session_id, ctx.session)
            if ctx.method == "logging/setLevel":
                self.sessions.wants(session_id, (ctx.params or {}).get("level"))

    async def _call(self, ctx: ServerRequestContext[Any, Any]) -> dict[str, Any]:
        name, arguments = call_params(ctx.params)
        return await self.face.call(await self._exchange(ctx), name, arguments)

    async def _passed(self, ctx: ServerRequestContext[Any, Any]) -> dict[str, Any]:
        exchange, method, params = await self._exchange(ctx), ctx.method, question_apart(ctx.params)

        async def work(seen: Exchange, downstream: Downstream) -> dict[str, Any]:
            async def theirs(sent: Mapping[str, Any]) -> dict[str, Any]:
                shut = await self.face.use_cases.unreadable(exchange.caller)
                return await self.passing.request(method, sent, downstream, seen.progress, shut=shut)

            result = await self.resources.answer(exchange, method, params, theirs)
            if seen.stateless and method in _CACHED:
                result = {"ttlMs": 0, "cacheScope": "private", **result}
            return self.face.enveloped(result, stateless=seen.stateless)

        if method in {"resources/subscribe", "resources/unsubscribe"}:
            return await self._watching(exchange, method, str(params.get("uri")), work)
        asked = {key: value for key, value in params.items() if key != "_meta"}
        return await self.face.answered(exchange, method, asked, work)

    async def _watching(self, exchange: Exchange, method: str, uri: str, work: Work) -> dict[str, Any]:
        if method == "resources/subscribe":
            result = await self.face.answered(exchange, method, {"uri": uri}, work)
            self.watchers.begin(uri, exchange.who)
            return result
        if not self.watchers.end(uri, exchange.who):
            return self.face.enveloped({}, stateless=exchange.stateless)  # others still want to hear of it
        return await self.face.answered(exchange, method, {"uri": uri}, work)

    async def _listen(self, ctx: ServerRequestContext[Any, Any], params: types.SubscriptionsListenRequestParams) -> Any:
        """The stateless era's way to hear of resources: the upstreams are told of them as long as the stream lasts."""
        downstream = (await self._exchange(ctx)).downstream(None, None)
        wanted = params.notifications.resource_subscriptions or ()
        who, uris = object(), [uri for uri in wanted if not self.resources.owns(uri)]
        try:
            for uri in uris:
                self.watchers.begin(uri, who)
                await self.passing.watch("resources/subscribe", uri, downstream)
            return await self._listening(ctx, params)
        finally:
            for uri in uris:
                if self.watchers.end(uri, who):
                    await self.passing.watch("resources/unsubscribe", uri, downstream)

    async def _exchange(self, ctx: ServerRequestContext[Any, Any]) -> Exchange:
        params = ctx.params or {}
        meta = _mapping(params.get("_meta"))
        headers = getattr(ctx.request, "headers", {}) or {}
        capabilities, info = _client(ctx, meta)
        client, session = client_name(info), session_of(ctx) or ""
        stateless = ctx.protocol_version in types.version.MODERN_PROTOCOL_VERSIONS
        caller = await self._caller(meta, headers.get("takeback-run"), session, client)
        state = params.get("requestState")
        return Exchange(
            caller=caller,
            version=ctx.protocol_version,
            capabilities=capabilities,
            info=info,
            who=session or (WHO if self.connection else f"{client} {ctx.request_id}"),
            meta=meta,
            input_responses=_mapping(params.get("inputResponses")),
            request_state=state if isinstance(state, str) else None,
            log_level=meta.get(LEVEL_KEY) if stateless else self.sessions.level(session),
            ask=None if stateless else asking(ctx),
            tell=telling(ctx),
            progress=progressing(ctx, meta["progressToken"]) if "progressToken" in meta else None,
        )

    async def _caller(self, meta: Mapping[str, Any], header: str | None, session: str, client: str) -> Caller:
        trace = trace_of(meta)
        try:
            if connection := session or self.connection:
                found = self.book.of_connection(meta, header, connection)
            else:
                found = await self.book.without_connection(meta, header, self.principal, client, trace or "")
        except BadRun as error:
            raise MCPError(code=INVALID_PARAMS, message=str(error)) from None
        return Caller(
            tenant=self.tenant,
            principal=self.principal,
            run=found.run,
            connected=found.connected,
            client=client,
            trace=trace,
        )


async def _unreached(_ctx: Any, _params: Any) -> Any:
    raise MCPError(code=types.METHOD_NOT_FOUND, message="Method not found")


def call_params(params: Mapping[str, Any] | None) -> tuple[str, dict[str, Any]]:
    """Name and arguments of a `tools/call`.

    Raises:
        MCPError: they are not what the protocol says.
    """
    name, arguments = (params or {}).get("name"), (params or {}).get("arguments")
    if not isinstance(name, str) or not (arguments is None or isinstance(arguments, dict)):
        raise MCPError(code=INVALID_PARAMS, message="tools/call needs a name, and arguments that are an object")
    return name, arguments or {}


def instructions(clients: list[ToolClient]) -> str:
    """The guard's own instructions, with the upstreams' behind them."""
    theirs = [f"{client.name}: {client.instructions}" for client in clients if client.instructions]
    return "\n\n".join([INSTRUCTIONS, *theirs])


def session_of(ctx: ServerRequestContext[Any, Any]) -> str | None:
    """The HTTP session of a request of the handshake era."""
    found: str | None = getattr(ctx.request, "headers", {}).get("mcp-session-id")
    return found


def _client(
    ctx: ServerRequestContext[Any, Any], meta: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """What the client can do, and what it calls itself."""
    if CAPABILITIES_KEY in meta:
        return _mapping(meta[CAPABILITIES_KEY]), _mapping(meta.get(CLIENT_KEY)) or None
    declared, known = ctx.session.client_capabilities, ctx.session.client_params
    capabilities = declared.model_dump(by_alias=True, mode="json", exclude_none=True) if declared else {}
    return capabilities, known.client_info.model_dump(by_alias=True, mode="json", exclude_none=True) if known else None


def asking(ctx: ServerRequestContext[Any, Any]) -> AskOne:
    """Sends requests to the client of this request, on its stream."""

    async def ask(method: str, params: Mapping[str, Any] | None) -> Mapping[str, Any]:
        message: Any = RawMessage(method=method, params=dict(params) if params is not None else None)
        related = ServerMessageMetadata(related_request_id=ctx.request_id)
        try:
            result = await ctx.session.send_request(message, RawResult, ANSWERED_WITHIN, related)
        except ValidationError:
            raise MCPError(code=INVALID_PARAMS, message=f"the client's answer to {method} is malformed") from None
        return result.root

    return ask


def telling(ctx: ServerRequestContext[Any, Any]) -> Tell:
    """Tells the client of this request something, on its stream."""

    async def tell(method: str, params: JSON) -> None:
        message: Any = RawMessage(method=method, params=params if isinstance(params, dict) else None)
        await ctx.session.send_notification(message, related_request_id=ctx.request_id)

    return tell


def progressing(ctx: ServerRequestContext[Any, Any], token: str | int) -> ProgressSink:
    """Reports progress to the client of this request, fields that the SDK does not know included."""
    tell = telling(ctx)

    async def progress(update: Mapping[str, Any]) -> None:
        await tell("notifications/progress", {**update, "progressToken": token})

    return progress


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
