"""The policy of the guards that are killed: each kind of write, with what settles it."""

from __future__ import annotations

from typing import Final

from tests.crashes.upstream import LANDS_WITHIN

LEASE: Final = 0.5
"""Seconds for which a dead guard keeps others off."""

TENANT: Final = "acme"
PRINCIPAL: Final = "agent"

_TEXT: Final = f"""
[ledger]
url = "<ledger>"
lease = "{LEASE * 1000:.0f}ms"

[defaults]
tenant = "{TENANT}"
user = "{PRINCIPAL}"
timeout = "5s"
join_within = "3s"
retry = {{ attempts = 2, backoff = "10ms", max = "20ms" }}
agent_tools = ["plan"]

[plans]
side_by_side = <side_by_side>
irreversible = "as_given"

[upstream.desk]
base_url = "http://127.0.0.1:<port>"
breaker = "off"
lands_within = "{LANDS_WITHIN * 1000:.0f}ms"
operation.get = {{ method = "GET", path = "/records/{{id}}" }}
operation.notes = {{ method = "GET", path = "/notes" }}
operation.delete = {{ method = "DELETE", path = "/records/{{id}}" }}

[upstream.desk.operation.set]
method = "PUT"
path = "/records/{{id}}/priority"
body = {{ priority = "{{priority}}" }}

[upstream.desk.operation.make]
method = "PUT"
path = "/records/{{id}}"
body = {{ title = "{{title}}" }}

[upstream.desk.operation.escalate]
method = "PUT"
path = "/records/{{id}}/level"
body = {{ level = "{{level}}" }}

[upstream.desk.operation.note]
method = "POST"
path = "/notes"
body = {{ text = "{{text}}" }}

[upstream.desk.operation.charge]
method = "POST"
path = "/charges"
body = {{ account = "{{account}}", amount = "{{amount}}" }}

[upstream.desk.operation.pay]
method = "POST"
path = "/payments"
body = {{ account = "{{account}}", amount = "{{amount}}" }}

[[rule]]
tool = "desk.get"
class = "read_only"

[[rule]]
tool = "desk.notes"
class = "read_only"

[[rule]]
tool = "desk.set"
class = "internal_update"
effect = "set"
risk = "low"
target = {{ type = "record", id = "args.id" }}
read = {{ tool = "desk.get", args = {{ id = "args.id" }} }}
undo = {{ tool = "desk.set", args = {{ id = "target.id", priority = "before.priority" }} }}

[[rule]]
tool = "desk.make"
class = "internal_update"
does = "create"
effect = "set"
risk = "low"
target = {{ type = "record", id = "args.id" }}
read = {{ tool = "desk.get", args = {{ id = "args.id" }} }}
result = "{{'id': current.id, 'title': current.title}}"
undo = {{ tool = "desk.delete", args = {{ id = "target.id" }} }}

[[rule]]
tool = "desk.escalate"
class = "internal_update"
effect = "set"
risk = "low"
approval = "always"
target = {{ type = "record", id = "args.id" }}
read = {{ tool = "desk.get", args = {{ id = "args.id" }} }}

[[rule]]
tool = "desk.delete"
class = "internal_update"
does = "delete"
effect = "set"
risk = "low"
target = {{ type = "record", id = "args.id" }}
read = {{ tool = "desk.get", args = {{ id = "args.id" }} }}

[[rule]]
tool = "desk.note"
class = "internal_update"
does = "create"
risk = "low"
probe = {{ tool = "desk.notes", args = {{}}, found = "result.notes.exists(n, n.text == args.text)" }}

[[rule]]
tool = "desk.charge"
class = "external_irreversible"
risk = "low"
approval = "never"
target = {{ type = "account", id = "args.account" }}

[[rule]]
tool = "desk.pay"
class = "external_irreversible"
risk = "low"
approval = "never"
target = {{ type = "purse", id = "args.account" }}
idempotency = {{ header = "Idempotency-Key", valid_for = "1h" }}
"""


def policy(ledger: str, port: int, *, side_by_side: int = 1) -> str:
    """The policy for one ledger, before the API on `port`. `side_by_side`: how many steps of a plan."""
    text = _TEXT.replace("<ledger>", ledger).replace("<port>", str(port))
    return text.replace("<side_by_side>", str(side_by_side))
