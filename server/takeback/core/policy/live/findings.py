"""What is found: where in the file, how bad, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from takeback.core.policy.mistakes import Keys, Mistake


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"  # it cannot work: a call will fail, or protect nothing
    WARNING = "warning"  # it may not work, or something is unprotected that could be protected
    NOTE = "note"  # how it is, for whoever reads the policy

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. `mistake` says where, what, and what to do."""

    severity: Severity
    mistake: Mistake


def error(keys: Keys, message: str, suggestion: str = "") -> Finding:
    """It cannot work."""
    return Finding(Severity.ERROR, Mistake(keys, message, suggestion))


def warning(keys: Keys, message: str, suggestion: str = "") -> Finding:
    """It may not work, or could be protected."""
    return Finding(Severity.WARNING, Mistake(keys, message, suggestion))


def note(keys: Keys, message: str, suggestion: str = "") -> Finding:
    """How it is."""
    return Finding(Severity.NOTE, Mistake(keys, message, suggestion))
