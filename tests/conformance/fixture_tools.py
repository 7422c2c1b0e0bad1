"""The tools that the conformance suite wants to call, in both eras."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

from mcp.server.subscriptions import InMemorySubscriptionBus, PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp.types import ElicitResult, SamplingMessage, TextContent

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
KEY = b"the key with which this server signs its own state"
NONE: dict[str, Any] = {"type": "object", "properties": {}}
bus = InMemorySubscriptionBus()

Tool = Callable[[Any, dict[str, Any]], Awaitable[dict[str, Any]]]
TOOLS: dict[str, tuple[dict[str, Any], Tool]] = {}


def tool(schema: dict[str, Any] | None = None) -> Callable[[Tool], Tool]:
    """Offer a function as a tool of its own name."""

    def offered(function: Tool) -> Tool:
        TOOLS[function.__name__] = (schema or NONE, function)
        return function

    return offered


def taking(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def text(value: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": value}]}


def resource(uri: str, mime: str, value: str) -> dict[str, Any]:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": mime, "text": value}}


# --- plain results ---


@tool()
async def test_simple_text(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    return text("This is a simple text response for testing.")


@tool()
async def test_image_content(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"content": [{"type": "image", "data": PNG, "mimeType": "image/png"}]}


@tool()
async def test_audio_content(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"content": [{"type": "audio", "data": WAV, "mimeType": "audio/wav"}]}


@tool()
async def test_embedded_resource(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"content": [resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")]}


@tool()
async def test_multiple_content_types(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    mixed = resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')
    image = {"type": "image", "data": PNG, "mimeType": "image/png"}
    return {"content": [{"type": "text", "text": "Multiple content types test:"}, image, mixed]}


@tool()
async def test_error_handling(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {**text("This tool intentionally returns an error for testing"), "isError": True}


SCHEMA_2020 = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


@tool(SCHEMA_2020)
async def json_schema_2020_12_tool(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    return text(json.dumps(args))


@tool({"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}})
async def test_custom_headers(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    return text(json.dumps(args))


# --- told in the course of a call ---


async def log(ctx: Any, *messages: str) -> None:
    for message in messages:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MCPDeprecationWarning)
            await ctx.session.send_log_message("info", message, related_request_id=ctx.request_id)
        await asyncio.sleep(0.05)  # the suite wants to see that they come one after the other


@tool()
async def test_tool_with_logging(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    await log(ctx, "Tool execution started", "Tool processing data", "Tool execution completed")
    return text("Tool with logging executed successfully")


@tool()
async def test_logging_tool(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    return await test_tool_with_logging(ctx, args)


@tool()
async def test_tool_with_progress(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    for step in (0, 50, 100):
        await ctx.session.report_progress(step, 100, f"Completed step {step} of 100")
        await asyncio.sleep(0.05)
    return text("Tool with progress executed successfully")


@tool()
async def test_reconnection(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    await log(ctx, "Before disconnect")
    if ctx.close_sse_stream is not None:
        await ctx.close_sse_stream()
    await asyncio.sleep(0.2)  # for the client to come back
    await log(ctx, "After reconnect")
    return text("Reconnection test completed")


@tool()
async def test_trigger_tool_change(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    await bus.publish(ToolsListChanged())
    return text("told")


@tool()
async def test_trigger_prompt_change(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    await bus.publish(PromptsListChanged())
    return text("told")


# --- asked by requests (the handshake era) ---


async def form(ctx: Any, message: str, properties: dict[str, Any], required: list[str]) -> ElicitResult:
    schema: Any = {"type": "object", "properties": properties, "required": required}
    found: ElicitResult = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
    return found


@tool(taking(prompt={"type": "string"}))
async def test_sampling(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    message = SamplingMessage(role="user", content=TextContent(text=args["prompt"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        answer = await ctx.session.create_message([message], max_tokens=100, related_request_id=ctx.request_id)
    return text(f"LLM response: {getattr(answer.content, 'text', '')}")


@tool(taking(message={"type": "string"}))
async def test_elicitation(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    properties = {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    }
    answer = await form(ctx, args["message"], properties, ["username", "email"])
    return text(f"User response: action={answer.action}, content={json.dumps(answer.content)}")


@tool()
async def test_elicitation_sep1034_defaults(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    properties = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    answer = await form(ctx, "Please review", properties, [])
    return text(f"Elicitation completed: action={answer.action}, content={json.dumps(answer.content)}")


def titled(*values: str) -> list[dict[str, str]]:
    return [{"const": value, "title": value.title()} for value in values]


@tool()
async def test_elicitation_sep1330_enums(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    options = ["option1", "option2", "option3"]
    values = titled("value1", "value2", "value3")
    legacy = {"enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]}
    properties = {
        "untitledSingle": {"type": "string", "enum": options},
        "titledSingle": {"type": "string", "oneOf": values},
        "legacyEnum": {"type": "string", **legacy},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
        "titledMulti": {"type": "array", "items": {"anyOf": values}},
    }
    answer = await form(ctx, "Please choose", properties, [])
    return text(f"Elicitation completed: action={answer.action}, content={json.dumps(answer.content)}")


# --- asked by the answer (the stateless era) ---


def elicitation(message: str, **properties: str) -> dict[str, Any]:
    fields = {name: {"type": kind} for name, kind in properties.items()}
    schema = {"type": "object", "properties": fields, "required": list(fields)}
    return {"method": "elicitation/create", "params": {"mode": "form", "message": message, "requestedSchema": schema}}


def sampling(prompt: str, most: int) -> dict[str, Any]:
    message = {"role": "user", "content": {"type": "text", "text": prompt}}
    return {"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": most}}


ROOTS: dict[str, Any] = {"method": "roots/list", "params": {}}


def signed(value: str) -> str:
    return f"{value}.{hmac.new(KEY, value.encode(), hashlib.sha256).hexdigest()}"


def state_of(ctx: Any) -> str | None:
    """What the client brought back, if it is ours."""
    given = ctx.params.get("requestState")
    if given is None:
        return None
    value = str(given).rpartition(".")[0]
    if not hmac.compare_digest(signed(value), str(given)):
        raise MCPError(code=-32602, message="requestState failed its integrity check")
    return value


def asked(state: str | None = None, /, **questions: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {"resultType": "input_required", "inputRequests": questions}
    return result if state is None else {**result, "requestState": signed(state)}


def answers(ctx: Any) -> dict[str, Any]:
    found = ctx.params.get("inputResponses")
    return found if isinstance(found, dict) else {}


def accepted(ctx: Any, name: str) -> Any:
    """The content of a form, if it was filled in as it should be."""
    answer = answers(ctx).get(name)
    content = answer.get("content") if isinstance(answer, dict) and answer.get("action") == "accept" else None
    return content if isinstance(content, dict) else None


@tool()
async def test_input_required_result_elicitation(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    content = accepted(ctx, "user_name")
    if content is None or not isinstance(content.get("name"), str):
        return asked(user_name=elicitation("What is your name?", name="string"))
    return text(f"Hello, {content['name']}!")


@tool()
async def test_streaming_elicitation(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    return await test_input_required_result_elicitation(ctx, args)


@tool()
async def test_input_required_result_sampling(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    answer = answers(ctx).get("capital_question")
    if answer is None:
        return asked(capital_question=sampling("What is the capital of France?", 100))
    return text(f"LLM response: {answer['content']['text']}")


@tool()
async def test_input_required_result_list_roots(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    answer = answers(ctx).get("client_roots")
    return asked(client_roots=ROOTS) if answer is None else text(f"Roots: {json.dumps(answer['roots'])}")


@tool()
async def test_input_required_result_request_state(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    if state_of(ctx) is None or accepted(ctx, "confirm") is None:
        return asked("asked to confirm", confirm=elicitation("Please confirm", ok="boolean"))
    return text("state-ok")


@tool()
async def test_input_required_result_tampered_state(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    return await test_input_required_result_request_state(ctx, args)


@tool()
async def test_input_required_result_multiple_inputs(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    questions = {
        "user_name": elicitation("What is your name?", name="string"),
        "greeting": sampling("Generate a greeting", 50),
        "client_roots": ROOTS,
    }
    if state_of(ctx) is None or not set(questions) <= set(answers(ctx)):
        return asked("asked three things", **questions)
    return text("All were answered")


@tool()
async def test_input_required_result_multi_round(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    state = state_of(ctx)
    if state is None:
        return asked("1", step1=elicitation("Step 1: What is your name?", name="string"))
    if state == "1":
        return asked("2", step2=elicitation("Step 2: What is your favorite color?", color="string"))
    return text("Both steps were answered")


def declared(ctx: Any) -> dict[str, Any]:
    meta = ctx.params.get("_meta") or {}
    found = meta.get("io.modelcontextprotocol/clientCapabilities")
    return found if isinstance(found, dict) else {}


@tool()
async def test_input_required_result_capabilities(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    possible = {
        "elicitation": ("user_name", elicitation("What is your name?", name="string")),
        "sampling": ("greeting", sampling("Generate a greeting", 50)),
        "roots": ("client_roots", ROOTS),
    }
    wanted = dict(question for capability, question in possible.items() if capability in declared(ctx))
    return text("done") if answers(ctx) or not wanted else asked(**wanted)


@tool()
async def test_missing_capability(ctx: Any, args: dict[str, Any]) -> dict[str, Any]:
    if "sampling" not in declared(ctx):
        raise MCPError(code=-32021, message="sampling is needed", data={"requiredCapabilities": {"sampling": {}}})
    return text("it is there")
