"""The command line of a server that runs behind the guard: how it is written, and how it is read back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_PROGRAM: Final = re.compile(r"(?:^|[/\\])takeback(?:\.exe)?$", re.IGNORECASE)
_AS_MODULE: Final = ("-m", "takeback.cli")
_FARTHEST: Final = 4
"""Words within which the guard is named: `uv tool run takeback ...`."""

_TOLD: Final = (["wrap"], ["serve"])
"""What follows the guard's name behind another program; a folder may be called so, too."""

_NOT_IN_A_VARIABLE: Final = re.compile(r"[^A-Z0-9]")

URL_VARIABLE: Final = "TAKEBACK_URL"


@dataclass(frozen=True, slots=True)
class Launcher:
    """How the guard itself is started: a program by its full path, and the words between it and the first option."""

    program: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Guarded:
    """A server behind the guard, as its command line says.

    `rest` is where the old command begins (counted in `command` and `args` as one list), or None for a remote server.
    `headers` are variables by header. `own` is false where options stand there that `install` does not write.
    """

    rest: int | None
    name: str = ""
    url: str | None = None
    url_from: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    sse: bool = False
    own: bool = True

    @classmethod
    def of(cls, words: list[str]) -> Guarded | None:
        """The guard in these words (command and args), or None if it is not there or does not wrap."""
        at = _after_the_program(words)
        if at is None or words[at : at + 1] != ["wrap"]:
            return None
        return _parsed(words, at + 1)


def runs_the_guard(words: list[str]) -> bool:
    """Whether these words start the guard, whatever it is told to do."""
    return _after_the_program(words) is not None


def guarding(name: str, words: Sequence[str] = ()) -> list[str]:
    """What follows the launcher for a server that is started."""
    return ["wrap", "--name", name, "--", *words]


def guarding_remote(name: str, url: str | None, headers: Mapping[str, str], *, sse: bool) -> list[str]:
    """What follows the launcher for a remote server; without `url` the address comes from `URL_VARIABLE`."""
    words = ["wrap", "--name", name, *(["--url", url] if url is not None else ["--url-from", URL_VARIABLE])]
    for header, variable in headers.items():
        words += ["--header", f"{header}={variable}"]
    return [*words, "--transport", "sse"] if sse else words


def variables(headers: Sequence[str]) -> dict[str, str]:
    """An environment variable for each header."""
    found: dict[str, str] = {}
    for header in headers:
        plain = stem = f"TAKEBACK_HEADER_{_NOT_IN_A_VARIABLE.sub('_', header.upper())}"
        number = 1
        while plain in found.values():
            number += 1
            plain = f"{stem}_{number}"
        found[header] = plain
    return found


def _after_the_program(words: list[str]) -> int | None:
    for index, word in enumerate(words[:_FARTHEST]):
        if _PROGRAM.search(word) and (index == 0 or words[index + 1 : index + 2] in _TOLD):
            return index + 1
        if tuple(words[index : index + 2]) == _AS_MODULE:
            return index + 2
    return None


_OPTIONS: Final = ("--name", "--url", "--url-from", "--transport", "--header")


def _parsed(words: list[str], at: int) -> Guarded:
    given: dict[str, str] = {}
    headers: dict[str, str] = {}
    while at + 1 < len(words) and words[at] in _OPTIONS:
        option, value = words[at], words[at + 1]
        if option == "--header":
            header, _, variable = value.partition("=")
            headers[header] = variable
        else:
            given[option] = value
        at += 2
    ends = words[at : at + 1] == ["--"]
    return Guarded(
        rest=at + 1 if ends else None,
        name=given.get("--name", ""),
        url=given.get("--url"),
        url_from=given.get("--url-from"),
        headers=headers,
        sse=given.get("--transport") == "sse",
        own=(ends and at + 1 < len(words)) or (at == len(words) and bool({"--url", "--url-from"} & set(given))),
    )
