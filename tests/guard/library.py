"""A library's catalogue in memory: whole records, lists, texts, children, ids that are given out, reads that lag."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from takeback.core.jsontext import JSON
from takeback.core.results import VERSION
from takeback.testing import MemoryTools, ToolError

POLICY: Final = """
[defaults]
tenant = "acme"
user = "agent"
timeout = "1s"
join_within = "30s"

[upstream.lib]
command = "in-memory"
lands_within = "1s"

[[rule]]
tool = "lib.get"
class = "read_only"

[[rule]]
tool = "lib.notes"
class = "read_only"

[[rule]]
id = "edit"
tool = "lib.edit"
class = "internal_update"
effect = "set"
risk = "low"
target = { type = "book", id = "args.id", canonical = "lower" }
read = { tool = "lib.get", args = { id = "args.id" } }
ignore = ["seen"]
redact = ["borrower"]
lists = { tags = "set", copies = { key = "no" }, blurb = "lines" }
[rule.undo]
tool = "lib.edit"
[rule.undo.args]
id = "args.id"
title = "before.title"
tags = "before.tags"
copies = "before.copies"
blurb = "before.blurb"
borrower = "before.borrower"

[[rule]]
id = "put"
tool = "lib.put"
class = "internal_update"
effect = "set"
risk = "low"
target = { type = "book", id = "args.id" }
read = { tool = "lib.get", args = { id = "args.id" } }
ignore = ["seen"]
writes = ["title"]
verify = "after.title == args.book.title"
undo = { tool = "lib.put", args = { id = "args.id", book = "restored" } }

[[rule]]
id = "add"
tool = "lib.add"
class = "internal_update"
does = "create"
risk = "low"
target = { type = "book", id = "result.id" }
read = { tool = "lib.get", args = { id = "result.id" } }
ignore = ["seen"]
children = { type = "note", tool = "lib.notes", args = { id = "target.id" }, ids = "result.map(n, n.id)" }
undo = { tool = "lib.drop", args = { id = "target.id" } }

[[rule]]
id = "drop"
tool = "lib.drop"
class = "internal_update"
does = "delete"
effect = "set"
risk = "low"
target = { type = "book", id = "args.id" }
read = { tool = "lib.get", args = { id = "args.id" } }
ignore = ["seen"]
undo = { tool = "lib.add", args = { title = "before.title", tags = "before.tags" } }

[[rule]]
id = "note"
tool = "lib.note"
class = "internal_update"
does = "create"
risk = "low"
target = { type = "note", id = "result.id" }
uses = { type = "book", id = "args.on" }
undo = { tool = "lib.unnote", args = { id = "result.id" } }

[[rule]]
id = "unnote"
tool = "lib.unnote"
class = "internal_update"
does = "delete"
risk = "low"
"""


class Library:
    """Books by number. `version` names the state of a book in each read, where `versions` is on."""

    def __init__(self, *, versions: bool = False) -> None:
        self.versions = versions
        self.books: dict[int, dict[str, Any]] = {}
        self.notes: dict[int, int] = {}
        self.revisions: dict[int, int] = {}
        self.lagging: list[dict[int, dict[str, Any]]] = []
        self.add({"title": "Dune", "tags": ["sf"], "copies": [{"no": 1, "at": "A"}], "blurb": "one\n\ntwo\n\nend\n"})
        names = ("get", "notes", "edit", "put", "add", "drop", "note", "unnote")
        self.tools: MemoryTools = Shelf("lib", {name: getattr(self, name) for name in names})
        self.tools.library = self

    def touch(self, book: int, **change: Any) -> None:
        """Somebody else's edit."""
        self.books[book].update(change)
        self.revisions[book] += 1

    def get(self, args: dict[str, Any]) -> JSON:
        books = self.lagging.pop(0) if self.lagging else self.books
        number = int(str(args["id"]).strip())
        if number not in books:
            raise ToolError(f"book {number} not found")
        found = books[number]
        found["seen"] = found.get("seen", 0) + 1
        return deepcopy(found)

    def edit(self, args: dict[str, Any]) -> JSON:
        number = self._there(args)
        self.touch(number, **{name: value for name, value in args.items() if name != "id"})
        return {"ok": True}

    def put(self, args: dict[str, Any]) -> JSON:
        number = self._there(args)
        self.books[number] = dict(args["book"])
        self.revisions[number] += 1
        return {"ok": True}

    def add(self, args: dict[str, Any]) -> JSON:
        number = max([*self.revisions, 0]) + 1
        self.books[number] = {"id": number, "title": "", "tags": [], "copies": [], "blurb": "", "borrower": ""} | args
        self.revisions[number] = 1
        return {"id": number}

    def drop(self, args: dict[str, Any]) -> JSON:
        del self.books[self._there(args)]
        return {"ok": True}

    def note(self, args: dict[str, Any]) -> JSON:
        number = len(self.notes) + 100
        self.notes[number] = int(args["on"])
        return {"id": number}

    def unnote(self, args: dict[str, Any]) -> JSON:
        del self.notes[int(args["id"])]
        return {"ok": True}

    def notes_of(self, book: int) -> list[int]:
        return [number for number, on in self.notes.items() if on == book]

    def _there(self, args: dict[str, Any]) -> int:
        number = int(str(args["id"]).strip())
        if number not in self.books:
            raise ToolError(f"book {number} not found")
        return number


class Shelf(MemoryTools):
    """The tools, whose reads name a version where the library keeps one."""

    library: Library

    def _run(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if name == "notes":
            found = [{"id": number} for number in self.library.notes_of(int(arguments["id"]))]
            return {"content": [{"type": "text", "text": str(found).replace("'", '"')}]}
        result = super()._run(name, arguments)
        if name == "get" and self.library.versions and not result.get("isError"):
            result["_meta"] = {VERSION: f"v{self.library.revisions[int(str(arguments['id']).strip())]}"}
        return result
