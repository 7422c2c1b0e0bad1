"""Clients written by others list the tools, read, write, take back and wait for a person, on both transports."""

from __future__ import annotations

import re

import pytest

from .conftest import CLIENTS, Desk

MAIL = {"ticket_id": "T-101", "body": "You can sign in again."}
MAILS = "SELECT ticket_id, body FROM outbox WHERE ticket_id = 'T-101'"

everywhere = pytest.mark.parametrize("transport", ["stdio", "http"])
everyone = pytest.mark.parametrize("client", CLIENTS)


@everywhere
@everyone
async def test_it_lists_reads_writes_and_takes_back(desk: Desk, client: str, transport: str) -> None:
    async with desk.driven(client, transport) as agent:
        assert {"get_ticket", "update_ticket", "takeback_undo", "takeback_history"} <= set(await agent.list())

        read = await agent.call("get_ticket", ticket_id="T-182")
        assert not read.error
        assert '"priority": "normal"' in read.texts[0]
        assert "[takeback" not in read.line

        written = await agent.call("update_ticket", ticket_id="T-182", priority="high")
        assert not written.error
        assert re.fullmatch(r"\[takeback \w+\] T-182 .*priority normal -> high\. Undo: exact\.", written.line)
        assert desk.facts("SELECT priority FROM tickets WHERE ticket_id = 'T-182'") == [("high",)]

        again = await agent.call("update_ticket", ticket_id="T-182", priority="high")
        assert "nothing more is needed" in again.texts[0]

        undone = await agent.call("takeback_undo", reason="the wrong ticket")
        if confirm := re.search(r'confirm="([0-9a-f]+)"', undone.line):
            undone = await agent.call("takeback_undo", reason="the wrong ticket", confirm=confirm[1])
        assert not undone.error
        assert "Undone, exactly" in undone.line
        assert desk.facts("SELECT priority FROM tickets WHERE ticket_id = 'T-182'") == [("normal",)]


@everywhere
@everyone
async def test_it_waits_for_a_person_and_the_same_call_then_runs_once(desk: Desk, client: str, transport: str) -> None:
    async with desk.driven(client, transport) as agent:
        pending = await agent.call("send_reply", **MAIL)
        assert pending.error
        asked = re.search(r"takeback approve (\w+)", pending.line)
        assert asked, pending
        assert desk.facts(MAILS) == []
        await desk.approve(asked[1])
        sent = await agent.call("send_reply", **MAIL)
        assert not sent.error, sent
        assert "[takeback" in sent.line
        assert desk.facts(MAILS) == [(MAIL["ticket_id"], MAIL["body"])]


@everywhere
@everyone
async def test_it_shows_a_form_and_what_the_person_agreed_to_runs(desk: Desk, client: str, transport: str) -> None:
    async with desk.driven(client, transport, forms=True) as agent:
        sent = await agent.call("send_reply", **MAIL)
        assert not sent.error, sent
        assert desk.facts(MAILS) == [(MAIL["ticket_id"], MAIL["body"])]
