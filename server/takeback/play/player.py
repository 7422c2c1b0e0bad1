"""The player: carries out a scenario's steps against a real guard and compares what comes back with what it expects."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from takeback.core.jsontext import dumps
from takeback.core.policy.load import Policy
from takeback.core.results import is_error, text_of
from takeback.play import showing
from takeback.play.looking import CALL_TIMEOUT, looked, until_met
from takeback.play.scenario import ENDINGS, CallStep, Expect, KillStep, PersonStep, Scenario, ShowStep, Step, filled
from takeback.play.showing import Told
from takeback.ports import Answered, ToolFailure
from takeback_tools.mcp.connector import McpConnector, connect
from takeback_tools.mcp.settings import McpSettings

KILL_WITHIN: Final = 20.0
"""Seconds within which what a kill waits for must be seen, where it does not say."""

_META: Final = "io.takeback/"


@dataclass(slots=True)
class Player:
    """One scenario on its way. `saved` holds action and approval ids by the names that steps gave them."""

    scenario: Scenario
    policy: Policy
    policy_path: Path
    folder: Path
    env: Mapping[str, str]
    saved: dict[str, str] = field(default_factory=dict)
    forms: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    agent: McpConnector | None = None

    async def play(self) -> AsyncIterator[tuple[Step, Told]]:
        """Carry the steps out, one after the other, until one does not come out as expected."""
        try:
            await self._connect()
            for step in self.scenario.step:
                told = await self._step(step)
                yield step, told
                if told.failures:
                    return
        finally:
            if self.agent is not None:
                await self.agent.close()

    async def _connect(self) -> None:
        """A new connection of the scripted agent: a fresh guard process on stdio."""
        if self.agent is not None:
            await self.agent.close()
        capabilities: dict[str, Any] = {"elicitation": {}} if self.scenario.forms else {}
        client = connect(
            "takeback",
            McpSettings(
                command=sys.executable,
                args=("-m", "takeback.cli", "serve", "--policy", str(self.policy_path)),
                env=dict(self.env),
                cwd=str(self.folder),
                transport="stdio",
                capabilities=capabilities,
                timeout=CALL_TIMEOUT,
            ),
        )
        client.on_request(self._form)
        await client.start()
        self.agent = client

    async def _form(self, method: str, params: Any) -> dict[str, Any]:
        """The scripted person at the client's form."""
        if method != "elicitation/create":
            raise Answered(-32601, "Method not found")
        self.questions.append(params["message"])
        answer = self.forms.pop(0) if self.forms else "ignore"
        if answer == "ignore":
            return {"action": "cancel"}
        await asyncio.sleep(0.35)  # a person is not quicker than that; the guard takes a quicker "no" for a machine's
        return {"action": "accept", "content": {"decision": answer, "reason": "as scripted"}}

    async def _step(self, step: Step) -> Told:
        if step.call is not None:
            return await self._call(step.call)
        if step.parallel:
            return showing.together(await asyncio.gather(*(self._call(call) for call in step.parallel)))
        if step.person is not None:
            return await self._person(step.person)
        if step.world is not None:
            return await looked(self.policy, step.world, self.saved)
        if step.edit is not None:
            return await looked(self.policy, step.edit, self.saved)
        if step.fault is not None:
            return self._fault(step.fault)
        if step.kill is not None:
            return await self._kill(step.kill)
        if step.reconnect:
            await self._connect()
            return Told(("wire    the agent reconnects: a guard is started for it",))
        assert step.show is not None
        return await self._show(step.show)

    async def _call(self, call: CallStep) -> Told:
        assert self.agent is not None
        arguments = filled(call.args, self.saved)
        params: dict[str, Any] = {"name": call.tool, "arguments": arguments}
        if call.meta:
            params["_meta"] = filled(call.meta, self.saved)
        shown = showing.call(call.tool, arguments)
        try:
            result = await self.agent.request("tools/call", params, timeout=CALL_TIMEOUT)
        except ToolFailure as failure:
            result = {"isError": True, "content": [{"type": "text", "text": str(failure)}]}
        self._save(call, result)
        if call.reply == "lost":
            return Told((*shown, "wire    the reply is lost; the agent sees a time-out"))
        lines = [*shown, *(f"guard   {line}" for line in showing.telling(text_of(result)))]
        return Told(tuple(lines), tuple(self._unmet(call.expect, result)))

    def _save(self, call: CallStep, result: Mapping[str, Any]) -> None:
        meta = result.get("_meta") or {}
        if call.save is not None:
            for ending, key in zip(ENDINGS, ("action", "approval", "confirm"), strict=True):
                self.saved[call.save + ending] = str(meta.get(_META + key, ""))

    def _unmet(self, expect: Expect, result: Mapping[str, Any]) -> list[str]:
        text, meta = text_of(result), result.get("_meta") or {}
        found: list[str] = []
        if expect.error is not None and is_error(result) is not expect.error:
            found.append(f"expected {'an error' if expect.error else 'no error'}: {text}")
        found += showing.missing(text, expect.text, expect.no_text)
        for name in ("status", "replayed", "verified", "undo"):
            wanted = getattr(expect, name)
            if wanted is not None and meta.get(_META + name) != wanted:
                found.append(f"expected {name} = {wanted}, got {meta.get(_META + name)}: {text}")
        action = meta.get(_META + "action")
        if expect.same_action_as and action != self.saved.get(expect.same_action_as):
            found.append(f"expected the same action as {expect.same_action_as}, got {action}")
        if expect.other_action_than and action == self.saved.get(expect.other_action_than):
            found.append(f"expected another action than {expect.other_action_than}")
        return found

    async def _person(self, person: PersonStep) -> Told:
        if person.forms is not None:
            self.forms = list(person.forms)
            return Told((f"person  will answer the next forms: {', '.join(person.forms)}",))
        verb, name = ("approve", person.approve) if person.approve else ("deny", person.deny)
        approval = self.saved.get(f"{name}_approval") or ""
        arguments = ["--yes"] if verb == "approve" else ["--reason", person.reason]
        code, output = await self.command(verb, approval, *arguments)
        lines = (f"person  takeback {verb} {approval}", f"        {output.strip()}")
        return Told(lines, () if code == 0 else (f"takeback {verb} ended with {code}: {output}",))

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Run the command line as a person would, in a process of its own; returns exit code and output."""
        command = (sys.executable, "-m", "takeback.cli", *arguments, "--policy", str(self.policy_path))
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env={**os.environ, **self.env},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), CALL_TIMEOUT)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode or 0, output.decode(errors="replace")

    async def _kill(self, kill: KillStep) -> Told:
        """End the guard's process without a warning, when the real system shows what is waited for."""
        assert self.agent is not None
        within = kill.once.within.total_seconds() or KILL_WITHIN
        told = await looked(self.policy, kill.once, self.saved, within)
        pid = self.agent.pid
        if told.failures or pid is None:
            return Told(told.lines, told.failures or ("the guard has ended by itself",))
        os.kill(pid, signal.SIGKILL)
        await self.agent.close()
        return Told((*told.lines, f"kill    kill -9 {pid}: the guard is gone, in the middle of it"))

    def _fault(self, fault: dict[str, Any]) -> Told:
        path = self.folder / filled(self.scenario.faults_file or "faults.json", self.saved)
        path.write_bytes(dumps(fault))
        return Told(
            (f"fault   the next call of {', '.join(fault)}: {', '.join(str(f.get('mode')) for f in fault.values())}",)
        )

    async def _show(self, show: ShowStep) -> Told:
        arguments = filled(show.command, self.saved).split()

        async def once() -> tuple[str, Sequence[str]]:
            code, output = await self.command(*arguments)
            if code != 0:
                return output, [f"takeback {arguments[0]} ended with {code}"]
            return output, showing.missing(output, filled(list(show.text), self.saved), show.no_text)

        output, failures = await until_met(once, show.within.total_seconds())
        lines = (
            f"person  takeback {' '.join(arguments)}",
            *(f"        {line}" for line in output.rstrip().splitlines()),
        )
        return Told(lines, tuple(failures))
