"""The application: each route of the table, behind one token."""

import logging
import secrets
import sqlite3
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as Path
from starlette.types import ASGIApp, Receive, Scope, Send

from desk import faults
from desk.catalogue import overtake, perform
from desk.errors import DeskError
from desk.records import Record
from desk.rest import conditions, keys, mishaps
from desk.rest.answers import Answer, problem, refusal, shown, tag_of
from desk.rest.document import describe
from desk.rest.requests import arguments_of
from desk.rest.routes import ROUTES, Route
from desk.store import transaction

DOCUMENT = "/openapi.json"

logger = logging.getLogger("helpdesk")


def make_app(db: sqlite3.Connection, token: str) -> ASGIApp:
    """The API over this database, for callers who know the token. The document is for everybody."""
    document = describe()

    async def show_document(_request: Request) -> Response:
        return JSONResponse(document)

    app = Starlette(
        routes=[Path(DOCUMENT, show_document), *(_path(db, route) for route in ROUTES)],
        exception_handlers={HTTPException: _refuse, Exception: _fail},
    )
    return Guarded(app, token)


class Guarded:
    """Lets nobody through who does not bring the token, but to the document."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        """Stand before this application."""
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or hand over."""
        if scope["type"] == "http" and scope["path"] != DOCUMENT and not self._known(scope):
            told = problem(HTTPStatus.UNAUTHORIZED, "bring the token: `Authorization: Bearer ...`")
            await told.response(**{"WWW-Authenticate": 'Bearer realm="helpdesk"'})(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _known(self, scope: Scope) -> bool:
        brought = [value for name, value in scope["headers"] if name == b"authorization"]
        return len(brought) == 1 and secrets.compare_digest(brought[0], self._expected)


def _path(db: sqlite3.Connection, route: Route) -> Path:
    return Path(route.path, _endpoint(db, route), methods=[route.method], name=route.name)


def _endpoint(db: sqlite3.Connection, route: Route) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            arguments = await arguments_of(route, request)
            fault = faults.planned(route.name, mishaps.MODES)
            if fault:
                await fault.before()
                overtake(db, fault)
            # Without an await: what one request does to the desk, and what it finds there, is one piece.
            answer = _write(db, route, request, arguments) if route.writes else _read(db, route, request, arguments)
            if fault:
                await fault.after(None)
                return mishaps.spoiled(fault, answer)
            return answer.response()
        except DeskError as error:
            return refusal(error).response()
        except faults.InjectedError as error:
            return mishaps.failed(error)

    return endpoint


def _read(db: sqlite3.Connection, route: Route, request: Request, arguments: Record) -> Answer:
    record = perform(db, route.name, arguments)
    if not route.tagged:
        return shown(record)
    tag = tag_of(record)
    if conditions.matches(request.headers.get("if-none-match", ""), tag, weak=True):
        return Answer(HTTPStatus.NOT_MODIFIED, headers={"ETag": tag})
    return shown(record, ETag=tag)


def _write(db: sqlite3.Connection, route: Route, request: Request, arguments: Record) -> Answer:
    """Recall the answer, or check the conditions, write, and store the answer: in one transaction."""
    key, mark = keys.checked(request.headers.get(keys.HEADER)), keys.fingerprint(route.name, arguments)
    with transaction(db):
        if key is not None and (earlier := keys.recall(db, key, mark)):
            return Answer(earlier.status, earlier.body, {**earlier.headers, keys.REPLAYED: "true"})
        conditions.check(db, route, arguments, request.headers)
        answer = _made(db, route, arguments)
        if key is not None:
            keys.store(db, key, mark, answer)
        return answer


def _made(db: sqlite3.Connection, route: Route, arguments: Record) -> Answer:
    new = route.location is not None or (route.puts and not _stands(db, route, arguments))
    record = perform(db, route.name, arguments)
    headers = {"ETag": tag_of(record)} if route.tagged else {}
    if route.location is not None:
        headers["Location"] = route.location.format(**record)
    return shown(record, route.made if new else HTTPStatus.OK, **headers)


def _stands(db: sqlite3.Connection, route: Route, arguments: Record) -> bool:
    try:
        route.answers(db, arguments)
    except DeskError:
        return False
    return True


async def _refuse(_request: Request, error: Exception) -> Response:
    """What the router refuses: no such place, no such method."""
    assert isinstance(error, HTTPException)
    return problem(error.status_code, error.detail, dict(error.headers or {})).response()


async def _fail(_request: Request, error: Exception) -> Response:
    logger.error("failed", exc_info=error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error").response()
