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
from mcp.server.lowlevel import Server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp.types import INVALID_PARAMS

from takeback import __version__
from takeback.core.wording import INSTRUCTIONS
from takeback.mcp.exchange import CAPABILITIES_KEY, CLIENT_KEY, Exchange, client_name, trace_of
from takeback.mcp.face import Face
from takeback.mcp.passing import Passing
from takeback.mcp.relaying import Sessions
from takeback.mcp.runs import BadRun, RunBook
from takeback.ports import Caller, ToolClient

NAME: Final = "takeback"
FORM_TIMEOUT: Final = 15 * 60.0
"""Seconds that a person has for a form before the call is answered as pending."""


class McpServer:
    """One server object for every transport and both eras."""

    def __init__(self, face: Face, passing: Passing, book: RunBook, *, tenant: str, principal: str) -> None:
        self.face, self.passing, self.book = face, passing, book
        self.tenant, self.principal = tenant, principal
        self.bus = InMemorySubscriptionBus()
        self.sessions = Sessions()
        self.sdk = self._sdk_server()

    def _sdk_server(self) -> Server[Any]:
        with warnings.catch_warnings():
            # Logging is deprecated for those who build on it; it is passed on to clients that still use it.
            warnings.simplefilter("ignore", MCPDeprecationWarning)
            server: Server[Any] = Server(
                NAME,
                version=__version__,
                instructions=instructions(list(self.face.use_cases.services.catalog.clients.values())),
                get_tool_input_schema=self._input_schema,
                on_subscriptions_listen=ListenHandler(self.bus),
                **self._declared(),
            )
        server.middleware.append(self._middleware)
        return server

    def _declared(self) -> dict[str, Any]:
        """Handlers that the SDK derives capabilities from. The middleware answers before any of them is reached."""
        handlers: dict[str, Any] = {"on_list_tools": _unreached, "on_call_tool": _unreached}
        if self.passing.serves("resources/list"):
            names = (
                "list_resources",
                "list_resource_templates",
                "read_resource",
                "subscribe_resource",
                "unsubscribe_resource",
            )
            handlers |= dict.fromkeys((f"on_{name}" for name in names), _unreached)
        if self.passing.serves("prompts/list"):
            handlers |= {"on_list_prompts": _unreached, "on_get_prompt": _unreached}
        if self.passing.serves("completion/complete"):
            handlers["on_completion"] = _unreached
        if self.passing.serves("logging/setLevel"):
            handlers["on_set_logging_level"] = _unreached
        return handlers

    def _input_schema(self, name: str) -> Mapping[str, Any] | None:
        entry = self.face.use_cases.services.catalog.exposed(name)
        return entry.definition.input_schema if entry is not None else None

    async def _middleware(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        stateless = ctx.protocol_version in types.version.MODERN_PROTOCOL_VERSIONS if ctx.protocol_version else False
        if ctx.request_id is None:
            return await call_next(ctx)
        self._hear(ctx, stateless=stateless)
        if ctx.method == "tools/list":
            return self.face.tools(stateless=stateless)
        if ctx.method == "tools/call":
            return await self._call(ctx)
        if self.passing.serves(ctx.method):
            result = await self.passing.request(ctx.method, ctx.params)
            if stateless and ctx.method in {
                "resources/list",
                "resources/templates/list",
                "prompts/list",
                "resources/read",
            }:
                result = {"ttlMs": 0, "cacheScope": "private", **result}
            return self.face.enveloped(result, stateless=stateless)
        return await call_next(ctx)

    def _hear(self, ctx: ServerRequestContext[Any, Any], *, stateless: bool) -> None:
        session_id = getattr(ctx.request, "headers", {}).get("mcp-session-id")
        if session_id and not stateless:
            self.sessions.heard(session_id, ctx.session)

    async def _call(self, ctx: ServerRequestContext[Any, Any]) -> dict[str, Any]:
        name, arguments = call_params(ctx.params)
        return await self.face.call(self._exchange(ctx), name, arguments)

    def _exchange(self, ctx: ServerRequestContext[Any, Any]) -> Exchange:
        params = ctx.params or {}
        meta = _mapping(params.get("_meta"))
        headers = getattr(ctx.request, "headers", {}) or {}
        capabilities, client = self._client(ctx, meta)
        scope = (headers.get("mcp-session-id") or "", self.principal, client, trace_of(meta) or "")
        try:
            run = self.book.run_for(meta, headers.get("takeback-run"), *scope)
        except BadRun as error:
            raise MCPError(code=INVALID_PARAMS, message=str(error)) from None
        caller = Caller(tenant=self.tenant, principal=self.principal, run=run, client=client, trace=trace_of(meta))

        async def elicit(text: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
            result = await ctx.session.elicit_form(text, dict(schema), related_request_id=ctx.request_id)
            return result.model_dump(by_alias=True, mode="json", exclude_none=True)

        async def progress(update: Mapping[str, Any]) -> None:
            await ctx.session.report_progress(update.get("progress", 0), update.get("total"), update.get("message"))

        return Exchange(
            caller=caller,
            version=ctx.protocol_version,
            capabilities=capabilities,
            meta=meta,
            input_responses=_mapping(params.get("inputResponses")),
            elicit=elicit,
            progress=progress if "progressToken" in meta else None,
        )

    def _client(self, ctx: ServerRequestContext[Any, Any], meta: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
        if CAPABILITIES_KEY in meta:
            return _mapping(meta[CAPABILITIES_KEY]), client_name(meta.get(CLIENT_KEY))
        declared = ctx.session.client_capabilities
        capabilities = declared.model_dump(by_alias=True, mode="json", exclude_none=True) if declared else {}
        known = ctx.session.client_params
        return capabilities, f"{known.client_info.name} {known.client_info.version}" if known else ""


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


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
