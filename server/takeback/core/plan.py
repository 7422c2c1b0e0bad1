"""A plan: calls in groups, submitted at once, whose arguments may refer to the results of earlier ones.

Pure: what is well formed, in which order it runs, and what a reference stands for. A saga (Garcia-Molina and Salem,
1987) with a point of no return: what cannot be taken back comes as late as what depends on it allows.

A reference is an object `{"$from": STEP, "path": "items.0.id"}` anywhere in the arguments; without `path` it stands for
the whole result. `{"$literal": VALUE}` stands for a value that would otherwise be taken for a reference.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from takeback.core.action import Action
from takeback.core.jsontext import JSON
from takeback.core.operation import step_operation
from takeback.core.phrases import quoted

OnFailure = Literal["compensate", "stop"]
Path = tuple[str | int, ...]

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_REFERENCE, _PATH, _LITERAL = "$from", "path", "$literal"
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStep:
    """One call. `tool` is named as policies name it; `after`: steps it needs done beyond those it refers to."""

    id: str
    tool: str
    arguments: Mapping[str, JSON]
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Steps that run side by side. `checkpoint`: once it is done and verified, a failure leads back to here at most."""

    steps: tuple[PlanStep, ...]
    checkpoint: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDocument:
    """A whole plan, as it is stored. `retries`: how often a step that certainly did nothing is tried again."""

    title: str
    groups: tuple[Group, ...]
    on_failure: OnFailure = "compensate"
    retries: int = 1

    @property
    def steps(self) -> tuple[PlanStep, ...]:
        """All steps, in the order of their groups."""
        return tuple(step for group in self.groups for step in group.steps)

    def step(self, step_id: str) -> PlanStep:
        """One step. Raises KeyError."""
        return {step.id: step for step in self.steps}[step_id]

    def document(self) -> dict[str, JSON]:
        """As JSON."""
        groups = [
            {
                "steps": [
                    {"id": s.id, "tool": s.tool, "arguments": dict(s.arguments), "after": list(s.after)}
                    for s in group.steps
                ],
                "checkpoint": group.checkpoint,
            }
            for group in self.groups
        ]
        return {"title": self.title, "groups": groups, "on_failure": self.on_failure, "retries": self.retries}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> PlanDocument:
        """From JSON of the shape that `document` makes; what has a default may be absent."""
        groups = tuple(
            Group(
                steps=tuple(
                    PlanStep(id=s["id"], tool=s["tool"], arguments=s["arguments"], after=tuple(s.get("after", ())))
                    for s in group["steps"]
                ),
                checkpoint=bool(group.get("checkpoint", False)),
            )
            for group in document["groups"]
        )
        return cls(
            title=document["title"],
            groups=groups,
            on_failure=document.get("on_failure", "compensate"),
            retries=int(document.get("retries", 1)),
        )


def by_step(plan: PlanDocument, of: Action, actions: Iterable[Action]) -> dict[str, Action]:
    """By the step's id: the action that it is, of those that belong to the plan `of`. Of several, the last one."""
    names = {step_operation(tenant=of.tenant, plan=of.id, step=step.id): step.id for step in plan.steps}
    return {names[one.operation]: one for one in actions if one.operation in names}


# --- references ---


@dataclass(frozen=True, slots=True)
class Reference:
    """Where in the arguments (`place`) what part (`path`) of which step's result is wanted."""

    step: str
    path: Path
    place: Path


class Unresolvable(Exception):
    """A reference leads nowhere; the message says which, and what there is."""


class Malformed(ValueError):
    """An object with `$from` that is no reference."""


