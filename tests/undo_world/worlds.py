"""The kinds of world that schedules run in, each with its policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.undo_world.records import FIELDS


@dataclass(frozen=True, slots=True)
class World:
    """What the upstream can do. `lag` is in seconds: for how long a read shows what was."""

    name: str
    conditional: bool
    versions: bool
    lag: float = 0.0

    def policy(self) -> str:
        """The guard's policy for it."""
        condition = 'condition = { header = "If-Match" }\n' if self.conditional else ""
        lag = f'read_lag = "{self.lag}s"\n' if self.lag else ""
        text = _POLICY.replace("<condition>\n", condition).replace("<lag>\n", lag)
        for source in ("before", "restored"):
            text = text.replace(f"<fields {source}>\n", "".join(f'{name} = "{source}.{name}"\n' for name in FIELDS))
        return text


CONDITIONAL: Final = World("conditional", conditional=True, versions=True)
VERSIONED: Final = World("versioned", conditional=False, versions=True)
PLAIN: Final = World("plain", conditional=False, versions=False)
LAGGING: Final = World("lagging", conditional=False, versions=False, lag=2.0)
LAGGING_CONDITIONAL: Final = World("lagging conditional", conditional=True, versions=True, lag=2.0)

_POLICY: Final = """
[defaults]
tenant = "acme"
user = "agent"
timeout = "1s"
join_within = "2s"
retry = { attempts = 2, backoff = "10ms", max = "20ms" }
limits = { writes_per_run = 100000, deletes_per_run = 100000, same_call = 100000 }

[upstream.world]
url = "http://world.example/mcp"
lands_within = "1s"
<lag>

[[rule]]
tool = "world.get"
class = "read_only"

[[rule]]
tool = "world.comments"
class = "read_only"

[[rule]]
id = "update"
tool = "world.update"
class = "internal_update"
effect = "set"
risk = "low"
target = { type = "doc", id = "args.id" }
read = { tool = "world.get", args = { id = "args.id" } }
lists = { tags = "set", items = { key = "id" }, body = "lines" }
ignore = ["touched"]
<condition>
[rule.undo]
tool = "world.update"
[rule.undo.args]
id = "target.id"
<fields before>

[[rule]]
id = "replace"
tool = "world.replace"
class = "internal_update"
effect = "set"
risk = "low"
target = { type = "doc", id = "args.id" }
read = { tool = "world.get", args = { id = "args.id" } }
lists = { tags = "set", items = { key = "id" }, body = "lines" }
ignore = ["touched"]
<condition>
[rule.undo]
tool = "world.replace"
[rule.undo.args]
id = "target.id"
<fields restored>

[[rule]]
id = "create"
tool = "world.create"
class = "internal_update"
does = "create"
risk = "low"
target = { type = "doc", id = "result.id" }
read = { tool = "world.get", args = { id = "result.id" } }
lists = { tags = "set", items = { key = "id" }, body = "lines" }
children = [{ type = "comment", tool = "world.comments", args = { doc = "target.id" }, ids = "result.comments" }]
ignore = ["touched"]
undo = { tool = "world.delete", args = { id = "target.id" } }

[[rule]]
id = "delete"
tool = "world.delete"
class = "internal_update"
does = "delete"
effect = "set"
risk = "low"
target = { type = "doc", id = "args.id" }
read = { tool = "world.get", args = { id = "args.id" } }
lists = { tags = "set", items = { key = "id" }, body = "lines" }
ignore = ["touched"]
<condition>
[rule.undo]
tool = "world.create"
[rule.undo.args]
id = "target.id"
<fields before>
count = "before.count"

[[rule]]
id = "add"
tool = "world.add"
class = "internal_update"
risk = "low"
target = { type = "doc", id = "args.id" }
read = { tool = "world.get", args = { id = "args.id" } }
by = { count = "args.by" }
verify = "after.count == before.count + args.by"
ignore = ["touched"]
undo = { tool = "world.add", args = { id = "target.id", by = "0 - args.by" } }

[[rule]]
id = "move"
tool = "world.move"
class = "internal_update"
effect = "set"
risk = "low"
target = { type = "doc", id = "args.id" }
read = { tool = "world.get", args = { id = "args.id" } }
ignore = ["touched"]
<condition>
undo = { tool = "world.move", args = { id = "target.id", folder = "before.folder" } }

[[rule]]
id = "join"
tool = "world.join"
class = "external_reversible"
effect = "set"
risk = "low"
target = { type = "group", id = "args.id" }
read = { tool = "world.get", args = { id = "args.id" } }
writes = ["members"]
verify = "after.members.exists(m, m == args.member)"
lists = { members = "set" }
ignore = ["touched"]
<condition>
undo = { tool = "world.leave", args = { id = "target.id", member = "args.member" } }

[[rule]]
id = "leave"
tool = "world.leave"
class = "external_reversible"
effect = "set"
risk = "low"
target = { type = "group", id = "args.id" }
read = { tool = "world.get", args = { id = "args.id" } }
writes = ["members"]
verify = "!after.members.exists(m, m == args.member)"
lists = { members = "set" }
ignore = ["touched"]
<condition>
undo = { tool = "world.join", args = { id = "target.id", member = "args.member" } }

[[rule]]
id = "comment"
tool = "world.comment"
class = "internal_update"
does = "create"
risk = "low"
target = { type = "comment", id = "result.id" }
read = { tool = "world.get", args = { id = "result.id" } }
uses = [{ type = "doc", id = "args.doc" }]
ignore = ["touched"]
undo = { tool = "world.uncomment", args = { id = "target.id" } }

[[rule]]
id = "uncomment"
tool = "world.uncomment"
class = "internal_update"
does = "delete"
effect = "set"
risk = "low"
target = { type = "comment", id = "args.id" }
read = { tool = "world.get", args = { id = "args.id" } }
ignore = ["touched"]
<condition>
undo = "none"
"""
