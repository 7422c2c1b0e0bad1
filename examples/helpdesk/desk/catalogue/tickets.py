"""Operations on tickets and comments."""

from desk import tickets, workflows
from desk.catalogue import schema
from desk.catalogue.callbacks import APPOINTMENT
from desk.catalogue.operation import Nature, Operation
from desk.catalogue.schema import arguments, listed, nullable, one_of, result, text

SUBJECT = text("What it is about; spaces around it are cut off.")
PRIORITY = one_of("How urgent it is.", "low", "normal", "high", "urgent")
STATUS = one_of("How far it is.", "open", "pending", "solved", "closed")
ASSIGNEE = text("Who works on it.", 80)
TAGS = {**listed(text("A tag.", 40), "All its tags."), "uniqueItems": True, "maxItems": 50}

TICKET = result(
    ticket_id=schema.TICKET_ID,
    tenant=schema.TENANT,
    subject=SUBJECT,
    priority=PRIORITY,
    status=STATUS,
    assignee=nullable(ASSIGNEE),
    tags=TAGS,
    contact_id=nullable(schema.CONTACT_ID),
    version=schema.VERSION,
    updated_at=schema.TIME,
    created_at=schema.TIME,
)
COMMENT = result(
    comment_id=schema.COMMENT_ID,
    tenant=schema.TENANT,
    ticket_id=schema.TICKET_ID,
    author=text("Who wrote it."),
    body=schema.BODY,
    created_at=schema.TIME,
)

BY_ID = {"ticket_id": schema.TICKET_ID}
IF_VERSION = {"expected_version": schema.EXPECTED_VERSION}

OPERATIONS = [
    Operation(tickets.get_ticket, Nature.READ, "Read one ticket.", arguments(BY_ID), TICKET),
    Operation(
        tickets.search_tickets,
        Nature.READ,
        "Find tickets by their fields, by a part of the subject, by a tag. What is left out does not matter.",
        arguments(
            {},
            {
                "text": text("A part of the subject, in any case."),
                "tenant": schema.TENANT,
                "status": STATUS,
                "priority": PRIORITY,
                "assignee": ASSIGNEE,
                "tag": text("One of its tags.", 40),
                "contact_id": schema.CONTACT_ID,
                "limit": schema.LIMIT,
            },
        ),
        result(tickets=listed(TICKET), total=schema.COUNT),
    ),
    Operation(
        tickets.create_ticket,
        Nature.ADD,
        "Open a ticket. Leave ticket_id and created_at out, unless a deleted ticket is to come back.",
        arguments(
            {"tenant": schema.TENANT, "subject": SUBJECT},
            {
                "priority": PRIORITY,
                "status": STATUS,
                "assignee": nullable(ASSIGNEE),
                "tags": TAGS,
                "contact_id": nullable(schema.CONTACT_ID),
                "ticket_id": schema.TICKET_ID,
                "created_at": schema.TIME,
            },
        ),
        TICKET,
    ),
    Operation(
        tickets.update_ticket,
        Nature.SET,
        "Change the given fields of a ticket; the others stay. An assignee of null unassigns it. With "
        "expected_version it is refused when somebody else changed the ticket in between.",
        arguments(
            BY_ID,
            {
                "subject": SUBJECT,
                "priority": PRIORITY,
                "status": STATUS,
                "assignee": nullable(ASSIGNEE),
                "tags": TAGS,
                **IF_VERSION,
            },
        ),
        TICKET,
    ),
    Operation(
        tickets.delete_ticket,
        Nature.DELETE,
        "Delete a ticket with its comments and drafts. Mail that was sent stays in the outbox.",
        arguments(BY_ID, IF_VERSION),
        result(ticket_id=schema.TICKET_ID, deleted=schema.DELETED),
    ),
    Operation(
        tickets.list_comments,
        Nature.READ,
        "List the comments on a ticket, oldest first.",
        arguments(BY_ID),
        result(ticket_id=schema.TICKET_ID, comments=listed(COMMENT)),
    ),
    Operation(
        tickets.add_comment,
        Nature.ADD,
        "Comment on a ticket, for colleagues to see. Leave comment_id and created_at out, unless a deleted "
        "comment is to come back.",
        arguments(
            {**BY_ID, "body": schema.BODY},
            {
                "author": text("Who writes; 'agent' if left out."),
                "comment_id": schema.COMMENT_ID,
                "created_at": schema.TIME,
            },
        ),
        COMMENT,
    ),
    Operation(
        tickets.delete_comment,
        Nature.DELETE,
        "Delete one comment.",
        arguments({"comment_id": schema.COMMENT_ID}),
        result(comment_id=schema.COMMENT_ID, deleted=schema.DELETED),
    ),
    Operation(
        workflows.escalate_ticket,
        Nature.ADD,
        "Escalate a ticket: makes it urgent, adds a comment with the reason, and books a call back to its "
        "contact. All three or none.",
        arguments({**BY_ID, "reason": text("Why.", 1000), "callback_at": schema.TIME}),
        result(ticket=TICKET, comment=COMMENT, appointment=APPOINTMENT),
    ),
]
