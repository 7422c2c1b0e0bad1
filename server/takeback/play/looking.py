"""Looks at the real system itself, past the guard, through a connection of the player's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from takeback.bootstrap import client_of
from takeback.core.expressions import Expression, ExpressionError
from takeback.core.jsontext import JSON
from takeback.core.policy.load import Policy
from takeback.core.results import is_error, record, text_of
from takeback.play.scenario import WorldStep, filled
from takeback.play.showing import Told, brief
from takeback.ports import ToolClient

T = TypeVar("T")

CALL_TIMEOUT: Final = 60.0
BETWEEN: Final = 0.1
"""Seconds between two looks, where one waits: a real system does not tell when it changes."""


async def looked(policy: Policy, look: WorldStep, saved: dict[str, str], within: float | None = None) -> Told:
    """What is seen, at the latest when the time that it is given (in seconds; the look's own otherwise) is over."""
    upstream, _, tool = look.tool.partition(".")
    arguments = filled(look.args, saved)
    async with _direct(policy, upstream) as client:

        async def once() -> tuple[JSON, Sequence[str]]:
            params = {"name": tool, "arguments": arguments}
            result = await client.request("tools/call", params, timeout=CALL_TIMEOUT)
            data = record(result)
            return data, _unmet(look, result, data, saved)

        data, failures = await until_met(once, look.within.total_seconds() if within is None else within)
    seen = {name: _at(data, name) for name in look.see} if look.see else data
    return Told((f"world   {look.tool}({brief(arguments)}): {brief(seen)}",), tuple(failures))


async def until_met(look: Callable[[], Awaitable[tuple[T, Sequence[str]]]], within: float) -> tuple[T, Sequence[str]]:
    """What a look shows, and what of it is not as wanted: repeated until all is, or `within` seconds are over."""
    until = asyncio.get_running_loop().time() + within
    while True:
        seen, failures = await look()
        if not failures or asyncio.get_running_loop().time() >= until:
            return seen, failures
        await asyncio.sleep(BETWEEN)


def _unmet(look: WorldStep, result: dict[str, Any], data: JSON, saved: dict[str, str]) -> tuple[str, ...]:
    if look.true is None:
        return (f"{look.tool} failed: {text_of(result)}",) if is_error(result) else ()
    try:
        held = Expression(filled(look.true, saved)).truth({"result": data})
    except ExpressionError as error:
        return (str(error),)
    return () if held else (f"not true of the world: {look.true}",)


@asynccontextmanager
async def _direct(policy: Policy, upstream: str) -> AsyncIterator[ToolClient]:
    client = client_of(upstream, policy.file.upstream[upstream], policy.file.defaults.tenant)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


def _at(value: JSON, path: str) -> JSON:
    """What lies under a dotted path (`mails.0.body`); null where nothing does."""
    for name in path.split("."):
        if isinstance(value, list):
            value = value[int(name)] if name.isdecimal() and int(name) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value
