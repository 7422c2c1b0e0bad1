"""What is drafted as a read, and above all what is not."""

from __future__ import annotations

from typing import Any

import pytest

from takeback.core.inventory.drafting import inventory

from .offers import READ, drafted, is_read, policy_of, tool

QUIET = "Returns what is there, newest settings first."


@pytest.mark.parametrize(
    "given",
    [
        *(
            tool(name, QUIET, **READ)
            for name in ("get_ticket", "listOrders", "search", "read_text_file", "directory_tree")
        ),
        tool("get_ticket", QUIET),
        tool("get_ticket", **READ),
        tool("git_log", "Shows the commit logs", **READ),
        tool("list_commits", "List the commits and tags of a branch. Use create_tag to add one.", **READ),
        tool("get_page", "Gets a page. It never updates or deletes anything.", **READ),
        tool("list_runs", "Lists runs that were cancelled or deleted.", **READ),
        tool("users.list", http=("GET", "/users")),
        tool("getUser", "Get one user", http=("GET", "/users/{id}")),
        tool("find_orders", "Run a search over orders.", given={"query": "string"}, required=["query"], **READ),
    ],
)
def test_what_two_sources_say_and_none_denies_is_a_read(given: dict[str, Any]) -> None:
    assert is_read(given)


@pytest.mark.parametrize(
    "given",
    [
        {"name": "get_ticket"},
        {"name": "get_ticket", "annotations": {"readOnlyHint": "true"}},
        {"name": "get_ticket", "annotations": "readOnlyHint"},
        {
            "name": "get_ticket",
            "description": 7,
            "inputSchema": [],
            "outputSchema": "x",
            "_meta": {"io.takeback/http": 1},
        },
        tool("sync", **READ),
        tool("users", http=("GET", "/users"), **READ),
        tool("get_ticket", QUIET, readOnlyHint=False),
        tool("get_ticket", QUIET, readOnlyHint=True, destructiveHint=True),
        tool("get_ticket", "Get and delete a ticket", **READ),
        tool("get_or_create_user", QUIET, **READ),
        tool("getOrCreateUser", QUIET, **READ),
        tool("fetch-and-delete", QUIET, **READ),
        tool("findAndReplace", QUIET, **READ),
        tool("read_and_mark", QUIET, **READ),
        tool("check_out", QUIET, **READ),
        tool("checkOut", "Check out a book", **READ),
        tool("mark_read", QUIET, **READ),
        tool("log_message", QUIET, **READ),
        tool("getaway", **READ),
        tool("open_valve", QUIET, **READ),
        tool("order_status_update", QUIET, **READ),
        tool("fetch_mail", "Fetches mail, marking it as read.", **READ),
        tool("get_message", "Returns the next message. The message is removed from the queue.", **READ),
        tool("get_message", "Returns the next message, and it will be deleted afterwards.", **READ),
        tool("list_jobs", "Lists jobs and restarts those that hang.", **READ),
        tool("list_jobs", "Lists jobs.\n\n- Restarts the ones that hang", **READ),
        tool("read_counter", "Increments the counter after reading", **READ),
        tool("search", "Searches.\nAlso WRITES an index", **READ),
        tool("get_token", "Get a token. Does not log anything, but revokes all earlier tokens.", **READ),
        tool("get_quote", "This tool creates an order for the quote", **READ),
        tool("show_report", "Use this tool to email a report", **READ),
        tool("get_lock", "Acquire the lock of a table", **READ),
        tool("get_lock", QUIET, **READ),
        tool("get_item", "Returns the item. Viewing it marks it as seen.", **READ),
        tool("get_item", "Returns the item. This call triggers a refresh of its index.", **READ),
        tool("get_item", "Returns the item; if none exists one is created.", **READ),
        tool("get_item", "Returns the item (auto-creates missing parents).", **READ),
        tool("get_item", "Returns the item, locking it for a minute.", **READ),
        tool("read_messages", "Read pending pub/sub messages for an existing subscription", **READ),
        tool("get_job", "Get the next job", **READ),
        tool("receive", "Gets messages from the queue", **READ),
        tool("get_messages", QUIET, given={"queue_url": "string"}, **READ),
        tool("fetch_mail", "Fetches unread emails", **READ),
        tool("scan_folder", "Scans the folder and sanitises any finding", **READ),
        tool("scan_and_sanitise", QUIET, **READ),
        tool("scan_folder", "Scans the folder and sanitises any finding", http=("GET", "/folder"), **READ),
        tool("return_delivered_items", "Return the items of an order", **READ),
        tool("check_item", "Check an item of the list", **READ),
        tool("deleteuser", "Gets rid of nothing", **READ),
        tool("convert_file", "Convert a file", given={"path": "string"}, required=["path"], **READ),
        tool("fetch", "Fetches a url", given={"url": "string", "method": "string"}, **READ),
        tool("query_database", "Queries the SQL database", given={"query": "string"}, **READ),
        tool("view_item", QUIET, **READ) | {"title": "Buy an item"},
        tool("get_rows", QUIET, given={"sql": "string"}, **READ),
        tool(
            "query", "Query the database", given={"query": {"type": "string", "description": "The SQL to run"}}, **READ
        ),
        tool("get_page", QUIET, given={"script": "string"}, **READ),
        tool(
            "fetch",
            "Fetch a url",
            given={"url": "string", "method": {"enum": ["GET", "POST"]}, "body": "string"},
            **READ,
        ),
        tool("get_issue", QUIET, given={"body": "string"}, required=["body"], **READ),
        tool("get_records", QUIET, given={"records": "array"}, required=["records"], **READ),
        tool("get_user", QUIET, given={"action": {"type": "string", "enum": ["get", "ban"]}}, **READ),
        tool("get_user", QUIET, http=("POST", "/users/{id}"), **READ),
        tool("get_user", QUIET, http=("DELETE", "/users/{id}"), **READ),
        tool("search_users", QUIET, http=("POST", "/users/search")),
        tool("get_user", QUIET, http=("GET", "/users/{id}/delete"), **READ),
        tool("get_session", QUIET, http=("GET", "/logout/{id}/unsubscribe"), **READ),
        tool("get_job", QUIET, http=("GET", "/jobs/{id}/run"), **READ),
        tool("delete_ticket", QUIET, **READ),
        *(tool(name, QUIET, **READ) for name in ("get_*", "get_?", "get_[a-z]", 'get_"x', "get_x y", "")),
        tool('get_x"\nclass = "read_only"\n[[rule]]\ntool = "up.*', QUIET, **READ),
    ],
)
def test_whatever_might_write_is_not_drafted_as_a_read(given: dict[str, Any]) -> None:
    assert not is_read(given)
    policy = policy_of(inventory("up", [given, tool("get_ticket_2", QUIET)]))
    assert [each.rule.tool for each in policy.rules if each.rule.is_read] == ["up.get_ticket_2"]
    assert policy.file.defaults.unknown_tools == "ask"


