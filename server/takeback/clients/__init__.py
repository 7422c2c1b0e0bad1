"""The configuration files of MCP clients on this machine: where they lie, and how they are changed without loss."""
