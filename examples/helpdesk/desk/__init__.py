"""The customer desk: tickets, contacts, mail, billing, callbacks and documents over one SQLite file."""