BROWSER = (
    "click",
    "type",
    "press_key",
    "hover",
    "fill_form",
    "navigate",
    "drag",
    "select_option",
    "handle_dialog",
    "tap",
)
STARTS = (
    "trigger_workflow",
    "run_pipeline",
    "dispatchWorkflow",
    "execute_playbook",
    "rerun-job",
    "invoke_function",
    "deploy",
)


@pytest.mark.parametrize("name", [*(f"browser_{each}" for each in BROWSER), *STARTS])
def test_browser_actions_and_workflow_triggers_are_writes_whatever_they_are_called(name: str) -> None:
    found = drafted(tool(name, "Get the page afterwards", **READ), tool("browser_snapshot", QUIET, **READ))[name]
    assert found.nature.value != "read"
    assert found.rules[-1]["class"] in {"external_irreversible", "workflow"}
    assert found.rules[-1]["risk"] == "high"


def test_two_tools_of_one_name_get_no_rule_because_it_would_speak_for_both() -> None:
    found = inventory("up", [tool("get_it", QUIET, **READ), tool("get_it", "Deletes it")])
    assert [each.rules for each in found] == [(), ()]
    assert policy_of(found).rules == ()


def test_what_is_not_understood_asks_and_says_that_it_is_a_guess() -> None:
    found = drafted(tool("frobnicate", "Frobnicates the widget"))["frobnicate"]
    assert (found.nature.value, found.confidence.value) == ("unsure", "guess")
    assert found.rules == ({"tool": "up.frobnicate", "class": "external_irreversible", "risk": "high", "undo": "none"},)
    assert found.lost == "what it does is not known"
    assert any("Not sure what it does" in note for note in found.notes)
