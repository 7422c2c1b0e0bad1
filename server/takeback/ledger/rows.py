"""Rows of the ledger's tables to and from the core's types. Pure; the column types do instants and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from enum import Enum
from typing import Any, Final

from takeback.core.action import Action, Event, Target
from takeback.core.run import Approval, ApprovalStatus, Checkpoint, Run, Unwinding
from takeback.core.states import Happening
from takeback.core.vocabulary import ActionClass, Does, Effect, Origin, Risk, RunStatus, Status, Verified
from takeback.ledger.columns import from_micros, to_micros
from takeback.ports import AccessEntry

Row = dict[str, Any]

_WORDS: Final[dict[str, type[Enum]]] = {
    "action_class": ActionClass,
    "effect": Effect,
    "does": Does,
    "risk": Risk,
    "status": Status,
    "verified": Verified,
    "origin": Origin,
}
_LISTS: Final = ("fields", "changed")
_TIMES: Final = ("deadline", "sent_at", "settled_at")
_NAMES: Final = tuple(field.name for field in fields(Action))
_ACCESS: Final = tuple(field.name for field in fields(AccessEntry) if field.name != "seen")


def action_row(action: Action) -> Row:
    """The row of an action, without its ordinal."""
    row = {name: getattr(action, name) for name in _NAMES}
    for name in _WORDS:
        row[name] = row[name].value
    row["targets"] = [_target_document(target) for target in action.targets]
    row["searchable"] = searchable(action)
    return row


def action_from(row: Mapping[Any, Any]) -> Action:
    """The action of a row."""
    values = {name: row[name] for name in _NAMES}
    for name, words in _WORDS.items():
        values[name] = words(values[name])
    for name in _LISTS:
        values[name] = tuple(values[name])
    values["targets"] = _targets(values["targets"])
    return Action(**values)


def searchable(action: Action) -> str:
    """What a text search looks through, folded so that both databases agree on upper and lower case."""
    words = [action.name]
    for target in action.targets:
        words += [target.id, target.label or ""]
    return folded("\n".join(words))


def folded(text: str) -> str:
    """Text without the difference of upper and lower case."""
    return text.casefold()


def target_rows(action: Action) -> list[Row]:
    """One row for each target, in the action's order. `occupied` repeats what the status says, for its index."""
    return [
        {
            "action": action.id,
            "position": position,
            "tenant": action.tenant,
            "lease_name": target.lease_name,
            "type": target.type,
            "id": target.id,
            "label": target.label,
            "occupied": action.occupies,
        }
        for position, target in enumerate(action.targets)
    ]


def event_row(event: Event) -> Row:
    """The row of an event; it has no leaf yet."""
    return {
        "action": event.action,
        "seq": event.seq,
        "happening": event.happening.value,
        "at": event.at,
        "actor": event.actor,
        "changes": changes_document(event.changes),
        "detail": event.detail,
    }


def event_from(row: Mapping[Any, Any]) -> Event:
    """The event of a row."""
    return Event(
        action=row["action"],
        seq=row["seq"],
        happening=Happening(row["happening"]),
        at=row["at"],
        actor=row["actor"],
        changes=changes_from(row["changes"]),
        detail=row["detail"],
    )


def changes_document(changes: Mapping[str, Any]) -> dict[str, Any]:
    """An event's changes as JSON; `changes_from` is its inverse."""
    return {name: _encoded(name, value) for name, value in changes.items()}


def changes_from(document: Mapping[str, Any]) -> dict[str, Any]:
    """An event's changes in the core's types."""
    return {name: _decoded(name, value) for name, value in document.items()}


def _encoded(name: str, value: Any) -> Any:
    if name == "targets":
        return [_target_document(target) for target in value]
    if isinstance(value, datetime):
        return to_micros(value)
    return value.value if isinstance(value, Enum) else value


def _decoded(name: str, value: Any) -> Any:
    if name == "targets":
        return _targets(value)
    if name in _TIMES:
        return None if value is None else from_micros(value)
    if name in _LISTS:
        return tuple(value)
    words = _WORDS.get(name)
    return value if words is None else words(value)


def _target_document(target: Target) -> Row:
    return {
        "type": target.type,
        "id": target.id,
        "name": target.name,
        "label": target.label,
        "resource": target.resource,
    }


def _targets(documents: list[Row]) -> tuple[Target, ...]:
    return tuple(Target(**document) for document in documents)


def run_row(run: Run) -> Row:
    """The row of a run."""
    return asdict(run) | {"status": run.status.value}


def run_from(row: Mapping[Any, Any]) -> Run:
    """The run of a row."""
    return Run(**_with(row, status=RunStatus(row["status"])))


def approval_row(approval: Approval) -> Row:
    """The row of an approval."""
    return asdict(approval) | {"status": approval.status.value}


def approval_from(row: Mapping[Any, Any]) -> Approval:
    """The approval of a row."""
    return Approval(**_with(row, status=ApprovalStatus(row["status"])))


def checkpoint_row(checkpoint: Checkpoint) -> Row:
    """The row of a checkpoint."""
    return asdict(checkpoint)


def checkpoint_from(row: Mapping[Any, Any]) -> Checkpoint:
    """The checkpoint of a row."""
    return Checkpoint(**row)


def unwinding_row(unwinding: Unwinding) -> Row:
    """The row of an unwinding."""
    return asdict(unwinding) | {"actions": list(unwinding.actions)}


def unwinding_from(row: Mapping[Any, Any]) -> Unwinding:
    """The unwinding of a row."""
    return Unwinding(**_with(row, actions=tuple(row["actions"])))


def access_row(entry: AccessEntry) -> Row:
    """The row of a read in the access log. By name: a deep copy of each read would cost more than its insert."""
    return {name: getattr(entry, name) for name in _ACCESS}


def _with(row: Mapping[Any, Any], **words: Any) -> dict[str, Any]:
    """A row with its enumerated columns in the core's words."""
    return {**row, **words}
