"""The OpenAPI document, made from the catalogue and the table of routes."""

from datetime import timedelta
from http import HTTPStatus
from typing import Any

from desk.catalogue import Nature, billing, callbacks, contacts, documents, mail, reports, tickets
from desk.catalogue.schema import Schema
from desk.rest import keys
from desk.rest.answers import PROBLEM
from desk.rest.routes import ROUTES, Route

Json = dict[str, Any]

ABOUT = f"""\
The customer desk of two tenants, acme and globex: tickets, contacts, mail, billing, callbacks, documents.

Every record carries a strong `ETag`. A write with `If-Match` happens only if the record is still the one with that tag,
else it is answered by 412 and nothing is changed. A write with an `{keys.HEADER}` happens once: an equal request under
the same key gets the first answer again, marked `{keys.REPLAYED}: true`, another request under it is answered by 422.
Keys are kept for {keys.RETENTION // timedelta(hours=1)} hours. Refusals are not stored. Errors are problem documents
(RFC 9457)."""

RECORDS: dict[str, Schema] = {
    "Ticket": tickets.TICKET,
    "Comment": tickets.COMMENT,
    "Contact": contacts.CONTACT,
    "Balance": contacts.BALANCE,
    "Membership": contacts.MEMBERSHIP,
    "Draft": mail.DRAFT,
    "Mail": mail.MAIL,
    "Invoice": billing.INVOICE,
    "Charge": billing.CHARGE,
    "Refund": billing.REFUND,
    "Appointment": callbacks.APPOINTMENT,
    "Document": documents.DOCUMENT,
    "Settings": documents.SETTINGS,
    "Job": reports.JOB,
}

PROBLEM_SCHEMA: Schema = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was refused and why. Nothing was changed."},
    },
    "required": ["type", "title", "status", "detail"],
}

REFUSALS = {
    HTTPStatus.BAD_REQUEST: "The body or the key cannot be read.",
    HTTPStatus.UNAUTHORIZED: "The token is missing or wrong.",
    HTTPStatus.NOT_FOUND: "The record does not exist.",
    HTTPStatus.CONFLICT: "It makes sense, but not in the state that the desk is in.",
    HTTPStatus.PRECONDITION_FAILED: "The record is not the one that `If-Match` or `If-None-Match` asks for.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The arguments make no sense, or the key was used for another request.",
}

TAG = {"description": "The record's strong tag.", "schema": {"type": "string"}}
PLACE = {"description": "Where what was made stands.", "schema": {"type": "string"}}
TEXT = {"type": "string"}

HEADERS: dict[str, Json] = {
    "IfMatch": {"name": "If-Match", "description": "Write only if the record still has this tag."},
    "IfNoneMatch": {"name": "If-None-Match", "description": "`*`: write only if there is no such record yet."},
    "Unless": {"name": "If-None-Match", "description": "Answer 304 if the record still has this tag."},
    "IdempotencyKey": {"name": keys.HEADER, "description": "Do it once, however often it is asked for with this key."},
}


def describe() -> Json:
    """The whole document."""
    paths: dict[str, Json] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Help desk", "version": "1.0", "description": ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                **{name: _inside(schema) for name, schema in RECORDS.items()},
                "Problem": PROBLEM_SCHEMA,
            },
            "parameters": {name: {**header, "in": "header", "schema": TEXT} for name, header in HEADERS.items()},
            "responses": {_named(status): _refusal(status) for status in REFUSALS},
        },
    }


def _operation(route: Route) -> Json:
    described: Json = {
        "operationId": route.name,
        "summary": route.operation.description.partition(". ")[0].removesuffix("."),
        "description": route.operation.description,
        "tags": [route.path.split("/")[1]],
        "parameters": [*_parameters(route), *({"$ref": f"#/components/parameters/{name}"} for name in _headers(route))],
        "responses": {
            **_successes(route),
            **{str(int(status)): _ref("responses", _named(status)) for status in _refusals(route)},
        },
    }
    if route.has_body:
        described["requestBody"] = _body(route)
    return described


def _parameters(route: Route) -> list[Json]:
    properties = route.operation.arguments["properties"]
    path = [{"name": name, "in": "path", "required": True, "schema": properties[name]} for name in route.in_path]
    if route.has_body:
        return path
    required = route.operation.arguments["required"]
    return path + [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in route.elsewhere.items()
    ]


def _headers(route: Route) -> list[str]:
    if not route.writes:
        return ["Unless"] if route.tagged else []
    conditions = ["IfMatch"] * (route.record is not None) + ["IfNoneMatch"] * route.puts
    return [*conditions, "IdempotencyKey"]


def _body(route: Route) -> Json:
    required = [name for name in route.operation.arguments["required"] if name in route.elsewhere]
    schema = {"type": "object", "properties": route.elsewhere, "required": required, "additionalProperties": False}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _successes(route: Route) -> Json:
    words = "It will be done: the job tells when." if route.accepts else "It was made."
    made = {str(int(route.made)): _success(route, words)} if route.location is not None or route.puts else {}
    if route.location is not None:
        return made
    unchanged = {"304": {"description": "It still has that tag."}} if not route.writes and route.tagged else {}
    return {"200": _success(route, "It is so."), **made, **unchanged}


def _success(route: Route, words: str) -> Json:
    headers = {"ETag": TAG} if route.tagged else {}
    if route.location is not None:
        headers["Location"] = PLACE
    content = {"application/json": {"schema": _shared(route.operation.result)}}
    return {"description": words, "content": content, **({"headers": headers} if headers else {})}


def _refusals(route: Route) -> list[HTTPStatus]:
    statuses = [HTTPStatus.UNAUTHORIZED, HTTPStatus.UNPROCESSABLE_ENTITY]
    if route.writes:
        statuses += [HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT]
    if route.in_path or route.operation.nature is Nature.ADD:
        statuses.append(HTTPStatus.NOT_FOUND)
    if route.writes and route.record is not None:
        statuses.append(HTTPStatus.PRECONDITION_FAILED)
    return sorted(statuses)


def _refusal(status: HTTPStatus) -> Json:
    content = {PROBLEM: {"schema": _ref("schemas", "Problem")}}
    return {"description": REFUSALS[status], "content": content}


def _named(status: HTTPStatus) -> str:
    return status.phrase.title().replace(" ", "")


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


def _shared(schema: Any) -> Any:
    """The schema, with a reference in place of each record that has a name."""
    name = next((name for name, record in RECORDS.items() if record is schema), None)
    return _ref("schemas", name) if name else _inside(schema)


def _inside(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _shared(value) for key, value in schema.items()}
    return [_shared(item) for item in schema] if isinstance(schema, list) else schema
