"""What can go wrong on the way of an answer, on demand: the half of `desk.faults` that only HTTP knows."""

import socket
import struct
from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from desk.faults import COMMON, NOT_JSON, Fault, InjectedBusyError, InjectedError, InjectedResetError, Mode
from desk.rest.answers import Answer, problem

MODES: frozenset[Mode] = COMMON | {"garbage", "truncated", "busy_before", "busy_after", "reset_before", "reset_after"}
"""The faults that this face can show."""

_TRANSPORT = "helpdesk.transport"


class Cuttable(HttpToolsProtocol):
    """Hands the connection on with each request, so that it can be cut. Nothing in ASGI does that."""

    def on_message_begin(self) -> None:
        """As before, with the transport beside the request."""
        super().on_message_begin()
        self.scope["extensions"] = {_TRANSPORT: {"transport": self.transport}}


class Reset(Response):
    """No answer: the connection ends with a reset (RST), as when the peer's machine went down."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Cut the connection."""
        transport = _transport(scope)
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        await _gone(receive)


class Truncated(Response):
    """Half of the answer, and then the end of the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send less than the headers promise."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})
        _transport(scope).close()
        await _gone(receive)


def failed(error: InjectedError) -> Response:
    """What an error on purpose looks like."""
    match error:
        case InjectedResetError():
            return Reset()
        case InjectedBusyError():
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Retry-After": "1"}).response()
        case _:
            return problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)).response()


def spoiled(fault: Fault, answer: Answer) -> Response:
    """The answer as it goes out, where the fault lies in the answer itself."""
    match fault.mode:
        case "garbage":
            return Response(NOT_JSON, answer.status, media_type="application/json")
        case "truncated":
            return Truncated(answer.body, answer.status, answer.headers)
        case _:
            return answer.response()


async def _gone(receive: Receive) -> None:
    """Wait until the server knows that the connection is closed; it would mend the answer otherwise."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _transport(scope: Scope) -> Any:
    return scope["extensions"][_TRANSPORT]["transport"]
