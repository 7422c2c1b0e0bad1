"""Signing in: what each request carries, and OAuth tokens that are fetched and renewed."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import quote, urlencode

import httpx2

from takeback.core.jsontext import MalformedJSON, loads
from takeback.core.policy.apis import Auth, Credentials
from takeback.ports import NotSent, OutcomeUnknown, ToolFailure
from takeback_tools.http.exchange import Reply, exchange

TOKEN_TIMEOUT: Final = 20.0
LONGEST_TOKEN_ANSWER: Final = 256 * 1024

_EARLY: Final = 30.0
"""Seconds before its end from which a token is not used any more."""

_SHORTEST: Final = 5.0
_DEFAULT_LIFE: Final = 300.0
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Signature:
    """What a request carries: headers, and `query`, an encoded piece of its query."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: str = field(default="", repr=False)


class SignIn(Protocol):
    """One way of signing in."""

    async def signature(self) -> Signature:
        """What the next request carries.

        Raises:
            NotSent: there is none, and nothing was sent to the API.
        """

    def refused(self, signature: Signature) -> bool:
        """The API answered 401 to this signature. Returns whether another one can be had."""

    def secrets(self) -> tuple[str, ...]:
        """Values that must not be seen."""


class Fixed:
    """The same for every request."""

    def __init__(self, signature: Signature, secrets: tuple[str, ...] = ()) -> None:
        self._signature, self._secrets = signature, secrets

    async def signature(self) -> Signature:
        """As `SignIn.signature`."""
        return self._signature

    def refused(self, signature: Signature) -> bool:
        """As `SignIn.refused`."""
        return False

    def secrets(self) -> tuple[str, ...]:
        """As `SignIn.secrets`."""
        return self._secrets


class ClientCredentials:
    """OAuth 2.0 client credentials (RFC 6749 section 4.4): a token for everybody who asks, until it ends."""

    def __init__(self, client: httpx2.AsyncClient, keys: Credentials | Auth, clock: Callable[[], float]) -> None:
        self._client, self._keys, self._clock = client, keys, clock
        self._token, self._until = "", 0.0
        self._asking = asyncio.Lock()

    async def signature(self) -> Signature:
        """As `SignIn.signature`."""
        async with self._asking:
            if not self._token or self._clock() >= self._until:
                await self._ask()
            return Signature({"Authorization": f"Bearer {self._token}"})

    def refused(self, signature: Signature) -> bool:
        """As `SignIn.refused`."""
        if signature.headers.get("Authorization") == f"Bearer {self._token}":
            self._token = ""  # else somebody has asked for a new one meanwhile
        return True

    def secrets(self) -> tuple[str, ...]:
        """As `SignIn.secrets`."""
        return tuple(secret for secret in (self._keys.client_secret, self._token) if secret)

    async def _ask(self) -> None:
        try:
            reply = await exchange(self._client, self._request(), TOKEN_TIMEOUT, LONGEST_TOKEN_ANSWER)
        except (NotSent, OutcomeUnknown) as failure:
            raise NotSent(f"no token could be had, so nothing was called: {failure}") from None
        self._token, life = self._read(reply)
        self._until = self._clock() + max(life - _EARLY, min(life / 2, _EARLY), _SHORTEST)

    def _request(self) -> httpx2.Request:
        keys = self._keys
        form = {"grant_type": "client_credentials", "scope": keys.scope, "audience": keys.audience}
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if keys.client_auth == "post":
            form |= {"client_id": keys.client_id, "client_secret": keys.client_secret}
        else:
            pair = f"{quote(keys.client_id or '', safe='')}:{quote(keys.client_secret or '', safe='')}"
            headers["Authorization"] = f"Basic {_base64(pair)}"
        content = urlencode({name: value for name, value in form.items() if value is not None}).encode("ascii")
        return self._client.build_request("POST", keys.token_url or "", headers=headers, content=content)

    def _read(self, reply: Reply) -> tuple[str, float]:
        try:
            answer = loads(reply.content) if reply.status == _OK else None
        except MalformedJSON:
            answer = None
        found = answer if isinstance(answer, dict) else {}
        token, life = found.get("access_token"), found.get("expires_in")
        if not isinstance(token, str) or not token:
            raise NotSent(f"no token could be had, so nothing was called: the token server answered {_said(reply)}")
        return token, float(life) if isinstance(life, int | float) and life > 0 else _DEFAULT_LIFE


def _said(reply: Reply) -> str:
    """The status, and the error's code where the answer names one (RFC 6749 section 5.2)."""
    try:
        answer = loads(reply.content)
    except MalformedJSON:
        answer = None
    code = answer.get("error") if isinstance(answer, dict) else None
    return f"{reply.said} ({code[:80]})" if isinstance(code, str) else reply.said


def sign_in(auth: Auth | None, tenant: str, client: httpx2.AsyncClient, clock: Callable[[], float]) -> SignIn:
    """How a tenant signs in.

    Raises:
        ToolFailure: the policy has no credentials for it, or a value that no header can hold.
    """
    if auth is None:
        return Fixed(Signature())
    keys = auth.tenants.get(tenant, auth)
    match keys.type:
        case "bearer":
            return _in_header("Authorization", f"Bearer {_present(keys.token, 'token')}", keys.token)
        case "basic":
            pair = _base64(f"{keys.username or ''}:{keys.password or ''}")
            return _in_header("Authorization", f"Basic {pair}", keys.password, pair)
        case "api_key" if keys.place == "query":
            key = _present(keys.key, "key")
            return Fixed(
                Signature(query=f"{quote(keys.name or '', safe='')}={quote(key, safe='')}"), (key, quote(key, safe=""))
            )
        case "api_key":
            return _in_header(keys.name or "", _present(keys.key, "key"), keys.key)
        case "oauth2":
            _present(keys.client_secret, "client_secret")
            return ClientCredentials(client, keys, clock)
        case None:
            raise ToolFailure(f"the policy has no credentials for the tenant {tenant} (auth.tenants)")


def _in_header(name: str, value: str, *secrets: str | None) -> Fixed:
    if not value.isprintable():
        raise ToolFailure("a credential holds a line break or a control character, which no header can hold")
    return Fixed(Signature({name: value}), tuple(secret for secret in secrets if secret))


def _present(secret: str | None, name: str) -> str:
    if not secret:
        raise ToolFailure(f"the credential `{name}` is empty")
    return secret


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")
