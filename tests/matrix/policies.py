"""The policy of every cell: one rule for each way in which a write can be settled."""

from __future__ import annotations

from typing import Final, Literal, get_args

from tests.fixtures.store_server import KEY

Kind = Literal["stdio", "mcp", "api"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
KIND_NAMES: Final[dict[Kind, str]] = {
    "stdio": "MCP over stdio",
    "mcp": "MCP over streamable HTTP",
    "api": "HTTP API",
}

Rule = Literal["set", "note", "charge", "pay"]
"""By the tool that it is for."""

RULES: Final[tuple[Rule, ...]] = get_args(Rule)
RULE_NAMES: Final[dict[Rule, str]] = {
    "set": "`set`, read back",
    "note": "`once`, a probe",
    "charge": "`once`, nothing",
    "pay": "`once`, a key",
}

_KEYS: Final[dict[Kind, str]] = {
    "stdio": '{ argument = "key", valid_for = "24h" }',
    "mcp": f'{{ meta = "{KEY}", valid_for = "24h" }}',
    "api": '{ header = "Idempotency-Key", valid_for = "24h" }',
}

_OPERATIONS: Final = """
operation.get = { method = "GET", path = "/get/{id}" }
operation.entries = { method = "GET", path = "/entries/{id}" }

[upstream.store.operation.set]
method = "PUT"
path = "/set/{id}"
body = { value = "{value}" }

[upstream.store.operation.note]
method = "POST"
path = "/note/{id}"
body = { text = "{text}" }

[upstream.store.operation.charge]
method = "POST"
path = "/charge/{id}"
body = { amount = "{amount}" }

[upstream.store.operation.pay]
method = "POST"
path = "/pay/{id}"
body = { amount = "{amount}" }
"""

_TEXT: Final = """
[ledger]
url = "<ledger>"
lease = "<lease>"

[defaults]
tenant = "acme"
user = "agent"
timeout = "10s"
join_within = "<join>"
retry = { attempts = 3, backoff = "10ms", max = "20ms" }

[upstream.store]
lands_within = "<lands>"
<upstream>

[[rule]]
tool = "store.get"
class = "read_only"

[[rule]]
tool = "store.entries"
class = "read_only"

[[rule]]
tool = "store.set"
class = "internal_update"
effect = "set"
risk = "low"
timeout = "<timeout>"
target = { type = "record", id = "args.id" }
read = { tool = "store.get", args = { id = "args.id" } }

[[rule]]
tool = "store.note"
class = "internal_update"
does = "create"
risk = "low"
timeout = "<timeout>"
target = { type = "record", id = "args.id" }
probe = { tool = "store.entries", args = { id = "args.id" }, found = "result.entries.exists(e, e == args.text)" }

[[rule]]
tool = "store.charge"
class = "external_irreversible"
risk = "low"
approval = "never"
timeout = "<timeout>"
target = { type = "account", id = "args.id" }

[[rule]]
tool = "store.pay"
class = "external_irreversible"
risk = "low"
approval = "never"
timeout = "<timeout>"
target = { type = "account", id = "args.id" }
idempotency = <key>
"""


def policy(
    kind: Kind,
    upstream: str,
    *,
    timeout: str = "10s",
    ledger: str = "sqlite+aiosqlite:///${STATE}/takeback.db",
    lease: str = "30s",
    lands: str = "60s",
    join: str = "2m",
) -> str:
    """The policy of a cell. `upstream` are the lines that say where it is; `timeout` is that of a write."""
    lines = upstream + (_OPERATIONS if kind == "api" else "")
    words = {
        "ledger": ledger,
        "lease": lease,
        "lands": lands,
        "join": join,
        "timeout": timeout,
        "key": _KEYS[kind],
        "upstream": lines,
    }
    text = _TEXT
    for name, value in words.items():
        text = text.replace(f"<{name}>", value)
    return text


def arguments(rule: Rule, record: str) -> dict[str, str]:
    """What the agent asks for."""
    value = {"set": "value", "note": "text"}.get(rule, "amount")
    return {"id": record, value: "new"}
