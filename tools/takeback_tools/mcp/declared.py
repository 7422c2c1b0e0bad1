"""What is declared to a server: what the client behind us can do, as far as we can carry it, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp.types import CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY, LOG_LEVEL_META_KEY, PROTOCOL_VERSION_META_KEY
from mcp.types.version import LATEST_MODERN_VERSION

from takeback import __version__
from takeback.ports import Downstream

CLIENT: Final = {"name": "takeback", "version": __version__}

LONGEST: Final = 64 * 1024
"""Bytes of declared capabilities that are passed on; a client that declares more is one without any."""

_TASKS: Final = "io.modelcontextprotocol/tasks"
"""An answer that is only a task's handle is no result of a call, so tasks are not offered to servers."""


@dataclass(frozen=True, slots=True)
class Declared:
    """How we present ourselves to one server. `stateless_first`: in the stateless era, if the server speaks it."""

    capabilities: Mapping[str, Any]
    info: Mapping[str, Any]
    stateless_first: bool = False

    @property
    def key(self) -> str:
        """Equal for equal capabilities in the same era."""
        return f"{self.stateless_first} {_text(self.capabilities)}"


def declared_for(downstream: Downstream, *, named: bool) -> Declared:
    """What a server is told of this client; `named`: and its name, where the connection is this client's alone."""
    info = downstream.info if named and downstream.info else CLIENT
    return Declared(passed_on(downstream), info, downstream.stateless)


def passed_on(downstream: Downstream) -> dict[str, Any]:
    """The client's capabilities without what cannot be carried between it and a server."""
    given = dict(downstream.capabilities)
    if len(_text(given)) > LONGEST:
        return {}
    given.pop("tasks", None)
    extensions = given.get("extensions")
    if isinstance(extensions, Mapping) and _TASKS in extensions:
        given["extensions"] = {name: value for name, value in extensions.items() if name != _TASKS}
    if downstream.stateless and isinstance(given.get("roots"), Mapping):
        given["roots"] = {name: value for name, value in given["roots"].items() if name != "listChanged"}
    return given


def envelope(declared: Declared, downstream: Downstream | None = None) -> dict[str, Any]:
    """The `_meta` that the stateless era wants in each request, for the client that it is made for."""
    found = {
        PROTOCOL_VERSION_META_KEY: LATEST_MODERN_VERSION,
        CLIENT_INFO_META_KEY: dict(declared.info),
        CLIENT_CAPABILITIES_META_KEY: dict(declared.capabilities),
    }
    if downstream is not None:
        found[CLIENT_CAPABILITIES_META_KEY] = passed_on(downstream)
        if downstream.info:
            found[CLIENT_INFO_META_KEY] = dict(downstream.info)
        if downstream.log_level is not None:
            found[LOG_LEVEL_META_KEY] = downstream.log_level
    return found


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
