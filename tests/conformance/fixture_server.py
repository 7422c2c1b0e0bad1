"""The server that the conformance suite wants to meet, in both eras. Writes its port to standard output."""

from __future__ import annotations

import json
import socket
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from mcp.server.caching import CacheHint
from mcp.server.lowlevel import Server
from mcp.server.streamable_http import EventMessage, EventStore
from mcp.server.subscriptions import ListenHandler
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

from .fixture_tools import PNG, TOOLS, accepted, asked, bus, elicitation, resource

# --- prompts and resources ---


def user(content: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": content}


def said(value: str) -> dict[str, Any]:
    return user({"type": "text", "text": value})


PROMPTS: dict[str, tuple[str, ...]] = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}


async def list_prompts(ctx: Any, params: Any) -> dict[str, Any]:
    found = []
    for name, arguments in PROMPTS.items():
        taken = [{"name": argument, "description": argument, "required": True} for argument in arguments]
        found.append({"name": name, "description": name, "arguments": taken})
    return {"prompts": found}


async def get_prompt(ctx: Any, params: Any) -> dict[str, Any]:
    args = params.arguments or {}
    match params.name:
        case "test_simple_prompt":
            return {"messages": [said("This is a simple prompt for testing.")]}
        case "test_prompt_with_arguments":
            return {"messages": [said(f"Prompt with arguments: arg1='{args['arg1']}', arg2='{args['arg2']}'")]}
        case "test_prompt_with_embedded_resource":
            embedded = resource(args["resourceUri"], "text/plain", "Embedded resource content for testing.")
            return {"messages": [user(embedded), said("Please process the embedded resource above.")]}
        case "test_prompt_with_image":
            image = {"type": "image", "data": PNG, "mimeType": "image/png"}
            return {"messages": [user(image), said("Please analyze the image above.")]}
        case "test_input_required_result_prompt":
            content = accepted(ctx, "user_context")
            if content is None:
                return asked(user_context=elicitation("What context should the prompt use?", context="string"))
            return {"messages": [said(f"Use this context: {content['context']}")]}
        case _:
            raise MCPError(code=-32602, message=f"Unknown prompt: {params.name}")


RESOURCES = {
    "test://static-text": ("text/plain", "text", "This is the content of the static text resource."),
    "test://static-binary": ("image/png", "blob", PNG),
    "test://watched-resource": ("text/plain", "text", "Watched resource content"),
}


async def list_resources(ctx: Any, params: Any) -> dict[str, Any]:
    return {
        "resources": [{"uri": u, "name": u, "description": u, "mimeType": mime} for u, (mime, *_) in RESOURCES.items()]
    }


async def list_templates(ctx: Any, params: Any) -> dict[str, Any]:
    template = {"uriTemplate": "test://template/{id}/data", "name": "template", "mimeType": "application/json"}
    return {"resourceTemplates": [{**template, "description": "One record"}]}


async def read_resource(ctx: Any, params: Any) -> dict[str, Any]:
    uri = str(params.uri)
    if uri in RESOURCES:
        mime, kind, value = RESOURCES[uri]
        return {"contents": [{"uri": uri, "mimeType": mime, kind: value}]}
    if uri.startswith("test://template/") and uri.endswith("/data"):
        number = uri.removeprefix("test://template/").removesuffix("/data")
        data = {"id": number, "templateTest": True, "data": f"Data for ID: {number}"}
        return {"contents": [{"uri": uri, "mimeType": "application/json", "text": json.dumps(data)}]}
    raise MCPError(code=-32602, message="Resource not found", data={"uri": uri})


async def complete(ctx: Any, params: Any) -> dict[str, Any]:
    return {"completion": {"values": ["paris", "park", "party"], "total": 3, "hasMore": False}}


async def nothing(ctx: Any, params: Any) -> dict[str, Any]:
    return {}


async def list_tools(ctx: Any, params: Any) -> dict[str, Any]:
    return {
        "tools": [{"name": name, "description": name, "inputSchema": schema} for name, (schema, _) in TOOLS.items()]
    }


async def call_tool(ctx: Any, params: Any) -> dict[str, Any]:
    if params.name not in TOOLS:
        raise MCPError(code=-32602, message=f"Unknown tool: {params.name}")
    return await TOOLS[params.name][1](ctx, params.arguments or {})


class Kept(EventStore):
    """Every event of every stream, so that a stream can be gone on with."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    async def store_event(self, stream_id: str, message: Any) -> str:
        self.events.append((stream_id, message))
        return str(len(self.events))

    async def replay_events_after(self, last_event_id: str, send_callback: Any) -> str | None:
        stream = self.events[int(last_event_id) - 1][0]
        for number, (one, message) in enumerate(self.events[int(last_event_id) :], start=int(last_event_id) + 1):
            if one == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


def in_its_era(handler: Callable[[Any, Any], Awaitable[dict[str, Any]]]) -> Any:
    """The stateless era wants to be told that a result is one."""

    async def handled(ctx: Any, params: Any) -> dict[str, Any]:
        result = await handler(ctx, params)
        return {"resultType": "complete", **result} if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS else result

    return handled


CACHED: Any = ("tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read")


def make() -> Server[Any]:
    handlers: dict[str, Any] = {
        "on_list_tools": list_tools,
        "on_call_tool": call_tool,
        "on_list_prompts": list_prompts,
        "on_get_prompt": get_prompt,
        "on_list_resources": list_resources,
        "on_list_resource_templates": list_templates,
        "on_read_resource": read_resource,
        "on_subscribe_resource": nothing,
        "on_unsubscribe_resource": nothing,
        "on_completion": complete,
        "on_set_logging_level": nothing,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        return Server(
            "conformance",
            version="1",
            on_subscriptions_listen=ListenHandler(bus),
            get_tool_input_schema=lambda name: TOOLS[name][0] if name in TOOLS else None,
            cache_hints=dict.fromkeys(CACHED, CacheHint(ttl_ms=0, scope="private")),
            **{name: in_its_era(handler) for name, handler in handlers.items()},
        )


def main() -> None:
    app = make().streamable_http_app(event_store=Kept(), retry_interval=500)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)  # noqa: T201 - whoever started it reads it
        uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none")).run([listening])


if __name__ == "__main__":
    main()
