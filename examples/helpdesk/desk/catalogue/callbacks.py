"""Operations on callback appointments."""

from desk import callbacks
from desk.catalogue import schema
from desk.catalogue.operation import Nature, Operation
from desk.catalogue.schema import arguments, listed, nullable, one_of, result, text

NOTE = text("What it is about.", 1000)
STATUS = one_of("Whether it will take place.", "booked", "cancelled")

APPOINTMENT = result(
    appointment_id=schema.APPOINTMENT_ID,
    tenant=schema.TENANT,
    contact_id=schema.CONTACT_ID,
    ticket_id=nullable(schema.TICKET_ID),
    starts_at=schema.TIME,
    note=nullable(NOTE),
    status=STATUS,
    version=schema.VERSION,
    updated_at=schema.TIME,
    created_at=schema.TIME,
)

BY_ID = {"appointment_id": schema.APPOINTMENT_ID}

OPERATIONS = [
    Operation(callbacks.get_appointment, Nature.READ, "Read one appointment.", arguments(BY_ID), APPOINTMENT),
    Operation(
        callbacks.list_appointments,
        Nature.READ,
        "List callback appointments by their fields, cancelled ones included.",
        arguments(
            {},
            {
                "tenant": schema.TENANT,
                "contact_id": schema.CONTACT_ID,
                "ticket_id": schema.TICKET_ID,
                "status": STATUS,
            },
        ),
        result(appointments=listed(APPOINTMENT)),
    ),
    Operation(
        callbacks.book_callback,
        Nature.ADD,
        "Book a call back to a contact, who is told the time. Each call books anew.",
        arguments(
            {"contact_id": schema.CONTACT_ID, "starts_at": schema.TIME},
            {"ticket_id": schema.TICKET_ID, "note": NOTE},
        ),
        APPOINTMENT,
    ),
    Operation(
        callbacks.cancel_callback,
        Nature.SET,
        "Cancel an appointment; it stays on record as cancelled and cannot be revived, only booked anew.",
        arguments(BY_ID),
        APPOINTMENT,
    ),
]
