"""The rule for a write: its keys in the order in which people read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from takeback.core.inventory import classes
from takeback.core.inventory.arguments import Argument
from takeback.core.inventory.calls import Asked, identities, spelled
from takeback.core.inventory.judging import Judgement
from takeback.core.inventory.lookback import Shown, ends_of_a_move
from takeback.core.inventory.offered import Offered
from takeback.core.inventory.verbs import MOVERS
from takeback.core.inventory.words import key, vocabulary
from takeback.core.vocabulary import ActionClass, Does, Risk

Table = Mapping[str, Any]
"""A rule as the policy file has it."""

_CHANGING: Final = vocabulary(
    "updated updated_at modified modified_at last_modified last_updated last_edited_time changed_at version "
    "etag revision resource_version last_activity last_seen accessed accessed_at view view_count updated_by "
    "sequence sync_token updated_time update_time modification_time date_modified updated_on modified_on"
)
"""Fields that change by themselves."""


_MADE: Final = vocabulary("created created_at created_on created_by created_time create_time inserted_at added_at")
"""Fields that say how a thing came to be."""


@dataclass(frozen=True, slots=True)
class Write:
    """All that was found out about a write. `ready` are the calls that take it back, empty where there are none."""

    upstream: str
    tool: Offered
    judged: Judgement
    kind: ActionClass
    shown: Shown | None
    ready: tuple[Asked, ...]


def careful_rule(upstream: str, tool: Offered) -> dict[str, Any]:
    """For what is not understood: it cannot be taken back, and a person agrees first."""
    kind = ActionClass.EXTERNAL_IRREVERSIBLE.value
    return {"tool": f"{upstream}.{tool.name}", "class": kind, "risk": Risk.HIGH.value, "undo": "none"}


def read_rules(upstream: str, tool: Offered, judged: Judgement) -> list[Table]:
    """The rules under which a tool is a read: always, or in some uses of it."""
    name, kind = f"{upstream}.{tool.name}", ActionClass.READ_ONLY.value
    if judged.reads and not judged.harmless:
        return [{"tool": name, "class": kind}]
    return [{"tool": name, "when": one.condition, "class": kind} for one in judged.harmless]


def write_rule(write: Write) -> Table:
    """The rule for a write that is understood."""
    tool, judged = write.tool, write.judged
    does = classes.does(tool, judged, write.kind, write.shown)
    rule: dict[str, Any] = {"tool": f"{write.upstream}.{tool.name}", "class": write.kind.value, "does": does.value}
    rule["effect"] = classes.effect(tool, judged).value
    rule["risk"] = classes.risk(write.kind, judged, write.shown, write.ready).value
    rule |= _ends(write) or _looking(write)
    if counters := {name: step for asked in write.ready for name, step in asked.more.items()}:
        rule["by"] = counters
        rule["verify"] = " && ".join(f"after.{name} == before.{name} + {step}" for name, step in counters.items())
    if does is Does.DELETE and write.ready and (unset := _not_made_again(write)):
        rule["ignore"] = list(dict.fromkeys([*rule.get("ignore", ()), *unset]))
    undo = _undo(write, is_read=reads_back(rule))
    return {**rule, "undo": _under_its_id(undo, write, rule) if does is Does.DELETE else undo}


def _not_made_again(write: Write) -> list[str]:
    """Fields that whoever makes the thing again sets itself: when it was made."""
    given = {value for asked in write.ready for value in (asked.arguments or {}).values()}
    fields = write.shown.fields if write.shown is not None else ()
    return [field for field in fields if key(field) in _MADE and f"before.{field}" not in given]


def reads_back(rule: Table) -> bool:
    """Whether a rule reads its targets."""
    return "read" in rule or isinstance(rule.get("target"), list)


def _looking(write: Write) -> dict[str, Any]:
    """Target, read-back, verification, and what to ignore."""
    shown = write.shown
    name = shown.identity if shown is not None and shown.identity is not None else _identity(write)
    found: dict[str, Any] = {} if name is None else {"target": {"type": _type(write.tool), "id": name}}
    if shown is None:
        return found
    more = {key: value for key, value in (("select", shown.select), ("absent", shown.absent)) if value is not None}
    found["read"] = {**_call(write.upstream, shown.asked), **more}
    if shown.whole:
        found["verify"] = (
            "after != before"  # more is shown than the target, so that it only shows that something changed
        )
    elif ignore := [field for field in shown.fields if key(field) in _CHANGING]:
        found["ignore"] = ignore
    return found


def _identity(write: Write) -> str | None:
    arguments = write.shown.asked.arguments or {} if write.shown is not None else {}
    return spelled(identities(write.tool, [value for value in arguments.values() if isinstance(value, str)]))


def _type(tool: Offered) -> str:
    return "_".join(tool.noun) or "_".join(tool.place) or "thing"


def _ends(write: Write) -> dict[str, Any] | None:
    """Both ends of a move, each a target of its own."""
    ends = ends_of_a_move(write.tool) if write.tool.verb in MOVERS else None
    if ends is None or write.shown is None or len(write.shown.asked.arguments or {}) != 1:
        return None
    return {
        "target": [_end(write, name, end) for name, end in zip(("source", "destination"), ends, strict=True)],
        "verify": "after.source == null && after.destination != null",
    }


def _end(write: Write, name: str, argument: Argument) -> Table:
    assert write.shown is not None
    read = {"tool": f"{write.upstream}.{write.shown.asked.tool}", "args": {}}
    read["args"] = dict.fromkeys(write.shown.asked.arguments or {}, f"args.{argument.name}")
    return {"name": name, "type": _type(write.tool), "id": f"args.{argument.name}", "read": read}


def _undo(write: Write, *, is_read: bool) -> str | Table | Sequence[Table]:
    """The calls that take it back. What they depend on is known only where the target is read."""
    calls = [
        {**({"when": asked.when} if asked.when is not None and is_read else {}), **_call(write.upstream, asked)}
        for asked in write.ready
    ]
    return "none" if not calls else calls[0] if len(calls) == 1 else calls


def _under_its_id(undo: str | Table | Sequence[Table], write: Write, rule: Table) -> str | Table | Sequence[Table]:
    """What makes a deleted thing again asks for the id that it had, and says so: only then is it the same thing."""
    target = rule.get("target")
    if not isinstance(undo, Mapping) or not isinstance(target, Mapping):
        return undo
    named = next((a for a in write.tool.required if target["id"] == f"args.{a.name}" and a.type == "string"), None)
    if named is None:
        return undo
    args = {name: "target.id" if given == f"args.{named.name}" else given for name, given in undo["args"].items()}
    return {**undo, "args": args}


def _call(upstream: str, asked: Asked) -> dict[str, Any]:
    return {"tool": f"{upstream}.{asked.tool}", "args": dict(asked.arguments or {})}
