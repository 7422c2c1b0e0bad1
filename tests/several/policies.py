"""The policy of guards that share a ledger: each kind of write, with what settles it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

KINDS: Final = ("set", "note", "charge", "pay")

_TEXT: Final = """
[ledger]
url = "<ledger>"
lease = "2s"

[defaults]
reads_without_ledger = <reads>
tenant = "acme"
user = "agent"
timeout = "10s"
join_within = "5s"
retry = { attempts = 2, backoff = "10ms", max = "50ms" }
limits = { same_call = 1000, writes_per_run = 1000 }

[upstream.desk]
base_url = "http://127.0.0.1:<port>"
breaker = "off"
lands_within = "1s"
operation.get = { method = "GET", path = "/records/{id}" }
operation.find = { method = "GET", path = "/notes", query = { text = "{text}" } }
operation.note = { method = "POST", path = "/notes", body = { text = "{text}" } }
operation.charge = { method = "POST", path = "/charges", body = { account = "{account}", amount = "{amount}" } }
operation.wire = { method = "POST", path = "/charges", body = { account = "{account}", amount = "{amount}" } }
operation.pay = { method = "POST", path = "/payments", body = { account = "{account}", amount = "{amount}" } }
operation.set = { method = "PUT", path = "/records/{id}", body = { value = "{value}" } }

[[rule]]
tool = "desk.get"
class = "read_only"

[[rule]]
tool = "desk.find"
class = "read_only"

[[rule]]
tool = "desk.set"
class = "internal_update"
effect = "set"
risk = "low"
target = { type = "record", id = "args.id" }
read = { tool = "desk.get", args = { id = "args.id" } }
undo = { tool = "desk.set", args = { id = "target.id", value = "before.value" } }

[[rule]]
tool = "desk.note"
class = "internal_update"
does = "create"
risk = "low"
probe = { tool = "desk.find", args = { text = "args.text" }, found = "result.found" }

[[rule]]
tool = "desk.charge"
class = "external_irreversible"
risk = "low"
approval = "never"
target = { type = "account", id = "args.account" }

[[rule]]
tool = "desk.wire"
class = "external_irreversible"
approval = "always"
target = { type = "account", id = "args.account" }

[[rule]]
tool = "desk.pay"
class = "external_irreversible"
risk = "low"
approval = "never"
target = { type = "purse", id = "args.account" }
idempotency = { header = "Idempotency-Key", valid_for = "1h" }
"""


def write_policy(folder: Path, ledger: str, port: int, *, reads_without: bool = False) -> Path:
    """The policy for one ledger, before the API on `port`."""
    path = folder / "policy.toml"
    text = _TEXT.replace("<ledger>", ledger).replace("<port>", str(port))
    path.write_text(text.replace("<reads>", str(reads_without).lower()))
    return path
