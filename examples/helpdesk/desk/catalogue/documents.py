"""Operations on documents and settings."""

from desk import documents, settings
from desk.catalogue import schema
from desk.catalogue.operation import Nature, Operation
from desk.catalogue.schema import arguments, listed, result, text, whole

TITLE = text("The document's title.")
HOURS = {**text("Business hours."), "pattern": r"^[0-2]\d:[0-5]\d-[0-2]\d:[0-5]\d$"}
AUTO_REPLY = {"type": "boolean", "description": "Whether new tickets are answered automatically."}
SIGNATURE = text("What replies are signed with.")
SLA = whole("Hours until a first answer is due.", 1, 720)

DOCUMENT = result(
    document_id=schema.DOCUMENT_ID,
    tenant=schema.TENANT,
    title=TITLE,
    body=schema.BODY,
    version=schema.VERSION,
    updated_at=schema.TIME,
    created_at=schema.TIME,
)
SETTINGS = result(
    tenant=schema.TENANT,
    business_hours=HOURS,
    auto_reply=AUTO_REPLY,
    signature=SIGNATURE,
    sla_hours=SLA,
    version=schema.VERSION,
    updated_at=schema.TIME,
)

BY_ID = {"document_id": schema.DOCUMENT_ID}
IF_VERSION = {"expected_version": schema.EXPECTED_VERSION}

OPERATIONS = [
    Operation(documents.get_document, Nature.READ, "Read one document.", arguments(BY_ID), DOCUMENT),
    Operation(
        documents.search_documents,
        Nature.READ,
        "Find documents by tenant and by a part of their title or text.",
        arguments(
            {},
            {
                "text": text("A part of title or text, in any case."),
                "tenant": schema.TENANT,
                "limit": schema.LIMIT,
            },
        ),
        result(documents=listed(DOCUMENT), total=schema.COUNT),
    ),
    Operation(
        documents.put_document,
        Nature.SET,
        "Write a document under an id: creates it, or replaces title and text of the one that is there.",
        arguments({**BY_ID, "tenant": schema.TENANT, "title": TITLE, "body": schema.BODY}, IF_VERSION),
        DOCUMENT,
    ),
    Operation(
        documents.delete_document,
        Nature.DELETE,
        "Delete a document.",
        arguments(BY_ID, IF_VERSION),
        result(document_id=schema.DOCUMENT_ID, deleted=schema.DELETED),
    ),
    Operation(
        settings.get_settings,
        Nature.READ,
        "Read a tenant's settings.",
        arguments({"tenant": schema.TENANT}),
        SETTINGS,
    ),
    Operation(
        settings.update_settings,
        Nature.SET,
        "Change the given settings of a tenant; the others stay.",
        arguments(
            {"tenant": schema.TENANT},
            {
                "business_hours": HOURS,
                "auto_reply": AUTO_REPLY,
                "signature": SIGNATURE,
                "sla_hours": SLA,
                **IF_VERSION,
            },
        ),
        SETTINGS,
    ),
]
