"""Putting one entry behind the guard and taking it out again, as edits of the file's text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from takeback.core.clients.entries import Command, Remote
from takeback.core.clients.guarded import URL_VARIABLE, Guarded, Launcher, guarding, guarding_remote, variables
from takeback.core.jsonc import Edit, Member, Node, added, prefixed, read, removed, replaced, shortened, spelled

_STDIO: Final = spelled("stdio")


def wrapped(text: str, server: Command | Remote, launcher: Launcher, name: str) -> list[Edit]:
    """The edits that put a server behind the guard, as the upstream `name`. Whatever else its entry says stays."""
    edit = _wrapped_command if isinstance(server, Command) else _wrapped_remote
    return edit(text, server, launcher, name)  # type: ignore[arg-type]


def _wrapped_command(text: str, server: Command, launcher: Launcher, name: str) -> list[Edit]:
    command = server.command
    words = [spelled(word) for word in (*launcher.words, *guarding(name))]
    words.append(text[command.value.start : command.value.end])  # as it is spelled
    program = replaced(command.value, spelled(launcher.program))
    if server.args is None:
        return [program, added(text, command, "args", f"[{', '.join(words)}]")]
    return [program, prefixed(server.args.value, words)]


def _wrapped_remote(text: str, server: Remote, launcher: Launcher, name: str) -> list[Edit]:
    """`url` becomes `command` and `args`; `headers` become `env`, values as they were."""
    url, headers = server.url, server.headers.value.members if server.headers else ()
    named = variables([member.name for member in headers])
    address = None if server.secret_url else url.value.value
    words = [*launcher.words, *guarding_remote(name, address, named, sse=server.transport == "sse")]
    edits = [replaced(url.key, spelled("command")), replaced(url.value, spelled(launcher.program))]
    behind = [("args", spelled(words))]
    if server.headers is not None:
        edits += [replaced(server.headers.key, spelled("env"))]
        edits += [replaced(member.key, spelled(named[member.name])) for member in headers]
    if server.secret_url:
        raw = text[url.value.start : url.value.end]
        if headers:
            edits.append(added(text, headers[-1], URL_VARIABLE, raw))
        elif server.headers is not None:
            edits.append(replaced(server.headers.value, f"{{{spelled(URL_VARIABLE)}: {raw}}}"))
        else:
            behind.append(("env", f"{{{spelled(URL_VARIABLE)}: {raw}}}"))
    if server.kind is not None:
        edits.append(replaced(server.kind.value, _STDIO))
    return [*edits, _all_added(text, url, behind)]


def _all_added(text: str, after: Member, members: Sequence[tuple[str, str]]) -> Edit:
    edits = [added(text, after, name, value) for name, value in members]
    return Edit(edits[0].start, edits[0].end, "".join(edit.text for edit in edits))


@dataclass(frozen=True, slots=True)
class Original:
    """The entry as it was before it was wrapped, where that is known: what it had cannot all be seen afterwards."""

    had_args: bool = True
    kind: str | None = None

    @classmethod
    def of(cls, was: str) -> Original:
        """From the entry's old text."""
        node = read(was)
        kind = node.member("type")
        return cls(node.member("args") is not None, was[kind.value.start : kind.value.end] if kind else None)


def unwrapped(text: str, entry: Node, guarded: Guarded, original: Original) -> list[Edit]:
    """The edits that take a server out of the guard again. What somebody else changed in its entry since stays."""
    if guarded.rest is not None:
        return _unwrapped_command(text, entry, guarded.rest, original)
    return _unwrapped_remote(text, entry, guarded, original)


def _unwrapped_command(text: str, entry: Node, rest: int, original: Original) -> list[Edit]:
    command, args = entry.member("command"), entry.member("args")
    assert command is not None
    assert args is not None
    items = args.value.items
    old = items[rest - 1].value  # `rest` counts the command, too
    edits = [replaced(command.value, text[old.start : old.end])]
    if len(items) == rest and not original.had_args:
        return [*edits, *removed(text, entry.members, "args")]
    return [*edits, *shortened(args.value, rest)]


def _unwrapped_remote(text: str, entry: Node, guarded: Guarded, original: Original) -> list[Edit]:
    command, kind, env = (entry.member(name) for name in ("command", "type", "env"))
    assert command is not None
    held = env.value.member(URL_VARIABLE) if env is not None and guarded.url is None else None
    url = text[held.value.start : held.value.end] if held is not None else spelled(guarded.url or "")
    edits = [replaced(command.key, spelled("url")), replaced(command.value, url)]
    if kind is not None:
        edits.append(replaced(kind.value, original.kind or spelled("sse" if guarded.sse else "http")))
    going = ["args"]
    if env is not None and [member.name for member in env.value.members] == [URL_VARIABLE]:
        going.append("env")
    elif env is not None:
        edits += _headers_again(text, env, guarded, command)
    return [*edits, *removed(text, entry.members, *going)]


def _headers_again(text: str, env: Member, guarded: Guarded, after: Member) -> list[Edit]:
    """`env` becomes `headers` again; what somebody added to it stays an `env`."""
    names = {variable: header for header, variable in guarded.headers.items()}
    ours = [member for member in env.value.members if member.name in names]
    if all(member.name in {*names, URL_VARIABLE} for member in env.value.members):
        renamed = [replaced(member.key, spelled(names[member.name])) for member in ours]
        return [replaced(env.key, spelled("headers")), *renamed, *removed(text, env.value.members, URL_VARIABLE)]
    values = ", ".join(f"{spelled(names[m.name])}: {text[m.value.start : m.value.end]}" for m in ours)
    headers = [added(text, after, "headers", f"{{{values}}}")] if ours else []
    return [*headers, *removed(text, env.value.members, *names, URL_VARIABLE)]