def references(value: JSON, place: Path = ()) -> Iterator[Reference]:
    """All references within a value. Raises Malformed."""
    if isinstance(value, Mapping):
        if _REFERENCE in value:
            yield _reference(value, place)
        elif set(value) != {_LITERAL}:
            for name, inner in value.items():
                yield from references(inner, (*place, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from references(inner, (*place, index))


def _reference(value: Mapping[str, Any], place: Path) -> Reference:
    step, path = value[_REFERENCE], value.get(_PATH, ())
    if odd := value.keys() - {_REFERENCE, _PATH}:
        raise Malformed(f'a reference has "$from" and "path" and nothing else ({", ".join(sorted(odd))})')
    if not isinstance(step, str):
        raise Malformed('"$from" names a step by its id')
    return Reference(step, _steps_of(path), place)


def _steps_of(path: object) -> Path:
    parts = path.split(".") if isinstance(path, str) and path else path or ()
    if not isinstance(parts, list | tuple) or not all(isinstance(p, str | int) and p is not True for p in parts):
        raise Malformed('"path" is a text like "items.0.id", or a list of names and numbers')
    return tuple(parts)


def resolved(value: JSON, results: Mapping[str, JSON]) -> JSON:
    """The value with each reference replaced by what it stands for. Raises Unresolvable."""
    if isinstance(value, Mapping):
        if _REFERENCE in value:
            found = _reference(value, ())
            return _followed(found, results)
        if set(value) == {_LITERAL}:
            return value[_LITERAL]
        return {name: resolved(inner, results) for name, inner in value.items()}
    return [resolved(inner, results) for inner in value] if isinstance(value, list) else value


def _followed(reference: Reference, results: Mapping[str, JSON]) -> JSON:
    if reference.step not in results:
        raise Unresolvable(f"step {reference.step} has no result that is kept")
    here = results[reference.step]
    for done, part in enumerate(reference.path):
        try:
            here = here[int(part)] if isinstance(here, list) else here[str(part)]
        except (KeyError, IndexError, ValueError, TypeError):
            way = ".".join(map(str, reference.path[: done + 1]))
            raise Unresolvable(f"the result of step {reference.step} has no {quoted(way, _SHOWN)}") from None
    return here


def with_holes(value: JSON, hole: Callable[[Reference], JSON]) -> JSON:
    """The value with `hole` of each reference in its place: what can be said before there are results."""
    if isinstance(value, Mapping):
        if _REFERENCE in value:
            return hole(_reference(value, ()))
        if set(value) == {_LITERAL}:
            return value[_LITERAL]
        return {name: with_holes(inner, hole) for name, inner in value.items()}
    return [with_holes(inner, hole) for inner in value] if isinstance(value, list) else value


# --- what is well formed ---


def problems(plan: PlanDocument) -> list[str]:
    """What is wrong with a plan by itself, in sentences without a full stop."""
    found = [f"group {n} has no step" for n, group in enumerate(plan.groups, 1) if not group.steps]
    ids = [step.id for step in plan.steps]
    twice = sorted(one for one, count in Counter(ids).items() if count > 1)
    found += [f"each step has an id of its own: {quoted(one, _SHOWN)} is there twice" for one in twice]
    earlier: set[str] = set()
    for number, group in enumerate(plan.groups, 1):
        for step in group.steps:
            found += _problems_of(step, number, earlier, set(ids))
        earlier |= {step.id for step in group.steps}
    return found


def _problems_of(step: PlanStep, number: int, earlier: set[str], known: set[str]) -> list[str]:
    if not _ID.fullmatch(step.id):
        return [f"a step's id has letters, digits, _ and -, at most 64: {quoted(step.id, _SHOWN)}"]
    try:
        wanted = [*(one.step for one in references(dict(step.arguments))), *step.after]
    except Malformed as error:
        return [f"step {step.id}: {error}"]
    return [
        f"step {step.id} (group {number}) needs {quoted(other, _SHOWN)}, which "
        + ("is not in an earlier group" if other in known else "is no step of the plan")
        for other in dict.fromkeys(wanted)
        if other not in earlier
    ]


# --- the order ---


def arranged(plan: PlanDocument, irreversible: frozenset[str], related: Callable[[str, str], bool]) -> PlanDocument:
    """The plan with its irreversible steps as late as what depends on them allows, each in a group of such alone.

    `related` says whether two steps are about the same thing, so that their order matters.
    """
    needs = _needs(plan, related)
    groups = [
        replace(group, steps=kept)
        for group in plan.groups
        if (kept := tuple(step for step in group.steps if step.id not in irreversible))
    ]
    moved: list[bool] = [False] * len(groups)
    for step in reversed([step for step in plan.steps if step.id in irreversible]):
        rests = [n for n, group in enumerate(groups) if any(step.id in needs[other.id] for other in group.steps)]
        place = min(rests, default=len(groups))
        if place and moved[place - 1]:
            groups[place - 1] = replace(groups[place - 1], steps=(step, *groups[place - 1].steps))
        else:
            groups.insert(place, Group(steps=(step,)))
            moved.insert(place, True)
    return replace(plan, groups=tuple(groups))


def _needs(plan: PlanDocument, related: Callable[[str, str], bool]) -> dict[str, set[str]]:
    """By step: the steps of earlier groups that must be done before it."""
    needs: dict[str, set[str]] = {}
    earlier: list[str] = []
    for group in plan.groups:
        for step in group.steps:
            referred = {one.step for one in references(dict(step.arguments))}
            needs[step.id] = referred | set(step.after) | {other for other in earlier if related(other, step.id)}
        earlier += [step.id for step in group.steps]
    return needs


def no_return(plan: PlanDocument, irreversible: frozenset[str]) -> int | None:
    """The group from which on not everything can be taken back: its place from 0, None where there is none."""
    return next((n for n, g in enumerate(plan.groups) if any(s.id in irreversible for s in g.steps)), None)


def back_to(plan: PlanDocument, done: int) -> int:
    """With `done` groups done: how many of them stand when the rest is taken back to the last safe checkpoint."""
    safe: Sequence[int] = [n + 1 for n, group in enumerate(plan.groups[:done]) if group.checkpoint]
    return max(safe, default=0)
