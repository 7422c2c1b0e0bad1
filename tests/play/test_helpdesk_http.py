"""The desk over HTTP, the whole scenario, and what the desk's own database says of it afterwards."""

from __future__ import annotations

import pytest

from tests.play.played import Played


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return Played("http.toml", tmp_path_factory.mktemp("http") / "new")


def test_everything_is_as_expected(played: Played) -> None:
    played.was_as_expected()


def test_the_ticket_is_taken_back_and_the_edit_of_somebody_else_is_kept(played: Played) -> None:
    facts = played.facts("SELECT priority, assignee, version FROM tickets WHERE ticket_id = 'T-182'")
    assert facts == [("normal", "mira", 4)]  # raised, assigned by somebody else, put back: a refused write is none


def test_the_refund_whose_reply_was_lost_was_paid_once_under_one_key(played: Played) -> None:
    assert played.facts("SELECT amount_cents FROM refunds WHERE invoice_id = 'I-1001'") == [(5000,)]
    keys = "SELECT count(*) FROM idempotency_keys WHERE CAST(body AS TEXT) LIKE '%\"refund_id\"%'"
    assert played.facts(keys) == [(1,)]
    # The second attempt got the answer of the first, which is why the guard had nothing to look for.
    attempts = "SELECT attempts, verified FROM actions WHERE tool LIKE '%issue_refund'"
    assert played.facts(attempts, "takeback.db") == [(2, "yes")]


def test_the_report_is_gone_and_its_job_is_done(played: Played) -> None:
    assert played.facts("SELECT status FROM jobs WHERE job_id = 'J-2'") == [("done",)]
    assert played.facts("SELECT document_id FROM documents WHERE document_id = 'report-2'") == []
