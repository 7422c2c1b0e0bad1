"""Takeback's own resources, beside those of the upstreams: the checkpoints of the caller's run.

They are there where the policy offers checkpoints; without that nothing here touches what passes through. All URIs of
the scheme `takeback` are the guard's then: an upstream's under such a name are not listed, and never reached by it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, METHOD_NOT_FOUND

from takeback.core.jsontext import dumps
from takeback.core.phrases import one_line, quoted
from takeback.core.run import Checkpoint
from takeback.guard.checkpoints import document, told
from takeback.guard.use_cases import UseCases
from takeback.mcp.exchange import Exchange
from takeback.mcp.passing import LISTS, SHUT
from takeback.ports import LedgerFailure, NotFound

_SCHEME: Final = "takeback:"
_BASE: Final = "takeback://checkpoints/"
_JSON: Final = "application/json"
_TEMPLATE: Final[Mapping[str, Any]] = {
    "uriTemplate": _BASE + "{id}",
    "name": "takeback-checkpoint",
    "title": "A checkpoint of this run",
    "description": (
        "What was done, what was last verified and what waited at a safe pause that takeback_checkpoint made, "
        "and what it takes to go on or back."
    ),
    "mimeType": _JSON,
}
_ID: Final = re.compile(re.escape(_BASE) + r"([A-Za-z0-9]{1,64})", re.IGNORECASE)

_OWN: Final = "takeback:after:"
_THEIRS: Final = "takeback:theirs:"
"""What cursors of ours begin with, and what is put before an upstream's cursor that could be taken for one."""

_LISTS: Final = frozenset({"resources/list", "resources/templates/list"})
_NAMING: Final = frozenset({"resources/read", "resources/subscribe", "resources/unsubscribe", "completion/complete"})
"""What names one resource."""

_LONGEST_NAME: Final = 100
_LONGEST_TITLE: Final = 120
_LONGEST_DESCRIPTION: Final = 500
_GONE: Final = -32002
_NO_LEDGER: Final = -32005
_NONE_OF_THEIRS: Final = frozenset({SHUT, METHOD_NOT_FOUND})

