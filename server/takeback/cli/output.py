"""Output for people (tables, colour) and for programs (`--json`), and exit codes that mean something."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from takeback.core.jsontext import JSON, dumps

WIDTH: Final = 160
"""Columns of output that goes to a file or a pipe, where nobody knows the width."""


def _terminal() -> bool:
    """Whether a person looks at it. A program that was started without a standard output has none."""
    return sys.stdout is not None and sys.stdout.isatty()


out = Console(soft_wrap=True, highlight=False, width=None if _terminal() else WIDTH)
err = Console(stderr=True, soft_wrap=True, highlight=False)


class Exit(IntEnum):
    """What a command ends with. 0 is success."""

    REFUSED = 1  # the thing asked for was not done, and the reason was said
    USAGE = 2  # the command line or the policy has mistakes
    NOT_FOUND = 3  # no such action, approval or run
    NOT_STARTED = 4  # the guard, an upstream or the ledger cannot be used


def emit(value: JSON) -> None:
    """One JSON document on standard output."""
    sys.stdout.buffer.write(dumps(value) + b"\n")
    sys.stdout.buffer.flush()


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> None:
    """A table for people; `empty` where there is nothing. Cells are untrusted text and are never read as markup."""
    if not rows:
        out.print(empty, markup=False)
        return
    grid = Table(show_edge=False, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        grid.add_column(column, overflow="fold", no_wrap=index == 0)
    for row in rows:
        grid.add_row(*(plain(str(cell)) for cell in row))
    out.print(grid)


def plain(text: str) -> Text:
    """Text that comes from tools: no markup, no control characters."""
    return Text("".join(c if c.isprintable() or c == "\n" else "�" for c in text))


def say(text: str) -> None:
    """A line for people."""
    out.print(plain(text))


def agreed(shown: str, asked: str, *, aside: bool) -> bool:
    """Show something and ask a person; no answer is a no. `aside`: standard output belongs to a program."""
    console = err if aside else out
    console.print(plain(shown))
    console.print(plain(f"{asked} [y/N]: "), end="")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # asyncio's would wait for the answer, too
    try:
        answer = sys.stdin.readline() if sys.stdin is not None else ""
    except KeyboardInterrupt:
        answer = ""
    finally:
        signal.signal(signal.SIGINT, before)
    if not answer.endswith("\n"):
        console.print()
    return answer.strip().lower() in {"y", "yes"}


def fail(text: str, code: Exit) -> NoReturn:
    """Say on standard error what went wrong, and end."""
    err.print(plain(text))
    raise typer.Exit(code)
