"""Redaction: what must not be kept is replaced before anything is stored, by a keyed digest that still compares."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from takeback.core.canonical import canonical
from takeback.core.jsontext import JSON, MalformedJSON, dumps, loads

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


def redact(value: JSON, *, fields: tuple[str, ...], key: bytes, seen: set[str] | None = None) -> JSON:
    """A copy in which the named fields, and fields that are secret by name, are replaced by keyed digests.

    `fields` are names at any depth, or dotted paths from the top. The digest (HMAC-SHA-256 under a key of the ledger)
    lets two values be compared without keeping either. `seen` gets the texts that were taken out.
    """
    names = frozenset(field for field in fields if "." not in field)
    paths = frozenset(field for field in fields if "." in field)
    if not isinstance(value, dict | list):
        return value
    return _Walk(names, paths, key, seen if seen is not None else set()).value(value, "")


def redact_result(result: Mapping[str, JSON], *, fields: tuple[str, ...], key: bytes, hide: frozenset[str]) -> JSON:
    """A tool's result as it may be kept: also the records that stand as JSON in its texts, and what the texts repeat.

    `hide` are texts that must not be kept, as `hidden` finds them in the arguments.
    """
    kept = redact(dict(result), fields=fields, key=key)
    if isinstance(kept.get("content"), list):
        kept["content"] = [_without(block, fields, key, hide) for block in kept["content"]]
    return kept


def _without(block: JSON, fields: tuple[str, ...], key: bytes, hide: frozenset[str]) -> JSON:
    text = block.get("text") if isinstance(block, dict) else None
    if not isinstance(text, str):
        return block
    kept = scrub(_text_redacted(text, fields, key), hide)
    return block if kept == text else {**block, "text": kept}


def _text_redacted(text: str, fields: tuple[str, ...], key: bytes) -> str:
    lowered = text.lower()
    names = (*_SECRET_NAMES, *(field.rpartition(".")[2].lower() for field in fields))
    if lowered.lstrip()[:1] not in {"{", "["} or not any(name in lowered for name in names):
        return text
    try:
        found = loads(text)
    except MalformedJSON:
        return text
    kept = redact(found, fields=fields, key=key)
    return text if kept == found else dumps(kept).decode()


def hidden(value: JSON, fields: tuple[str, ...]) -> frozenset[str]:
    """The texts that redaction takes out of a value: a tool may repeat them in what it says."""
    found: set[str] = set()
    redact(value, fields=fields, key=b"", seen=found)
    return frozenset(found)


def bounded(value: JSON, *, most: int, key: bytes) -> JSON:
    """A value of at most about `most` bytes: what is largest in it is kept as a keyed digest, which still compares."""
    if len(canonical(value)) <= most:
        return value
    if not isinstance(value, dict) or MARK in value:
        return _digest_of(value, key)
    sizes = sorted(((len(canonical(item)), name) for name, item in value.items()), reverse=True)
    kept, over = dict(value), sum(size for size, _ in sizes) - most
    for size, name in sizes:
        if over <= 0:
            break
        kept[name] = _digest_of(value[name], key)
        over -= size
    return kept if len(canonical(kept)) <= most else _digest_of(value, key)


def _digest_of(value: JSON, key: bytes) -> dict[str, JSON]:
    return {MARK: hmac.new(key, canonical(value), hashlib.sha256).hexdigest()[:32]}


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


@dataclass(frozen=True, slots=True)
class _Walk:
    names: frozenset[str]
    paths: frozenset[str]
    key: bytes
    seen: set[str]

    def value(self, value: JSON, path: str) -> JSON:
        if isinstance(value, list):
            return [self.value(item, path) for item in value]
        if not isinstance(value, dict):
            return value
        found = {}
        for name, item in value.items():
            here = f"{path}.{name}" if path else name
            hide = name in self.names or here in self.paths or _secret_by_name(name, item)
            found[name] = self.mark(item) if hide else self.value(item, here)
        return found

    def mark(self, item: JSON) -> JSON:
        if item is None or is_redacted(item):
            return item
        if isinstance(item, str | int) and not isinstance(item, bool):
            self.seen.add(str(item))
        return _digest_of(item, self.key)


def _secret_by_name(name: str, item: JSON) -> bool:
    return isinstance(item, str) and _names_a_secret(name)


@lru_cache(maxsize=4096)  # field names come back, and every field of every image passes here
def _names_a_secret(name: str) -> bool:
    return name.lower().endswith(_SECRET_NAMES)
