"""From what the policy says about an API to the operations that can be called, and the origin that they go to."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin

import httpx2

from takeback.ports import NotSent, ToolFailure
from takeback_tools.http.auth import Fixed, Signature, SignIn
from takeback_tools.http.declared import declared
from takeback_tools.http.described import Source, TooMany, operations
from takeback_tools.http.documents import LONGEST_DOCUMENT, Loaded, UnusableDocument, is_url, load
from takeback_tools.http.operations import Operation
from takeback_tools.http.origin import Origin
from takeback_tools.http.places import first_server, is_same_origin
from takeback_tools.http.references import Node, References
from takeback_tools.http.settings import HttpSettings
from takeback_tools.http.swagger import converted, is_swagger

_OK: Final = 200
_UNCONNECTED: Final = "http://localhost/"


@dataclass(frozen=True, slots=True)
class Api:
    """An API that can be called: its operations by the names of their tools, in order."""

    origin: Origin
    operations: Mapping[str, Operation]


@dataclass(frozen=True, slots=True)
class Read:
    """A document in the words of version 3, and what it refers to."""

    main: Node
    references: References


async def prepare(name: str, settings: HttpSettings, client: httpx2.AsyncClient, sign_in: SignIn) -> Api:
    """Read the document, if there is one, and make the operations.

    Raises:
        NotSent: the API cannot be used as it is described; the message says why and what to do.
    """
    try:
        document = await _document(settings, client, sign_in)
        read = await asyncio.to_thread(_read, document) if document is not None else None
        base = _base(settings, read.main if read is not None else None)
        found = await asyncio.to_thread(_operations, name, settings, read, base)
    except (UnusableDocument, TooMany) as problem:
        raise NotSent(f"its document {_named(settings)} cannot be used: {problem}") from None
    return Api(Origin(client, base, settings.headers, sign_in), found)


def _named(settings: HttpSettings) -> str:
    return str(settings.openapi).partition("?")[0]


async def _document(settings: HttpSettings, client: httpx2.AsyncClient, sign_in: SignIn) -> Loaded | None:
    if settings.openapi is None:
        return None
    source = settings.openapi
    own = settings.base_url is None or (is_url(source) and is_same_origin(source, settings.base_url))
    # Credentials are the API's: a document that lies elsewhere is fetched without them.
    headers = settings.headers if own else {}
    origin = Origin(client, _UNCONNECTED, headers, sign_in if own else Fixed(Signature()))

    async def fetch(address: str) -> bytes:
        try:
            reply = await origin.fetch(address, settings.start_timeout)
        except ToolFailure as failure:
            raise NotSent(f"its document {address.partition('?')[0]} cannot be fetched: {failure}") from None
        if reply.status != _OK:
            raise UnusableDocument(f"the server answered {reply.said}")
        if len(reply.content) > LONGEST_DOCUMENT:
            raise UnusableDocument(f"it is longer than {LONGEST_DOCUMENT} bytes")
        return reply.content

    return await load(source, fetch)


def _base(settings: HttpSettings, main: Node | None) -> str:
    """Where the operations go: what the policy says, else what the document says about itself."""
    if settings.base_url is not None:
        return settings.base_url
    if main is None:
        raise UnusableDocument("there is none, and no `base_url` either")
    base = urljoin(main.base, first_server(main.value))
    if not is_url(base):
        raise UnusableDocument("it does not say where the API is; add `base_url` to the upstream in the policy")
    if is_url(main.base) and not is_same_origin(base, main.base):
        raise UnusableDocument(
            f"it says that the API is at {base.partition('?')[0]}, which is not where the document came from; "
            "if that is meant, add it as `base_url` to the upstream in the policy"
        )
    return base


def _operations(name: str, settings: HttpSettings, read: Read | None, base: str) -> dict[str, Operation]:
    found = [
        declared(name, tool, table, offered=settings.offers(table.method.upper(), table.path, frozenset(table.tags)))
        for tool, table in settings.operations.items()
    ]
    if read is not None:
        source = Source(name, read.main, read.references, base, settings.offers)
        found += operations(source, frozenset(settings.operations))
    return {operation.definition.name: operation for operation in found}


def _read(document: Loaded) -> Read:
    references = References(document.all)
    main = Node(document.main, document.address)
    if is_swagger(main.value):
        return Read(converted(main, references), references)
    if re.match(r"3\.\d", str(main.at("openapi").value)) is None:
        raise UnusableDocument("it is neither OpenAPI 3 nor Swagger 2.0")
    return Read(main, references)
