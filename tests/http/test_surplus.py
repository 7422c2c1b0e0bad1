"""What a server says beyond its answer is not the answer to the next request."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from takeback_tools.mcp.connector import McpConnector
from takeback_tools.mcp.settings import McpSettings
from tests.http.served import call, connected, document, scripted, text_of

PATHS = {"/n": {"get": {"operationId": "n", "responses": {"200": {"description": ""}}}}}


def answer(text: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


@pytest.mark.parametrize("surplus", [answer("stale"), b"HTTP/1.1 200 OK\r\n", b"x"])
async def test_an_api_that_answers_twice(tmp_path: Path, surplus: bytes) -> None:
    asked = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while True:
            await reader.readuntil(b"\r\n\r\n")
            asked += 1
            writer.write(answer(f"answer {asked}") + surplus)

    async with scripted(script) as url, connected(url, document(PATHS), tmp_path) as connector:
        for number in (1, 2, 3):
            assert text_of(await call(connector, "n")) == [f"answer {number}"]


async def test_a_connection_without_a_surplus_is_used_again(tmp_path: Path) -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer("one"))

    async with scripted(script) as url, connected(url, document(PATHS), tmp_path) as connector:
        for _ in range(3):
            assert text_of(await call(connector, "n")) == ["one"]
    assert connections == 1


async def test_an_mcp_server_that_answers_twice() -> None:
    """Two answers of a shape that fits any request: which one is taken is told by the connection alone."""
    asked = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            message = (await reader.readexactly(length)).decode()
            if '"id"' not in message:
                writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
                continue
            asked += 1
            number = message.split('"id":')[1].split(",")[0].strip("} ")
            result = '{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}'
            if "initialize" not in message:
                result = f'{{"asked":{asked}}}'
            text = f'{{"jsonrpc":"2.0","id":{number},"result":{result}}}'
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode()
            writer.write((head + text.encode()) * 2)

    async with scripted(script) as url:
        connector = McpConnector("far", McpSettings(url=url, transport="http", timeout=10.0, start_timeout=10.0))
        try:
            before = (await connector.request("x/one", {}))["asked"]
            assert (await connector.request("x/two", {}))["asked"] == before + 1
        finally:
            await connector.close()
