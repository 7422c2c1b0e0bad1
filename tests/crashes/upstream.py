"""The world: a real HTTP API on loopback, outside of the guard's process. It counts effects and can kill its caller.

A request may say what is to befall whoever sent it: `X-Crash: done` kills it when the request was carried out and not
yet answered, `X-Crash: late` kills it at the arrival, and the request is carried out once somebody has looked for it,
or some time later.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

LATE: Final = 0.75
"""Seconds after the death of its sender at which a late request is carried out, unless somebody looks before."""

LANDS_WITHIN: Final = 1.0
"""Seconds within which this API has carried out what reached it: what the policy is told."""

_PATIENCE: Final = 20.0
_OK, _MADE, _GONE, _NO_SUCH = 200, 201, 404, 405

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Effect:
    """A change that was carried out, during which of the agent's steps, and of which logical operation."""

    step: str
    operation: str


def fresh_records() -> dict[str, Document]:
    """What every case begins with."""
    names = [*(f"S-{at}" for at in range(1, 4)), *(f"D-{at}" for at in range(4)), *(f"U-{at}" for at in range(8))]
    return {name: {"id": name, "title": f"About {name}", "priority": "normal", "level": "0"} for name in names}


@dataclass(slots=True)
class State:
    """All that one case changes."""

    records: dict[str, Document] = field(default_factory=fresh_records)
    notes: list[Document] = field(default_factory=list)
    charges: list[Document] = field(default_factory=list)
    paid: dict[str, Document] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    step: str = ""
    landing: str = ""
    slow: float = 0.0
    late: float = LATE
    looked: threading.Event = field(default_factory=threading.Event)
    overdue: bool = False


class World:
    """The API's state, and its hands on the guard. `arrived` is set by a change that waits for `opened`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way = 0
        self._idle = threading.Condition()
        self.state = State()
        self.opened, self.arrived = threading.Event(), threading.Event()
        self.opened.set()
        self.port = 0

    def reset(self) -> None:
        """Begin anew, once everything that is on its way has landed."""
        self.opened.set()
        self.quiet()
        self.state = State()
        self.arrived.clear()

    def quiet(self) -> None:
        """Wait until nothing is being carried out."""
        with self._idle:
            if not self._idle.wait_for(lambda: self._under_way == 0, _PATIENCE):
                raise TimeoutError("the API is still at work")

    def hold(self) -> None:
        """Let the next changes wait until `opened` is set."""
        self.arrived.clear()
        self.opened.clear()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Something is being carried out."""
        with self._idle:
            self._under_way += 1
        try:
            yield
        finally:
            with self._idle:
                self._under_way -= 1
                self._idle.notify_all()

    def carry_out(self, step: str, method: str, path: str, body: Document, key: str | None) -> tuple[int, Any]:
        """One request that was sent during a step: its status and its answer."""
        with self._lock:
            self.state.landing = step
            for wanted, pattern, do in _ROUTES:
                found = re.fullmatch(pattern, path)
                if wanted == method and found is not None:
                    return do(self.state, body | found.groupdict(), key)
        return _NO_SUCH, {"error": "no such operation"}


def _effect(state: State, *names: object) -> None:
    state.effects.append(Effect(state.landing, " ".join(str(name) for name in names)))


def _get(state: State, body: Document, _key: str | None) -> tuple[int, Any]:
    found = state.records.get(body["id"])
    return (_OK, dict(found)) if found is not None else (_GONE, {"error": "not found"})


def _put(state: State, body: Document, _key: str | None) -> tuple[int, Any]:
    found = state.records.get(body["id"])
    if found is None:
        return _GONE, {"error": "not found"}
    name = "priority" if "priority" in body else "level"
    found[name] = body[name]
    _effect(state, name, body["id"], body[name])
    return _OK, {"ok": True, "id": body["id"]}


def _make(state: State, body: Document, _key: str | None) -> tuple[int, Any]:
    made = {"id": body["id"], "title": body["title"], "priority": "normal", "level": "0"}
    state.records[body["id"]] = made
    _effect(state, "make", body["id"], body["title"])
    return _MADE, dict(made)


