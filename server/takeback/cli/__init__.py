"""The command line: one file a command group; this module is the entry point."""

from __future__ import annotations

from takeback.cli.app import main

__all__ = ["main"]
