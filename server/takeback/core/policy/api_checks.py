"""Whether the tables that describe an HTTP API fit together: the way of signing in, and declared operations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from takeback.core.policy.apis import Auth, Credentials, Operation
from takeback.core.policy.mistakes import Keys, Mistake, did_you_mean, listed
from takeback.core.policy.schema import Upstream
from takeback.core.policy.slots import BadTemplate, slots, sole

TYPES: Final = ("string", "integer", "number", "boolean", "object", "array")

_BASE: Final = re.compile(r"https?://[^/?#@\s]+(/[^?#\s]*)?")
_WITH_USER: Final = re.compile(r"https?://[^/?#]*@")
_METHOD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,30}")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "bearer": ("token",),
    "basic": ("username", "password"),
    "api_key": ("in", "name", "key"),
    "oauth2": ("token_url", "client_id", "client_secret"),
}
_ALLOWED: Final[Mapping[str, tuple[str, ...]]] = {"oauth2": ("client_auth", "scope", "audience")}
_FIELDS: Final[Mapping[str, str]] = {"place": "in"}


def api_mistakes(keys: Keys, upstream: Upstream) -> Iterator[Mistake]:
    """What is wrong with the description of an API."""
    if upstream.base_url is not None and _BASE.fullmatch(upstream.base_url) is None:
        yield Mistake(
            (*keys, "base_url"), "must be an http(s) address without a query", "credentials have their place in `auth`"
        )
    if upstream.openapi is not None and _WITH_USER.match(upstream.openapi) is not None:
        yield Mistake((*keys, "openapi"), "must hold no credentials", "they have their place in `auth`")
    if upstream.openapi is None and not upstream.operation:
        yield Mistake(
            keys, "has no tools", "name a document with `openapi`, or declare `[upstream.NAME.operation.TOOL]`"
        )
    elif upstream.openapi is None and upstream.base_url is None:
        yield Mistake((*keys, "operation"), "has no address to go to", "give the upstream a `base_url`")
    for place, method in enumerate(upstream.methods or ()):
        if _METHOD.fullmatch(method) is None:
            yield Mistake((*keys, "methods", place), "is no HTTP method", 'write "GET", "POST", and so on')
    if upstream.auth is not None:
        yield from _auth((*keys, "auth"), upstream.auth)
    for name, operation in upstream.operation.items():
        yield from _operation((*keys, "operation", name), operation)


def _auth(keys: Keys, auth: Auth) -> Iterator[Mistake]:
    yield from _credentials(keys, auth)
    for tenant, credentials in auth.tenants.items():
        yield from _credentials((*keys, "tenants", tenant), credentials)
    if auth.type is None and not auth.tenants:
        yield Mistake(keys, "does not say how to sign in", f"give it a `type`: {listed(_NEEDED)}")


def _credentials(keys: Keys, found: Auth | Credentials) -> Iterator[Mistake]:
    given = [_FIELDS.get(name, name) for name in sorted(found.model_fields_set - {"type", "tenants"})]
    needed = _NEEDED.get(found.type or "", ())
    allowed = (*needed, *_ALLOWED.get(found.type or "", ()))
    for name in needed:
        if name not in given:
            yield Mistake(keys, f'type "{found.type}" needs `{name}`', did_you_mean(name, given))
    for name in given:
        if name not in allowed:
            kind = f'type "{found.type}"' if found.type else "an `auth` without a `type`"
            yield Mistake((*keys, name), f"has no meaning for {kind}", "take it out")


def _operation(keys: Keys, operation: Operation) -> Iterator[Mistake]:
    if _METHOD.fullmatch(operation.method) is None:
        yield Mistake((*keys, "method"), "is no HTTP method", 'write "GET", "POST", and so on')
    if not operation.path.startswith("/") or "?" in operation.path or "#" in operation.path:
        yield Mistake((*keys, "path"), "must begin with `/` and hold no query", "arguments of a query stand in `query`")
    for name in operation.headers:
        if _HEADER.fullmatch(name) is None:
            yield Mistake((*keys, "headers", name), "is no name of a header")
    yield from _arguments(keys, operation)
    yield from _body(keys, operation)


def _arguments(keys: Keys, operation: Operation) -> Iterator[Mistake]:
    named, wrong = _named(keys, operation)
    yield from wrong
    for name, schema in operation.args.items():
        if isinstance(schema, str) and schema not in TYPES:
            yield Mistake((*keys, "args", name), f"must be {listed(TYPES)}, or a table", did_you_mean(schema, TYPES))
        if not wrong and name not in named:
            yield Mistake((*keys, "args", name), "stands nowhere in the request", f"write {{{name}}} where it belongs")
    for place, name in enumerate(operation.optional):
        if not wrong and name not in named:
            yield Mistake((*keys, "optional", place), f"there is no argument `{name}`", did_you_mean(name, named))


def _named(keys: Keys, operation: Operation) -> tuple[frozenset[str], list[Mistake]]:
    """The arguments that the templates name, and what is wrong with the templates."""
    named: set[str] = set()
    wrong: list[Mistake] = []
    templates: list[tuple[Keys, Any]] = [((*keys, "path"), operation.path), ((*keys, "body"), operation.body)]
    templates += [((*keys, "query", name), text) for name, text in operation.query.items()]
    templates += [((*keys, "headers", name), text) for name, text in operation.headers.items()]
    for place, template in templates:
        try:
            named |= slots(template)
        except BadTemplate as problem:
            wrong.append(Mistake(place, str(problem)))
    return frozenset(named), wrong


def _body(keys: Keys, operation: Operation) -> Iterator[Mistake]:
    kind = (operation.content_type or "").partition(";")[0].strip().lower()
    if operation.body is None:
        if operation.content_type is not None:
            yield Mistake((*keys, "content_type"), "has no meaning without a `body`", "take it out")
        return
    takes_tables = kind in {"", "application/json", "application/x-www-form-urlencoded", "multipart/form-data"}
    takes_tables = takes_tables or kind.endswith("+json")
    if isinstance(operation.body, str):
        if takes_tables and sole(operation.body) is None:
            yield Mistake(
                (*keys, "body"), "must be a table of fields, or one `{argument}`", "a text needs a `content_type`"
            )
    elif not takes_tables:
        yield Mistake((*keys, "body"), f"must be a text for {operation.content_type}")
