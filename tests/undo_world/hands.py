"""How an edit of somebody else, or the arguments of an agent's call, follow from a schedule's small numbers."""

from __future__ import annotations

from typing import Any

from tests.undo_world.records import Record
from tests.undo_world.schedules import LINES, LISTS, MEMBERS, SCALARS, VALUES, Act, Edit
from tests.undo_world.service import Service


def chosen(service: Service, kind: str, number: int) -> str | None:
    """An id of that kind, there or gone; the number counts from the oldest."""
    ids = [one for one in service.known if _kind(service, one) == kind]
    return ids[number % len(ids)] if ids else None


def _kind(service: Service, target: str) -> str:
    return {"D": "doc", "N": "doc", "G": "group", "C": "comment"}[target[0]]


def meddle(service: Service, edit: Edit) -> None:
    """Do it as somebody else, if it can be done."""
    if edit.kind == "behind":
        service.behind = edit.value + 1
        return
    if edit.kind in {"join", "leave"}:
        _meddle_with_group(service, edit)
        return
    target = chosen(service, "doc", edit.record)
    assert target is not None
    record = service.records.get(target)
    if edit.kind == "recreate" and record is None:
        service.create(target, title=VALUES[edit.value])
    elif record is not None:
        _meddle_with_document(service, target, record, edit)


def _meddle_with_group(service: Service, edit: Edit) -> None:
    target, member = "G1", MEMBERS[edit.value]
    members = [one for one in service.records[target]["members"] if one != member]
    if edit.kind == "join":
        members.append(member)
    service.put(target, {**service.records[target], "members": members}, touched=[("members", member)])


def _meddle_with_document(service: Service, target: str, record: Record, edit: Edit) -> None:
    scalar = SCALARS[edit.field % len(SCALARS)]
    match edit.kind:
        case "set":
            service.update(target, **{scalar: VALUES[edit.value]})
        case "same":
            service.update(target, **{scalar: record[scalar]})
        case "aba":
            held = record[scalar]
            service.update(target, **{scalar: next(v for v in VALUES if v != held)})
            service.update(target, **{scalar: held})
        case "add":
            service.add(target, (1, 5, -3)[edit.value])
        case "element" | "unelement":
            name = LISTS[edit.field % len(LISTS)]
            there = edit.kind == "element"
            service.update(target, **{name: changed(name, record[name], edit.value, there=there, mark="o")})
        case "delete":
            service.remove(target)
        case "touch":
            service.put(target, record)
        case "comment":
            service.comment(target, "theirs")


def changed(name: str, held: Any, value: int, *, there: bool, mark: str) -> Any:
    """A list or text with one element more (or replaced), or one less. `mark` keeps the hands apart in texts."""
    if name == "tags":
        rest = [one for one in held if one != VALUES[value]]
        return [*rest, VALUES[value]] if there else rest
    if name == "items":
        rest = [one for one in held if one["id"] != str(value)]
        return [*rest, {"id": str(value), "qty": len(held) + 5}] if there else rest
    if name == "steps":
        return [*held, VALUES[value]] if there else held[:-1]
    return _line_changed(held, value * 2 + (mark == "o"), there=there, mark=mark)


def _line_changed(text: str, at: int, *, there: bool, mark: str) -> str:
    lines = text.splitlines()
    if at >= len(lines):
        return text
    lines[at : at + 1] = [f"{LINES[at]} by {mark} {len(text)}"] if there else []
    return "".join(f"{line}\n" for line in lines)


def arguments(service: Service, act: Act) -> tuple[str, dict[str, Any]] | None:
    """The tool and the arguments of an agent's call, made from what is true now; None: it cannot be called."""
    number, value = act.fields[0]
    if act.kind in {"join", "leave"}:
        return act.kind, {"id": "G1", "member": MEMBERS[value]}
    if act.kind == "create":
        return "create", {"title": VALUES[value], "state": VALUES[number % 3]}
    target = chosen(service, "doc", act.record)
    record = service.records.get(target or "")
    if record is None:
        return None
    match act.kind:
        case "update":
            return "update", {"id": target, **_scalars(act)}
        case "replace":
            return "replace", {"id": target, **_whole(record), **_scalars(act)}
        case "edit":
            return "update", {"id": target, **_elements(record, act)}
        case "add":
            return "add", {"id": target, "by": (1, 5, -3)[value]}
        case "move":
            return "move", {"id": target, "folder": VALUES[value]}
        case "comment":
            return "comment", {"doc": target, "text": VALUES[value]}
        case _:
            return act.kind, {"id": target}


def _whole(record: Record) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in {"id", "kind", "touched", "count"}}


def _scalars(act: Act) -> dict[str, Any]:
    return {SCALARS[number % len(SCALARS)]: VALUES[value] for number, value in act.fields}


def _elements(record: Record, act: Act) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, value in act.fields:
        name = LISTS[number % len(LISTS)]
        there = number < len(LISTS)
        found[name] = changed(name, found.get(name, record[name]), value, there=there, mark="us")
    return found
