"""Names of servers as clients have them (any text) and as policies take them."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

from takeback.core.policy.tools import CODE

_LEGAL: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_MAPPED: Final = re.compile(r"-[0-9a-f]{8}$")
_LONGEST: Final = 23
"""Letters that are left for a name's own words beside a hyphen and eight digits."""


def upstream_name(name: str) -> str:
    """The name of a client's server in policies: its own where that is legal, else words of it and a digest.

    Two names never come to the same one (but for a digest of 32 bits): a legal name that looks as if it had been
    mapped is mapped, too.
    """
    if _LEGAL.fullmatch(name) and not _MAPPED.search(name) and name != CODE:
        return name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-_")
    if not words[:1].isalpha():
        words = f"server-{words}" if words else "server"
    return f"{words[:_LONGEST].rstrip('-_')}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
