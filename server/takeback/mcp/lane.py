"""The short way on stdio: tool calls are answered here, straight from the wire, and the SDK never sees them.

Everything else (handshake, discovery, lists, listening) goes on to the SDK. What the lane needs to know of the
handshake it reads as the messages pass.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from mcp.shared.exceptions import MCPError
from mcp.types.version import LATEST_HANDSHAKE_VERSION, MODERN_PROTOCOL_VERSIONS

from takeback.core.jsontext import MalformedJSON, loads_strict
from takeback.mcp.client import WHO, OneClient
from takeback.mcp.exchange import (
    CAPABILITIES_KEY,
    CLIENT_KEY,
    LEVEL_KEY,
    VERSION_KEY,
    Exchange,
    client_name,
    trace_of,
)
from takeback.mcp.face import Face, internal_error, protocol_error
from takeback.mcp.runs import BadRun, RunBook
from takeback.mcp.server import HEARD, call_params
from takeback.ports import Caller

log = logging.getLogger(__name__)

GRACE: Final = 5.0
"""Seconds that calls in flight get when the client has closed its end; a script may still read their answers."""

_INVALID_PARAMS: Final = -32602


class CallLane:
    """Takes `tools/call` off the wire for one connection, whose name is `connection`."""

    def __init__(self, face: Face, book: RunBook, client: OneClient, *, tenant: str, principal: str) -> None:
        self._face, self._book, self._client = face, book, client
        self._tenant, self._principal = tenant, principal
        self.connection = face.use_cases.services.ids.new("k")
        self._calls: dict[str | int, asyncio.Task[None]] = {}

    async def offer(self, message: dict[str, Any], raw: bytes) -> bool:
        """Whether the lane takes this message; the SDK then never sees it."""
        method = message.get("method")
        if method == "tools/call" and "id" in message:
            return self._take(message, raw)
        if method == "notifications/cancelled":
            return self._cancel(message.get("params"))
        if self._client.see(message):
            await self._face.meet(self._client.standing())
        elif method in HEARD and self._client.ready.is_set():
            await self._face.heard(self._client.standing(), method, message.get("params"))
            return True
        return False

    def _take(self, message: dict[str, Any], raw: bytes) -> bool:
        params = message.get("params")
        meta = params.get("_meta") if isinstance(params, dict) else None
        version = meta.get(VERSION_KEY) if isinstance(meta, dict) else None
        stateless = version in MODERN_PROTOCOL_VERSIONS and isinstance((meta or {}).get(CAPABILITIES_KEY), Mapping)
        if not stateless and (version is not None or not self._client.ready.is_set()):
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
        await self._client.wire.send(answer)

    async def _call(self, params: Mapping[str, Any], raw: bytes, version: str | None) -> dict[str, Any]:
        name, arguments = call_params(params)
        meta = params.get("_meta") or {}
        if self._face.may_write(name):
            loads_strict(raw)  # an object that names a key twice has no canonical form
        return await self._face.call(self._exchange(params, meta, version), name, arguments)

    def _exchange(self, params: Mapping[str, Any], meta: Mapping[str, Any], version: str | None) -> Exchange:
        client, stateless = self._client, version is not None
        info = _mapping(meta.get(CLIENT_KEY)) if stateless else client.info
        capabilities = meta.get(CAPABILITIES_KEY, {}) if stateless else client.capabilities
        found = self._book.of_connection(meta, None, self.connection)
        responses, state = params.get("inputResponses"), params.get("requestState")
        token = meta.get("progressToken")
        trace = trace_of(meta)
        return Exchange(
            caller=Caller(
                tenant=self._tenant,
                principal=self._principal,
                run=found.run,
                connected=found.connected,
                client=client_name(info),
                trace=trace,
            ),
            version=version or client.version or LATEST_HANDSHAKE_VERSION,
            capabilities=capabilities,
            info=info,
            who=WHO,
            meta=meta,
            input_responses=responses if isinstance(responses, Mapping) else {},
            request_state=state if isinstance(state, str) else None,
            log_level=meta.get(LEVEL_KEY) if stateless else client.level,
            ask=None if stateless else client.ask,
            tell=client.tell,
            progress=client.progress(token) if token is not None else None,
        )

    async def tell(self, message: Mapping[str, Any]) -> None:
        """Pass on what an upstream told. A client of the stateless era hears only what it listens for."""
        if self._client.ready.is_set():
            await self._client.wire.send(message)

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


def _mapping(value: object) -> Mapping[str, Any] | None:
    return value if isinstance(value, Mapping) else None
