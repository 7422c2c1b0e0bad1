"""A small desk in memory, and the policy that guards it: the world of the guard's behavioural tests."""

from __future__ import annotations

from typing import Any, Final

from takeback.core.jsontext import JSON
from takeback.testing import MemoryTools, ToolError

POLICY: Final = """
[defaults]
tenant = "acme"
user = "agent"
timeout = "1s"
join_within = "2s"
retry = { attempts = 3, backoff = "10ms", max = "20ms" }

[upstream.desk]
command = "in-memory"
lands_within = "1s"

[[rule]]
tool = "desk.get"
class = "read_only"

[[rule]]
tool = "desk.poll"
class = "read_only"
polling = true

[[rule]]
tool = "desk.outbox"
class = "read_only"

[[rule]]
id = "set"
tool = "desk.set"
class = "internal_update"
effect = "set"
risk = "low"
target = { type = "record", id = "args.id", label = "before.title", canonical = "trim" }
read = { tool = "desk.get", args = { id = "args.id" } }
require = "before.tenant == tenant"
ignore = ["seen"]
volatile = ["note"]
redact = ["ssn"]
result = "{'id': current.id, 'priority': current.priority}"
undo = { tool = "desk.set", args = { id = "target.id", priority = "before.priority", status = "before.status" } }

[[rule]]
id = "create"
tool = "desk.create"
class = "internal_update"
does = "create"
risk = "low"
target = { type = "record", id = "result.id" }
read = { tool = "desk.get", args = { id = "result.id" } }
ignore = ["seen"]
undo = { tool = "desk.delete", args = { id = "target.id" } }

[[rule]]
id = "delete"
tool = "desk.delete"
class = "internal_update"
does = "delete"
effect = "set"
risk = "medium"
target = { type = "record", id = "args.id" }
read = { tool = "desk.get", args = { id = "args.id" } }
ignore = ["seen"]
[rule.undo]
tool = "desk.create"
[rule.undo.args]
id = "target.id"
title = "before.title"
tenant = "before.tenant"
priority = "before.priority"
status = "before.status"

[[rule]]
id = "add"
tool = "desk.add"
class = "internal_update"
risk = "low"
target = { type = "counter", id = "args.id" }
read = { tool = "desk.get", args = { id = "args.id" } }
by = { total = "args.by" }
verify = "after.total == before.total + args.by"
ignore = ["seen"]
undo = { tool = "desk.add", args = { id = "target.id", by = "0 - args.by" } }

[[rule]]
id = "send"
tool = "desk.send"
class = "external_irreversible"
target = { type = "record", id = "args.id" }
probe = { tool = "desk.outbox", args = {}, found = "result.mails.exists(m, m.body == args.body)" }
correct = { tool = "desk.send", args = { id = "target.id", body = "'Correction: ' + reason" } }

[[rule]]
id = "charge"
tool = "desk.charge"
class = "external_irreversible"
risk = "low"
approval = "never"
target = { type = "record", id = "args.id" }

[[rule]]
id = "link"
tool = "desk.link"
class = "external_reversible"
effect = "set"
risk = "low"
target = { type = "record", id = "args.id" }
read = { tool = "desk.get", args = { id = "args.id" } }
verify = "after.linked == true"
writes = ["linked"]
ignore = ["seen"]
undo = { tool = "desk.unlink", args = { id = "target.id" } }
undo_within = "1h"

[[rule]]
id = "unlink"
tool = "desk.unlink"
class = "external_reversible"
effect = "set"
risk = "low"
target = { type = "record", id = "args.id" }
read = { tool = "desk.get", args = { id = "args.id" } }
verify = "after.linked == false"
writes = ["linked"]
ignore = ["seen"]
"""

_TEXT: Final = {"type": "string"}
SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "get": {"type": "object", "properties": {"id": _TEXT}, "required": ["id"], "additionalProperties": False},
    "set": {
        "type": "object",
        "properties": {"id": _TEXT, "priority": _TEXT, "status": _TEXT, "note": _TEXT, "ssn": _TEXT},
        "required": ["id"],
    },
    "send": {"type": "object", "properties": {"id": _TEXT, "body": _TEXT}, "required": ["id", "body"]},
}


class Desk:
    """Records by id, and a count of effects: the oracle that no guard writes to."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {
            "T-1": record("T-1"),
            "T-2": record("T-2"),
            "G-1": record("G-1", tenant="globex"),
        }
        self.mails: list[dict[str, Any]] = []
        self.charges: list[str] = []
        self.effects = 0
        self.tools = MemoryTools(
            "desk",
            {
                name: getattr(self, f"_{name}")
                for name in (
                    "get",
                    "poll",
                    "set",
                    "create",
                    "delete",
                    "add",
                    "send",
                    "outbox",
                    "charge",
                    "link",
                    "unlink",
                    "odd",
                )
            },
            SCHEMAS,
        )

    def _get(self, args: dict[str, Any]) -> JSON:
        found = self._found(args)
        found["seen"] += 1
        return dict(found)

    def _poll(self, args: dict[str, Any]) -> JSON:
        return {"done": False}

    def _set(self, args: dict[str, Any]) -> JSON:
        found = self._found(args)
        self.effects += 1
        found.update({k: v for k, v in args.items() if k in {"priority", "status", "ssn"}})
        return {"ok": True, "id": found["id"], "huge": 2**70}

    def _create(self, args: dict[str, Any]) -> JSON:
        self.effects += 1
        made = {
            **record(args.get("id") or f"N-{len(self.records)}"),
            **{k: v for k, v in args.items() if v is not None},
        }
        self.records[made["id"]] = made
        return {"id": made["id"]}

    def _delete(self, args: dict[str, Any]) -> JSON:
        self._found(args)
        self.effects += 1
        del self.records[args["id"]]
        return {"deleted": args["id"]}

    def _add(self, args: dict[str, Any]) -> JSON:
        self.effects += 1
        self._found(args)["total"] += args["by"]
        return {"ok": True}

    def _send(self, args: dict[str, Any]) -> JSON:
        self.effects += 1
        self.mails.append(dict(args))
        return {"mail": len(self.mails)}

    def _outbox(self, args: dict[str, Any]) -> JSON:
        return {"mails": [dict(mail) for mail in self.mails]}

    def _charge(self, args: dict[str, Any]) -> JSON:
        self.effects += 1
        self.charges.append(args["id"])
        return {"charged": True}

    def _link(self, args: dict[str, Any]) -> JSON:
        self.effects += 1
        self._found(args)["linked"] = True
        return {"ok": True}

    def _unlink(self, args: dict[str, Any]) -> JSON:
        self.effects += 1
        self._found(args)["linked"] = False
        return {"ok": True}

    def _odd(self, args: dict[str, Any]) -> JSON:
        self.effects += 1
        return {"odd": True}

    def _found(self, args: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.records[args["id"].strip()]
        except KeyError:
            raise ToolError(f"record {args['id']} not found") from None


def record(record_id: str, tenant: str = "acme") -> dict[str, Any]:
    """A fresh record."""
    return {
        "id": record_id,
        "title": f"About {record_id}",
        "tenant": tenant,
        "priority": "normal",
        "status": "open",
        "total": 100,
        "linked": False,
        "seen": 0,
    }
