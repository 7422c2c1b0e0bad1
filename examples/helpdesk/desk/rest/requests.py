"""From a request to the arguments of an operation."""

import json
import re
from http import HTTPStatus
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request

from desk.catalogue.schema import Schema
from desk.errors import Invalid
from desk.records import Record
from desk.rest.answers import Refused
from desk.rest.routes import Route

LARGEST = 1_000_000
"""Bytes of a body."""


async def arguments_of(route: Route, request: Request) -> Record:
    """All arguments: those of the path, and those of the body or else of the query. Not yet held against the schema.

    Raises:
        Refused: the body cannot be read (400, 413, 415).
        Invalid: something is given twice, or where it does not belong.
    """
    if route.has_body:
        if request.query_params:
            raise Invalid(f"{route.name} takes no query; its arguments are the fields of the body")
        given = await _body(request)
    else:
        given = _query(route, request.query_params)
    if twice := sorted(given.keys() & request.path_params.keys()):
        raise Invalid(f"{', '.join(twice)} belongs into the path alone")
    return {**request.path_params, **given}


async def _body(request: Request) -> Record:
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the body must be application/json, not {kind}")
    content = await _bounded(request)
    try:
        body = json.loads(content or b"{}")
    except ValueError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "the body must be a JSON object")
    return body


async def _bounded(request: Request) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {LARGEST} bytes")
    return bytes(content)


def _query(route: Route, query: QueryParams) -> Record:
    names = [name for name, _ in query.multi_items()]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Invalid(f"{', '.join(twice)} is given more than once")
    return {name: _typed(text, route.elsewhere.get(name, {})) for name, text in query.items()}


def _typed(text: str, schema: Schema) -> Any:
    """What a text in a query stands for; one that does not fit stays a text, which the schema then refuses."""
    if schema.get("type") == "integer" and re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    return text