Theirs = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""Asks the upstreams, with these params. Raises MCPError."""


class OwnResources:
    """Answers for them, and leaves everything else to the upstreams."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use_cases = use_cases
        self.offered = "checkpoint" in use_cases.services.policy.file.defaults.agent_tools

    def owns(self, uri: object) -> bool:
        """Whether a URI is the guard's own."""
        return self.offered and isinstance(uri, str) and uri[: len(_SCHEME)].lower() == _SCHEME

    def concern(self, method: str, params: Mapping[str, Any] | None) -> bool:
        """Whether a request is about them, perhaps among others."""
        return self.offered if method in _LISTS else method in _NAMING and self.owns(_uri(params))

    async def answer(
        self, exchange: Exchange, method: str, params: Mapping[str, Any], theirs: Theirs
    ) -> dict[str, Any]:
        """The answer to any request for what passes through; `theirs` where it is about the upstreams' alone.

        Raises:
            MCPError: there is no such resource, or the ledger is out of reach; or the upstreams' own error.
        """
        if not self.concern(method, params):
            return await theirs(params)
        try:
            return await self._answer(exchange, method, params, theirs)
        except LedgerFailure as failure:
            why = f"checkpoints cannot be read: the ledger is out of reach ({failure}); try again later"
            raise MCPError(code=_NO_LEDGER, message=why) from None

    async def _answer(
        self, exchange: Exchange, method: str, params: Mapping[str, Any], theirs: Theirs
    ) -> dict[str, Any]:
        match method:
            case "resources/list":
                return await self._list(exchange, params, theirs)
            case "resources/templates/list":
                ours = [_TEMPLATE] if params.get("cursor") is None else []
                return _behind(ours, self._without_ours(method, await _theirs_if_any(theirs, params)), method)
            case "completion/complete":
                return {"completion": await self._completion(exchange, params.get("argument"))}
            case "resources/read":
                return _contents(await self._named(exchange, _uri(params)))
            case _:  # (un)subscribing: a checkpoint stays as it is, so there will be nothing to tell
                await self._named(exchange, _uri(params))
                return {}

    async def _list(self, exchange: Exchange, params: Mapping[str, Any], theirs: Theirs) -> dict[str, Any]:
        """Ours come first, page by page; the upstreams' first page is together with our last one."""
        cursor = params.get("cursor")
        if isinstance(cursor, str) and not cursor.startswith(_OWN):
            page_of_theirs = await theirs({**params, "cursor": cursor.removeprefix(_THEIRS)})
            return self._without_ours("resources/list", page_of_theirs)
        after = cursor.removeprefix(_OWN) if isinstance(cursor, str) else None
        try:
            page = await self._use_cases.own_checkpoints(exchange.caller, after)
        except NotFound:
            raise MCPError(code=INVALID_PARAMS, message="this cursor names no page: begin again without one") from None
        ours = [_listing(one) for one in page.checkpoints]
        if page.last is not None:
            return {"resources": ours, "nextCursor": _OWN + page.last}
        first = {name: value for name, value in params.items() if name != "cursor"}
        rest = self._without_ours("resources/list", await _theirs_if_any(theirs, first))
        fresh = {name: value for name, value in rest.items() if name not in {"ttlMs", "cacheScope"}}
        return _behind(ours, fresh, "resources/list")  # how long theirs may be kept says nothing of ours

    def _without_ours(self, method: str, page: dict[str, Any]) -> dict[str, Any]:
        """A page of the upstreams' without what pretends to be ours."""
        key, cursor = LISTS[method][0], page.get("nextCursor")
        if isinstance(found := page.get(key), list):
            page = {**page, key: [one for one in found if not self.owns(_uri(one))]}
        if method == "resources/list" and isinstance(cursor, str) and cursor.startswith((_OWN, _THEIRS)):
            page = {**page, "nextCursor": _THEIRS + cursor}
        return page

    async def _named(self, exchange: Exchange, uri: object) -> Checkpoint:
        found = _ID.fullmatch(str(uri))
        try:
            if found is not None:
                return await self._use_cases.own_checkpoint(exchange.caller, found[1])
        except NotFound:
            pass  # said below: for a client, another run's is not there
        raise MCPError(
            code=INVALID_PARAMS if exchange.stateless else _GONE,
            message=f"Resource not found: {quoted(str(uri), _LONGEST_NAME)}; resources/list names the checkpoints",
            data={"uri": str(uri)},
        )

    async def _completion(self, exchange: Exchange, argument: object) -> dict[str, Any]:
        """Ids of the newest ones, which are what the template's one blank takes."""
        begun = str(argument.get("value") or "") if isinstance(argument, Mapping) else ""
        page = await self._use_cases.own_checkpoints(exchange.caller)
        values = [one.id for one in page.checkpoints if one.id.startswith(begun)]
        return {"values": values, "hasMore": page.last is not None}


def _uri(named: object) -> object:
    """The URI, or the template of one, that a resource, a request's params or a completion's reference names."""
    if not isinstance(named, Mapping):
        return None
    reference = named.get("ref")
    place = reference if isinstance(reference, Mapping) else named
    return place.get("uri", place.get("uriTemplate"))


async def _theirs_if_any(theirs: Theirs, params: Mapping[str, Any]) -> dict[str, Any]:
    """The upstreams' answer; empty where none has such a list, or nothing is to be read of those that have."""
    try:
        return await theirs(params)
    except MCPError as error:
        if error.error.code not in _NONE_OF_THEIRS:
            raise
        return {}


def _behind(ours: Sequence[Mapping[str, Any]], page: dict[str, Any], method: str) -> dict[str, Any]:
    key = LISTS[method][0]
    found = page.get(key)
    return {**page, key: [*ours, *(found if isinstance(found, list) else ())]}


def _listing(checkpoint: Checkpoint) -> dict[str, Any]:
    summary = str((checkpoint.body or {}).get("summary") or "")
    return {
        "uri": _BASE + checkpoint.id,
        "name": one_line(checkpoint.name, _LONGEST_NAME),
        "title": one_line(summary, _LONGEST_TITLE),
        "description": one_line(summary, _LONGEST_DESCRIPTION),
        "mimeType": _JSON,
        "annotations": {"lastModified": checkpoint.at.isoformat()},
    }


def _contents(checkpoint: Checkpoint) -> dict[str, Any]:
    """As JSON, and in words."""
    uri = _BASE + checkpoint.id
    whole = {"uri": uri, "mimeType": _JSON, "text": dumps(document(checkpoint)).decode()}
    return {"contents": [whole, {"uri": uri, "mimeType": "text/plain", "text": told(checkpoint)}]}
