"""The day at the help desk, whole, and what the desk's own database says of it afterwards."""

from __future__ import annotations

import re

import psutil
import pytest

from tests.cli.commands import takeback
from tests.play.played import Played


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return Played("day.toml", tmp_path_factory.mktemp("day") / "new")


def test_everything_is_as_expected(day: Played) -> None:
    day.was_as_expected()


@pytest.mark.parametrize(
    ("ticket", "state"),
    [
        ("T-182", ("normal", 3)),  # raised by mistake and taken back
        ("T-101", ("urgent", 3)),  # twice written, though replies were lost
        ("T-190", ("high", 5)),  # high, low, high; and handed over by the plan, once
        ("T-207", ("high", 2)),  # reopened by the plan, once
        ("T-204", ("normal", 1)),  # never touched
        ("T-310", ("urgent", 1)),  # another customer's
    ],
)
def test_the_tickets_are_as_the_day_left_them(day: Played, ticket: str, state: tuple[str, int]) -> None:
    assert day.facts(f"SELECT priority, version FROM tickets WHERE ticket_id = '{ticket}'") == [state]


def test_what_was_denied_was_never_sent_and_the_rest_once(day: Played) -> None:
    assert day.facts("SELECT ticket_id, body FROM outbox WHERE ticket_id IN ('T-101', 'T-204')") == [
        ("T-101", "You can sign in again.")
    ]
    assert day.facts("SELECT assignee FROM tickets WHERE ticket_id = 'T-101'") == [("jonas",)]
    notes = day.facts("SELECT body FROM comments WHERE ticket_id = 'T-182' AND body LIKE 'Taken back%'")
    assert notes == [("Taken back: the customer meant another ticket",)]


def test_the_refund_was_paid_twice_because_the_second_was_meant(day: Played) -> None:
    assert day.facts("SELECT amount_cents FROM refunds WHERE invoice_id = 'I-1001'") == [(5000,), (5000,)]


def test_the_plan_that_a_killed_guard_left_was_carried_out_once(day: Played) -> None:
    written = "Reopened: deliveries come twice again.", "We are looking into it again."
    assert day.facts("SELECT body FROM comments WHERE ticket_id = 'T-207'") == [(written[0],)]
    assert day.facts("SELECT body FROM outbox WHERE ticket_id = 'T-207' ORDER BY mail_id") == [
        ("Hello, this is fixed since Monday.",),
        (written[1],),
    ]
    [(plan, run)] = day.facts("SELECT id, run FROM actions WHERE tool = 'plan'", "takeback.db")
    steps = f"SELECT tool, run, status FROM actions WHERE original = '{plan}' ORDER BY tool, status"
    wanted = ("add_comment", "send_reply", "update_ticket", "update_ticket")
    assert day.facts(steps, "takeback.db") == [(tool, run, "succeeded") for tool in wanted]


def test_the_guard_was_really_killed_and_another_one_went_on(day: Played) -> None:
    [killed] = re.findall(r"kill -9 (\d+)", day.ran.out)
    assert not psutil.pid_exists(int(killed))
    happened = "SELECT happening, detail FROM events JOIN actions ON id = action WHERE tool = 'add_comment' AND "
    lost = day.facts(f"{happened} origin = 'plan' ORDER BY seq", "takeback.db")
    assert [what for what, _ in lost] == ["claim", "lose", "succeed"]
    assert lost[1][1] == "the guard that ran it is gone"
    assert "The guard begins the plan by itself." in day.ran.out


def test_nothing_that_it_started_is_left(day: Played) -> None:
    mine = [p for p in psutil.process_iter(["cmdline"]) if str(day.folder) in " ".join(p.info["cmdline"] or ())]
    assert mine == []


def test_the_ledger_agrees_with_the_world(day: Played) -> None:
    standing = day.facts("SELECT status, count(*) FROM actions GROUP BY status", "takeback.db")
    assert {status for status, _ in standing} <= {"succeeded", "compensated", "denied", "cancelled"}


def test_a_folder_that_is_not_empty_is_refused(day: Played) -> None:
    before = (day.folder / "helpdesk.db").read_bytes()
    takeback("play", day.scenario, "--folder", day.folder, env={}).refused(
        2, "Not played", str(day.folder), "not empty"
    )
    assert (day.folder / "helpdesk.db").read_bytes() == before
