"""Getting a document and everything that it refers to, within its own folder or origin."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from takeback.core.jsontext import JSON, MalformedJSON, loads
from takeback_tools.http import yaml

LONGEST_DOCUMENT: Final = 32 * 1024 * 1024
"""Bytes of one document."""

MOST_DOCUMENTS: Final = 100
"""Documents that one may be made of."""

DEEPEST: Final = yaml.DEEPEST

Fetch = Callable[[str], Awaitable[bytes]]
"""Gets a document by its http(s) address. Raises ToolFailure."""


class UnusableDocument(ValueError):
    """There is no document, or none that can be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document: its address, and all that were read, by their addresses."""

    address: str
    all: Mapping[str, JSON]

    @property
    def main(self) -> JSON:
        """The document itself."""
        return self.all[self.address]


def is_url(source: str) -> bool:
    """Whether a source is fetched over HTTP."""
    return source.startswith(("http://", "https://"))


async def load(source: str, fetch: Fetch) -> Loaded:
    """Read a document from a file or an address, with what it refers to.

    References are followed within the folder of the file, or the origin of the address; others lead nowhere.

    Raises:
        UnusableDocument: it cannot be read, is neither JSON nor YAML, or is beyond the bounds.
        ToolFailure: it cannot be fetched.
    """
    address = source if is_url(source) else await asyncio.to_thread(_file_address, source)
    found: dict[str, JSON] = {}
    waiting = [address]
    while waiting:
        here = waiting.pop(0)
        if here in found:
            continue
        if len(found) >= MOST_DOCUMENTS:
            raise UnusableDocument(f"it is made of more than {MOST_DOCUMENTS} documents")
        try:
            text = await fetch(here) if is_url(here) else await asyncio.to_thread(_file_text, here)
        except UnusableDocument:
            if here == address:
                raise
            continue  # what refers to it leads nowhere, and is described no further
        found[here] = await asyncio.to_thread(_parsed, text)
        waiting += [other for other in _others(found[here], here) if _is_near(other, address)]
    return Loaded(address, found)


def _file_address(source: str) -> str:
    path = unquote(urlsplit(source).path) if source.startswith("file:") else source
    return Path(path).expanduser().resolve().as_uri()


def _file_text(address: str) -> bytes:
    path = Path(unquote(urlsplit(address).path))
    try:
        with path.open("rb") as file:
            text = file.read(LONGEST_DOCUMENT + 1)
    except OSError as error:
        raise UnusableDocument(f"{path} cannot be read: {error.strerror}") from None
    if len(text) > LONGEST_DOCUMENT:
        raise UnusableDocument(f"{path} is longer than {LONGEST_DOCUMENT} bytes")
    return text


def _parsed(text: bytes) -> JSON:
    text = text.removeprefix(b"\xef\xbb\xbf")
    try:
        value = loads(text) if text.lstrip()[:1] in {b"{", b"["} else yaml.loads(text)
    except MalformedJSON as error:
        try:
            value = yaml.loads(text)  # YAML's flow style looks like JSON
        except yaml.UnreadableYaml:
            raise UnusableDocument(f"it is {error}") from None
    except yaml.UnreadableYaml as error:
        raise UnusableDocument(f"it is {error}") from None
    if _is_too_deep(value):
        raise UnusableDocument(f"it is nested more than {DEEPEST} deep")
    return value


def _is_too_deep(value: JSON) -> bool:
    layer: list[Any] = [value]
    for _ in range(DEEPEST):
        layer = [below for here in layer for below in _below(here)]
        if not layer:
            return False
    return True


def _below(here: JSON) -> list[Any]:
    values = here.values() if isinstance(here, dict) else here if isinstance(here, list) else ()
    return [value for value in values if isinstance(value, dict | list)]


def _others(here: JSON, base: str) -> Iterator[str]:
    """The addresses of other documents that this one names."""
    waiting = [here]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict) and isinstance(value.get("$ref"), str):
            address = urldefrag(urljoin(base, value["$ref"]))[0]
            if address != base:
                yield address
        waiting += _below(value)


def _is_near(address: str, main: str) -> bool:
    """Whether a document may be read because of another one."""
    one, other = urlsplit(address), urlsplit(main)
    if (one.scheme, one.netloc) != (other.scheme, other.netloc) or one.query:
        return False
    if one.scheme != "file":
        return True
    folder = Path(unquote(other.path)).parent
    return Path(unquote(one.path)).resolve().is_relative_to(folder)
