"""The inventory of an upstream: each tool judged, its rules drafted, and what a person should know about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from takeback.core.inventory.calls import Asked
from takeback.core.inventory.classes import action_class, leaves_traces
from takeback.core.inventory.evidence import ENOUGH, VETO, Confidence, Finding, balance
from takeback.core.inventory.judging import Judgement, Nature, judge, written_paths
from takeback.core.inventory.lookback import Shown, readers, shown_by
from takeback.core.inventory.offered import Offered, families_of, taken_apart
from takeback.core.inventory.rules import Table, Write, careful_rule, read_rules, reads_back, write_rule
from takeback.core.inventory.verbs import Deed
from takeback.core.inventory.wayback import taken_back_by, writers
from takeback.core.vocabulary import ActionClass


@dataclass(frozen=True, slots=True)
class Drafted:
    """One tool: what it was taken for, the rules for it in their order, and what a person should know.

    `rules` is empty where no rule can tell the tool from others. `undo` names the tools that take a write back, those
    that are not `ready` only as a hint. `lost` says why nothing takes it back.
    """

    tool: str
    nature: Nature
    confidence: Confidence
    findings: tuple[Finding, ...]
    rules: tuple[Table, ...]
    read_back: Asked | None = None
    undo: tuple[Asked, ...] = ()
    notes: tuple[str, ...] = ()
    lost: str | None = None


Judged = list[tuple[Offered, Judgement]]


def inventory(upstream: str, definitions: Iterable[Mapping[str, Any]]) -> list[Drafted]:
    """Judge all tools of an upstream, and draft their rules. `definitions` are as the upstream sends them."""
    given = list(definitions)
    tools = [taken_apart(definition, families_of(given)) for definition in given]
    judged = [(tool, judge(tool, written_paths(tools))) for tool in tools]
    names = Counter(tool.name for tool, _ in judged)
    once = [(tool, judgement) for tool, judgement in judged if names[tool.name] == 1]
    drafted = [_drafted(upstream, tool, judgement, readers(once), writers(once)) for tool, judgement in judged]
    return [each if names[each.tool] == 1 else replace(each, rules=()) for each in drafted]


def _drafted(upstream: str, tool: Offered, judged: Judgement, reading: Judged, writing: Judged) -> Drafted:
    reads = read_rules(upstream, tool, judged)
    if judged.nature is Nature.WRITE and judged.several is None:
        found = _write(upstream, tool, judged, reading, writing)
    else:
        always = [] if judged.reads and not judged.harmless else [careful_rule(upstream, tool)]
        lost = None if judged.reads else _lost(tool, judged, None, ())
        rules = (*reads, *always)
        found = Drafted(tool.name, judged.nature, sure(judged), judged.findings, rules, notes=_notes(judged), lost=lost)
    return found if tool.is_plain else replace(found, rules=())


def _write(upstream: str, tool: Offered, judged: Judgement, reading: Judged, writing: Judged) -> Drafted:
    shown = shown_by(tool, judged.deed, reading)
    undo = tuple(taken_back_by(tool, judged, shown, writing))
    ready = tuple(asked for asked in undo if asked.ready)
    kind = action_class(tool, judged, ready)
    if kind in {ActionClass.EXTERNAL_IRREVERSIBLE, ActionClass.WORKFLOW}:
        ready, undo = (), tuple(asked for asked in undo if not asked.ready)
    rule = write_rule(Write(upstream, tool, judged, kind, shown, ready))
    return Drafted(
        tool=tool.name,
        nature=judged.nature,
        confidence=sure(judged),
        findings=judged.findings,
        rules=(rule,),
        read_back=shown.asked if shown is not None and reads_back(rule) else None,
        undo=ready or undo,
        notes=_notes_on_a_write(shown, undo),
        lost=None if ready else _lost(tool, judged, shown, undo),
    )


def sure(judged: Judgement) -> Confidence:
    """How sure it is that a tool reads, or writes."""
    if judged.nature is Nature.UNSURE:
        return Confidence.GUESS
    if judged.nature is Nature.READ:
        return Confidence.HIGH if balance(judged.findings) > ENOUGH else Confidence.FAIR
    if any(finding.weight > 0 for finding in judged.findings):
        return Confidence.LOW
    return (
        Confidence.HIGH
        if len({each.source for each in judged.findings if each.weight <= VETO}) > 1
        else Confidence.FAIR
    )


def _notes(judged: Judgement) -> tuple[str, ...]:
    found = []
    if judged.nature is Nature.UNSURE:
        found.append("Not sure what it does, so it is taken for the worst: a person agrees to each call.")
    if judged.several is not None:
        found.append(f"Several tools in one: `{judged.several.name}` says which. Give each a rule with `when`.")
    elif judged.harmless:
        found.append("Some of its arguments make it write; with those, it asks a person.")
    return tuple(found)


def _notes_on_a_write(shown: Shown | None, undo: tuple[Asked, ...]) -> tuple[str, ...]:
    asked = [("read", shown.asked)] if shown is not None else []
    found = [
        f"{what}: {each.reason} (confidence {each.confidence.value})"
        for what, each in (*asked, *(("undo", each) for each in undo))
    ]
    if undo and not any(each.ready for each in undo):
        found.append(f"undo is not drafted: complete it by hand, with {undo[0].tool}.")
    return tuple(found)


def _lost(tool: Offered, judged: Judgement, shown: Shown | None, undo: tuple[Asked, ...]) -> str:
    """Why nothing takes a write back."""
    if judged.several is not None:
        return f"it does several things, by its argument {judged.several.name}"
    if judged.nature is Nature.UNSURE or judged.deed is None:
        return "what it does is not known"
    if judged.deed in {Deed.RUN, Deed.SEND}:
        return "what it sets off or sends is out of reach"
    if leaves_traces(tool):
        return "it sets off more than its own fields"
    if undo:
        return undo[0].reason
    lost = shown is None and judged.deed is not Deed.CREATE
    return "no tool shows what was there before" if lost else "no tool takes it back"
