"""Takeback: a guard between an agent and its real tools that makes every change recoverable."""

__version__ = "0.1.0"
