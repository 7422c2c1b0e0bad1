"""Signing in: each way reaches the API, only the API, and no message or log tells a secret."""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from starlette.responses import Response

from takeback.core.policy.schema import Upstream
from takeback.ports import NotSent, ToolFailure
from takeback_tools.http.connector import HttpConnector, from_policy
from takeback_tools.http.settings import HttpSettings
from tests.http.served import Api, Seen, call, connected, document, free_port, reply, serving

DOCUMENT = document({"/x": {"get": {"operationId": "get"}, "post": {"operationId": "post"}}})
SECRET = "s3cr3t-value"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving(lambda _: reply({})) as found:
        yield found


def basic(pair: str) -> str:
    return f"Basic {b64encode(pair.encode()).decode()}"


WAYS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"type": "bearer", "token": SECRET}, "authorization", f"Bearer {SECRET}", "/x"),
    ({"type": "basic", "username": "ann", "password": SECRET}, "authorization", basic(f"ann:{SECRET}"), "/x"),
    ({"type": "api_key", "in": "header", "name": "X-Key", "key": SECRET}, "x-key", SECRET, "/x"),
    ({"type": "api_key", "in": "query", "name": "api key", "key": SECRET}, "", "", f"/x?api%20key={SECRET}"),
]


@pytest.mark.parametrize(("auth", "header", "value", "target"), WAYS, ids=lambda way: str(way)[:30])
async def test_each_way_reaches_the_api(
    api: Api, tmp_path: Path, auth: dict[str, Any], header: str, value: str, target: str
) -> None:
    async with connected(api.url, DOCUMENT, tmp_path, auth=auth) as client:
        await call(client, "get")
    assert api.last.target == target
    assert api.last.headers.get(header, "") == value


