"""Configurations of MCP clients: what stands in them, and how an entry is put behind the guard and taken out again."""
