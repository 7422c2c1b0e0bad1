"""How to reach an HTTP API: what the policy says about the upstream, and nothing of the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from takeback.core.policy.apis import Auth, Operation
from takeback.core.policy.schema import Upstream

_TIMEOUT: Final = 60.0


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """An API with a document (`openapi`: a file or an address), with declared operations, or both.

    `headers` and `auth` hold secrets. `timeout` (of a request that names none) and `start_timeout` are in seconds.
    `tags`, `paths` and `methods` narrow what clients are offered; null: no limit.
    """

    openapi: str | None = None
    base_url: str | None = None
    operations: Mapping[str, Operation] = field(default_factory=dict)
    auth: Auth | None = None
    tenant: str = "default"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tags: frozenset[str] | None = None
    paths: tuple[str, ...] | None = None
    methods: frozenset[str] | None = None
    timeout: float = _TIMEOUT
    start_timeout: float = 30.0

    @classmethod
    def of(cls, upstream: Upstream, tenant: str) -> HttpSettings:
        """The settings in an upstream's table of the policy, for the tenant that the guard serves."""
        return cls(
            openapi=upstream.openapi,
            base_url=upstream.base_url,
            operations=dict(upstream.operation),
            auth=upstream.auth,
            tenant=tenant,
            headers=dict(upstream.headers),
            tags=frozenset(upstream.tags) if upstream.tags is not None else None,
            paths=upstream.paths,
            methods=frozenset(method.upper() for method in upstream.methods) if upstream.methods is not None else None,
            timeout=upstream.timeout.total_seconds() if upstream.timeout else _TIMEOUT,
            start_timeout=upstream.start_timeout.total_seconds(),
        )

    def offers(self, method: str, path: str, tags: frozenset[str]) -> bool:
        """Whether clients are offered an operation."""
        return (
            (self.methods is None or method in self.methods)
            and (self.paths is None or any(fnmatchcase(path, pattern) for pattern in self.paths))
            and (self.tags is None or bool(self.tags & tags))
        )

    def secrets(self) -> frozenset[str]:
        """Values of `headers` that must not be seen in messages, and their parts (`Bearer ...`)."""
        values = {part for value in self.headers.values() for part in (value, *value.split())}
        return frozenset(value for value in values if len(value) >= SHORTEST_SECRET)


SHORTEST_SECRET: Final = 6
REDACTED: Final = "[secret]"
