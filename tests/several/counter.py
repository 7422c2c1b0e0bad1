"""The world: an HTTP API in a process of its own, which counts by logical operation what it was made to do.

`python -m tests.several.counter [slowest]` serves on a free loopback port, says which, and ends when its standard
input does. A write is carried out at once and answered after up to `slowest` milliseconds: a guard can die in between.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import sys
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

Document = dict[str, Any]

_OK, _MADE, _NO_SUCH = "200 OK", "201 Created", "404 Not Found"


class World:
    """All that there is. `held` is set while a write was carried out and its answer waits for `opened`."""

    def __init__(self, slowest: float) -> None:
        self.records: dict[str, str] = {}
        self.notes: set[str] = set()
        self.paid: dict[str, Document] = {}
        self.effects: list[str] = []
        self.opened, self.held = asyncio.Event(), asyncio.Event()
        self.opened.set()
        self._slowest, self._random = slowest, random.Random(0)

    async def answer(self, method: str, path: str, query: Document, body: Document, key: str | None) -> tuple[str, Any]:
        """Carry one request out: its status and its answer."""
        for wanted, pattern, do in _ROUTES:
            found = re.fullmatch(pattern, path)
            if wanted == method and found is not None:
                status, answer = do(self, {**query, **body, **found.groupdict()}, key)
                if not path.startswith("/test/") and method != "GET":
                    await self._before_answering()
                elif path == "/test/held":
                    await self.held.wait()
                return status, answer
        return _NO_SUCH, {"error": "no such operation"}

    async def _before_answering(self) -> None:
        if not self.opened.is_set():
            self.held.set()
            await self.opened.wait()
        await asyncio.sleep(self._random.uniform(0, self._slowest))


def _get(world: World, body: Document, _key: str | None) -> tuple[str, Any]:
    return _OK, {"id": body["id"], "value": world.records.get(body["id"], "none")}


def _set(world: World, body: Document, _key: str | None) -> tuple[str, Any]:
    world.records[body["id"]] = body["value"]
    world.effects.append(f"set {body['id']} {body['value']}")
    return _OK, {"ok": True}


def _find(world: World, body: Document, _key: str | None) -> tuple[str, Any]:
    return _OK, {"found": body["text"] in world.notes}


def _note(world: World, body: Document, _key: str | None) -> tuple[str, Any]:
    world.notes.add(body["text"])
    world.effects.append(f"note {body['text']}")
    return _MADE, {"ok": True}


def _charge(world: World, body: Document, _key: str | None) -> tuple[str, Any]:
    world.effects.append(f"charge {body['account']} {body['amount']}")
    return _MADE, {"ok": True}


def _pay(world: World, body: Document, key: str | None) -> tuple[str, Any]:
    """Honours keys: the same key again gets the answer of the first time, and does nothing."""
    if key is None or key not in world.paid:
        world.effects.append(f"pay {body['account']} {body['amount']}")
        world.paid[key or f"none-{len(world.paid)}"] = {"ok": True, "number": len(world.paid)}
    return _MADE, world.paid.get(key or "", {"ok": True})


def _effects(world: World, _body: Document, _key: str | None) -> tuple[str, Any]:
    return _OK, {"effects": world.effects}


def _hold(world: World, _body: Document, _key: str | None) -> tuple[str, Any]:
    world.held.clear()
    world.opened.clear()
    return _OK, {}


def _open(world: World, _body: Document, _key: str | None) -> tuple[str, Any]:
    world.opened.set()
    return _OK, {}


_ROUTES: Final[tuple[tuple[str, str, Callable[[World, Document, str | None], tuple[str, Any]]], ...]] = (
    ("GET", r"/records/(?P<id>[\w-]+)", _get),
    ("PUT", r"/records/(?P<id>[\w-]+)", _set),
    ("GET", r"/notes", _find),
    ("POST", r"/notes", _note),
    ("POST", r"/charges", _charge),
    ("POST", r"/payments", _pay),
    ("GET", r"/test/effects", _effects),
    ("POST", r"/test/hold", _hold),
    ("POST", r"/test/open", _open),
    ("GET", r"/test/held", lambda _world, _body, _key: (_OK, {})),
)


async def serve(world: World, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, request after request."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            method, target, _ = first.split(" ")
            parts = urlsplit(target)
            content = await reader.readexactly(int(headers.get("content-length", "0")))
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            body = json.loads(content or b"{}")
            status, answer = await world.answer(method, parts.path, query, body, headers.get("idempotency-key"))
            data = json.dumps(answer).encode()
            fields = f"content-type: application/json\r\ncontent-length: {len(data)}"
            writer.write(f"HTTP/1.1 {status}\r\n{fields}\r\n\r\n".encode() + data)
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        pass  # whoever asked has gone
    finally:
        writer.close()


async def main(slowest: float) -> None:
    """Serve until standard input ends."""
    world = World(slowest)
    server = await asyncio.start_server(lambda r, w: serve(world, r, w), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.buffer.read)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) / 1000 if len(sys.argv) > 1 else 0.0))
    os._exit(0)
