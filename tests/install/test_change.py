"""What installing and uninstalling make of a configuration: only our words in it, and nothing of it lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from takeback.core.clients.change import Change, Fate, installed, uninstalled
from takeback.core.clients.entries import entries
from takeback.core.clients.guarded import Guarded, Launcher
from takeback.core.clients.names import upstream_name
from takeback.core.jsonc import Edit, Node, added, edited, read, spelled

from .texts import VALUES, WORDS, documents

GUARD = Launcher("/opt/takeback")
NAMES = st.sampled_from(["git", "my db", "a.b", "a-b", "python", "é", "", "x" * 40, "//", "files"])
TEXTS = st.sampled_from(["uvx", "npx", "/opt/a b/run", "é", 'C:\\x\\"y".exe', "${V}/bin", "${input:x}"])
OTHERS = st.dictionaries(st.sampled_from(["disabled", "timeout", "envFile", "cwd", "x"]), VALUES, max_size=2)


@st.composite
def commands(draw: st.DrawFn) -> dict[str, Any]:
    entry: dict[str, Any] = {"command": draw(TEXTS)}
    if draw(st.booleans()):
        entry["args"] = draw(st.lists(WORDS, max_size=3))
    if draw(st.booleans()):
        entry["env"] = draw(st.dictionaries(WORDS, WORDS, max_size=2))
    return draw(shuffled({**entry, **draw(OTHERS)}))


@st.composite
def remotes(draw: st.DrawFn) -> dict[str, Any]:
    url = draw(st.sampled_from(["https://x.example/mcp", "https://u:p@x/sse", "https://x/?key=k", "${URL:-https://y}"]))
    entry: dict[str, Any] = {"url": url}
    if draw(st.booleans()):
        entry["type"] = draw(st.sampled_from(["http", "sse", "streamable-http"]))
    if draw(st.booleans()):
        names = st.sampled_from(["Authorization", "X-A", "X_A", "x.a"])
        entry["headers"] = draw(st.dictionaries(names, WORDS, max_size=4))
    return draw(shuffled({**entry, **draw(OTHERS)}))


@st.composite
def shuffled(draw: st.DrawFn, value: dict[str, Any]) -> dict[str, Any]:
    return dict(draw(st.permutations(list(value.items()))))


SERVERS = st.dictionaries(NAMES, commands() | remotes(), max_size=3)


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """Of any client: both shapes, and the projects of one."""
    found: dict[str, Any] = {draw(st.sampled_from(["mcpServers", "servers"])): draw(SERVERS)}
    if draw(st.booleans()):
        found["projects"] = {"/a/project": {"mcpServers": draw(SERVERS), "history": draw(VALUES)}}
    if draw(st.booleans()):
        found["inputs"] = draw(VALUES)
    return draw(shuffled(found))


def everything(_name: str) -> bool:
    return True


def outside(text: str) -> list[str]:
    """What stands before, between and behind the servers."""
    spans = sorted((entry.node.start, entry.node.end) for entry in entries(read(text)))
    ends = [0, *(end for _, end in spans)]
    return [text[a:b] for a, b in zip(ends, [*(start for start, _ in spans), len(text)], strict=True)]


@given(st.data())
def test_installing_and_uninstalling_is_the_identity_on_bytes(data: st.DataObject) -> None:
    text = data.draw(configurations().flatmap(documents))
    change = installed(text, everything, GUARD)
    assert {outcome.fate for outcome in change.outcomes} <= {Fate.WRAPPED}
    back = uninstalled(change.text, change.wrappings, everything, named=False)
    assert back.text == text
    assert {outcome.fate for outcome in back.outcomes} <= {Fate.RESTORED}


@given(st.data())
def test_everything_outside_the_chosen_entries_stays_byte_for_byte(data: st.DataObject) -> None:
    config = data.draw(configurations())
    text = data.draw(documents(config))
    chosen = data.draw(st.sets(NAMES))
    change = installed(text, lambda name: name in chosen, GUARD)
    assert outside(change.text) == outside(text)
    before = {entry.place: text[entry.node.start : entry.node.end] for entry in entries(read(text))}
    after = {entry.place: change.text[entry.node.start : entry.node.end] for entry in entries(read(change.text))}
    assert {place for place, now in after.items() if now != before[place]} == {w.place for w in change.wrappings}
    assert {w.place for w in change.wrappings} == {place for place in before if place[-1] in chosen}


@given(st.data())
def test_a_wrapped_server_is_the_same_server_behind_the_guard(data: st.DataObject) -> None:
    text = data.draw(configurations().flatmap(documents))
    change = installed(text, everything, GUARD)
    was = {entry.place: entry.node.value for entry in entries(read(text))}
    for entry in entries(read(change.text)):
        old, new = was[entry.place], entry.node.value
        assert new["command"] == GUARD.program
        guarded = Guarded.of([new["command"], *new["args"]])
        assert guarded is not None
        assert guarded.own
        assert guarded.name == upstream_name(entry.name)
        same_but_for = {"command", "args", "url", "headers", "type", "env"} if "url" in old else {"command", "args"}
        assert json.dumps({k: v for k, v in new.items() if k not in same_but_for}) == json.dumps(
            {k: v for k, v in old.items() if k not in same_but_for}
        )
        if guarded.rest is not None:
            assert [new["command"], *new["args"]][guarded.rest :] == [old["command"], *old.get("args", [])]
        else:
            check_remote(old, new, guarded)


def check_remote(old: dict[str, Any], new: dict[str, Any], guarded: Guarded) -> None:
    env = dict(new.get("env", {}))
    sent = {header: env.pop(variable) for header, variable in guarded.headers.items()}
    assert sent == old.get("headers", {})
    assert (guarded.url or env.pop(guarded.url_from)) == old["url"]
    assert env == {}
    kind = old.get("type", "sse" if old["url"].endswith("/sse") else "http")
    assert guarded.sse is (kind == "sse")
    assert new.get("type", "stdio") == "stdio"
    for secret in (*sent.values(), *([old["url"]] if guarded.url is None else [])):
        assert not secret or len(secret) < 3 or secret not in " ".join(new["args"])


@given(st.data())
def test_installing_again_changes_nothing(data: st.DataObject) -> None:
    once = installed(data.draw(configurations().flatmap(documents)), everything, GUARD)
    again = installed(once.text, everything, GUARD)
    assert (again.text, again.wrappings) == (once.text, ())
    assert {outcome.fate for outcome in again.outcomes} <= {Fate.ALREADY}


@given(st.data())
def test_without_a_record_a_named_server_is_the_same_server_again(data: st.DataObject) -> None:
    text = data.draw(configurations().flatmap(documents))
    change = installed(text, everything, GUARD)
    back = uninstalled(change.text, (), everything, named=True)
    assert outside(back.text) == outside(text)
    assert json.dumps(servers(back.text), sort_keys=True) == json.dumps(servers(text), sort_keys=True)
    assert uninstalled(change.text, (), everything, named=False).text == change.text  # nobody said that it is ours


def servers(text: str) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """The servers as a client takes them: what is left out counts as what it stands for."""
    found = []
    for entry in entries(read(text)):
        value = dict(entry.node.value)
        if "url" in value:
            value["headers"] = value.get("headers", {})
            value["type"] = {"sse": "sse"}.get(
                value.get("type", "sse" if value["url"].endswith("/sse") else ""), "http"
            )
        else:
            value["args"] = value.get("args", [])
        found.append((entry.place, value))
    return found


@given(st.data())
def test_edits_made_since_are_kept_and_only_the_guard_goes(data: st.DataObject) -> None:
    text = data.draw(configurations().flatmap(documents))
    change = installed(text, everything, GUARD)
    edits = [edit for entry in entries(read(change.text)) for edit in theirs(data, change, entry.node)]
    touched = edited(change.text, edits)
    back = uninstalled(touched, change.wrappings, everything, named=False)
    now = dict(servers(touched))
    assert [value for _, value in servers(back.text)] == [edited_alike(old, now[place]) for place, old in servers(text)]


def edited_alike(old: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The old entry with what the user did to the wrapped one."""
    new = old | ({"note": now["note"]} if "note" in now else {})
    if "MINE" in now.get("env", {}):
        new["env"] = {**old.get("env", {}), "MINE": "1"}
    if "args" in old and now["args"][-1] == "--mine":
        new["args"] = [*old["args"], "--mine"]
    return new


