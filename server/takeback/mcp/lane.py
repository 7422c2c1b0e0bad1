"""The short way on stdio: tool calls are answered here, straight from the wire, and the SDK never sees them.

Everything else (handshake, discovery, lists, listening) goes on to the SDK. What the lane needs to know of the
handshake it reads as the messages pass.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

from mcp.shared.exceptions import MCPError
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION, MODERN_PROTOCOL_VERSIONS

from takeback.core.jsontext import MalformedJSON, loads_strict
from takeback.mcp.exchange import CAPABILITIES_KEY, CLIENT_KEY, VERSION_KEY, Exchange, client_name, trace_of
from takeback.mcp.face import Face, internal_error, protocol_error
from takeback.mcp.runs import BadRun, RunBook
from takeback.mcp.server import FORM_TIMEOUT, call_params
from takeback.ports import Caller

log = logging.getLogger(__name__)

GRACE: Final = 5.0
"""Seconds that calls in flight get when the client has closed its end; a script may still read their answers."""

_INVALID_PARAMS: Final = -32602


class Wire(Protocol):
    """The transport under the lane."""

    async def send(self, message: Mapping[str, Any]) -> None:
        """Write one message to the client."""

    async def request(self, method: str, params: Mapping[str, Any], timeout: float) -> Mapping[str, Any]:
        """Ask the client something and return its `result`. Raises MCPError or TimeoutError."""


class CallLane:
    """Takes `tools/call` off the wire for one connection."""

    def __init__(self, face: Face, book: RunBook, *, tenant: str, principal: str, connection: str) -> None:
        self._face, self._book = face, book
        self._tenant, self._principal, self._connection = tenant, principal, connection
        self._version: str | None = None
        self._capabilities: Mapping[str, Any] = {}
        self._client = ""
        self._ready = False
        self._calls: dict[str | int, asyncio.Task[None]] = {}
        self.wire: Wire | None = None

    async def offer(self, message: dict[str, Any], raw: bytes) -> bool:
        """Whether the lane takes this message; the SDK then never sees it."""
        method = message.get("method")
        if method == "tools/call" and "id" in message:
            return self._take(message, raw)
        if method == "notifications/cancelled":
            return self._cancel(message.get("params"))
        if method == "initialize":
            self._remember(message.get("params"))
        elif method == "notifications/initialized":
            self._ready = self._version is not None
        return False

    def _remember(self, params: object) -> None:
        asked = params if isinstance(params, Mapping) else {}
        version = asked.get("protocolVersion")
        self._version = version if version in HANDSHAKE_PROTOCOL_VERSIONS else LATEST_HANDSHAKE_VERSION
        capabilities = asked.get("capabilities")
        self._capabilities = capabilities if isinstance(capabilities, Mapping) else {}
        self._client = client_name(asked.get("clientInfo"))

    def _take(self, message: dict[str, Any], raw: bytes) -> bool:
        params = message.get("params")
        meta = params.get("_meta") if isinstance(params, dict) else None
        version = meta.get(VERSION_KEY) if isinstance(meta, dict) else None
        stateless = version in MODERN_PROTOCOL_VERSIONS and isinstance((meta or {}).get(CAPABILITIES_KEY), Mapping)
        if not stateless and (version is not None or not self._ready):
            return False  # not yet initialized, or an envelope that the SDK must refuse
        task = asyncio.create_task(self._answer(message, raw, version))
        self._calls[message["id"]] = task
        task.add_done_callback(lambda _: self._calls.pop(message["id"], None))
        return True

    def _cancel(self, params: object) -> bool:
        wanted = params.get("requestId") if isinstance(params, Mapping) else None
        task = self._calls.get(wanted) if isinstance(wanted, str | int) else None
        if task is None:
            return False
        task.cancel()
        return True

    async def _answer(self, message: dict[str, Any], raw: bytes, version: str | None) -> None:
        assert self.wire is not None
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        try:
            answer["result"] = await self._call(message["params"], raw, version)
        except MCPError as error:
            answer["error"] = protocol_error(error)
        except MalformedJSON as error:
            answer["error"] = {"code": _INVALID_PARAMS, "message": f"the call is malformed: {error}"}
        except BadRun as error:
            answer["error"] = {"code": _INVALID_PARAMS, "message": str(error)}
        except Exception:
            log.exception("a call failed inside the guard")
            answer["error"] = internal_error()
        await self.wire.send(answer)

    async def _call(self, params: Mapping[str, Any], raw: bytes, version: str | None) -> dict[str, Any]:
        name, arguments = call_params(params)
        meta = params.get("_meta") or {}
        if self._face.may_write(name):
            loads_strict(raw)  # an object that names a key twice has no canonical form
        return await self._face.call(self._exchange(params, meta, version), name, arguments)

    def _exchange(self, params: Mapping[str, Any], meta: Mapping[str, Any], version: str | None) -> Exchange:
        stateless = version is not None
        client = client_name(meta.get(CLIENT_KEY)) if stateless else self._client
        capabilities = meta.get(CAPABILITIES_KEY, {}) if stateless else self._capabilities
        run = self._book.run_for(meta, None, self._connection)
        responses = params.get("inputResponses")
        token = meta.get("progressToken")
        trace = trace_of(meta)
        return Exchange(
            caller=Caller(tenant=self._tenant, principal=self._principal, run=run, client=client, trace=trace),
            version=version or self._version or LATEST_HANDSHAKE_VERSION,
            capabilities=capabilities,
            meta=meta,
            input_responses=responses if isinstance(responses, Mapping) else {},
            elicit=None if stateless else self._elicit,
            progress=self._progress(token) if token is not None else None,
        )

    async def _elicit(self, text: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        assert self.wire is not None
        params = {"message": text, "requestedSchema": schema}
        if self._version is not None and self._version >= "2025-11-25":
            params["mode"] = "form"
        return await self.wire.request("elicitation/create", params, FORM_TIMEOUT)

    def _progress(self, token: str | int) -> Any:
        async def progress(update: Mapping[str, Any]) -> None:
            assert self.wire is not None
            params = {**update, "progressToken": token}
            await self.wire.send({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})

        return progress

    async def tell(self, message: Mapping[str, Any]) -> None:
        """Pass on what an upstream told. A client of the stateless era hears only what it listens for."""
        if self.wire is not None and self._ready:
            await self.wire.send(message)

    async def close(self) -> None:
        """The client has closed its end: answer what is about to end, then stop waiting.

        What was sent upstream goes on and is recorded in any case.
        """
        if self._calls:
            _, left = await asyncio.wait(list(self._calls.values()), timeout=GRACE)
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=GRACE)
