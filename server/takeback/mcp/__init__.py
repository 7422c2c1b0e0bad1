"""The downstream face: what MCP clients connect to, in both protocol eras, over stdio and streamable HTTP."""
