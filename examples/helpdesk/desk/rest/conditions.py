"""Conditional requests (RFC 9110, section 13): a write that holds only for the record that its caller has seen."""

import re
import sqlite3
from http import HTTPStatus

from starlette.datastructures import Headers

from desk.errors import NotFound
from desk.records import Record
from desk.rest.answers import Refused, tag_of
from desk.rest.routes import Route

_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def check(db: sqlite3.Connection, route: Route, arguments: Record, headers: Headers) -> None:
    """Hold the request's conditions against the record as it is now. Only sound inside the write's transaction.

    Raises:
        Refused: one of them does not hold (412).
        NotFound: the record is not there, and the write could not have made it.
    """
    if_match, if_none_match = headers.get("if-match"), headers.get("if-none-match")
    if if_match is None and if_none_match is None:
        return
    tag = _current(db, route, arguments)
    if if_match is not None and not matches(if_match, tag):
        now = "it is not there" if tag is None else f"its tag is {tag} now"
        raise Refused(HTTPStatus.PRECONDITION_FAILED, f"the record was changed since it was read: {now}", _shown(tag))
    if if_none_match is not None and matches(if_none_match, tag, weak=True):
        raise Refused(HTTPStatus.PRECONDITION_FAILED, "the record is there already", _shown(tag))


def matches(header: str, tag: str | None, *, weak: bool = False) -> bool:
    """Whether a list of tags, or `*`, names this one. A weak tag never matches where a strong one is asked for."""
    if tag is None:
        return False
    if header.strip() == "*":
        return True
    return any(found[2] == tag and (weak or not found[1]) for found in _TAG.finditer(header))


def _current(db: sqlite3.Connection, route: Route, arguments: Record) -> str | None:
    if route.record is None:
        return None  # nothing with a tag stands there: no tag can match
    try:
        return tag_of(route.answers(db, arguments))
    except NotFound:
        if route.puts:
            return None
        raise


def _shown(tag: str | None) -> dict[str, str]:
    return {"ETag": tag} if tag else {}
