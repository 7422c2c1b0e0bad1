"""The connector to one HTTP API: its operations are tools, and their answers are told apart by what they prove."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from takeback.core.policy.schema import Upstream
from takeback.ports import (
    HTTP,
    Answered,
    Busy,
    Changed,
    NotificationSink,
    NotSent,
    OutcomeUnknown,
    ProgressSink,
    ToolDefinition,
    ToolFailure,
)
from takeback_tools.http.api import Api, prepare
from takeback_tools.http.auth import SignIn, sign_in
from takeback_tools.http.exchange import make_client
from takeback_tools.http.operations import Unfit
from takeback_tools.http.settings import REDACTED, SHORTEST_SECRET, HttpSettings

METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602

HOLD_OFF: Final = (0.5, 30.0)
"""Seconds after a failed start before the next attempt: first, and at most (doubled each time)."""

_TRACE: Final = ("traceparent", "tracestate", "baggage")
"""What the protocol reserves in `_meta` for trace context, under the names that HTTP has for it."""


class HttpConnector:
    """One upstream of the policy. It is prepared once; where that failed, the next request tries again."""

    def __init__(self, name: str, settings: HttpSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self._settings, self._clock = name, settings, clock
        self._client = make_client()
        self._sign_in: SignIn | None = None
        self._api: Api | None = None
        self._preparing = asyncio.Lock()
        self._failures, self._not_before, self._last_failure = 0, 0.0, ""

    instructions = None
    """An API says nothing to models beside its operations."""

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """As `ToolClient.capabilities`."""
        return {"tools": {}} if self._api is not None else {}

    def on_notification(self, sink: NotificationSink) -> None:
        """An API tells nothing by itself."""

    async def start(self) -> None:
        """As `ToolClient.start`: reads the document."""
        await self._prepared()

    async def close(self) -> None:
        """As `ToolClient.close`."""
        await self._client.aclose()

    async def _prepared(self) -> Api:
        async with self._preparing:
            if self._api is None:
                self._api = await self._prepare()
            return self._api

    async def _prepare(self) -> Api:
        if self._client.is_closed:
            raise NotSent(f"upstream {self.name} was stopped")
        wait = self._not_before - self._clock()
        if wait > 0:
            raise NotSent(f"{self._last_failure} (next attempt in {wait:.1f} s)")
        settings = self._settings
        try:
            self._sign_in = sign_in(settings.auth, settings.tenant, self._client, self._clock)
            async with asyncio.timeout(settings.start_timeout):
                return await prepare(self.name, settings, self._client, self._sign_in)
        except TimeoutError:
            raise self._failed(f"it was not ready within {settings.start_timeout:g} s") from None
        except ToolFailure as failure:
            raise self._failed(str(failure)) from None

    def _failed(self, why: str) -> NotSent:
        first, longest = HOLD_OFF
        self._not_before = self._clock() + min(first * 2**self._failures, longest)
        self._failures += 1
        self._last_failure = self._clean(f"upstream {self.name} does not start: {why}")
        return NotSent(self._last_failure)

    async def tools(self) -> Sequence[ToolDefinition]:
        """As `ToolClient.tools`."""
        api = await self._prepared()
        return tuple(operation.definition for operation in api.operations.values())

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """As `ToolClient.request`; only `tools/call` means anything to an API."""
        if method != "tools/call":
            raise Answered(METHOD_NOT_FOUND, f"an HTTP API has no {method}")
        api = await self._prepared()
        given = params or {}
        name, arguments = given.get("name"), given.get("arguments") or {}
        operation = api.operations.get(name) if isinstance(name, str) else None
        if operation is None or not isinstance(arguments, dict):
            raise Answered(INVALID_PARAMS, f"upstream {self.name} has no tool {name}")
        try:
            draft = operation.draft(arguments)
        except Unfit as problem:
            raise Answered(INVALID_PARAMS, f"nothing was sent: {problem}") from None
        bound = timeout if timeout is not None else self._settings.timeout
        carried = {**_trace_of(given.get("_meta")), **(headers or {})}
        try:
            result = await api.origin.call(operation, draft, carried, bound)
        except ToolFailure as failure:
            raise self._cleaned(failure) from None
        return self._without_secrets(result)

    def _without_secrets(self, result: dict[str, Any]) -> dict[str, Any]:
        """What an API says when it refuses may repeat the credentials; a result is passed on as it is."""
        about = result["_meta"][HTTP]
        if "location" in about:
            about["location"] = self._clean(about["location"])
        if result.get("isError") is True:
            result["content"] = [{**block, "text": self._clean(block["text"])} for block in result["content"]]
        return result

    def _cleaned(self, failure: ToolFailure) -> ToolFailure:
        """The failure without secrets in its words."""
        text = self._clean(str(failure))
        match failure:
            case Busy():
                return Busy(text, failure.retry_after)
            case OutcomeUnknown():
                return OutcomeUnknown(failure.kind, text, over=failure.over)
            case Changed():
                return Changed(text)
            case NotSent():
                return NotSent(text)
            case _:
                return failure

    def _clean(self, text: str) -> str:
        of_auth = self._sign_in.secrets() if self._sign_in is not None else ()
        secrets = self._settings.secrets() | {secret for secret in of_auth if len(secret) >= SHORTEST_SECRET}
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, REDACTED)
        return text


def _trace_of(meta: Any) -> dict[str, str]:
    found = {name: meta.get(name) for name in _TRACE} if isinstance(meta, Mapping) else {}
    return {name: value for name, value in found.items() if isinstance(value, str) and value.isprintable()}


def from_policy(name: str, upstream: Upstream, tenant: str) -> HttpConnector:
    """The connector of an upstream's table in the policy (entry point `takeback.tools`). Not started yet."""
    return HttpConnector(name, HttpSettings.of(upstream, tenant))


def connect(name: str, settings: HttpSettings) -> HttpConnector:
    """A connector that is not started yet."""
    return HttpConnector(name, settings)
