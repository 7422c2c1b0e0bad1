"""The tables that describe an HTTP API: how to sign in, and operations for which there is no document."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from takeback.core.policy.table import TABLE

Way = Literal["bearer", "basic", "api_key", "oauth2"]


class _Table(BaseModel):
    model_config = TABLE


class _Keys(_Table):
    """What the ways of signing in need; which keys belong to which: `takeback.core.policy.api_checks`."""

    token: str | None = Field(default=None, repr=False)
    username: str | None = None
    password: str | None = Field(default=None, repr=False)
    place: Literal["header", "query"] | None = Field(default=None, alias="in")
    name: str | None = None
    key: str | None = Field(default=None, repr=False)
    token_url: str | None = None
    client_id: str | None = None
    client_secret: str | None = Field(default=None, repr=False)
    client_auth: Literal["basic", "post"] | None = None
    scope: str | None = None
    audience: str | None = None


class Credentials(_Keys):
    """How to sign in to an API."""

    type: Way


class Auth(_Keys):
    """The credentials of an upstream; `tenants` has other ones for tenants that have their own.

    Without a `type`, tenants that are not named have none, and their guard does not start this upstream.
    """

    type: Way | None = None
    tenants: dict[str, Credentials] = {}


class Operation(_Table):
    """One request of an API, declared by hand.

    `{name}` in `path`, `query`, `headers` and `body` stands for an argument. `args` holds a JSON Schema for each, or
    the name of a type; an argument that only a template names is a string. `optional` are those that may be missing.
    """

    method: str
    path: str
    description: str | None = None
    args: dict[str, str | dict[str, Any]] = {}
    optional: tuple[str, ...] = ()
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    content_type: str | None = None
    body: str | dict[str, Any] | None = None
    tags: tuple[str, ...] = ()
    conditional: bool = False
