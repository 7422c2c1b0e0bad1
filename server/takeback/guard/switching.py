"""Using the stop switch: what only people may do. What was sent is finished and recorded; nothing more is begun."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from takeback.core.action import Action
from takeback.core.freezing import Freeze, FreezeKind, stops
from takeback.core.phrases import LONGEST_REASON, one_line
from takeback.core.states import OCCUPYING
from takeback.guard.services import Services
from takeback.ports import HistoryQuery, NotFound

_PAGE: Final = 200
_NAMED: Final = 20
_PATTERN: Final = frozenset("*?[")


class NotSwitchable(Exception):
    """There is nothing of that name to freeze, or nothing that is frozen; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Switched:
    """What came of it: the freeze as it stands. `fresh`: by this use of the switch, and not by one before.

    `under_way` is what had been begun of it: that is finished, or settled by looking.
    """

    freeze: Freeze
    fresh: bool
    under_way: tuple[Action, ...] = ()


async def freeze(
    services: Services,
    tenant: str,
    kind: FreezeKind,
    name: str,
    *,
    reads: bool,
    by: str,
    reason: str,
    tools: Collection[str] = (),
) -> Switched:
    """Freeze an upstream, a tool, a run or the whole tenant (whose name is then the tenant's), on every guard at once.

    `tools` are known besides those that the policy names and those that the ledger has seen at work.

    Raises:
        NotSwitchable: there is nothing of that name.
        LedgerFailure: it could not be recorded; nothing is frozen by this.
    """
    await _check(services, tenant, kind, name, tools)
    wanted = Freeze(
        id=services.ids.new("z"),
        tenant=tenant,
        kind=kind,
        name=name,
        reads=reads,
        since=services.clock.now(),
        frozen_by=by,
        reason=one_line(reason, LONGEST_REASON),
    )
    found = await services.ledger.freeze(wanted)
    return Switched(found, found.id == wanted.id, await _under_way(services, found))


async def thaw(services: Services, tenant: str, kind: FreezeKind, name: str, *, by: str, reason: str) -> Switched:
    """Let it go on.

    Raises:
        NotSwitchable: it is not frozen.
        LedgerFailure: it could not be recorded; it stays frozen.
    """
    frozen = await services.ledger.freezes(tenant)
    known = next((one for one in frozen if (one.kind, one.name) == (kind, name)), None)
    if known is None:
        there = "; ".join(one.what for one in frozen[:_NAMED]) or "nothing"
        raise NotSwitchable(f"{kind.value} {name} is not frozen. Frozen is: {there}")
    why, now = one_line(reason, LONGEST_REASON), services.clock.now()
    lifted = await services.ledger.lift(tenant, known.id, at=now, by=by, reason=why)
    return Switched(lifted, (lifted.lifted_at, lifted.lifted_by) == (now, by))


async def freezes(services: Services, tenant: str, *, in_force_only: bool = True) -> Sequence[Freeze]:
    """Uses of the switch, the newest first. Raises LedgerFailure."""
    return await services.ledger.freezes(tenant, in_force_only=in_force_only)


async def _under_way(services: Services, freeze: Freeze) -> tuple[Action, ...]:
    query = HistoryQuery(tenant=freeze.tenant, statuses=tuple(sorted(OCCUPYING)), limit=_PAGE)
    page = await services.ledger.history(query)
    return tuple(one for one in page.actions if stops(freeze, tenant=one.tenant, run=one.run, tool=one.name))


async def _check(services: Services, tenant: str, kind: FreezeKind, name: str, tools: Collection[str]) -> None:
    match kind:
        case FreezeKind.UPSTREAM:
            _among(kind, name, services.policy.file.upstream)
        case FreezeKind.TOOL:
            await _check_tool(services, tenant, name, tools)
        case FreezeKind.RUN:
            await _check_run(services, tenant, name)
        case FreezeKind.TENANT:
            return


def _among(kind: FreezeKind, name: str, known: Collection[str]) -> None:
    if name not in known:
        there = ", ".join(sorted(known)[:_NAMED]) or "none"
        raise NotSwitchable(f"there is no {kind.value} {name!r}. There is: {there}")


async def _check_tool(services: Services, tenant: str, name: str, tools: Collection[str]) -> None:
    upstream, _, tool = name.partition(".")
    _among(FreezeKind.UPSTREAM, upstream, services.policy.file.upstream)
    ruled = {n.rule.tool for n in services.policy.rules if not _PATTERN & set(n.rule.tool)}
    known = {*tools, *ruled, *(entry.policy_name for entry in services.catalog.known())}
    if name not in known:
        page = await services.ledger.history(HistoryQuery(tenant=tenant, tool=name, limit=1))
        known |= {action.name for action in page.actions}
    if not tool or name not in known:
        of_upstream = {one for one in known if one.startswith(f"{upstream}.")}
        _among(FreezeKind.TOOL, name, of_upstream)


async def _check_run(services: Services, tenant: str, name: str) -> None:
    try:
        await services.ledger.run(tenant, name)
    except NotFound:
        _among(FreezeKind.RUN, name, [run.id for run in await services.ledger.runs(tenant, _NAMED)])
