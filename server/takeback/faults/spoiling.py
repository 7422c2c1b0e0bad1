"""What each fault does to one HTTP request and its answer."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final

from takeback.faults.kinds import Fault
from takeback.faults.messages import Request
from takeback.faults.relay import ERROR, message_of

_GARBAGE: Final = b"\x00\xff{{ this is no answer\r\n\r\n"
_AFTER: Final = frozenset(Fault) - {Fault.ERROR_BEFORE, Fault.UNAVAILABLE_BEFORE, Fault.CUT_BEFORE}

Carry = Callable[[], Awaitable[bytes]]


async def spoil(fault: Fault, request: Request, writer: asyncio.StreamWriter, carry: Carry) -> bool:
    """Do it to a request; `carry` has it carried out. Whether the connection goes on.

    Raises:
        OSError: one of the two ends is gone.
    """
    answer = await carry() if fault in _AFTER else b""
    match fault:
        case Fault.CUT_BEFORE | Fault.CUT_AFTER:
            _reset(writer)
            return False
        case Fault.REPLY_LOST:
            return True
        case Fault.DELIVERED_TWICE:
            await carry()
        case Fault.ANSWERED_TWICE:
            answer += answer
        case Fault.ERROR_BEFORE | Fault.ERROR_AFTER:
            answer = _error(request)
        case Fault.UNAVAILABLE_BEFORE | Fault.UNAVAILABLE_AFTER:
            answer = _status("503 Service Unavailable", b"")
        case Fault.GARBAGE:
            answer = _GARBAGE
        case Fault.TRUNCATED:
            answer = _half(answer)
        case Fault.LATE:
            pass  # it was late; now it is what it always was
    writer.write(answer)
    await writer.drain()
    return fault not in {Fault.GARBAGE, Fault.TRUNCATED}


def _half(answer: bytes) -> bytes:
    """The head, and half of the body."""
    head, rest, body = answer.partition(b"\r\n\r\n")
    return head + rest + body[: len(body) // 2]


def _error(request: Request) -> bytes:
    """A tool's error result where the request is MCP's, else the status 500."""
    message: dict[str, Any] = message_of(request.body)
    if "jsonrpc" not in message:
        return _status("500 Internal Server Error", b'{"error": "it failed"}')
    result = {"jsonrpc": "2.0", "id": message.get("id"), "result": ERROR}
    return _status("200 OK", json.dumps(result).encode())


def _status(line: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {line}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close it so that the other end is told of a reset, not of an end."""
    end = writer.get_extra_info("socket")
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
