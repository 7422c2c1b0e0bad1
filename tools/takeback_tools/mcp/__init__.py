"""Connectors to MCP servers: stdio processes, streamable HTTP and SSE, in both protocol eras."""
