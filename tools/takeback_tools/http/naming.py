"""Names of tools and arguments: what clients accept, the same every time, and no two alike."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container
from typing import Final

from takeback.core.jsontext import JSON

LONGEST_TOOL: Final = 64
LONGEST_ARGUMENT: Final = 64


def tool_name(upstream: str, wanted: JSON, method: str, path: str, taken: Container[str]) -> str:
    """The tool's name: the operation id where there is one, else made of method and path.

    It leaves room for `upstream_` before it. One that is taken, or too long, ends in a digest of method and path.
    """
    longest = LONGEST_TOOL - len(upstream) - 1
    plain = _legal(wanted if isinstance(wanted, str) else "") or _legal(f"{method.lower()}_{path}")
    if len(plain) <= longest and plain not in taken:
        return plain
    mark = hashlib.sha256(f"{method} {path}".encode()).hexdigest()[:6]
    return f"{plain[: longest - 7].rstrip('_')}_{mark}"


def _legal(text: str) -> str:
    return re.sub(r"_{2,}", "_", re.sub(r"[^A-Za-z0-9_-]+", "_", text)).strip("_")


def argument_name(name: str, place: str, taken: Container[str]) -> str:
    """The argument for a parameter or field: its own name, with its place behind it where that is taken."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:LONGEST_ARGUMENT] or place
    found, number = plain, 1
    while found in taken:
        suffix = f"_{place}" if number == 1 else f"_{place}_{number}"
        found, number = plain[: LONGEST_ARGUMENT - len(suffix)] + suffix, number + 1
    return found
