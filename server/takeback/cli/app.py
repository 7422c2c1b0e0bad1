"""The program `takeback`: its commands and its help."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from takeback import __version__
from takeback.cli import (
    acting,
    checking,
    freezing,
    installing,
    looking,
    pausing,
    pins,
    playing,
    policies,
    pruning,
    recovering,
    serving,
    showing,
    surveying,
    working,
)

app = typer.Typer(
    name="takeback",
    help="Stands between an agent and its real tools and makes every change recoverable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
serving.add_to(app)
working.add_to(app)
policies.add_to(app)
checking.add_to(app)
surveying.add_to(app)
looking.add_to(app)
showing.add_to(app)
pausing.add_to(app)
acting.add_to(app)
installing.add_to(app)
pins.add_to(app)
pruning.add_to(app)
recovering.add_to(app)
freezing.add_to(app)
playing.add_to(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"takeback {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log to standard error.")] = False,
) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )


def main() -> None:
    """Run the command line."""
    app()
