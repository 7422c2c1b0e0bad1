"""Redaction: what must not be kept is replaced before anything is stored, by a keyed digest that still compares."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from takeback.core.canonical import canonical
from takeback.core.jsontext import JSON

MARK: Final = "io.takeback/redacted"
_SECRET_NAMES: Final = (
    "password",
    "passwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "authorization",
    "credit_card",
    "cvv",
)


def redact(value: JSON, *, fields: tuple[str, ...], key: bytes) -> JSON:
    """A copy in which the named fields, and fields that are secret by name, are replaced by keyed digests.

    `fields` are names at any depth, or dotted paths from the top. The digest (HMAC-SHA-256 under a key of the ledger)
    lets two values be compared without keeping either.
    """
    names = frozenset(field for field in fields if "." not in field)
    paths = frozenset(field for field in fields if "." in field)
    if not isinstance(value, dict | list):
        return value
    return _walk(value, "", names, paths, key)


def is_redacted(value: JSON) -> bool:
    """Whether a value is a mark that redaction left, or holds one."""
    if isinstance(value, Mapping):
        return MARK in value or any(map(is_redacted, value.values()))
    return isinstance(value, list) and any(map(is_redacted, value))


def scrub(text: str, secrets: frozenset[str]) -> str:
    """A text for people or models, without the secrets of the policy."""
    for secret in secrets:
        if len(secret) >= 4:  # noqa: PLR2004 - shorter ones would cut ordinary words
            text = text.replace(secret, "[secret]")
    return text


def _walk(value: JSON, path: str, names: frozenset[str], paths: frozenset[str], key: bytes) -> JSON:
    if isinstance(value, list):
        return [_walk(item, path, names, paths, key) for item in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, item in value.items():
        here = f"{path}.{name}" if path else name
        hide = name in names or here in paths or _secret_by_name(name, item)
        found[name] = _mark(item, key) if hide else _walk(item, here, names, paths, key)
    return found


def _secret_by_name(name: str, item: JSON) -> bool:
    return isinstance(item, str) and _names_a_secret(name)


@lru_cache(maxsize=4096)  # field names come back, and every field of every image passes here
def _names_a_secret(name: str) -> bool:
    return name.lower().endswith(_SECRET_NAMES)


def _mark(item: JSON, key: bytes) -> JSON:
    if item is None or is_redacted(item):
        return item
    return {MARK: hmac.new(key, canonical(item), hashlib.sha256).hexdigest()[:32]}
