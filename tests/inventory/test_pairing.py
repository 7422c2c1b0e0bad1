"""What reads back and what takes back: by name, by arguments, by path, and only where all arguments can be made."""

from __future__ import annotations

from typing import Any

import pytest

from .offers import READ, drafted, tool

RECORD = {"id": "string", "title": "string", "body": "string", "updated_at": "string", "created_at": "string"}
BY_ID: dict[str, Any] = {"given": {"id": "string"}, "required": ["id"]}
GET = tool("get_note", "Gets a note", output=RECORD, **BY_ID)
DELETE = tool("delete_note", "Deletes a note", **BY_ID)
CREATE = tool(
    "create_note", "Creates a note", given={"title": "string", "body": "string"}, required=["title"], output=RECORD
)
UPDATE = tool(
    "update_note", "Updates a note", given={"id": "string", "title": "string", "body": "string"}, required=["id"]
)


def rule(name: str, *tools: dict[str, Any]) -> dict[str, Any]:
    return dict(drafted(*tools)[name].rules[-1])


def test_the_four_verbs_of_one_record() -> None:
    tools = GET, CREATE, UPDATE, DELETE
    created, updated, deleted = (rule(name, *tools) for name in ("create_note", "update_note", "delete_note"))
    assert created["target"] == {"type": "note", "id": "result.id"}
    assert created["read"] == {"tool": "up.get_note", "args": {"id": "result.id"}}
    assert created["undo"] == {"tool": "up.delete_note", "args": {"id": "target.id"}}
    assert (created["class"], created["does"], created["effect"]) == ("internal_update", "create", "once")
    assert updated["read"] == {"tool": "up.get_note", "args": {"id": "args.id"}}
    assert updated["ignore"] == ["updated_at"]
    assert updated["undo"]["args"] == {"id": "args.id", "title": "before.title", "body": "before.body"}
    assert (updated["class"], updated["does"], updated["effect"], updated["risk"]) == (
        "internal_update",
        "update",
        "set",
        "medium",
    )
    assert deleted["undo"] == {"tool": "up.create_note", "args": {"title": "before.title", "body": "before.body"}}
    assert deleted["ignore"] == ["updated_at", "created_at"]
    assert (deleted["class"], deleted["does"], deleted["risk"]) == ("internal_update", "delete", "high")


def test_what_is_made_again_under_its_own_id_asks_for_that_id() -> None:
    create = tool("create_note", given={"id": "string", "title": "string"}, required=["title"], output=RECORD)
    deleted = rule("delete_note", GET, create, DELETE)
    assert deleted["undo"]["args"] == {"id": "target.id", "title": "before.title"}
    assert deleted["risk"] == "medium"


def test_without_a_read_back_nothing_is_put_back_and_a_person_agrees() -> None:
    updated, deleted = (drafted(CREATE, UPDATE, DELETE)[name] for name in ("update_note", "delete_note"))
    assert (updated.rules[-1]["undo"], updated.rules[-1]["risk"]) == ("none", "high")
    assert (deleted.rules[-1]["undo"], deleted.rules[-1]["class"]) == ("none", "external_irreversible")
    assert updated.lost is not None
    assert deleted.lost is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("add_member", "remove_member"), ("open_gate", "close_gate"), ("assign_task", "unassign_task"),
        ("enable_rule", "disable_rule"), ("start_vm", "stop_vm"), ("lock_door", "unlock_door"),
        ("archive_page", "restore_page"), ("archivePage", "unarchivePage"), ("pin-post", "unpin-post"),
        ("follow_user", "unfollow_user"), ("subscribe_feed", "unsubscribe_feed"), ("grant_role", "revoke_role"),
        ("attach_disk", "detach_disk"), ("pause_job", "resume_job"), ("mute_chat", "unmute_chat"),
        ("gates.add", "gates.remove"), ("cordon_node", "uncordon_node"), ("mute", "unmute"),
    ],
)  # fmt: skip
def test_opposites_take_each_other_back(one: str, other: str) -> None:
    both = [tool(name, given={"id": "string", "who": "string"}, required=["id", "who"]) for name in (one, other)]
    found = drafted(*both)
    for name, opposite in ((one, other), (other, one)):
        undo = {"tool": f"up.{opposite}", "args": {"id": "args.id", "who": "args.who"}}
        assert found[name].rules[-1]["undo"] == undo
        assert found[name].rules[-1]["class"] == "external_reversible"


