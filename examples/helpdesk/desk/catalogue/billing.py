"""Operations on invoices, charges and refunds."""

from desk import billing
from desk.catalogue import schema
from desk.catalogue.operation import Nature, Operation
from desk.catalogue.schema import arguments, listed, nullable, one_of, result, text, whole

CENTS = whole("An amount in cents: 5000 is 50.00.", 1, 100_000_000)
SUM = {"type": "integer", "minimum": 0, "description": "A sum in cents."}
NOTE = text("Why.", 1000)

CHARGE = result(
    charge_id=schema.CHARGE_ID,
    tenant=schema.TENANT,
    invoice_id=schema.INVOICE_ID,
    amount_cents=CENTS,
    charged_at=schema.TIME,
)
REFUND = result(
    refund_id=schema.REFUND_ID,
    tenant=schema.TENANT,
    invoice_id=schema.INVOICE_ID,
    amount_cents=CENTS,
    note=nullable(NOTE),
    refunded_at=schema.TIME,
)
INVOICE = result(
    invoice_id=schema.INVOICE_ID,
    tenant=schema.TENANT,
    contact_id=schema.CONTACT_ID,
    amount_cents=CENTS,
    currency=one_of("Its currency.", "USD", "EUR"),
    issued_at=schema.TIME,
    paid_cents=SUM,
    refunded_cents=SUM,
    status=one_of("How far it is paid.", "open", "paid", "partly_refunded", "refunded"),
    charges=listed(CHARGE),
)

BY_ID = {"invoice_id": schema.INVOICE_ID}

OPERATIONS = [
    Operation(
        billing.get_invoice,
        Nature.READ,
        "Read one invoice, with its charges and what was paid and refunded of it.",
        arguments(BY_ID),
        INVOICE,
    ),
    Operation(
        billing.list_refunds,
        Nature.READ,
        "List refunds, oldest first, of one invoice or of all.",
        arguments({}, {**BY_ID, "tenant": schema.TENANT}),
        result(refunds=listed(REFUND)),
    ),
    Operation(
        billing.issue_refund,
        Nature.OUTWARD,
        "Pay back a part of an invoice. Each call pays anew, until all that was paid is refunded.",
        arguments({**BY_ID, "amount_cents": CENTS}, {"note": NOTE}),
        REFUND,
    ),
    Operation(
        billing.charge_card,
        Nature.OUTWARD,
        "Charge the contact's card for an invoice. Each call charges anew, until the invoice is paid.",
        arguments({**BY_ID, "amount_cents": CENTS}),
        CHARGE,
    ),
]
