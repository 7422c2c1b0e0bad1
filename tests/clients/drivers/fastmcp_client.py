"""The client of FastMCP, driven by lines of JSON: run by the Python of an environment of its own.

Its argument says where the guard is. Each line of standard input is `{"list": true}` or a call, each line of standard
output the answer.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from fastmcp import Client
from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport


async def agree(message: str, response_type: Any, params: Any, context: Any) -> Any:
    """The person behind the client, who agrees to whatever a form asks."""
    return ElicitResult(action="accept", content={"decision": "approve"})


async def main() -> None:
    where = json.loads(sys.argv[1])
    if "url" in where:
        transport: Any = StreamableHttpTransport(where["url"])
    else:
        command, *args = where["command"]
        transport = StdioTransport(command, args, env=where["env"])
    async with Client(transport, elicitation_handler=agree if where["forms"] else None) as client:
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await answer(client, json.loads(line))), flush=True)


async def answer(client: Any, asked: dict[str, Any]) -> Any:
    if "list" in asked:
        return sorted(tool.name for tool in await client.list_tools())
    result = await client.call_tool(asked["tool"], asked["arguments"], raise_on_error=False)
    return {"texts": [block.text for block in result.content], "error": result.is_error}


asyncio.run(main())
