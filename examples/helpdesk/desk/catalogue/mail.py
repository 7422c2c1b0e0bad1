"""Operations on drafts and sent mail."""

from desk import mail
from desk.catalogue import schema
from desk.catalogue.operation import Nature, Operation
from desk.catalogue.schema import arguments, listed, result, text

DRAFT = result(
    draft_id=schema.DRAFT_ID,
    tenant=schema.TENANT,
    ticket_id=schema.TICKET_ID,
    body=schema.BODY,
    version=schema.VERSION,
    updated_at=schema.TIME,
    created_at=schema.TIME,
)
MAIL = result(
    mail_id=schema.MAIL_ID,
    tenant=schema.TENANT,
    ticket_id=schema.TICKET_ID,
    recipient=text("The address it went to."),
    subject=text("Its subject line."),
    body=schema.BODY,
    sent_at=schema.TIME,
)

BY_ID = {"draft_id": schema.DRAFT_ID}
IF_VERSION = {"expected_version": schema.EXPECTED_VERSION}

OPERATIONS = [
    Operation(mail.get_draft, Nature.READ, "Read one draft.", arguments(BY_ID), DRAFT),
    Operation(
        mail.create_draft,
        Nature.ADD,
        "Draft a reply to a ticket; nothing is sent. Leave draft_id out, unless a deleted one shall come back.",
        arguments({"ticket_id": schema.TICKET_ID, "body": schema.BODY}, BY_ID),
        DRAFT,
    ),
    Operation(
        mail.update_draft,
        Nature.SET,
        "Replace the text of a draft.",
        arguments({**BY_ID, "body": schema.BODY}, IF_VERSION),
        DRAFT,
    ),
    Operation(
        mail.delete_draft,
        Nature.DELETE,
        "Throw a draft away.",
        arguments(BY_ID, IF_VERSION),
        result(draft_id=schema.DRAFT_ID, deleted=schema.DELETED),
    ),
    Operation(
        mail.send_reply,
        Nature.OUTWARD,
        "Mail a reply to the contact of a ticket. It cannot be called back, and each call sends a mail.",
        arguments({"ticket_id": schema.TICKET_ID, "body": schema.BODY}),
        MAIL,
    ),
    Operation(
        mail.list_outbox,
        Nature.READ,
        "List mail that was sent, newest first, of one ticket or of all.",
        arguments({}, {"ticket_id": schema.TICKET_ID, "tenant": schema.TENANT, "limit": schema.LIMIT}),
        result(mails=listed(MAIL), total=schema.COUNT),
    ),
]
