"""Short ways to write the JSON Schemas of arguments and results."""

from typing import Any

Schema = dict[str, Any]


def arguments(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object that has these properties and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def result(**properties: Schema) -> Schema:
    """An object that has at least these properties."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def text(description: str, longest: int = 200) -> Schema:
    """A text of at least one character."""
    return {"type": "string", "minLength": 1, "maxLength": longest, "description": description}


def whole(description: str, lowest: int, highest: int) -> Schema:
    """A whole number within bounds."""
    return {"type": "integer", "minimum": lowest, "maximum": highest, "description": description}


def one_of(description: str, *values: str) -> Schema:
    """One of a few words."""
    return {"type": "string", "enum": list(values), "description": description}


def numbered(prefix: str, description: str) -> Schema:
    """An id such as T-182."""
    return {"type": "string", "pattern": rf"^{prefix}-[1-9][0-9]{{0,8}}$", "description": description}


def listed(items: Schema, description: str = "") -> Schema:
    """A list."""
    return {"type": "array", "items": items} | ({"description": description} if description else {})


def nullable(schema: Schema) -> Schema:
    """The same, or null."""
    widened = {**schema, "type": [schema["type"], "null"]}
    return widened | ({"enum": [*schema["enum"], None]} if "enum" in schema else {})


TENANT = one_of("The tenant it belongs to.", "acme", "globex")
TIME = {"type": "string", "format": "date-time", "description": "ISO 8601 with a time zone."}
EXPECTED_VERSION = whole("Do it only if the record is still at this version.", 1, 2**31)
LIMIT = whole("How many to return at most.", 1, 100)
BODY = text("The text.", 20_000)

TICKET_ID = numbered("T", "Id of a ticket, such as T-182.")
COMMENT_ID = numbered("CM", "Id of a comment, such as CM-1.")
CONTACT_ID = numbered("C", "Id of a contact, such as C-1.")
DRAFT_ID = numbered("DR", "Id of a draft, such as DR-1.")
MAIL_ID = numbered("ML", "Id of a mail, such as ML-1.")
INVOICE_ID = numbered("I", "Id of an invoice, such as I-1001.")
CHARGE_ID = numbered("CH", "Id of a charge, such as CH-1.")
REFUND_ID = numbered("R", "Id of a refund, such as R-1.")
APPOINTMENT_ID = numbered("A", "Id of an appointment, such as A-1.")
JOB_ID = numbered("J", "Id of a job, such as J-1.")
DOCUMENT_ID = {
    "type": "string",
    "pattern": "^[a-z0-9][a-z0-9-]{0,79}$",
    "description": "Id of a document, such as refund-policy.",
}
COUNT = {"type": "integer", "description": "How many there are, beyond the limit too."}
VERSION = {"type": "integer", "description": "Counted up by each change."}
DELETED = {"type": "boolean", "const": True}
