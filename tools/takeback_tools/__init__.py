"""Connectors to real tools, and the agent's own tools."""
