"""A guard that is stopped by the system between its last look at its leases and the send.

It makes the four writes at once, under the policy and on the records that its arguments name. When all of them are
about to be sent, it stops itself (SIGSTOP), and goes on when somebody says so (SIGCONT). Then it says what it answered.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from takeback import bootstrap
from takeback.core.policy.load import load
from takeback.core.policy.schema import Upstream
from takeback.guard.around import Around
from takeback.guard.calling import CallRequest
from takeback.ports import Caller, LedgerFailure, ProgressSink, ToolClient
from tests.matrix.oracle import Told, told
from tests.matrix.policies import RULES, Rule, arguments


class Stalling(Around):
    """A real connector, and a pause of the whole process once every rule's write is at it."""

    def __init__(self, client: ToolClient) -> None:
        super().__init__(client)
        self._here: set[str] = set()
        self._gone_on = asyncio.Event()

    async def request(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        *,
        timeout: float | None = None,
        progress: ProgressSink | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        if params is not None and params.get("name") in RULES:
            self._here.add(params["name"])
            if self._here == set(RULES):
                os.kill(os.getpid(), signal.SIGSTOP)
                self._gone_on.set()
            await self._gone_on.wait()
        return await super().request(method, params, timeout=timeout, progress=progress, headers=headers)


async def asked(guard: bootstrap.Guard, rule: Rule, record: str) -> Told:
    """A call of the agent, whichever guard it reaches: in the same run."""
    caller = Caller(tenant="acme", principal="agent", run="r1", client="matrix")
    try:
        reply = await guard.use_cases.call(CallRequest(caller=caller, name=rule, arguments=arguments(rule, record)))
    except LedgerFailure as failure:
        return Told("nothing", str(failure))
    return told(reply)


async def main(policy: str, record: str) -> None:
    client_of = bootstrap.client_of

    def stalling(name: str, upstream: Upstream, tenant: str) -> ToolClient:
        return Stalling(client_of(name, upstream, tenant))

    bootstrap.client_of = stalling
    loaded = load(policy, env={}, source="policy.toml")
    async with bootstrap.running(loaded) as guard:
        answers = await asyncio.gather(*(asked(guard, rule, f"{record}-{rule}") for rule in RULES))
    sys.stdout.write(json.dumps({rule: [one.word, one.text] for rule, one in zip(RULES, answers, strict=True)}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).read_text(), sys.argv[2]))
