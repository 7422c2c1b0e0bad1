"""The example customer desk: its domain and the catalogue of its operations."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from desk import billing, callbacks, contacts, documents, mail, records, settings, tickets, workflows
from desk.catalogue import OPERATIONS, Nature, perform
from desk.errors import Conflict, DeskError, Invalid, NotFound
from desk.store import open_desk, transaction
from tests.examples.helpdesk_calls import CALLS

HELPDESK = Path(__file__).parents[2] / "examples" / "helpdesk"
PATIENCE = 30


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_desk(tmp_path / "desk.db")) as connection:
        yield connection


# The file


def test_a_desk_that_exists_is_opened_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "new" / "desk.db"
    with closing(open_desk(path)) as first:
        tickets.update_ticket(first, "T-182", priority="high")
    with closing(open_desk(path)) as second:
        assert tickets.get_ticket(second, "T-182")["priority"] == "high"
    assert sorted(file.name for file in path.parent.iterdir()) == ["desk.db"]


def test_of_two_servers_that_create_the_desk_at_once_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    code = (
        "import sys; from pathlib import Path; from desk.store import open_desk\n"
        "print(open_desk(Path(sys.argv[1])).execute('SELECT count(*) FROM tickets').fetchone()[0])"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=HELPDESK, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [process.communicate(timeout=PATIENCE)[0] for process in both] == ["7\n", "7\n"]


def test_a_transaction_that_fails_leaves_nothing(db: sqlite3.Connection) -> None:
    def half_done() -> None:
        with transaction(db):
            tickets.update_ticket(db, "T-182", priority="high")
            tickets.update_ticket(db, "T-999", priority="high")

    with pytest.raises(NotFound):
        half_done()
    assert tickets.get_ticket(db, "T-182")["priority"] == "normal"
    assert not db.in_transaction


# Tickets


def test_a_ticket_reads_as_seeded(db: sqlite3.Connection) -> None:
    assert tickets.get_ticket(db, "T-182") == {
        "ticket_id": "T-182",
        "tenant": "acme",
        "subject": "Export fails with error 500",
        "priority": "normal",
        "status": "open",
        "assignee": "jonas",
        "tags": ["export", "bug"],
        "contact_id": "C-1",
        "version": 1,
        "updated_at": "2026-11-16T14:40:00.000Z",
        "created_at": "2026-11-02T08:15:00.000Z",
    }


def test_an_update_changes_only_what_it_names(db: sqlite3.Connection) -> None:
    before = tickets.get_ticket(db, "T-182")
    after = tickets.update_ticket(db, "T-182", priority="high", subject="  Export fails ")
    assert after == before | {
        "priority": "high",
        "subject": "Export fails",
        "version": 2,
        "updated_at": after["updated_at"],
    }
    assert after["updated_at"] > before["updated_at"]


def test_a_conditional_write_is_refused_when_the_version_moved_on(db: sqlite3.Connection) -> None:
    tickets.update_ticket(db, "T-182", priority="high", expected_version=1)
    with pytest.raises(Conflict, match="ticket T-182 is at version 2, not 1"):
        tickets.update_ticket(db, "T-182", priority="low", expected_version=1)
    assert tickets.get_ticket(db, "T-182")["priority"] == "high"


def test_an_update_of_nothing_or_of_something_unknown_is_refused(db: sqlite3.Connection) -> None:
    with pytest.raises(Invalid, match="nothing to change in ticket T-182"):
        tickets.update_ticket(db, "T-182")
    with pytest.raises(Invalid, match="has no field colour"):
        records.update(db, tickets.TICKET, "T-182", {"colour": "red"})
    with pytest.raises(Invalid, match="subject is empty"):
        tickets.update_ticket(db, "T-182", subject=" ")


def test_searches_by_text_tag_field_and_limit(db: sqlite3.Connection) -> None:
    found = tickets.search_tickets(db, text="export", limit=1)
    assert [ticket["ticket_id"] for ticket in found["tickets"]] == ["T-182"]
    assert found["total"] == 2
    assert tickets.search_tickets(db, tag="bug", tenant="acme", assignee="mira")["total"] == 1


def test_a_deleted_ticket_comes_back_under_its_id_without_its_comments(db: sqlite3.Connection) -> None:
    before = tickets.get_ticket(db, "T-182")
    assert tickets.delete_ticket(db, "T-182") == {"ticket_id": "T-182", "deleted": True}
    with pytest.raises(NotFound, match="comment CM-1 not found"):
        tickets.delete_comment(db, "CM-1")
    fields = {key: value for key, value in before.items() if key not in {"version", "updated_at"}}
    after = perform(db, "create_ticket", fields)
    assert after == before | {"updated_at": after["updated_at"]}
    assert tickets.list_comments(db, "T-182")["comments"] == []
    with pytest.raises(Conflict, match="ticket T-182 already exists"):
        perform(db, "create_ticket", fields)


def test_ids_go_up_and_are_never_given_out_twice(db: sqlite3.Connection) -> None:
    assert tickets.create_ticket(db, tenant="acme", subject="a")["ticket_id"] == "T-312"
    tickets.delete_ticket(db, "T-312")
    tickets.create_ticket(db, tenant="acme", subject="b", ticket_id="T-400")
    assert tickets.create_ticket(db, tenant="acme", subject="c")["ticket_id"] == "T-401"
    with pytest.raises(Invalid, match="'X-1' is not a ticket id"):
        tickets.create_ticket(db, tenant="acme", subject="d", ticket_id="X-1")


def test_a_ticket_cannot_take_a_contact_of_another_tenant(db: sqlite3.Connection) -> None:
    with pytest.raises(Invalid, match="contact C-4 does not belong to acme"):
        tickets.create_ticket(db, tenant="acme", subject="a", contact_id="C-4")
    with pytest.raises(NotFound, match="contact C-99 not found"):
        tickets.create_ticket(db, tenant="acme", subject="a", contact_id="C-99")


def test_a_comment_touches_the_time_of_its_ticket_but_not_the_version(db: sqlite3.Connection) -> None:
    before = tickets.get_ticket(db, "T-182")
    comment = tickets.add_comment(db, "T-182", body="Note", author="mira")
    after = tickets.get_ticket(db, "T-182")
    assert after["updated_at"] > before["updated_at"]
    assert after["version"] == before["version"]
    assert tickets.list_comments(db, "T-182")["comments"][-1] == comment
    tickets.delete_comment(db, comment["comment_id"])
    assert len(tickets.list_comments(db, "T-182")["comments"]) == 2


# Contacts


def test_segments_are_sets(db: sqlite3.Connection) -> None:
    assert contacts.add_to_segment(db, "beta", "C-1")["changed"]
    assert not contacts.add_to_segment(db, "beta", "C-1")["changed"]
    assert contacts.list_segment(db, "beta")["members"] == ["C-1", "C-3"]
    assert contacts.get_contact(db, "C-1")["segments"] == ["beta", "newsletter"]
    assert contacts.remove_from_segment(db, "beta", "C-1")["members"] == ["C-3"]
    assert contacts.list_segment(db, "newsletter", tenant="globex")["members"] == ["C-4"]
    with pytest.raises(NotFound, match="segment gold not found"):
        contacts.list_segment(db, "gold")


def test_a_balance_counts_and_never_falls_below_zero(db: sqlite3.Connection) -> None:
    assert contacts.adjust_balance(db, "C-1", 30)["balance"] == 150
    assert contacts.adjust_balance(db, "C-1", -150)["balance"] == 0
    with pytest.raises(Conflict, match="contact C-1 has 0 credits"):
        contacts.adjust_balance(db, "C-1", -1)
    with pytest.raises(NotFound, match="contact C-99 not found"):
        contacts.get_balance(db, "C-99")


def test_a_contact_can_be_deleted_only_when_nothing_hangs_on_it(db: sqlite3.Connection) -> None:
    with pytest.raises(Conflict, match="contact C-1 still has a balance of 120"):
        contacts.delete_contact(db, "C-1")
    with pytest.raises(Conflict, match="contact C-2 is still in use"):
        contacts.delete_contact(db, "C-2")
    fay = contacts.create_contact(db, tenant="acme", name="Fay", email="fay@x.example")
    contacts.add_to_segment(db, "vip", fay["contact_id"])
    contacts.delete_contact(db, fay["contact_id"])
    assert contacts.list_segment(db, "vip")["members"] == ["C-4"]
    back = contacts.create_contact(db, tenant="acme", name="Fay", email="fay@x.example", contact_id=fay["contact_id"])
    assert contacts.search_contacts(db, email="fay@x.example")["contacts"] == [back]


# Mail, billing, callbacks, documents, settings, workflows


def test_each_send_is_a_mail_of_its_own_and_outlives_its_ticket(db: sqlite3.Connection) -> None:
    first, second = (mail.send_reply(db, "T-182", "Hello") for _ in range(2))
    assert (first["mail_id"], second["mail_id"]) == ("ML-2", "ML-3")
    assert (first["recipient"], first["subject"]) == (
        "ada@lindqvist.example",
        "Re: Export fails with error 500",
    )
    tickets.delete_ticket(db, "T-182")
    assert mail.list_outbox(db, "T-182") == {"mails": [second, first], "total": 2}


def test_a_ticket_without_a_contact_cannot_be_answered_or_escalated(db: sqlite3.Connection) -> None:
    ticket_id = tickets.create_ticket(db, tenant="acme", subject="a")["ticket_id"]
    with pytest.raises(Conflict, match="has no contact to reply to"):
        mail.send_reply(db, ticket_id, "Hello")
    with pytest.raises(Conflict, match="has no contact to call back"):
        workflows.escalate_ticket(db, ticket_id, "why", "2026-12-01T10:00:00Z")


def test_a_draft_lives_and_dies(db: sqlite3.Connection) -> None:
    draft = mail.create_draft(db, "T-310", "Hello")
    assert draft["tenant"] == "globex"
    assert mail.update_draft(db, draft["draft_id"], "Bye")["version"] == 2
    mail.delete_draft(db, draft["draft_id"])
    assert mail.create_draft(db, "T-310", "Bye", draft["draft_id"])["draft_id"] == draft["draft_id"]


def test_equal_refunds_add_up_until_nothing_is_left(db: sqlite3.Connection) -> None:
    first, second = (billing.issue_refund(db, "I-1001", 5000, "Sorry") for _ in range(2))
    assert first["refund_id"] != second["refund_id"]
    invoice = billing.get_invoice(db, "I-1001")
    assert (invoice["refunded_cents"], invoice["status"]) == (10_000, "partly_refunded")
    with pytest.raises(Conflict, match="only 40000 are left"):
        billing.issue_refund(db, "I-1001", 40_001)
    billing.issue_refund(db, "I-1001", 40_000)
    assert billing.get_invoice(db, "I-1001")["status"] == "refunded"
    assert billing.list_refunds(db, "I-1001")["refunds"][:2] == [first, second]


def test_charges_pay_an_invoice_and_no_more(db: sqlite3.Connection) -> None:
    assert billing.get_invoice(db, "I-1003")["status"] == "open"
    charge = billing.charge_card(db, "I-1003", 80_000)
    assert billing.get_invoice(db, "I-1003")["charges"] == [charge]
    assert billing.get_invoice(db, "I-1003")["status"] == "paid"
    with pytest.raises(Conflict, match="only 0 are left"):
        billing.charge_card(db, "I-1003", 1)
    with pytest.raises(Invalid, match="must be positive"):
        billing.charge_card(db, "I-1003", 0)


def test_a_callback_is_kept_in_utc_and_cancelled_for_good(db: sqlite3.Connection) -> None:
    booked = callbacks.book_callback(db, "C-1", "2026-12-01T10:00:00+01:00", "T-182", "Export")
    assert (booked["starts_at"], booked["status"]) == ("2026-12-01T09:00:00.000Z", "booked")
    cancelled = callbacks.cancel_callback(db, booked["appointment_id"])
    assert cancelled["status"] == "cancelled"
    assert callbacks.cancel_callback(db, booked["appointment_id"]) == cancelled
    assert callbacks.list_appointments(db, contact_id="C-1")["appointments"] == [cancelled]


@pytest.mark.parametrize("moment", ["soon", "2026-12-01T10:00:00", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_names_no_moment_is_refused(db: sqlite3.Connection, moment: str) -> None:
    with pytest.raises(Invalid):
        callbacks.book_callback(db, "C-1", moment)


def test_a_callback_joins_ticket_and_contact_of_one_tenant(db: sqlite3.Connection) -> None:
    with pytest.raises(Invalid, match="different tenants"):
        callbacks.book_callback(db, "C-1", "2026-12-01T10:00:00Z", "T-310")


def test_a_document_is_put_replaced_and_removed(db: sqlite3.Connection) -> None:
    def put(tenant: str, body: str, version: int | None = None) -> dict[str, Any]:
        return documents.put_document(db, "faq", expected_version=version, tenant=tenant, title="FAQ", body=body)

    with pytest.raises(NotFound):
        put("acme", "a", 1)
    assert put("acme", "a")["version"] == 1
    assert put("acme", "b", 1)["body"] == "b"
    with pytest.raises(Conflict, match="belongs to another tenant"):
        put("globex", "c")
    documents.delete_document(db, "faq")
    assert documents.search_documents(db, text="faq")["total"] == 0


def test_settings_belong_to_a_tenant(db: sqlite3.Connection) -> None:
    other = settings.get_settings(db, "globex")
    assert settings.update_settings(db, "acme", auto_reply=False)["auto_reply"] is False
    assert settings.get_settings(db, "globex") == other
    with pytest.raises(NotFound, match="settings of tenant initech not found"):
        settings.get_settings(db, "initech")


def test_an_escalation_does_all_or_nothing(db: sqlite3.Connection) -> None:
    before = tickets.get_ticket(db, "T-182")
    with pytest.raises(Invalid):
        workflows.escalate_ticket(db, "T-182", "VIP", "tomorrow")
    assert tickets.get_ticket(db, "T-182") == before
    done = workflows.escalate_ticket(db, "T-182", "VIP", "2026-12-01T10:00:00Z")
    assert done["ticket"]["priority"] == "urgent"
    assert done["comment"]["body"] == "Escalated: VIP"
    assert (done["appointment"]["contact_id"], done["appointment"]["ticket_id"]) == ("C-1", "T-182")


# The catalogue


def test_the_catalogue_offers_every_operation_with_strict_schemas() -> None:
    assert sorted(OPERATIONS) == sorted(name for name, _ in CALLS)
    for operation in OPERATIONS.values():
        Draft202012Validator.check_schema(operation.arguments)
        Draft202012Validator.check_schema(operation.result)
        assert operation.arguments["additionalProperties"] is False


def test_every_operation_works_and_keeps_its_promise_about_the_result(db: sqlite3.Connection) -> None:
    for name, arguments in CALLS:
        Draft202012Validator(OPERATIONS[name].result).validate(perform(db, name, arguments))


def test_what_only_reads_changes_nothing(db: sqlite3.Connection) -> None:
    before = db.total_changes
    for name, arguments in CALLS:
        if OPERATIONS[name].nature is Nature.READ:
            perform(db, name, arguments)
    assert db.total_changes == before


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("update_ticket", {"ticket_id": "T-182", "priority": "hot"}, "priority: 'hot' is not one of"),
        ("update_ticket", {"ticket_id": "T-182", "colour": "red"}, "'colour' was unexpected"),
        ("get_ticket", {}, "'ticket_id' is a required property"),
        ("issue_refund", {"invoice_id": "I-1001", "amount_cents": 0}, "amount_cents: 0 is less than"),
        ("adjust_balance", {"contact_id": "C-1", "by": True}, "by: True is not of type 'integer'"),
    ],
)
def test_arguments_are_checked_before_anything_is_done(
    db: sqlite3.Connection, name: str, arguments: Mapping[str, object], message: str
) -> None:
    with pytest.raises(DeskError, match=message):
        perform(db, name, arguments)
