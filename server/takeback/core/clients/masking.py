"""A configuration as it may be shown: with the values that may be secrets taken out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from takeback.core.jsonc import Edit, Node, edited, read, spelled

MASK: Final = "[secret]"

_HOLDERS: Final = frozenset({"env", "headers"})
_TELLING: Final = re.compile(r"key|token|secret|passw|auth|credential|cookie|session|signature", re.IGNORECASE)
_REFERENCE: Final = re.compile(r"(?:(?:Bearer|Basic|Token) )?\$\{[^}:]*(?::(?!-)[^}]*)?\}", re.IGNORECASE)
_OPTION: Final = re.compile(r"(--?[\w-]+|[A-Za-z_]\w*)=(.+)", re.DOTALL)
_OWN_OPTION: Final = re.compile(r"[\w!#$%&'*+.^`|~-]+=TAKEBACK_HEADER_[A-Z0-9_]+")
_LOOKS_SECRET: Final = re.compile(
    r"(?:sk|pk|rk|gh[opsur]|xox[a-z]|glpat|AKIA|eyJ)[-_A-Za-z0-9]{8,}|(?=\S*\d)(?=\S*[A-Za-z])[\w-]{28,}"
)
_URL: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<user>[^/@?#]*@)?(?P<rest>[^?#]*)(?P<query>[?#].*)?", re.DOTALL
)


def masked(text: str) -> str:
    """The text with a mask for each value that may be a secret, and everything else as it is.

    Values of `env` and `headers`, of names that tell of a secret, of such options in a list of arguments, and what
    stands in an address beside host and path. References (`${NAME}`) are shown.
    """
    return edited(text, _edits(read(text), secret=False))


def _edits(node: Node, *, secret: bool) -> Iterator[Edit]:
    for member in node.members:
        held = secret or member.name in _HOLDERS or bool(_TELLING.search(member.name))
        yield from _edits(member.value, secret=held)
    before = ""
    for item in node.items:
        yield from _edits(item.value, secret=secret or (before.startswith("-") and bool(_TELLING.search(before))))
        before = item.value.value if isinstance(item.value.value, str) else ""
    if isinstance(node.value, str) and (shown := _shown(node.value, secret=secret)) != node.value:
        yield Edit(node.start, node.end, spelled(shown))


def _shown(value: str, *, secret: bool) -> str:
    if not value or _REFERENCE.fullmatch(value) or _OWN_OPTION.fullmatch(value):
        return value
    if secret:
        return MASK
    option = _OPTION.fullmatch(value)
    if option is not None and _TELLING.search(option[1]):
        return f"{option[1]}={MASK}"
    address = _URL.fullmatch(value)
    if address is not None:
        user, query = (MASK + "@" if address["user"] else ""), ("?" + MASK if address["query"] else "")
        return f"{address['scheme']}{user}{address['rest']}{query}"
    return MASK if _LOOKS_SECRET.fullmatch(value) else value
