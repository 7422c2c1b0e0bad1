"""Where each operation of the catalogue is found: its method, its path, and the record that stands there."""

import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from desk import billing, callbacks, contacts, documents, mail, reports, settings, tickets
from desk.catalogue import OPERATIONS, Nature, Operation
from desk.catalogue.schema import Schema
from desk.records import Record

ReadRecord = Callable[..., Record]
"""Reads a record with the arguments in the path; raises NotFound."""


@dataclass(frozen=True, slots=True)
class Route:
    """An operation's place. `record` reads what stands at the path: its tag is what `If-Match` is held against.

    `location` is where the record that was made stands, filled from it; the answer is 201 then. `puts` says that a
    record which is not there yet is created under the caller's own id; `accepts`, that what is answered is a job (202).
    """

    name: str
    method: str
    path: str
    record: ReadRecord | None = None
    location: str | None = None
    puts: bool = False
    accepts: bool = False

    @property
    def operation(self) -> Operation:
        """What the catalogue says of it."""
        return OPERATIONS[self.name]

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.operation.nature is not Nature.READ

    @property
    def tagged(self) -> bool:
        """Whether its answer is a record with a place of its own, and so carries an ETag."""
        stands = self.record is not None or (self.location is not None and not self.accepts)
        return stands and self.method != "DELETE"

    @property
    def made(self) -> HTTPStatus:
        """How it answers when it made something new."""
        return HTTPStatus.ACCEPTED if self.accepts else HTTPStatus.CREATED

    @property
    def in_path(self) -> tuple[str, ...]:
        """The arguments that the path carries."""
        return tuple(re.findall(r"{(\w+)}", self.path))

    @property
    def elsewhere(self) -> dict[str, Schema]:
        """The other arguments, with their schemas."""
        properties = self.operation.arguments["properties"]
        return {name: schema for name, schema in properties.items() if name not in self.in_path}

    @property
    def has_body(self) -> bool:
        """Whether the other arguments come as a JSON body; else they are in the query."""
        return self.method in {"POST", "PATCH", "PUT"} and bool(self.elsewhere)

    def answers(self, db: sqlite3.Connection, arguments: Record) -> Record:
        """The record at the path. Raises NotFound."""
        assert self.record is not None
        return self.record(db, *(arguments[name] for name in self.in_path))


TICKET, COMMENT = "/tickets/{ticket_id}", "/comments/{comment_id}"
CONTACT, MEMBER = "/contacts/{contact_id}", "/segments/{segment}/members/{contact_id}"
DRAFT, APPOINTMENT = "/drafts/{draft_id}", "/appointments/{appointment_id}"
INVOICE, DOCUMENT, JOB = "/invoices/{invoice_id}", "/documents/{document_id}", "/jobs/{job_id}"
TENANT = "/tenants/{tenant}"

ROUTES = (
    Route("search_tickets", "GET", "/tickets"),
    Route("create_ticket", "POST", "/tickets", location=TICKET),
    Route("get_ticket", "GET", TICKET, tickets.get_ticket),
    Route("update_ticket", "PATCH", TICKET, tickets.get_ticket),
    Route("delete_ticket", "DELETE", TICKET, tickets.get_ticket),
    Route("list_comments", "GET", TICKET + "/comments"),
    Route("add_comment", "POST", TICKET + "/comments", location=COMMENT),
    Route("delete_comment", "DELETE", COMMENT, tickets.get_comment),
    Route("escalate_ticket", "POST", TICKET + "/escalations"),
    Route("search_contacts", "GET", "/contacts"),
    Route("create_contact", "POST", "/contacts", location=CONTACT),
    Route("get_contact", "GET", CONTACT, contacts.get_contact),
    Route("update_contact", "PATCH", CONTACT, contacts.get_contact),
    Route("delete_contact", "DELETE", CONTACT, contacts.get_contact),
    Route("get_balance", "GET", CONTACT + "/balance", contacts.get_balance),
    Route("adjust_balance", "POST", CONTACT + "/balance/adjustments", contacts.get_balance),
    Route("list_segment", "GET", "/segments/{segment}/members"),
    Route("add_to_segment", "PUT", MEMBER),
    Route("remove_from_segment", "DELETE", MEMBER),
    Route("create_draft", "POST", TICKET + "/drafts", location=DRAFT),
    Route("get_draft", "GET", DRAFT, mail.get_draft),
    Route("update_draft", "PATCH", DRAFT, mail.get_draft),
    Route("delete_draft", "DELETE", DRAFT, mail.get_draft),
    Route("send_reply", "POST", TICKET + "/replies"),
    Route("list_outbox", "GET", "/outbox"),
    Route("get_invoice", "GET", INVOICE, billing.get_invoice),
    Route("list_refunds", "GET", "/refunds"),
    Route("issue_refund", "POST", INVOICE + "/refunds"),
    Route("charge_card", "POST", INVOICE + "/charges"),
    Route("list_appointments", "GET", "/appointments"),
    Route("book_callback", "POST", "/appointments", location=APPOINTMENT),
    Route("get_appointment", "GET", APPOINTMENT, callbacks.get_appointment),
    # Not DELETE: a cancelled appointment stays on record. PUT: cancelling it again changes nothing.
    Route("cancel_callback", "PUT", APPOINTMENT + "/cancellation", callbacks.get_appointment),
    Route("search_documents", "GET", "/documents"),
    Route("get_document", "GET", DOCUMENT, documents.get_document),
    Route("put_document", "PUT", DOCUMENT, documents.get_document, puts=True),
    Route("delete_document", "DELETE", DOCUMENT, documents.get_document),
    Route("get_settings", "GET", TENANT + "/settings", settings.get_settings),
    Route("update_settings", "PATCH", TENANT + "/settings", settings.get_settings),
    Route("write_report", "POST", TENANT + "/reports", location=JOB, accepts=True),
    Route("get_job", "GET", JOB, reports.get_job),
)
