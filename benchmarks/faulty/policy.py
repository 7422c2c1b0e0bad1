"""The policy with which Takeback guards the faulty upstream: what its user knows of it, and nothing about faults."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template
from typing import Final

from benchmarks.faulty.place import ROOT, Place, Subject

_HEAD: Final = Template("""
[ledger]
url = $ledger

[defaults]
tenant = "acme"
user = "agent"
timeout = "1s"
retry = { attempts = 3, backoff = "200ms", max = "1s" }
# One run of an agent is not as long as a benchmark.
limits = { writes_per_run = 1000000 }

[upstream.faulty]
$where
lands_within = "4s"          # true of this upstream: what it postpones lands after 2.5 seconds
$keys

[[rule]]
tool = "faulty.get"
class = "read_only"

[[rule]]
tool = "faulty.search"
class = "read_only"

[[rule]]
tool = "faulty.set"
class = "internal_update"
effect = "set"
risk = "low"
target = { type = "record", id = "args.key" }
read = { tool = "faulty.get", args = { key = "args.key" } }
result = "current"
undo = { tool = "faulty.set", args = { key = "target.id", value = "before.value" } }

[[rule]]
tool = "faulty.create"
class = "internal_update"
does = "create"
risk = "low"
probe = { tool = "faulty.search", args = { reference = "args.reference" }, found = "result.items.size() > 0" }
undo = "none"
""")

_BY_REFERENCE: Final = """
target = { type = "item", id = "args.reference" }
result = "current"
[rule.read]
tool = "faulty.search"
args = { reference = "args.reference" }
select = "result.items[0]"
absent = "error == null && result.items.size() == 0"
"""
"""The call itself names what it creates, so it can be read before and after."""

_BY_RESULT: Final = """
target = { type = "item", id = "result.id" }
"""
"""Only the reply names what was created: all that there is when it is lost is the search."""

_KEYS: Final = 'idempotency = { meta = "example.org/idempotency-key" }'


def write_policy(place: Place, url: str | None) -> Path:
    """Write the policy of one subject beside its ledger."""
    command = place.upstream()
    local = f"command = {json.dumps(command[0])}\nargs = {json.dumps(command[1:])}\ncwd = {json.dumps(str(ROOT))}"
    text = _HEAD.substitute(
        ledger=json.dumps(f"sqlite+aiosqlite:///{place.ledger}"),
        where=f"url = {json.dumps(url)}" if url else local,
        keys=_KEYS if place.subject is Subject.KEYS else "",
    )
    path = place.folder / "policy.toml"
    path.write_text(text + (_BY_RESULT if place.subject is Subject.BY_RESULT else _BY_REFERENCE), encoding="utf-8")
    return path
