"""`pin`: which definitions of tools are trusted, how those that wait differ, and a person's word on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from takeback.bootstrap import Guard
from takeback.cli.context import DEFAULT_POLICY, AsJson, PolicyPath, person, policy_at, with_guard
from takeback.cli.output import Exit, agreed, emit, fail, say, table
from takeback.core.jsontext import JSON
from takeback.core.pins.definition import edits, told
from takeback.core.pins.judge import Pin, PinState, pin_scope

Named = Annotated[str | None, typer.Argument(metavar="[UPSTREAM[.TOOL]]", help="Only this upstream, or this tool.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not show and ask first.")]

_NOTHING: Final = "Nothing waits. What a server shows is looked at when a guard, or `takeback check`, talks to it."

group = typer.Typer(no_args_is_help=True, help="Which definitions of tools are trusted.", rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (listed, show, diff, accept):
        group.command("list" if command is listed else None)(command)
    app.add_typer(group, name="pin")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one tool: the definitions that are pinned, the newest first, and those that wait."""

    name: str
    pinned: tuple[Pin, ...]
    offered: tuple[Pin, ...]

    @property
    def state(self) -> str:
        """For people: what becomes of a call."""
        if not self.offered:
            return "pinned" if self.pinned else "not accepted"
        return "changed: blocked" if self.pinned else "new: blocked"


def listed(named: Named = None, policy: PolicyPath = DEFAULT_POLICY, as_json: AsJson = False) -> None:
    """The tools whose definitions are known, and which of them are blocked."""
    found = _known(policy, named)
    if as_json:
        emit([_document(known) for known in found])
        return
    rows = [(known.name, known.state, _digests(known.pinned), _how(known), _digests(known.offered)) for known in found]
    table(("tool", "state", "pinned", "how", "waits"), rows, empty=f"No definition is known here. {_NOTHING}")


def show(
    named: Annotated[str, typer.Argument(metavar="UPSTREAM.TOOL", help="The tool.")],
    policy: PolicyPath = DEFAULT_POLICY,
    as_json: AsJson = False,
) -> None:
    """The definitions of one tool, pinned and waiting, whole. What is not plain ASCII is escaped."""
    found = [known for known in _known(policy, named) if known.name == named]
    if not found:
        fail(f"No definition of {named} is known here. `takeback pin list` shows those that are.", Exit.NOT_FOUND)
    if as_json:
        emit(_document(found[0]))
        return
    for pin in (*found[0].pinned, *found[0].offered):
        say(f"{pin.name} {pin.digest[:12]}: {pin.state.value}, seen {pin.seen_at:%Y-%m-%d %H:%M} UTC")
        say(json.dumps(pin.definition, indent=2, ensure_ascii=True))


def diff(named: Named = None, policy: PolicyPath = DEFAULT_POLICY, as_json: AsJson = False) -> None:
    """What is different about the definitions that wait, field by field. Ends with 1 where something waits."""
    waiting = [known for known in _known(policy, named) if known.offered]
    if as_json:
        emit([_document(known) for known in waiting])
    else:
        say(_shown(waiting) or _NOTHING)
    if waiting:
        raise typer.Exit(Exit.REFUSED)


def accept(
    named: Named = None,
    policy: PolicyPath = DEFAULT_POLICY,
    yes: Yes = False,
    beside: Annotated[
        bool, typer.Option("--beside", help="Keep what is pinned, too: for servers that differ from client to client.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Trust the definitions that wait: exactly those that are shown. Guards that run learn of it by themselves."""
    loaded = policy_at(policy)

    async def work(guard: Guard) -> tuple[list[Pin], bool]:
        known = [one for one in _grouped(await guard.ledger.pins(pin_scope(loaded.place)), named) if one.offered]
        chosen = [one.offered[0] for one in known]
        question = f"Accept {'this' if len(chosen) == 1 else f'these {len(chosen)}'}?"
        if chosen and not yes and not agreed(_shown(known), question, aside=as_json):
            return chosen, False
        for pin in chosen:
            await guard.ledger.accept(pin, beside=beside, by=person(), at=guard.use_cases.services.clock.now())
        return chosen, True

    chosen, done = with_guard(policy, work, policy=loaded)
    if not chosen:
        fail(_NOTHING, Exit.NOT_FOUND)
    if not done:
        fail("Nothing was accepted: the tools stay blocked.", Exit.REFUSED)
    if as_json:
        emit([{"tool": pin.name, "digest": pin.digest} for pin in chosen])
        return
    for pin in chosen:
        say(f"{pin.name} is pinned to {pin.digest[:12]}. Look whether its rule still fits: `takeback check`.")


def _known(path: PolicyPath, named: str | None) -> list[Known]:
    loaded = policy_at(path)

    async def work(guard: Guard) -> Sequence[Pin]:
        return await guard.ledger.pins(pin_scope(loaded.place))

    return _grouped(with_guard(path, work, policy=loaded), named)


def _grouped(pins: Sequence[Pin], named: str | None) -> list[Known]:
    names = dict.fromkeys(pin.name for pin in pins if named is None or named in {pin.upstream, pin.name})
    return [Known(name, _of(pins, name, PinState.PINNED), _of(pins, name, PinState.OFFERED)) for name in names]


def _of(pins: Sequence[Pin], name: str, state: PinState) -> tuple[Pin, ...]:
    found = [pin for pin in pins if pin.name == name and pin.state is state]
    return tuple(sorted(found, key=lambda pin: pin.decided_at or pin.seen_at, reverse=True))


def _digests(pins: Sequence[Pin]) -> str:
    return ", ".join(pin.digest[:12] for pin in pins)


def _how(known: Known) -> str:
    if not known.pinned:
        return ""
    pin = known.pinned[0]
    if pin.decided_by is None or pin.decided_at is None:
        return f"first use, {pin.seen_at:%Y-%m-%d %H:%M} UTC"
    return f"{pin.decided_by}, {pin.decided_at:%Y-%m-%d %H:%M} UTC"


def _shown(waiting: Sequence[Known]) -> str:
    return "\n".join(line for known in waiting for line in _lines(known))


def _lines(known: Known) -> list[str]:
    """The difference of each definition that waits from the one that counts; the first is the one to be accepted."""
    lines = []
    before = known.pinned[0].definition if known.pinned else {}
    for pin in known.offered:
        against = f"instead of {known.pinned[0].digest[:12]}" if known.pinned else "never accepted before"
        seen = f"{pin.seen_at:%Y-%m-%d %H:%M} UTC"
        lines.append(f"{known.name}: {pin.digest[:12]}, seen {seen}, {against}")
        lines += [f"  {told(edit)}" for edit in edits(before, pin.definition)]
    return lines


def _document(known: Known) -> JSON:
    pinned = known.pinned[0] if known.pinned else None
    return {
        "tool": known.name,
        "state": known.state,
        "pinned": [_version(pin) for pin in known.pinned],
        "offered": [
            _version(pin)
            | {
                "edits": [
                    {"path": list(edit.path), "kind": edit.kind, "before": edit.before, "after": edit.after}
                    for edit in edits(pinned.definition if pinned else {}, pin.definition)
                ]
            }
            for pin in known.offered
        ],
    }


def _version(pin: Pin) -> dict[str, JSON]:
    return {
        "digest": pin.digest,
        "definition": pin.definition,
        "first_use": pin.first_use,
        "seen_at": pin.seen_at.isoformat(),
        "decided_at": pin.decided_at.isoformat() if pin.decided_at else None,
        "decided_by": pin.decided_by,
    }