def _delete(state: State, body: Document, _key: str | None) -> tuple[int, Any]:
    if state.records.pop(body["id"], None) is None:
        return _GONE, {"error": "not found"}
    _effect(state, "delete", body["id"])
    return _OK, {"deleted": body["id"]}


def _note(state: State, body: Document, _key: str | None) -> tuple[int, Any]:
    state.notes.append({"id": f"N-{len(state.notes)}", "text": body["text"]})
    _effect(state, "note", body["text"])
    return _MADE, state.notes[-1]


def _notes(state: State, _body: Document, _key: str | None) -> tuple[int, Any]:
    return _OK, {"notes": list(state.notes)}


def _charge(state: State, body: Document, _key: str | None) -> tuple[int, Any]:
    state.charges.append(body)
    _effect(state, "charge", body["account"], body["amount"])
    return _MADE, {"charged": body["amount"]}


def _pay(state: State, body: Document, key: str | None) -> tuple[int, Any]:
    """Honours keys: the same key again gets the answer of the first time, and does nothing."""
    if key is not None and key in state.paid:
        return _MADE, state.paid[key]
    _effect(state, "pay", body["account"], body["amount"])
    answer = {"payment": f"P-{len(state.paid)}", "amount": body["amount"]}
    if key is not None:
        state.paid[key] = answer
    return _MADE, answer


_ROUTES: Final[tuple[tuple[str, str, Callable[[State, Document, str | None], tuple[int, Any]]], ...]] = (
    ("GET", r"/records/(?P<id>[\w-]+)", _get),
    ("PUT", r"/records/(?P<id>[\w-]+)/(?:priority|level)", _put),
    ("PUT", r"/records/(?P<id>[\w-]+)", _make),
    ("DELETE", r"/records/(?P<id>[\w-]+)", _delete),
    ("POST", r"/notes", _note),
    ("GET", r"/notes", _notes),
    ("POST", r"/charges", _charge),
    ("POST", r"/payments", _pay),
)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world: World

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        data = self.rfile.read(length)
        if len(data) < length:
            self.close_connection = True
            return  # whoever sent it died in the middle of it
        body = json.loads(data or b"{}")
        with self.world.busy():
            step = self.world.state.step  # the one in which it was sent, however late it lands
            self._crash_before()
            self._wait()
            status, answer = self.world.carry_out(
                step, self.command, self.path, body, self.headers.get("Idempotency-Key")
            )
            if self.command == "GET":
                self.world.state.looked.set()
            if self.headers.get("X-Crash") == "done":
                self._kill()
        self._answer(status, answer)

    def _crash_before(self) -> None:
        if self.headers.get("X-Crash") != "late":
            return
        self._kill()
        died = time.monotonic()
        state = self.world.state
        state.looked.clear()
        state.looked.wait(state.late)  # it lands when it does most harm: right after the first look
        self.world.state.overdue |= time.monotonic() - died > LANDS_WITHIN * 0.95

    def _wait(self) -> None:
        if self.command == "GET":
            return
        if self.world.state.slow:
            threading.Event().wait(self.world.state.slow)  # likewise: a slow upstream
        if not self.world.opened.is_set():
            self.world.arrived.set()
            self.world.opened.wait(_PATIENCE)

    def _kill(self) -> None:
        kill(int(self.headers["X-Pid"]))

    def _answer(self, status: int, answer: Any) -> None:
        data = json.dumps(answer).encode()
        with suppress(OSError):  # whoever asked is dead
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - the library's names

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Nothing is said."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 32
    disable_nagle_algorithm = True


@contextmanager
def serving() -> Iterator[World]:
    """The API, on a port of its own, in threads of this process."""
    world = World()
    handler = type("Handler", (_Handler,), {"world": world})
    with _Server(("127.0.0.1", 0), handler) as server:
        world.port = int(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield world
        finally:
            world.opened.set()
            server.shutdown()
            thread.join(_PATIENCE)


def kill(pid: int) -> None:
    """SIGKILL, and wait until the process has ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    await_end(pid)


def await_end(pid: int) -> None:
    """Wait until a process has ended. Raises TimeoutError."""
    with suppress(ProcessLookupError):
        ended = os.pidfd_open(pid)
        try:
            if not select.select([ended], [], [], _PATIENCE)[0]:
                raise TimeoutError(f"process {pid} did not end")
        finally:
            os.close(ended)
