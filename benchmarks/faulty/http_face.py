"""The faulty upstream over streamable HTTP: plain JSON answers, no session, and connections that can be reset."""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from benchmarks.faulty.wire import GARBAGE, Handles, Wire

HELD: Final = 30.0
"""Seconds for which a request that is never answered holds its connection, unless its client leaves before."""

_OK, _ACCEPTED, _NOT_ALLOWED = 200, 202, 405


class Face(ThreadingHTTPServer):
    """One thread for each connection."""

    daemon_threads = True

    def __init__(self, upstream: Handles) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream = upstream


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Face
    held = False

    def do_POST(self) -> None:
        """A message of the protocol."""
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "method" not in message or "id" not in message:
            self._send(_ACCEPTED, b"")
            return
        wire = Wire(
            answer=lambda found: self._send(_OK, json.dumps(found).encode()),
            garbage=lambda: self._send(_OK, GARBAGE.encode()),
            reset=self._reset,
            drop=self._hold,
        )
        self.server.upstream.handle(message, wire)

    def do_GET(self) -> None:
        """No stream of its own."""
        self._send(_NOT_ALLOWED, b"")

    def do_DELETE(self) -> None:
        """No session that could be ended."""
        self._send(_NOT_ALLOWED, b"")

    def _send(self, status: int, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if self.held:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
        except OSError:
            self.close_connection = True  # the client has left

    def _reset(self) -> None:
        """Closed with a reset instead of an end (linger on, zero seconds)."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _hold(self) -> None:
        """Until the client leaves: then there is something to read, which is the end."""
        self.held = True
        select.select([self.connection], [], [], HELD)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is inherited
        """Silence: stderr tells the port and nothing else."""


def serve_http(upstream: Handles) -> None:
    """On a free port of the loopback, said on stderr, until the process is told to end."""
    server = Face(upstream)
    sys.stderr.write(f"serving http://127.0.0.1:{server.server_port}/mcp\n")
    sys.stderr.flush()
    server.serve_forever()
