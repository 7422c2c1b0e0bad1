"""Everything the desk can do, by name, and the one way to do it. Its faces are made from this table."""

import sqlite3
from collections.abc import Mapping

from jsonschema import Draft202012Validator, ValidationError  # type: ignore[import-untyped]

from desk.catalogue import billing, callbacks, contacts, documents, mail, reports, tickets
from desk.catalogue.operation import Nature, Operation
from desk.errors import Invalid
from desk.faults import Fault
from desk.records import Record

__all__ = ["OPERATIONS", "Nature", "Operation", "overtake", "perform"]

OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for area in (tickets, contacts, mail, billing, callbacks, documents, reports)
    for operation in area.OPERATIONS
}

_VALIDATORS = {name: Draft202012Validator(operation.arguments) for name, operation in OPERATIONS.items()}


def perform(db: sqlite3.Connection, name: str, arguments: Mapping[str, object]) -> Record:
    """Check the arguments against the operation's schema, then run it."""
    errors = sorted(_VALIDATORS[name].iter_errors(dict(arguments)), key=lambda error: error.json_path)
    if errors:
        raise Invalid(f"invalid arguments for {name}: " + "; ".join(map(_in_words, errors)))
    return OPERATIONS[name].run(db, **arguments)


def overtake(db: sqlite3.Connection, fault: Fault) -> None:
    """Let somebody else be quicker, where the fault says so."""
    if fault.overtaker:
        perform(db, *fault.overtaker)


def _in_words(error: ValidationError) -> str:
    place = ".".join(str(part) for part in error.absolute_path)
    return f"{place}: {error.message}" if place else error.message