def test_opposites_of_different_things_are_none() -> None:
    found = drafted(
        tool("lock_door", **BY_ID),
        tool("unlock_phone", **BY_ID),
        tool("add_issue_to_sprint", **BY_ID),
        tool("delete_issue", **BY_ID),
    )
    assert [each.rules[-1]["undo"] for each in found.values()] == ["none"] * len(found)


def test_a_move_goes_back_with_its_ends_exchanged_and_looks_at_both() -> None:
    ends = {"source": "string", "destination": "string"}
    info = tool("get_file_info", "Gets file info", given={"path": "string"}, required=["path"], **READ)
    moved = rule("move_file", tool("move_file", "Moves", given=ends, required=[*ends]), info)
    assert [each["id"] for each in moved["target"]] == ["args.source", "args.destination"]
    assert moved["undo"]["args"] == {"source": "args.destination", "destination": "args.source"}
    assert moved["undo"]["when"] == "before.source != null && before.destination == null"
    renamed = tool("rename_table", given={"table": "string", "new_table": "string"}, required=["table", "new_table"])
    assert rule("rename_table", renamed)["undo"]["args"] == {"table": "args.new_table", "new_table": "args.table"}


def test_a_put_that_creates_or_replaces_has_two_ways_back() -> None:
    given: dict[str, Any] = {"given": {"id": "string", "title": "string"}, "required": ["id", "title"]}
    put = tool("put_note", "Creates or replaces a note", **given)
    creates, replaces = rule("put_note", put, GET, DELETE)["undo"]
    assert (creates["when"], creates["tool"]) == ("before == null", "up.delete_note")
    assert (replaces["when"], replaces["args"]) == ("before != null", {"id": "args.id", "title": "before.title"})


def test_a_counter_goes_back_by_what_was_added() -> None:
    balance = tool(
        "get_balance",
        "Gets it",
        given={"who": "string"},
        required=["who"],
        output={"who": "string", "balance": "integer"},
    )
    adjust = tool("adjust_balance", "Adjusts", given={"who": "string", "by": "integer"}, required=["who", "by"])
    found = rule("adjust_balance", adjust, balance)
    assert found["by"] == {"balance": "args.by"}
    assert found["undo"]["args"] == {"who": "args.who", "by": "0 - args.by"}
    assert found["effect"] == "once"


def test_one_of_a_list_is_found_by_its_id_where_the_schema_shows_it() -> None:
    comment = {"type": "object", "properties": {"comment_id": {"type": "string"}, "body": {"type": "string"}}}
    listed = {"comments": {"type": "array", "items": comment}}
    listing = tool("list_comments", "Lists comments", given={"page": "string"}, required=["page"], output=listed)
    given: dict[str, Any] = {"given": {"page": "string", "body": "string"}, "required": ["page", "body"]}
    add = tool("add_comment", "Adds a comment", output={"comment_id": "string"}, **given)
    delete = tool("delete_comment", "Deletes", given={"comment_id": "string"}, required=["comment_id"])
    found = rule("add_comment", add, listing, delete)
    assert found["target"]["id"] == "result.comment_id"
    assert found["read"]["select"] == "result.comments.filter(x, x.comment_id == target.id)[0]"
    assert found["read"]["absent"] == "error == null && !result.comments.exists(x, x.comment_id == target.id)"
    assert found["undo"] == {"tool": "up.delete_comment", "args": {"comment_id": "target.id"}}


