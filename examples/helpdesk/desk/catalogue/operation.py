"""What an operation is, whichever face offers it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from desk.catalogue.schema import Schema
from desk.records import Record


class Nature(Enum):
    """What a call does, and what it does when it comes twice."""

    READ = "reads only"
    ADD = "adds another record each time"
    SET = "brings a record to a state; again changes nothing"
    DELETE = "removes a record"
    COUNT = "changes a number by an amount each time"
    OUTWARD = "reaches people or money outside the desk each time"


@dataclass(frozen=True, slots=True)
class Operation:
    """A domain function with the name, the words and the schemas that it is offered under."""

    run: Callable[..., Record]
    nature: Nature
    description: str
    arguments: Schema
    result: Schema

    @property
    def name(self) -> str:
        """The name that callers use: the function's own."""
        return self.run.__name__
