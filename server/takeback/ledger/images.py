"""Images as the ledger keeps them: content-addressed, compressed, bounded."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any, Final

from takeback.ports import LedgerFailure

LARGEST: Final = 16 * 2**20
"""Bytes of canonical JSON that one image may have; the guard's own bound is much lower."""

_LEVEL: Final = 3


def check(digest: str, content: bytes) -> None:
    """Raises LedgerFailure when the content is too large or is not what the digest names."""
    if len(content) > LARGEST:
        raise LedgerFailure(f"an image of {len(content)} bytes is larger than {LARGEST}")
    if hashlib.sha256(content).hexdigest() != digest:
        raise LedgerFailure("an image is not what its digest names")


def packed(digest: str, content: bytes) -> dict[str, Any]:
    """The row of an image."""
    return {"digest": digest, "content": zlib.compress(content, _LEVEL), "size": len(content)}


def unpacked(content: bytes, size: int) -> bytes:
    """The content of an image's row.

    Raises:
        LedgerFailure: the row was damaged.
    """
    try:
        plain = zlib.decompressobj().decompress(content, size + 1)
    except zlib.error:
        raise LedgerFailure("an image in the ledger is damaged") from None
    if len(plain) != size:
        raise LedgerFailure("an image in the ledger is damaged")
    return plain
