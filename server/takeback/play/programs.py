"""Programs that a scenario needs beside the guard: an HTTP API, say, which no guard starts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from takeback.play.scenario import Program, ScenarioMistake, expanded

START_TIMEOUT: Final = 30.0
STOP_TIMEOUT: Final = 5.0
_SHOWN: Final = 500


@asynccontextmanager
async def running(
    programs: Mapping[str, Program], env: Mapping[str, str], folder: Path
) -> AsyncIterator[dict[str, str]]:
    """Start the programs; what each says first (where it listens) is given under the variable that it names.

    All are stopped at the end. What they write to standard error is kept in the folder, as `NAME.log`.

    Raises:
        ScenarioMistake: one does not start, or says nothing within 30 s.
    """
    async with AsyncExitStack() as stack:
        told: dict[str, str] = {}
        for name, program in programs.items():
            told[program.address] = await stack.enter_async_context(_running(name, program, env, folder))
        yield told


@asynccontextmanager
async def _running(name: str, program: Program, env: Mapping[str, str], folder: Path) -> AsyncIterator[str]:
    log = folder / f"{name}.log"
    command = [expanded(word, env) for word in program.command]
    with log.open("wb") as errors:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=folder,
                env={**os.environ, **env},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        except OSError as error:
            raise ScenarioMistake(f"program.{name}: {command[0]} cannot be started: {error.strerror}") from None
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT)
        if not line.endswith(b"\n"):
            raise ScenarioMistake(f"program.{name} ended at once: {log.read_text(errors='replace')[-_SHOWN:].strip()}")
        listening = asyncio.create_task(_heard(process.stdout))
        yield line.decode().strip()
        listening.cancel()
    except TimeoutError:
        raise ScenarioMistake(f"program.{name} did not say within {START_TIMEOUT:g} s where it listens") from None
    finally:
        await _stop(process)


async def _heard(output: asyncio.StreamReader) -> None:
    """What it says later is nobody's, but must not stop it."""
    while await output.read(65_536):
        pass


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
    except TimeoutError:
        process.kill()
        await process.wait()