@pytest.mark.parametrize("auth", [way[0] for way in WAYS], ids=lambda way: str(way["type"]))
async def test_no_secret_is_told(
    api: Api, tmp_path: Path, auth: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api.handler = lambda seen: reply({}, 307, Location=f"http://127.0.0.1:{free_port()}{seen.target}")
    headers = {"X-Other": f"Token {SECRET}-2"}
    async with connected(api.url, DOCUMENT, tmp_path, auth=auth, headers=headers) as client:
        told = json.dumps(await call(client, "get"))
        api.handler = lambda _: Response(f"who is {SECRET}?", 401)
        told += json.dumps(await call(client, "post"))
        api.handler = lambda _: Response(SECRET, 500)
        with pytest.raises(ToolFailure) as caught:
            await call(client, "post")
        settings = client._settings
    upstream = Upstream.model_validate({"openapi": "x", "auth": auth, "headers": headers})
    for text in (told, str(caught.value), caplog.text, repr(settings), repr(upstream.auth)):
        assert SECRET not in text


async def test_credentials_do_not_follow_a_redirect_out_of_the_origin(api: Api, tmp_path: Path) -> None:
    async with serving(lambda _: reply({})) as elsewhere:
        api.handler = lambda _: reply({}, 302, Location=f"{elsewhere.url}/take")
        async with connected(api.url, DOCUMENT, tmp_path, auth=WAYS[0][0]) as client:
            assert (await call(client, "get"))["isError"] is True
        assert elsewhere.seen == []


async def test_a_tenant_has_its_own_credentials_and_the_others_the_general_ones(api: Api, tmp_path: Path) -> None:
    auth = {"type": "bearer", "token": "general", "tenants": {"acme": {"type": "bearer", "token": "acme's"}}}
    for tenant, token in (("acme", "acme's"), ("other", "general")):
        async with connected(api.url, DOCUMENT, tmp_path, tenant, auth=auth) as client:
            await call(client, "get")
        assert api.last.headers["authorization"] == f"Bearer {token}"


async def test_a_tenant_without_credentials_does_not_get_those_of_another(api: Api, tmp_path: Path) -> None:
    auth = {"tenants": {"acme": {"type": "bearer", "token": SECRET}}}
    with pytest.raises(NotSent, match="no credentials for the tenant other"):
        async with connected(api.url, DOCUMENT, tmp_path, "other", auth=auth):
            pass
    assert api.seen == []


@pytest.mark.parametrize("token", ["", "a\r\nX-Evil: 1"])
async def test_a_credential_that_no_header_can_hold_is_refused_at_the_start(
    api: Api, tmp_path: Path, token: str
) -> None:
    with pytest.raises(NotSent, match=r"does not start: .*credential"):
        async with connected(api.url, DOCUMENT, tmp_path, auth={"type": "bearer", "token": token}):
            pass


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class TokenServer:
    """Gives out numbered tokens; `accepted` is what the API beside it takes."""

    def __init__(self) -> None:
        self.given = 0
        self.accepted = ""
        self.life: Any = 600
        self.refuse = 0

    def __call__(self, seen: Seen) -> Response:
        if seen.target == "/token":
            if self.refuse:
                return reply({"error": "invalid_client", "error_description": SECRET}, self.refuse)
            self.given += 1
            self.accepted = f"token-{self.given}"
            return reply({"access_token": self.accepted, "token_type": "Bearer", "expires_in": self.life})
        is_good = seen.headers.get("authorization") == f"Bearer {self.accepted}"
        return reply({}) if is_good else reply({}, 401)


OAUTH = {"type": "oauth2", "client_id": "me:1", "client_secret": SECRET, "scope": "a b"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def oauth(api: Api, tmp_path: Path, clock: Clock) -> AsyncIterator[tuple[HttpConnector, TokenServer]]:
    server = TokenServer()
    api.handler = server
    (tmp_path / "api.json").write_text(json.dumps(DOCUMENT))
    auth = {**OAUTH, "token_url": f"{api.url}/token"}
    keys = {"openapi": str(tmp_path / "api.json"), "base_url": api.url, "auth": auth}
    client = HttpConnector("api", HttpSettings.of(Upstream.model_validate(keys), "default"), clock)
    await client.start()
    yield client, server
    await client.close()


async def test_a_token_is_had_once_and_used_until_it_ends(
    api: Api, oauth: tuple[HttpConnector, TokenServer], clock: Clock
) -> None:
    client, server = oauth
    for _ in range(3):
        assert "isError" not in await call(client, "post")
    assert server.given == 1
    asked = api.seen[0]
    assert parse_qs(asked.body.decode()) == {"grant_type": ["client_credentials"], "scope": ["a b"]}
    assert asked.headers["authorization"] == basic(f"me%3A1:{SECRET}")
    clock.now += 580
    await call(client, "post")
    assert server.given == 2


async def test_a_token_that_is_not_accepted_any_more_is_renewed_once(
    api: Api, oauth: tuple[HttpConnector, TokenServer]
) -> None:
    client, server = oauth
    await call(client, "post")
    server.accepted = "revoked"
    assert "isError" not in await call(client, "post")
    assert [seen.target for seen in api.seen] == ["/token", "/x", "/x", "/token", "/x"]


async def test_an_api_that_accepts_no_token_is_not_asked_for_ever(
    api: Api, oauth: tuple[HttpConnector, TokenServer]
) -> None:
    client, server = oauth
    api.handler = lambda seen: server(seen) if seen.target == "/token" else reply({}, 401)
    assert (await call(client, "post"))["isError"] is True
    assert [seen.target for seen in api.seen] == ["/token", "/x", "/token", "/x"]


@pytest.mark.parametrize("life", [None, "soon", -1, 1])
async def test_a_token_without_a_sensible_end_is_used_for_a_while(
    oauth: tuple[HttpConnector, TokenServer], life: Any, clock: Clock
) -> None:
    client, server = oauth
    server.life = life
    await call(client, "post")
    clock.now += 4
    await call(client, "post")
    assert server.given == 1


async def test_without_a_token_nothing_is_sent(api: Api, oauth: tuple[HttpConnector, TokenServer]) -> None:
    client, server = oauth
    server.refuse = 401
    with pytest.raises(NotSent, match=r"no token could be had.*HTTP 401 Unauthorized \(invalid_client\)") as caught:
        await call(client, "post")
    assert SECRET not in str(caught.value)
    assert [seen.target for seen in api.seen] == ["/token"]


async def test_a_client_may_sign_in_within_the_form(api: Api, tmp_path: Path) -> None:
    api.handler = TokenServer()
    auth = {**OAUTH, "token_url": f"{api.url}/token", "client_auth": "post", "audience": "aud"}
    async with connected(api.url, DOCUMENT, tmp_path, auth=auth) as client:
        await call(client, "get")
    form = parse_qs(api.seen[0].body.decode())
    assert (form["client_id"], form["client_secret"], form["audience"]) == (["me:1"], [SECRET], ["aud"])
    assert "authorization" not in api.seen[0].headers


def test_a_connector_that_is_made_has_done_nothing() -> None:
    assert from_policy("api", Upstream(openapi="nowhere.json"), "default").capabilities == {}
