"""Documents of each version, from files and addresses: what is read, what is not, and where credentials go."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.responses import Response

from takeback.core.policy.schema import Upstream
from takeback.ports import NotSent
from takeback_tools.http import documents
from tests.http.served import Api, Seen, body, call, connected, document, parameter, reply, serving, started, tools_of

PET = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "tag": {"type": "string"}}}
V30 = document(
    {
        "/pets/{id}": {
            "parameters": [parameter("id", "path", {"type": "integer"}, required=True)],
            "put": {
                "operationId": "putPet",
                "tags": ["pets"],
                "parameters": [{"$ref": "#/components/parameters/Dry"}],
                "requestBody": {"$ref": "#/components/requestBodies/Pet"},
                "responses": {"200": {"$ref": "#/components/responses/Pet"}},
            },
        }
    },
    {"Pet": PET},
)
V30["components"] |= {
    "parameters": {"Dry": parameter("dry", "query", {"type": "array", "items": {"type": "string"}}, explode=False)},
    "requestBodies": {"Pet": body({"$ref": "#/components/schemas/Pet"})},
    "responses": {"Pet": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}}},
}
V31 = json.loads(json.dumps(V30)) | {
    "openapi": "3.1.1",
    "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
}
V20 = {
    "swagger": "2.0",
    "basePath": "/",
    "consumes": ["application/json"],
    "produces": ["application/json"],
    "parameters": {"dry": {"name": "dry", "in": "query", "type": "array", "items": {"type": "string"}}},
    "responses": {"pet": {"description": "", "schema": {"$ref": "#/definitions/Pet"}}},
    "definitions": {"Pet": PET},
    "paths": {
        "/pets/{id}": {
            "parameters": [{"name": "id", "in": "path", "type": "integer", "required": True}],
            "put": {
                "operationId": "putPet",
                "tags": ["pets"],
                "parameters": [
                    {"$ref": "#/parameters/dry"},
                    {"name": "pet", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Pet"}},
                ],
                "responses": {"200": {"$ref": "#/responses/pet"}},
            },
        }
    },
}
VERSIONS = {"3.0": V30, "3.1": V31, "2.0": V20}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("dump", [json.dumps, yaml.safe_dump], ids=["json", "yaml"])
async def test_each_version_gives_the_same_tool_and_the_same_request(
    version: str, dump: Callable[[Any], str], tmp_path: Path
) -> None:
    async with (
        serving(lambda _: reply({"name": "Rex"})) as api,
        connected(api.url, dump(VERSIONS[version]), tmp_path) as client,
    ):
        (tool,) = await client.tools()
        assert tool.name == "putPet"
        assert tool.input_schema == {
            "type": "object",
            "properties": {
                "id": {"type": "integer"},
                "dry": {"type": "array", "items": {"type": "string"}},
                "name": {"type": "string"},
                "tag": {"type": "string"},
            },
            "required": ["id", "name"],
        }
        assert set(tool.raw["outputSchema"]["properties"]) == {"name", "tag"}
        result = await call(client, "putPet", {"id": 7, "dry": ["a", "b"], "name": "Rex"})
        assert result["structuredContent"] == {"name": "Rex"}
        assert (api.last.target, api.last.json) == ("/pets/7?dry=a,b", {"name": "Rex"})


async def test_forms_and_files_of_version_2(tmp_path: Path) -> None:
    fields = [
        {"name": "file", "in": "formData", "type": "file", "required": True, "description": "the file"},
        {"name": "tags", "in": "formData", "type": "array", "items": {"type": "string"}, "collectionFormat": "multi"},
    ]
    described = {
        "swagger": "2.0",
        "paths": {
            "/up": {"post": {"operationId": "up", "consumes": ["multipart/form-data"], "parameters": fields}},
            "/form": {"post": {"operationId": "form", "parameters": fields[1:]}},
        },
    }
    async with serving(lambda _: Response(status_code=204)) as api, connected(api.url, described, tmp_path) as client:
        tools = {tool.name: tool.input_schema for tool in await client.tools()}
        assert tools["up"]["required"] == ["file"]
        assert tools["up"]["properties"]["file"]["description"] == "the file"
        await call(client, "up", {"file": "text"})
        assert api.last.headers["content-type"].startswith("multipart/form-data")
        await call(client, "form", {"tags": ["a", "b"]})
        assert api.last.body == b"tags=a&tags=b"


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"host": "h:1", "schemes": ["http", "https"], "basePath": "/v1"}, "https://h:1/v1"),
        ({"host": "h", "schemes": ["http"]}, "http://h/"),
    ],
)
async def test_where_an_api_of_version_2_is(about: dict[str, Any], expected: str, tmp_path: Path) -> None:
    path = tmp_path / "swagger.json"
    path.write_text(json.dumps({**V20, "basePath": "/", **about}))
    async with started(Upstream(openapi=str(path))) as client:
        assert client._api is not None
        assert client._api.origin._base == expected


# --- Where documents come from ----------------------------------------------------------------------------------------


async def test_references_within_the_folder_are_followed_and_no_further(tmp_path: Path) -> None:
    inner = tmp_path / "api"
    inner.mkdir()
    outside = {"type": "object", "required": ["secret"], "properties": {"secret": {"type": "string"}}}
    (tmp_path / "outside.json").write_text(json.dumps(outside))
    (inner / "link.json").symlink_to(tmp_path / "outside.json")
    (inner / "pet.yaml").write_text(
        "Pet: {type: object, properties: {a: {$ref: '#/Deep'}, b: {$ref: 'openapi.json#/x/B'}}}\n"
        "Deep: {type: integer}\n"
    )
    bodies = {"in": "pet.yaml#/Pet", "out": "../outside.json", "link": "link.json", "web": "http://127.0.0.1:9/x.json"}
    paths = {
        f"/{name}": {"post": {"operationId": name, "requestBody": body({"$ref": ref})}} for name, ref in bodies.items()
    }
    tools = await tools_of(document(paths, x={"B": {"type": "boolean"}}), inner)
    assert tools["in"]["inputSchema"]["properties"] == {"a": {"$ref": "#/$defs/Deep"}, "b": {"$ref": "#/$defs/B"}}
    assert tools["in"]["inputSchema"]["$defs"] == {"Deep": {"type": "integer"}, "B": {"type": "boolean"}}
    for name in ("out", "link", "web"):
        assert tools[name]["inputSchema"]["properties"] == {"body": {}}


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with serving(lambda _: reply({})) as found:
        yield found


def publishing(files: dict[str, Any]) -> Callable[[Seen], Response]:
    return lambda seen: reply(files[seen.target]) if seen.target in files else reply({}, 404)


async def test_an_api_tells_where_it_is_and_its_document_is_fetched_with_credentials(api: Api) -> None:
    paths = {"/x": {"get": {"operationId": "x", "responses": {"$ref": "more/parts.json#/r"}}}}
    api.handler = publishing(
        {
            "/docs/openapi.json": document(paths, servers=[{"url": "/{v}/", "variables": {"v": {"default": "v2"}}}]),
            "/v2/x": {},
        }
    )
    upstream = Upstream(openapi=f"{api.url}/docs/openapi.json", headers={"X-Key": "k"})
    async with started(upstream) as client:
        await call(client, "x")
    assert [seen.target for seen in api.seen] == ["/docs/openapi.json", "/docs/more/parts.json", "/v2/x"]
    assert {seen.headers["x-key"] for seen in api.seen} == {"k"}


async def test_a_document_cannot_send_credentials_elsewhere(api: Api) -> None:
    async with serving(lambda _: reply({})) as elsewhere:
        api.handler = publishing({"/openapi.json": document({"/x": {"get": {}}}, servers=[{"url": elsewhere.url}])})
        upstream = Upstream.model_validate(
            {"openapi": f"{api.url}/openapi.json", "auth": {"type": "bearer", "token": "secret-token"}}
        )
        with pytest.raises(NotSent, match="not where the document came from; if that is meant, add it as `base_url`"):
            async with started(upstream):
                pass
        meant = upstream.model_copy(update={"base_url": elsewhere.url})
        api.seen.clear()
        async with started(meant) as client:
            await call(client, "get_x")
        assert "authorization" not in api.last.headers
        assert elsewhere.last.headers["authorization"] == "Bearer secret-token"


async def test_an_operation_with_a_server_of_its_own_elsewhere_is_left_out(
    api: Api, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = {
        "/up": {"servers": [{"url": "http://uploads.example"}], "post": {"operationId": "up"}},
        "/here": {"post": {"operationId": "here"}},
        "/base": {"get": {"operationId": "base", "servers": [{"url": f"{api.url}/other"}]}},
    }
    async with connected(api.url, document(paths), tmp_path) as client:
        assert [tool.name for tool in await client.tools()] == ["here", "base"]
        await call(client, "base")
    assert api.last.target == "/other/base"
    assert "POST /up is left out: it goes to http://uploads.example" in caplog.text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not valid"),
        ("[]", "neither OpenAPI 3 nor Swagger 2.0"),
        ("hello", "neither OpenAPI 3 nor Swagger 2.0"),
        ('{"openapi": "4.0"}', "neither OpenAPI 3 nor Swagger 2.0"),
        ("[" * 500 + "]" * 500, "nested more than 200 deep"),
        (json.dumps(document({f"/{n}": {"get": {}} for n in range(5001)})), "more than 5000 operations"),
    ],
    ids=["broken", "list", "text", "version", "deep", "many"],
)
async def test_what_is_no_document_is_refused_with_the_reason(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(NotSent, match=f"does not start: its document .* cannot be used: .*{why}"):
        async with connected("http://127.0.0.1:9", text, tmp_path):
            pass


async def test_a_document_without_an_address_needs_one(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(document({})))
    with pytest.raises(NotSent, match="add `base_url` to the upstream"):
        async with started(Upstream(openapi=str(tmp_path / "a.json"))):
            pass
    with pytest.raises(NotSent, match=r"b\.json cannot be read: No such file"):
        async with started(Upstream(openapi=str(tmp_path / "b.json"), base_url="http://127.0.0.1:9")):
            pass


async def test_documents_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: Api) -> None:
    monkeypatch.setattr(documents, "MOST_DOCUMENTS", 3)
    for n in range(5):
        (tmp_path / f"{n}.json").write_text(json.dumps({"$ref": f"{n + 1}.json"}))
    with pytest.raises(NotSent, match="made of more than 3 documents"):
        await tools_of(document({"/x": {"$ref": "0.json"}}), tmp_path)
    monkeypatch.setattr(documents, "LONGEST_DOCUMENT", 100)
    with pytest.raises(NotSent, match="longer than 100 bytes"):
        await tools_of(document({"/x": {"get": {"summary": "x" * 200}}}), tmp_path)


async def test_an_api_that_is_not_there_yet_is_asked_again_when_it_is_needed(api: Api) -> None:
    api.handler = lambda _: reply({}, 404)
    upstream = Upstream(openapi=f"{api.url}/openapi.json")
    from takeback_tools.http.connector import HttpConnector
    from takeback_tools.http.settings import HttpSettings
    from tests.http.test_auth import Clock

    clock = Clock()
    client = HttpConnector("api", HttpSettings.of(upstream, "default"), clock)
    with pytest.raises(NotSent, match="the server answered HTTP 404"):
        await client.start()
    api.handler = publishing({"/openapi.json": document({"/x": {"get": {}}}), "/x": {}})
    with pytest.raises(NotSent, match=r"next attempt in 0\.5 s"):
        await client.tools()
    assert len(api.seen) == 1
    clock.now += 0.5
    assert [tool.name for tool in await client.tools()] == ["get_x"]
    await client.close()
    with pytest.raises(NotSent):
        await call(client, "get_x")


# --- Which tools are offered ------------------------------------------------------------------------------------------

MANY = document(
    {
        "/tickets": {
            "get": {"operationId": "list", "tags": ["a"]},
            "post": {"operationId": "make", "tags": ["a", "b"]},
        },
        "/tickets/{id}": {"delete": {"operationId": "drop", "tags": ["b"]}},
        "/users": {"get": {"operationId": "users"}},
    }
)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, ["list", "make", "drop", "users"]),
        ({"tags": ["b"]}, ["make", "drop"]),
        ({"tags": []}, []),
        ({"paths": ["/tickets*"]}, ["list", "make", "drop"]),
        ({"paths": ["/tickets/*", "/users"]}, ["drop", "users"]),
        ({"methods": ["get"]}, ["list", "users"]),
        ({"methods": ["GET"], "tags": ["a", "b"]}, ["list"]),
    ],
)
async def test_what_is_offered_can_be_narrowed_and_the_rest_can_still_be_called(
    keys: dict[str, Any], expected: list[str], api: Api, tmp_path: Path
) -> None:
    async with connected(api.url, MANY, tmp_path, **keys) as client:
        tools = await client.tools()
        assert [tool.name for tool in tools if tool.offered] == expected
        assert len(tools) == 4
        assert "isError" not in await call(client, "users")


async def test_the_catalog_keeps_what_is_not_offered_for_rules(api: Api, tmp_path: Path) -> None:
    from takeback.guard.catalog import Catalog

    async with connected(api.url, MANY, tmp_path, tags=["a"]) as client:
        catalog = Catalog([client], {"api": (None, ("make",))})
        await catalog.refresh()
        assert [entry.exposed for entry in catalog.entries()] == ["list"]
        assert catalog.named("api.drop") is not None
        assert catalog.exposed("drop") is None