def http(method: str, path: str, name: str, *given: str, output: Any = None) -> dict[str, Any]:
    return tool(name, given=dict.fromkeys(given, "string"), required=[*given], output=output, http=(method, path))


def test_the_methods_of_one_path_belong_together_whatever_the_operations_are_called() -> None:
    found = drafted(
        http("POST", "/v1/notes", "op_1", "title", output=RECORD),
        http("GET", "/v1/notes/{id}", "op_2", "id", output=RECORD),
        http("PUT", "/v1/notes/{id}", "op_3", "id", "title"),
        http("DELETE", "/v1/notes/{id}", "op_4", "id"),
        http("POST", "/v1/notes/{id}/comments", "op_5", "id", "body", output={"id": "string"}),
        http("POST", "/v1/notes/{id}/send", "op_6", "id"),
    )
    assert {name: each.nature.value for name, each in found.items()} == {
        "op_1": "write", "op_2": "read", "op_3": "write", "op_4": "write", "op_5": "write", "op_6": "write"
    }  # fmt: skip
    named = drafted(
        http("POST", "/v1/notes", "op_1", "title", output=RECORD),
        http("GET", "/v1/notes/{id}", "notes_retrieve", "id", output=RECORD),
        http("DELETE", "/v1/notes/{id}", "op_4", "id"),
        http("POST", "/v1/notes/{id}/comments", "op_5", "id", "body", output={"id": "string"}),
    )
    assert named["op_1"].rules[-1]["undo"] == {"tool": "up.op_4", "args": {"id": "target.id"}}
    assert named["op_4"].rules[-1]["undo"] == {"tool": "up.op_1", "args": {"title": "before.title"}}
    assert named["op_5"].rules[-1]["undo"] == "none"  # the note is not the comment


def test_several_tools_in_one_get_rules_by_what_they_are_told() -> None:
    action = {"type": "string", "enum": ["list", "create", "close"]}
    tabs = drafted(tool("browser_tabs", "List, create or close a tab", given={"action": action}, required=["action"]))
    first, rest = tabs["browser_tabs"].rules
    assert (first["when"], first["class"]) == ("has(args.action) && args.action == 'list'", "read_only")
    assert (rest["class"], rest["risk"]) == ("external_irreversible", "high")
    assert "`action`" in " ".join(tabs["browser_tabs"].notes)


def test_a_switch_or_a_file_makes_a_write_of_a_read() -> None:
    mail = tool("get_mail", "Gets mail", given={"id": "string", "mark_as_read": "boolean"}, required=["id"], **READ)
    assert [each["class"] for each in drafted(mail)["get_mail"].rules] == ["read_only", "external_irreversible"]
    assert drafted(mail)["get_mail"].rules[0]["when"] == "has(args.mark_as_read) && args.mark_as_read == false"
    page = tool(
        "get_page", "Gets a page", given={"filename": {"type": "string", "description": "File to save to"}}, **READ
    )
    assert drafted(page)["get_page"].rules[0]["when"] == "!has(args.filename)"
    label = tool("label_mail", given={"id": "string", "label": "string"}, required=["id", "label"])
    assert rule("label_mail", mail, label)["read"]["args"] == {"id": "args.id", "mark_as_read": False}


@pytest.mark.parametrize(
    "name", ["send_mail", "post_message", "create_payment", "issue_refund", "publish_page", "charge_card"]
)
def test_what_leaves_the_system_is_irreversible_even_where_something_deletes_it(name: str) -> None:
    noun = name.partition("_")[2]
    given: dict[str, Any] = {"given": {"id": "string", "text": "string"}, "required": ["id"]}
    found = rule(name, tool(name, **given), tool(f"delete_{noun}", **BY_ID), tool(f"get_{noun}", "Gets", **BY_ID))
    assert (found["class"], found["risk"], found["undo"]) == ("external_irreversible", "high", "none")
