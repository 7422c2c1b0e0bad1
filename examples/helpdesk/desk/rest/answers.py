"""An answer before it is on the wire: what is stored under an idempotency key, and how refusals look (RFC 9457)."""

import hashlib
import json
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.responses import Response

from desk.errors import Conflict, DeskError, Invalid, NotFound
from desk.records import Record

PROBLEM = "application/problem+json"


class Refused(DeskError):
    """A refusal that only HTTP knows: its status, and headers that go with it."""

    def __init__(self, status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> None:
        """Say why, for the caller to read."""
        super().__init__(detail)
        self.status, self.headers = status, headers or {}


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body; an equal request under the same key gets all three again."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def response(self, **more: str) -> Response:
        """The same, for the wire."""
        return Response(self.body, self.status, {**self.headers, **more})


def written(record: Record) -> bytes:
    """The one way in which a record is written down."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def tag_of(record: Record) -> str:
    """The record's strong ETag: another one as soon as a single byte of what a reader gets is another."""
    return f'"{hashlib.sha256(written(record)).hexdigest()[:32]}"'


def shown(record: Record, status: int = HTTPStatus.OK, **headers: str) -> Answer:
    """An answer that shows a record."""
    return Answer(int(status), written(record), {"Content-Type": "application/json", **headers})


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Answer:
    """A refusal."""
    told = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": int(status), "detail": detail}
    return Answer(int(status), written(told), {"Content-Type": PROBLEM, **(headers or {})})


def refusal(error: DeskError) -> Answer:
    """What a refusal of the desk is in HTTP."""
    match error:
        case Refused():
            return problem(error.status, str(error), error.headers)
        case NotFound():
            return problem(HTTPStatus.NOT_FOUND, str(error))
        case Conflict():
            return problem(HTTPStatus.CONFLICT, str(error))
        case Invalid():
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        case _:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
