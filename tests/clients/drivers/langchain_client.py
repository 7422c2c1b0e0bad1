"""LangChain's MCP adapters, driven by lines of JSON: run by the Python of an environment of its own.

An agent of LangChain sees tools and their text; so does this. As `fastmcp_client.py` otherwise.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from langchain_mcp_adapters.callbacks import Callbacks
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools
from mcp.types import ElicitResult


async def agree(mcp_context: Any, params: Any, context: Any) -> ElicitResult:
    """The person behind the client, who agrees to whatever a form asks."""
    return ElicitResult(action="accept", content={"decision": "approve"})


async def main() -> None:
    where = json.loads(sys.argv[1])
    connection: dict[str, Any]
    if "url" in where:
        connection = {"transport": "streamable_http", "url": where["url"]}
    else:
        command, *args = where["command"]
        connection = {"transport": "stdio", "command": command, "args": args, "env": where["env"]}
    callbacks = Callbacks(on_elicitation=agree) if where["forms"] else None
    client = MultiServerMCPClient({"takeback": connection}, callbacks=callbacks)
    async with client.session("takeback") as session:
        tools = {tool.name: tool for tool in await load_mcp_tools(session, callbacks=callbacks)}
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await answer(tools, json.loads(line))), flush=True)


async def answer(tools: dict[str, Any], asked: dict[str, Any]) -> Any:
    if "list" in asked:
        return sorted(tools)
    call = {"type": "tool_call", "id": "1", "name": asked["tool"], "args": asked["arguments"]}
    message = await tools[asked["tool"]].ainvoke(call)
    blocks = message.content if isinstance(message.content, list) else [{"text": message.content}]
    return {"texts": [block["text"] for block in blocks], "error": message.status == "error"}


asyncio.run(main())
