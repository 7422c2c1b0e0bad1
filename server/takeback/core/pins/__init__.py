"""Pins: which definition of a tool is trusted, and what is different about another one."""
