"""Where the next page begins, in a form that nobody takes for something to be made by hand."""

from __future__ import annotations

import base64
import binascii


def cursor_of(place: str) -> str:
    """The cursor for a place."""
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def place_of(cursor: str) -> str:
    """The place that a cursor stands for; empty where it is none."""
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""
