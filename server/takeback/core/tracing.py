"""Where a trace can be looked at: a link made of the policy's template and a trace id, which is a client's own text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from takeback.core.jsontext import JSON
from takeback.core.phrases import one_line

PLACE: Final = "{trace}"
"""What stands in a template for the trace id."""

LONGEST_TRACE: Final = 200
"""Characters of a trace id that are shown; a longer one (a W3C one has 32) gets no link, as it would be cut."""

_EXAMPLE: Final = f'write it as "https://traces.example/t/{PLACE}"'
_FIRST: Final = f"put `{PLACE}` behind the address of the server"


_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ADDRESS: Final = re.compile(r"https?://([^/?#]+)([/?#].*)?", re.IGNORECASE)
_SERVER: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]\\%]+)(:\d{1,5})?")


def template_mistake(template: str) -> tuple[str, str] | None:
    """What is wrong with a template, and what to do; None where it is sound."""
    if any(not character.isprintable() or character.isspace() for character in template):
        return "holds blanks, line breaks or invisible characters, which no URL has", _EXAMPLE
    if PLACE not in template:
        return _placeless(template)
    if re.search("[{}]", template.replace(PLACE, "", 1)):
        return f"may hold `{PLACE}` once, and no other braces", _EXAMPLE
    address = _ADDRESS.fullmatch(template)
    if address is None:
        return "must be a URL that begins with http:// or https:// and a server's name", _EXAMPLE
    return _server_mistake(address[1])


def _placeless(template: str) -> tuple[str, str]:
    found = re.search(r"\{[^{}]*\}", template)
    instead = f"write it in the place of `{found[0]}`" if found else _EXAMPLE
    return f"does not say where the trace id goes: `{PLACE}` is missing", instead


def _server_mistake(server: str) -> tuple[str, str] | None:
    if PLACE in server:
        return "lets the client that names the trace choose the server that people are sent to", _FIRST
    if "@" in server:
        return "holds a login, and everybody who may look at a trace would be shown it", "leave it out"
    return None if _SERVER.fullmatch(server) else ("does not name a server as one can be called", _EXAMPLE)


def _escaped(trace: str) -> str:
    """One piece of a URL, whatever it holds."""
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in trace.encode(errors="replace"))


def traced(trace: str, link: str | None) -> str:
    """A trace and its link for people, on one line."""
    return one_line(trace, LONGEST_TRACE) + (f" ({link})" if link is not None else "")


@dataclass(frozen=True, slots=True)
class TraceLinks:
    """Links to traces by a sound template; without one there are none."""

    template: str | None = None

    def link(self, trace: str | None) -> str | None:
        """Where this trace can be looked at; None where nobody knows, or the id could only lead elsewhere."""
        if self.template is None or not trace or len(trace) > LONGEST_TRACE or not trace.strip("."):
            return None  # a path of dots would be taken for a way up
        return self.template.replace(PLACE, _escaped(trace))

    def line(self, trace: str | None) -> str:
        """A trace for people, on one line; empty where there is none."""
        return traced(trace, self.link(trace)) if trace else ""

    def beside(self, trace: str | None) -> dict[str, JSON]:
        """A trace for programs: its id and its link, where there are any."""
        return {"trace": trace or None, "trace_link": self.link(trace)}
