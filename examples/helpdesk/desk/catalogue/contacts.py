"""Operations on contacts, segments and balances."""

from desk import contacts
from desk.catalogue import schema
from desk.catalogue.operation import Nature, Operation
from desk.catalogue.schema import arguments, listed, nullable, result, text, whole

NAME = text("The contact's name.")
EMAIL = {**text("The contact's mail address."), "pattern": r"^[^@\s]+@[^@\s]+$"}
PHONE = text("The contact's telephone number.", 40)
SEGMENT = text("The segment's name, such as newsletter, beta or vip.", 40)

CONTACT = result(
    contact_id=schema.CONTACT_ID,
    tenant=schema.TENANT,
    name=NAME,
    email=EMAIL,
    phone=nullable(PHONE),
    version=schema.VERSION,
    updated_at=schema.TIME,
    created_at=schema.TIME,
    segments=listed(SEGMENT, "The segments it belongs to."),
)
BALANCE = result(
    contact_id=schema.CONTACT_ID,
    tenant=schema.TENANT,
    balance={"type": "integer", "minimum": 0},
    updated_at=schema.TIME,
)
MEMBERS = listed(schema.CONTACT_ID, "Ids of its members.")
MEMBERSHIP = result(
    segment=SEGMENT,
    members=MEMBERS,
    contact_id=schema.CONTACT_ID,
    changed={"type": "boolean", "description": "Whether the call made a difference."},
)

BY_ID = {"contact_id": schema.CONTACT_ID}
IF_VERSION = {"expected_version": schema.EXPECTED_VERSION}

OPERATIONS = [
    Operation(
        contacts.get_contact,
        Nature.READ,
        "Read one contact and the segments it belongs to.",
        arguments(BY_ID),
        CONTACT,
    ),
    Operation(
        contacts.search_contacts,
        Nature.READ,
        "Find contacts by tenant, by exact mail address, or by a part of name or address.",
        arguments(
            {},
            {
                "text": text("A part of name or address, in any case."),
                "tenant": schema.TENANT,
                "email": EMAIL,
                "limit": schema.LIMIT,
            },
        ),
        result(contacts=listed(CONTACT), total=schema.COUNT),
    ),
    Operation(
        contacts.create_contact,
        Nature.ADD,
        "Add a contact. Leave contact_id out, unless a deleted contact is to come back.",
        arguments(
            {"tenant": schema.TENANT, "name": NAME, "email": EMAIL},
            {"phone": nullable(PHONE), "contact_id": schema.CONTACT_ID},
        ),
        CONTACT,
    ),
    Operation(
        contacts.update_contact,
        Nature.SET,
        "Change the given fields of a contact; the others stay.",
        arguments(BY_ID, {"name": NAME, "email": EMAIL, "phone": nullable(PHONE), **IF_VERSION}),
        CONTACT,
    ),
    Operation(
        contacts.delete_contact,
        Nature.DELETE,
        "Delete a contact and its memberships. Refused while tickets, invoices or appointments refer to it, "
        "or credits are left.",
        arguments(BY_ID, IF_VERSION),
        result(contact_id=schema.CONTACT_ID, deleted=schema.DELETED),
    ),
    Operation(
        contacts.list_segment,
        Nature.READ,
        "List the ids of the contacts in a segment.",
        arguments({"segment": SEGMENT}, {"tenant": schema.TENANT}),
        result(segment=SEGMENT, members=MEMBERS),
    ),
    Operation(
        contacts.add_to_segment,
        Nature.SET,
        "Make a contact a member of a segment. Being one already is fine.",
        arguments({"segment": SEGMENT, **BY_ID}),
        MEMBERSHIP,
    ),
    Operation(
        contacts.remove_from_segment,
        Nature.SET,
        "End a contact's membership of a segment. Being no member is fine.",
        arguments({"segment": SEGMENT, **BY_ID}),
        MEMBERSHIP,
    ),
    Operation(
        contacts.get_balance,
        Nature.READ,
        "Read how many credits a contact has.",
        arguments(BY_ID),
        BALANCE,
    ),
    Operation(
        contacts.adjust_balance,
        Nature.COUNT,
        "Add credits to a contact's balance, or take some with a negative number. Never below zero.",
        arguments({**BY_ID, "by": whole("How many credits more.", -1_000_000, 1_000_000)}),
        BALANCE,
    ),
]
