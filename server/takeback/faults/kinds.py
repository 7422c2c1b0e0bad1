"""The faults by name."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """What befalls one request or its reply. *Before* and *after* are meant of the effect upstream."""

    REPLY_LOST = "reply lost"
    """Carried out; the answer never comes, and the line stays open."""

    LATE = "late"
    """Held back until `land` is called, however long ago its sender has given up; then carried out."""

    DELIVERED_TWICE = "delivered twice"
    """The upstream gets the request twice, the second one once it has answered the first."""

    ANSWERED_TWICE = "answered twice"
    """The reply comes twice."""

    ERROR_BEFORE = "error before"
    """Not carried out, and an error is the answer: over HTTP the status 500, in MCP a tool's error result."""

    ERROR_AFTER = "error after"
    """Carried out, and the same error is the answer."""

    GARBAGE = "garbage"
    """Carried out; what comes back is nothing that the protocol knows."""

    TRUNCATED = "truncated"
    """Carried out; half of the answer comes, and then the line ends."""

    UNAVAILABLE_BEFORE = "503 before"
    """Not carried out, and the status 503 is the answer. HTTP only."""

    UNAVAILABLE_AFTER = "503 after"
    """Carried out, and the status 503 is the answer. HTTP only."""

    CUT_BEFORE = "cut before"
    """Not carried out: the connection is reset; on stdio, the server dies."""

    CUT_AFTER = "cut after"
    """Carried out; then the connection is reset; on stdio, the server dies."""
