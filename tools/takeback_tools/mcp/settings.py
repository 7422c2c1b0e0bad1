"""What a policy says about one upstream, as the connector needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from takeback.core.policy.schema import Upstream

_TIMEOUT: Final = 30.0


@dataclass(frozen=True, slots=True)
class McpSettings:
    """How to reach one MCP server. `command` goes with `stdio`, `url` with `http` and `sse`.

    `env` is added to the guard's own environment. `headers` may hold secrets: they travel on each HTTP request and
    are never shown. `timeout` (of a request that names none) and `start_timeout` are in seconds. `capabilities` are
    what is declared to the server.
    """

    command: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    url: str | None = None
    transport: Literal["stdio", "http", "sse"] = "stdio"
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = _TIMEOUT
    start_timeout: float = 30.0
    capabilities: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, upstream: Upstream) -> McpSettings:
        """The settings in an upstream's table of the policy."""
        return cls(
            command=upstream.command,
            args=upstream.args,
            env=dict(upstream.env),
            cwd=upstream.cwd,
            url=upstream.url,
            transport=upstream.transport or ("stdio" if upstream.command else "http"),
            headers=dict(upstream.headers),
            timeout=upstream.timeout.total_seconds() if upstream.timeout else _TIMEOUT,
            start_timeout=upstream.start_timeout.total_seconds(),
        )

    def secrets(self) -> tuple[str, ...]:
        """Values that must not be seen in messages or logs: those of `env` and `headers`, longest first."""
        values = {value for given in (self.env, self.headers) for value in given.values()}
        values |= {part for value in values for part in value.split()}  # "Bearer ...", and what has several lines
        return tuple(sorted((v for v in values if len(v) >= _SECRET_LENGTH), key=len, reverse=True))

    def redacted(self, text: str) -> str:
        """The text without secrets."""
        for secret in self.secrets():
            text = text.replace(secret, REDACTED)
        return text


REDACTED: Final = "[secret]"

_SECRET_LENGTH: Final = 6
