"""The servers in a client's configuration, and what each of them is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from takeback.core.clients.guarded import Guarded, runs_the_guard
from takeback.core.jsonc import Member, Node

_TABLES: Final = (("mcpServers",), ("servers",), ("mcp", "servers"))
_LOGINS: Final = frozenset({"oauth", "auth", "authorization", "authorization_token", "headersHelper", "authProvider"})
_REMOTE_TYPES: Final = {
    "http": "http", "streamable-http": "http", "streamableHttp": "http", "streamable_http": "http", "sse": "sse",
}  # fmt: skip
_SECRET_IN_URL: Final = re.compile(r"[?@#]|\$\{")


@dataclass(frozen=True, slots=True)
class Entry:
    """One server of a configuration. `place` are the names that lead to it; the last one is its own."""

    place: tuple[str, ...]
    node: Node
    twice: bool = False

    @property
    def name(self) -> str:
        """The server's name."""
        return self.place[-1]


@dataclass(frozen=True, slots=True)
class Command:
    """A server that the client starts."""

    command: Member
    args: Member | None


@dataclass(frozen=True, slots=True)
class Remote:
    """A server that runs already. `secret_url`: its address may hold a secret, or one that the client fills in."""

    url: Member
    headers: Member | None
    kind: Member | None
    env: Member | None
    transport: str
    secret_url: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """An entry that cannot be put behind the guard, and why."""

    reason: str


Judged: TypeAlias = Command | Remote | Guarded | Refusal


def entries(root: Node) -> list[Entry]:
    """All servers of a configuration, whatever client it belongs to, those of its projects included."""
    found = []
    for place, table in _tables(root):
        names = [member.name for member in table.members]
        found += [Entry((*place, m.name), m.value, names.count(m.name) > 1) for m in table.members]
    return found


def _tables(root: Node) -> Iterator[tuple[tuple[str, ...], Node]]:
    projects = root.at("projects")
    places = [*_TABLES, *(("projects", m.name, "mcpServers") for m in (projects.members if projects else ()))]
    for place in places:
        table = root.at(*place)
        if table is not None:
            yield place, table


def judge(entry: Entry) -> Judged:
    """What a server is."""
    node = entry.node
    names = [member.name for member in node.members]
    if entry.twice:
        return Refusal("its name stands twice in the file, and only the client knows which one counts")
    if not isinstance(node.value, dict):
        return Refusal("it is not an object")
    if len(set(names)) != len(names):
        return Refusal("a key stands twice in it")
    words = _words(node)
    if words is not None and (guarded := Guarded.of(words)) is not None:
        return guarded
    if words is not None and runs_the_guard(words):
        return Refusal("it is the guard itself")
    if "command" in names and _remote(node) is not None:
        return Refusal("it has both a command and an address")
    return _command(node, words) if "command" in names else _address(node)


def _words(node: Node) -> list[str] | None:
    command, args = node.value.get("command"), node.value.get("args", [])
    if not isinstance(command, str) or not command or not _strings(args):
        return None
    return [command, *args]


def _command(node: Node, words: list[str] | None) -> Command | Refusal:
    if words is None:
        return Refusal("its command and args are not a text and a list of texts")
    if re.search(r"\s", words[0]) and not re.search(r"[/\\]", words[0].split()[0]):
        return Refusal("its command is several words, and only the client knows how it divides them; use args")
    if node.value.get("type", "stdio") != "stdio":
        return Refusal("its type does not go with a command")
    command = node.member("command")
    assert command is not None
    return Command(command, node.member("args"))


def _remote(node: Node) -> Member | None:
    return node.member("url")


def _address(node: Node) -> Remote | Refusal:
    url, headers, kind, env = (node.member(name) for name in ("url", "headers", "type", "env"))
    address = node.value.get("url")
    if url is None or not isinstance(address, str) or not address:
        return Refusal("it has neither a command nor an address (url) to reach it by")
    told = node.value.get("type", "sse" if address.rstrip("/").endswith("/sse") else "http")
    transport = _REMOTE_TYPES.get(told) if isinstance(told, str) else None
    if transport is None:
        return Refusal("its type is none that the guard can reach")
    if logins := sorted(_LOGINS & set(node.value)):
        return Refusal(f"the client itself logs in there ({', '.join(logins)}), which the guard cannot do for it")
    if headers is not None and not _texts_by_name(headers.value):
        return Refusal("its headers are not texts by name")
    remote = Remote(url, headers, kind, env, transport, bool(_SECRET_IN_URL.search(address)))
    if env is not None and (remote.secret_url or (headers is not None and headers.value.members)):
        return Refusal("it has an env beside what must go there (its headers, or an address with a secret)")
    return remote


def _texts_by_name(node: Node) -> bool:
    names = [member.name.lower() for member in node.members]
    texts = isinstance(node.value, dict) and _strings(list(node.value.values()))
    legal = all(re.fullmatch(r"[a-z0-9!#$%&'*+.^_`|~-]+", name) for name in names)
    return texts and legal and len(set(names)) == len(names)


def _strings(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
