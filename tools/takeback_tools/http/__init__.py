"""HTTP APIs as tools: described by an OpenAPI document, or request by request in the policy."""