def theirs(data: st.DataObject, change: Change, entry: Node) -> list[Edit]:
    """What the user did to one of the entries meanwhile."""
    edits = []
    if data.draw(st.booleans()):
        edits.append(added(change.text, entry.members[-1], "note", spelled("theirs")))
    env, args = entry.member("env"), entry.member("args")
    assert args is not None
    if data.draw(st.booleans()) and env is not None and env.value.members:
        edits.append(added(change.text, env.value.members[-1], "MINE", spelled("1")))
    if data.draw(st.booleans()) and "--url" not in args.value.value and "--url-from" not in args.value.value:
        last = args.value.items[-1].value.end
        edits.append(Edit(last, last, ', "--mine"'))
    return edits


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("7", "not an object"),
        ("{}", "neither a command nor an address"),
        ('{"command": ["a"]}', "not a text and a list of texts"),
        ('{"command": "a", "args": "b"}', "not a text and a list of texts"),
        ('{"command": "a", "args": [1]}', "not a text and a list of texts"),
        ('{"command": ""}', "not a text"),
        ('{"command": "npx -y thing"}', "several words"),
        ('{"command": "a", "url": "https://x"}', "both a command and an address"),
        ('{"command": "a", "type": "http"}', "type does not go with a command"),
        ('{"command": "a", "command": "b"}', "a key stands twice"),
        ('{"url": 1}', "neither a command nor an address"),
        ('{"url": "https://x", "type": "ws"}', "none that the guard can reach"),
        ('{"url": "https://x", "headers": {"A": 1}}', "not texts by name"),
        ('{"url": "https://x", "headers": {"A": "1", "a": "2"}}', "not texts by name"),
        ('{"url": "https://x", "headers": {"A b": "1"}}', "not texts by name"),
        ('{"url": "https://x", "headers": {"A": "1"}, "env": {}}', "has an env beside"),
        ('{"url": "https://x?k=1", "env": {"A": "1"}}', "has an env beside"),
        ('{"url": "https://x", "oauth": {"clientId": "c"}}', "logs in there (oauth)"),
        ('{"url": "https://x", "headersHelper": "script"}', "logs in there (headersHelper)"),
        ('{"command": "/usr/bin/takeback", "args": ["serve"]}', "the guard itself"),
        ('{"command": "uvx", "args": ["takeback", "serve"]}', "the guard itself"),
    ],
)
def test_what_cannot_be_wrapped_is_named_with_the_reason_and_left_alone(entry: str, why: str) -> None:
    text = f'{{"mcpServers": {{"it": {entry}, "other": {{"command": "x"}}}}}}'
    change = installed(text, everything, GUARD)
    (refused, other) = change.outcomes
    assert (refused.fate, other.fate) == (Fate.REFUSED, Fate.WRAPPED)
    assert why in refused.why
    assert f'"it": {entry},' in change.text


