"""`check`: hold a policy against its upstreams, and say what each rule guarantees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, TypeAlias

import typer

from takeback.bootstrap import Guard
from takeback.cli.context import DEFAULT_POLICY, AsJson, PolicyPath, policy_at, tenant_of, with_guard
from takeback.cli.looking import jsonable
from takeback.cli.output import Exit, emit, say, table
from takeback.core.freezing import Freeze
from takeback.core.jsontext import JSON
from takeback.core.policy.guarantees import COLUMNS, Protection, guarantees, wishes
from takeback.core.policy.live.findings import Finding, Severity
from takeback.core.policy.live.offers import Live, Tool
from takeback.core.policy.live.survey import survey
from takeback.core.policy.load import Policy
from takeback.core.wording import freeze_line
from takeback.extensions import compensations

Offline = Annotated[bool, typer.Option("--offline", help="Start no upstream: look at the policy alone.")]
Strict = Annotated[bool, typer.Option("--strict", help="End with 1 where there are warnings, too.")]


_Asked: TypeAlias = tuple[Live, Mapping[str, str], Sequence[Freeze]]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(check)


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of it. `unreached` are the upstreams that were asked in vain, with the reason.

    `frozen` is what the stop switch holds of the policy's default tenant; nothing where the ledger was not opened.
    """

    findings: tuple[Finding, ...]
    rules: Sequence[tuple[str, Mapping[str, Protection]]]
    unreached: Mapping[str, str]
    frozen: Sequence[Freeze] = ()

    def count(self, severity: Severity) -> int:
        """How many findings are that bad."""
        return sum(finding.severity is severity for finding in self.findings)


def check(
    policy: PolicyPath = DEFAULT_POLICY, offline: Offline = False, strict: Strict = False, as_json: AsJson = False
) -> None:
    """Hold the policy against its upstreams, and print what each rule guarantees.

    Ends with 1 where something cannot work, and with 4 where an upstream could not be asked.
    """
    loaded = policy_at(policy)

    async def work(guard: Guard) -> _Asked:
        return _live(guard), guard.failed, await guard.use_cases.freezes(tenant_of(guard, None))

    asked: _Asked = (_installed(), {}, ()) if offline else with_guard(policy, work, upstreams=True, policy=loaded)
    live, unreached, frozen = asked
    checked = Checked(survey(loaded, live), _protections(loaded, live), unreached, frozen)
    if as_json:
        emit(_document(checked))
    else:
        _print(checked, offline=offline)
    bad = checked.count(Severity.ERROR) + (checked.count(Severity.WARNING) if strict else 0)
    if bad:
        raise typer.Exit(Exit.REFUSED)
    if unreached:
        raise typer.Exit(Exit.NOT_STARTED)


def _installed() -> Live:
    return Live(compensations=frozenset(compensations()))


def _live(guard: Guard) -> Live:
    """What the upstreams offer, as plain data."""
    catalog = guard.use_cases.services.catalog
    offered = {entry.policy_name for entry in catalog.entries()}
    reached: dict[str, list[Tool]] = {name: [] for name in catalog.clients if name not in guard.failed}
    for entry in catalog.known():
        definition = entry.definition
        if entry.client.name in reached:
            tool = Tool(entry.client.name, definition.raw, entry.policy_name in offered, definition.blocked)
            reached[entry.client.name].append(tool)
    return Live({name: tuple(tools) for name, tools in reached.items()}, frozenset(compensations()))


def _protections(policy: Policy, live: Live) -> list[tuple[str, Mapping[str, Protection]]]:
    return [(numbered.id, guarantees(policy, numbered.rule, live)) for numbered in policy.rules]


def _print(checked: Checked, *, offline: bool) -> None:
    columns = ("rule", *COLUMNS, "would be stronger with")
    rows = [
        (rule, *(str(protections.get(column, "-")) for column in COLUMNS), "; ".join(wishes(protections)))
        for rule, protections in checked.rules
    ]
    table(columns, rows, empty="The policy has no rules.")
    for finding in sorted(checked.findings, key=lambda finding: finding.severity.rank):
        say(f"{finding.severity}: {finding.mistake}")
    for name, why in checked.unreached.items():
        say(f"not asked: upstream {name}: {why}")
    for freeze in checked.frozen:
        say(f"frozen: {freeze_line(freeze)}")
    say(_summary(checked, offline=offline))


def _summary(checked: Checked, *, offline: bool) -> str:
    counts = [(checked.count(severity), severity.value) for severity in Severity]
    told = [f"{count} {word}{'s' if count > 1 else ''}" for count, word in counts if count]
    if checked.unreached:
        told.append(f"{len(checked.unreached)} of the upstreams could not be asked")
    if offline:
        told.append("no upstream was asked")
    worst = checked.count(Severity.ERROR) or checked.count(Severity.WARNING) or checked.unreached
    return f"{'' if worst else 'No problems. '}{', '.join(told)}".strip().rstrip(".") + "."


def _document(checked: Checked) -> JSON:
    return {
        "findings": [
            {
                "severity": finding.severity.value,
                "path": finding.mistake.path,
                "file": finding.mistake.file or None,
                "rule": finding.mistake.tool or None,
                "message": finding.mistake.message,
                "suggestion": finding.mistake.suggestion,
            }
            for finding in checked.findings
        ],
        "unreached": dict(checked.unreached),
        "frozen": [jsonable(asdict(freeze)) for freeze in checked.frozen],
        "rules": [
            {
                "rule": rule,
                **{
                    column.replace(" ", "_"): {"strength": one.strength.value, "says": one.says}
                    for column, one in protections.items()
                },
                "stronger": list(wishes(protections)),
            }
            for rule, protections in checked.rules
        ],
    }
