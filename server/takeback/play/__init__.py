"""`takeback play`: a scripted client that lives through a scenario against a real guard, over real MCP."""
