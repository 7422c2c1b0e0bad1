"""Which parameters an operation has, in documents of every version."""

from __future__ import annotations

from collections.abc import Mapping

from takeback_tools.http.references import Node, References


def parameters_of(shared: Node, own: Node, references: References) -> list[Node]:
    """Those of the path item, unless the operation has its own of the same name and place.

    Raises:
        DanglingReference: one leads nowhere.
    """
    found: dict[tuple[str, str], Node] = {}
    for holder in (shared, own):
        for item in holder.at("parameters").items():
            node = references.follow(item)
            about = node.value if isinstance(node.value, Mapping) else {}
            name, place = about.get("name"), about.get("in")
            if isinstance(name, str) and isinstance(place, str):
                found[name, place] = node
    return list(found.values())
