"""`takeback inventory`: asked of a command, of a policy's upstreams, of an HTTP API's document."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

from .commands import TINY, table, takeback

BY_ID = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
TOOLS = [
    {"name": "get_note", "description": "Gets a note", "inputSchema": BY_ID},
    {"name": "delete_note", "description": "Deletes a note", "inputSchema": BY_ID},
]


def json_of(**properties: object) -> dict[str, object]:
    return {"application/json": {"schema": {"type": "object", "properties": properties}}}


TEXT = {"type": "string"}
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Notes", "version": "1"},
    "servers": [{"url": "http://127.0.0.1:9"}],
    "paths": {
        "/notes": {
            "post": {
                "operationId": "create_note",
                "requestBody": {"content": json_of(title=TEXT)},
                "responses": {"201": {"description": "made", "content": json_of(id=TEXT, title=TEXT)}},
            }
        },
        "/notes/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": TEXT}],
            "get": {"operationId": "get_note", "summary": "Get a note", "responses": {"200": {"description": "it"}}},
            "delete": {"operationId": "delete_note", "responses": {"204": {"description": "gone"}}},
        },
    },
}


def words(tools: object) -> tuple[str, ...]:
    return sys.executable, "-S", str(TINY), "--tools", json.dumps(tools)


def test_a_command_is_asked_and_a_whole_policy_printed(tmp_path: Path) -> None:
    done = takeback("inventory", "--name", "notes", "--", *words(TOOLS), env={"TAKEBACK_STATE": str(tmp_path)})
    assert (done.code, done.err) == (0, "")
    assert "#   delete_note: " in done.out  # what cannot be undone
    drafted = tomllib.loads(done.out)
    assert drafted["upstream"]["notes"]["command"] == sys.executable
    assert [(rule["tool"], rule["class"]) for rule in drafted["rule"]] == [
        ("notes.get_note", "read_only"),
        ("notes.delete_note", "external_irreversible"),
    ]
    assert [*tmp_path.iterdir()] == []  # nothing was kept


def test_as_json_it_has_the_evidence(tmp_path: Path) -> None:
    done = takeback("inventory", "--json", "--", *words(TOOLS), env={"TAKEBACK_STATE": str(tmp_path)})
    found = done.json["upstreams"]["server"]
    read, write = found["tools"]
    assert (read["nature"], read["confidence"]) == ("read", "fair")
    assert {each["source"] for each in read["evidence"]} == {"name", "description"}
    assert write["evidence"][0] == {
        "source": "name",
        "speaks": "for a write",
        "decisive": True,
        "reason": "the name says delete",
    }
    assert write["read"]["args"] == {"id": "args.id"}
    assert list(found["cannot_be_undone"]) == ["delete_note"]


def test_the_upstreams_of_a_policy_are_asked_and_those_that_fail_are_named(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(table("one", "--tools", json.dumps(TOOLS)) + table("two", "--fault", "quits"))
    done = takeback("inventory", "--policy", policy, env={"TAKEBACK_STATE": str(tmp_path)})
    assert done.code == 4
    assert "no licence found" in done.err
    assert [rule["tool"] for rule in tomllib.loads(done.out)["rule"]] == ["one.get_note", "one.delete_note"]
    assert "upstream" not in tomllib.loads(done.out)


def test_an_http_api_is_drafted_by_its_document(tmp_path: Path) -> None:
    document, policy = tmp_path / "api.json", tmp_path / "policy.toml"
    document.write_text(json.dumps(DOCUMENT))
    env = {"TAKEBACK_STATE": str(tmp_path)}
    done = takeback("init", "--name", "notes", "--policy", policy, "--openapi", document, env=env)
    assert (done.code, done.err) == (0, "")
    rules = {rule["tool"]: rule for rule in tomllib.loads(policy.read_text())["rule"]}
    assert rules["notes.get_note"]["class"] == "read_only"
    assert rules["notes.create_note"]["undo"] == {"tool": "notes.delete_note", "args": {"id": "target.id"}}
    assert takeback("check", "--policy", policy, env=env).code == 0


def test_one_thing_is_asked_at_a_time(tmp_path: Path) -> None:
    env = {"TAKEBACK_STATE": str(tmp_path)}
    takeback("inventory", env=env).refused(2, "name one server")
    takeback("inventory", "--policy", tmp_path / "p.toml", "--", "x", env=env).refused(
        2, "either a --policy or one server"
    )
    takeback("inventory", "--name", "a.b", "--", "x", env=env).refused(2, "no name for an upstream")