def test_a_name_that_stands_twice_is_left_alone() -> None:
    text = '{"servers": {"a": {"command": "x"}, "a": {"command": "y"}}}'
    change = installed(text, everything, GUARD)
    assert [outcome.fate for outcome in change.outcomes] == [Fate.REFUSED] * 2
    assert change.text == text


@pytest.mark.parametrize(
    "words",
    [
        ["takeback", "wrap", "--", "x"],
        ["C:\\bin\\takeback.exe", "wrap", "--name", "a", "--", "x"],
        ["uvx", "takeback", "wrap", "--", "x"],
        ["python3", "-m", "takeback.cli", "wrap", "--policy", "p.toml", "--", "x"],
    ],
)
def test_what_was_wrapped_by_hand_is_recognised_and_not_taken_out(words: list[str]) -> None:
    text = json.dumps({"mcpServers": {"it": {"command": words[0], "args": words[1:]}}})
    change = installed(text, everything, GUARD)
    assert (change.text, change.outcomes[0].fate) == (text, Fate.ALREADY)
    back = uninstalled(text, (), everything, named=False)
    assert (back.text, back.outcomes[0].fate) == (text, Fate.FOREIGN)


def test_a_folder_that_is_called_like_the_guard_is_not_taken_for_it() -> None:
    text = json.dumps({"mcpServers": {"it": {"command": "uvx", "args": ["mcp-server-git", "/src/takeback"]}}})
    assert installed(text, everything, GUARD).outcomes[0].fate is Fate.WRAPPED


@pytest.mark.parametrize("place", [("mcpServers",), ("servers",), ("mcp", "servers"), ("projects", "/p", "mcpServers")])
def test_servers_are_found_in_both_shapes_in_settings_and_in_projects(place: tuple[str, ...]) -> None:
    config: Any = {"it": {"command": "x"}}
    for name in reversed(place):
        config = {name: config}
    (outcome,) = installed(json.dumps(config), everything, GUARD).outcomes
    assert (outcome.place, outcome.fate) == ((*place, "it"), Fate.WRAPPED)


def test_what_somebody_else_took_out_is_said_to_be_gone() -> None:
    change = installed('{"servers": {"a": {"command": "x"}, "b": {"command": "y"}}}', everything, GUARD)
    theirs_now = '{"servers": {"b": {"command": "y"}}}'
    back = uninstalled(theirs_now, change.wrappings, everything, named=False)
    assert back.text == theirs_now
    assert [(outcome.place[-1], outcome.fate) for outcome in back.outcomes] == [("a", Fate.GONE), ("b", Fate.GONE)]


@given(st.text(max_size=40), st.text(max_size=40))
def test_names_are_legal_and_do_not_collide(one: str, other: str) -> None:
    names = upstream_name(one), upstream_name(other)
    assert (names[0] == names[1]) is (one == other)
    assert upstream_name(names[0]) == names[0] or names[0] != one
    for name in names:
        assert len(name) <= 32
        assert name[:1].isascii()
        assert name[:1].isalpha()
        assert all(c.isascii() and (c.isalnum() or c in "_-") for c in name)


@pytest.mark.parametrize(
    ("name", "mapped"),
    [
        ("git", "git"),
        ("my.server", "my-server-"),
        ("my server", "my-server-"),
        ("my-server-0a1b2c3d", "my-server-0a1b2c3d-"),
        ("python", "python-"),
        ("3d", "server-3d-"),
        ("日本", "server-"),
    ],
)
def test_a_name_that_policies_do_not_take_keeps_its_words(name: str, mapped: str) -> None:
    assert upstream_name(name).startswith(mapped)
    assert (upstream_name(name) == name) is (mapped == name)
