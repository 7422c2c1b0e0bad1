"""What passes through unguarded: resources, prompts, completion, logging levels, subscriptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final

from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, METHOD_NOT_FOUND

from takeback.guard.offers import through
from takeback.guard.sending import forwarded_meta
from takeback.ports import Answered, Downstream, ProgressSink, ToolClient, ToolFailure

LISTS: Final = {
    "resources/list": ("resources", "resources"),
    "resources/templates/list": ("resourceTemplates", "resources"),
    "prompts/list": ("prompts", "prompts"),
}
"""List methods: the key of their items and the capability that an upstream needs for them."""

ROUTED: Final = {
    "resources/read": "resources",
    "resources/subscribe": "resources",
    "resources/unsubscribe": "resources",
    "prompts/get": "prompts",
    "completion/complete": "completions",
}
TIMEOUT: Final = 60.0
_UNREACHABLE: Final = -32001
SHUT: Final = -32004
"""The code of what is refused because it was frozen."""

_PAGES: Final = 100


class Passing:
    """Carries such a request to the upstream it belongs to and brings the answer back unchanged."""

    def __init__(self, clients: Callable[[], Sequence[ToolClient]]) -> None:
        self._clients = clients

    def serves(self, method: str) -> bool:
        """Whether the method is one of those and some upstream can do it."""
        return bool(self._able(method))

    def _able(self, method: str) -> list[ToolClient]:
        if method == "logging/setLevel":
            return [client for client in self._clients() if "logging" in client.capabilities]
        needed = LISTS[method][1] if method in LISTS else ROUTED.get(method)
        return [client for client in self._clients() if needed is not None and needed in client.capabilities]

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        downstream: Downstream,
        progress: ProgressSink | None,
        *,
        shut: Mapping[str, str] = MappingProxyType({}),
    ) -> dict[str, Any]:
        """The upstream's answer. What it asks meanwhile is asked of this client.

        `shut` are the upstreams of which nothing is read now, each with why.

        Raises:
            MCPError: its protocol error, unchanged; or that no upstream can answer.
        """
        able = [through(client, downstream) for client in self._able(method)]
        if not able:
            raise MCPError(code=METHOD_NOT_FOUND, message="Method not found", data=method)
        sent = _without_hop(params)
        if method == "logging/setLevel":
            for client in able:
                await _send(client, method, sent)
            return {}
        readable = [client for client in able if client.name not in shut]
        if len(able) > 1 and method in LISTS:
            return await self._merged(readable, method, sent)
        owner = able[0] if len(able) == 1 else await self._owner(readable, method, sent)
        owner = owner or next(iter(readable if len(readable) == len(able) else []), None)
        if owner is None or owner.name in shut:
            why = next(shut[client.name] for client in able if client.name in shut)
            raise MCPError(code=SHUT, message=why)
        return await _send(owner, method, sent, progress)

    async def watch(self, method: str, uri: str, downstream: Downstream) -> None:
        """Subscribe to a resource, or unsubscribe. An upstream that cannot, says nothing of it then."""
        with suppress(MCPError):
            await self.request(method, {"uri": uri}, downstream, None)

    async def _merged(self, able: list[ToolClient], method: str, params: dict[str, Any]) -> dict[str, Any]:
        """All pages of all upstreams as one page."""
        key = LISTS[method][0]
        items: list[Any] = []
        for client in able:
            items += await _all_pages(client, method, key, params)
        return {key: items}

    async def _owner(self, able: list[ToolClient], method: str, params: Mapping[str, Any]) -> ToolClient | None:
        """Which of several upstreams a name or URI belongs to: the first that lists it."""
        reference = params.get("ref")
        named = reference if isinstance(reference, Mapping) else params
        prompt = named.get("name")
        wanted, listing = (prompt, "prompts/list") if isinstance(prompt, str) else (named.get("uri"), "resources/list")
        if not isinstance(wanted, str):
            raise MCPError(code=INVALID_PARAMS, message=f"{method} names nothing")
        key = LISTS[listing][0]
        for client in able:
            if LISTS[listing][1] in client.capabilities:
                items = await _all_pages(client, listing, key, {})
                if any(wanted in (item.get("name"), item.get("uri")) for item in items):
                    return client
        return None


async def _all_pages(client: ToolClient, method: str, key: str, params: Mapping[str, Any]) -> list[Any]:
    items: list[Any] = []
    cursor: object = None
    for _ in range(_PAGES):
        page = await _send(client, method, {**params, **({"cursor": cursor} if cursor else {})})
        items += page.get(key) or []
        cursor = page.get("nextCursor")
        if not cursor:
            break
    return items


async def _send(
    client: ToolClient, method: str, params: dict[str, Any], progress: ProgressSink | None = None
) -> dict[str, Any]:
    try:
        return await client.request(method, params, timeout=TIMEOUT, progress=progress)
    except Answered as failure:
        raise MCPError(code=failure.code, message=failure.message, data=failure.data) from None
    except ToolFailure as failure:
        raise MCPError(code=_UNREACHABLE, message=f"{client.name} gave no answer: {failure}") from None


def question_apart(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """The params without what a client of the stateless era adds when it answers: that is between it and us."""
    return {key: value for key, value in (params or {}).items() if key not in {"inputResponses", "requestState"}}


def _without_hop(params: Mapping[str, Any] | None) -> dict[str, Any]:
    sent = question_apart(params)
    if "_meta" in sent:
        meta = forwarded_meta(sent.pop("_meta") or {})
        if meta:
            sent["_meta"] = meta
    return sent
