"""Reads, as statements. Every one of them is bound to a tenant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, exists, false, or_, select, true, union_all
from sqlalchemy import text as literal

from takeback.core.action import Action
from takeback.core.run import ApprovalStatus, Checkpoint
from takeback.core.vocabulary import Does, Origin, Status
from takeback.ledger.cursors import cursor_of, place_of
from takeback.ledger.database import earlier
from takeback.ledger.rows import folded
from takeback.ledger.schema import (
    MISMATCHED,
    NOT_VOID,
    OF_ITEM,
    OPEN,
    STANDING,
    UNDECIDED,
    action_targets,
    actions,
    approvals,
    checkpoints,
    events,
    images,
    recovery_items,
    runs,
    unwindings,
)
from takeback.ports import HistoryQuery, LedgerFailure

LARGEST_PAGE: Final = 200
MOST: Final = 10_000
"""Actions that one look for what rests on another may find."""

LONGEST_TEXT: Final = 1000
"""Characters to search for. Databases have bounds of their own, which are further off and not alike."""

_LONGEST_CURSOR: Final = 19
_ATTENTION: Final = (Status.AWAITING_APPROVAL.value, Status.IN_DOUBT.value, Status.NEEDS_OPERATOR.value)


def action_by_id(tenant: str, action_id: str) -> Select[Any]:
    """One action."""
    return select(actions).where(actions.c.tenant == tenant, actions.c.id == action_id)


def version_of(tenant: str, action_id: str) -> Select[Any]:
    """The version of one action."""
    return select(actions.c.version).where(actions.c.tenant == tenant, actions.c.id == action_id)


def history(query: HistoryQuery) -> Select[Any]:
    """A page of actions and one more, by which is seen whether there is a next page.

    Raises:
        LedgerFailure: the cursor is not one of ours, or the text to search for is too long.
    """
    if len(query.text or "") > LONGEST_TEXT:
        raise LedgerFailure(f"a text of more than {LONGEST_TEXT} characters is not searched for")
    limit = page_size(query)
    # What only few are is looked up by what makes them so, and not among all actions in their order.
    few = query.needs_attention or query.target is not None
    owned, age = (_owned_by(query.tenant), _age()) if few else (actions.c.tenant == query.tenant, actions.c.ord)
    where = [owned, *_filters(query)]
    if query.cursor is not None:
        where.append(age < ordinal_from(query.cursor))
    return select(actions).where(*where).order_by(age.desc()).limit(limit + 1)


def page_size(query: HistoryQuery) -> int:
    """How many actions a page has, within bounds."""
    return max(1, min(query.limit, LARGEST_PAGE))


def _filters(query: HistoryQuery) -> list[ColumnElement[bool]]:
    filters: list[ColumnElement[bool]] = []
    if query.run is not None:
        filters.append(actions.c.run == query.run)
    if query.statuses:
        filters.append(actions.c.status.in_([status.value for status in query.statuses]))
    if query.tool is not None:
        filters.append(_is_tool(query.tool))
    if query.target is not None:
        filters.append(_has_target(query.tenant, query.target))
    if query.text:
        filters.append(actions.c.searchable.contains(folded(query.text), autoescape=True))
    if query.needs_attention:
        filters.append(actions.c.ord.in_(_needs_attention(query.tenant)))
    return filters


def _is_tool(name: str) -> ColumnElement[bool]:
    """By the tool's own name, or with its upstream as policies name it. An upstream's name has no dot."""
    upstream, _, tool = name.partition(".")
    return or_(actions.c.tool == name, and_(actions.c.upstream == upstream, actions.c.tool == tool))


def _has_target(tenant: str, target: str) -> ColumnElement[bool]:
    type_, _, id_ = target.partition(":")
    named = or_(
        action_targets.c.id == target,
        action_targets.c.lease_name == target,
        and_(action_targets.c.type == type_, action_targets.c.id == id_),
    )
    return actions.c.id.in_(select(action_targets.c.action).where(action_targets.c.tenant == tenant, named))


def _needs_attention(tenant: str) -> Select[Any]:
    """The ordinals of what needs a look, each kind by an index of its own: there are few, however many actions."""
    waiting = select(actions.c.ord).where(
        actions.c.tenant == tenant, literal(UNDECIDED), actions.c.status.in_(_ATTENTION)
    )
    mismatched = select(actions.c.ord).where(actions.c.tenant == tenant, literal(MISMATCHED))
    queued = select(actions.c.ord).join(recovery_items, OF_ITEM)
    queued = queued.where(recovery_items.c.tenant == tenant, literal(OPEN))
    return select(union_all(waiting, mismatched, queued).subquery("attention").c.ord)


def cursor_after(row: Mapping[Any, Any]) -> str:
    """Where the page after this row begins."""
    return cursor_of(f"h{row['ord']}")


def ordinal_from(cursor: str) -> int:
    """The ordinal that a cursor stands for.

    Raises:
        LedgerFailure: the cursor is not one of ours.
    """
    plain = place_of(cursor)
    if not (plain.startswith("h") and plain.isascii() and plain[1:].isdecimal() and len(plain) <= _LONGEST_CURSOR):
        raise LedgerFailure("this cursor is none of the ledger's: begin again without one")
    return int(plain[1:])


def events_of(tenant: str, action_id: str) -> Select[Any]:
    """The events of one action, in order."""
    owned = exists().where(actions.c.id == events.c.action, actions.c.tenant == tenant)
    return select(events).where(events.c.action == action_id, owned).order_by(events.c.seq)


def later_writes(action: Action) -> Select[Any]:
    """Actions in force that were begun or sent after this one, on one of its targets, oldest first."""
    return _later(action).where(actions.c.in_force.is_(true())).order_by(_age())


def newest_write(action: Action) -> Select[Any]:
    """The newest action after this one on one of its targets that was read back, in force or not."""
    return _later(action).where(actions.c.after.is_not(None)).order_by(_age().desc()).limit(1)


def deletions_taken_back(action: Action) -> Select[Any]:
    """Later deletions of one of its targets that were taken back, oldest first."""
    gone = (actions.c.does == Does.DELETE.value, actions.c.status == Status.COMPENSATED.value)
    return _later(action).where(*gone).order_by(_age())


def _later(action: Action) -> Select[Any]:
    sent = actions.c.sent_at > action.sent_at if action.sent_at is not None else false()
    where = (_owned_like(action), or_(_age() > _ordinal_of(action), sent))
    return select(actions).where(*where, actions.c.id != action.id, actions.c.id.in_(_touching(action)))


def standing_after(action: Action) -> Select[Any]:
    """What its run did after it and still stands, undos and redos aside, newest first, within a bound."""
    later = (actions.c.run == action.run, actions.c.ord > _ordinal_of(action), literal(STANDING))
    return select(actions).where(actions.c.tenant == action.tenant, *later).order_by(actions.c.ord.desc()).limit(MOST)


def earlier_writes(action: Action, limit: int) -> Select[Any]:
    """Actions that were begun before this one on one of its targets and ran, newest first, at most `limit`."""
    ran = actions.c.sent_at.is_not(None)
    wanted = (_owned_like(action), _age() < _ordinal_of(action), ran)
    return select(actions).where(*wanted, actions.c.id.in_(_touching(action))).order_by(_age().desc()).limit(limit)


def _age() -> Any:
    """The order of actions, without its index: where a planner has no statistics, it would walk through all of them."""
    return actions.c.ord + 0


def _owned_like(action: Action) -> Any:
    """Whose it is, without the index: for the same reason."""
    return _owned_by(action.tenant)


def _owned_by(tenant: str) -> Any:
    owner = actions.c.tenant.concat("")
    return owner == tenant


def _ordinal_of(action: Action) -> Any:
    return select(actions.c.ord).where(actions.c.tenant == action.tenant, actions.c.id == action.id).scalar_subquery()


def _touching(action: Action) -> Any:
    names = sorted({target.lease_name for target in action.targets})
    return select(action_targets.c.action).where(
        action_targets.c.tenant == action.tenant, action_targets.c.lease_name.in_(names)
    )


def creations(tenant: str, type_: str, ids: Sequence[str]) -> Select[Any]:
    """The actions in force that created these targets, oldest first, with the target that each created."""
    wanted = (action_targets.c.tenant == tenant, action_targets.c.type == type_, action_targets.c.id.in_(ids))
    made = (actions.c.tenant == tenant, actions.c.in_force.is_(true()), actions.c.does == Does.CREATE.value)
    return (
        select(action_targets.c.id.label("created"), actions)
        .join(actions, actions.c.id == action_targets.c.action)
        .where(*wanted, *made)
        .order_by(actions.c.ord)
    )


def unwindings_of(tenant: str, run_id: str, *, what: str | None, limit: int) -> Select[Any]:
    """The undos of several actions that were asked for in a run, newest first; those asked for in these words only."""
    wanted = [unwindings.c.tenant == tenant, unwindings.c.run == run_id]
    if what is not None:
        wanted.append(unwindings.c.what == what)
    return select(unwindings).where(*wanted).order_by(unwindings.c.opened_at.desc(), unwindings.c.id).limit(limit)


def successor(tenant: str, action_id: str) -> Select[Any]:
    """The action that repeats this one on purpose; a void one does not count."""
    return select(actions).where(
        actions.c.tenant == tenant,
        actions.c.original == action_id,
        actions.c.origin == Origin.REPEAT.value,
        literal(NOT_VOID),
    )


def compensations(tenant: str, action_id: str) -> Select[Any]:
    """Actions that undo or redo this one, oldest first."""
    origins = [Origin.UNDO.value, Origin.REDO.value]
    wanted = (actions.c.tenant == tenant, actions.c.original == action_id, actions.c.origin.in_(origins))
    return select(actions).where(*wanted).order_by(actions.c.ord)


def steps_of(tenant: str, plan: str) -> Select[Any]:
    """The actions that are steps of a plan, oldest first; of those with one operation the newest comes last."""
    wanted = (actions.c.tenant == tenant, actions.c.original == plan, actions.c.origin == Origin.PLAN.value)
    return select(actions).where(*wanted).order_by(actions.c.ord)


def image_by_digest(digest: str) -> Select[Any]:
    """One image."""
    return select(images.c.content, images.c.size, images.c.pruned_at).where(images.c.digest == digest)


def run_by_id(tenant: str, run_id: str) -> Select[Any]:
    """One run."""
    return select(runs).where(runs.c.tenant == tenant, runs.c.id == run_id)


def recent_runs(tenant: str, limit: int) -> Select[Any]:
    """Runs, the most recently active first."""
    recent = (runs.c.active_at.desc(), runs.c.id)
    return select(runs).where(runs.c.tenant == tenant).order_by(*recent).limit(max(1, min(limit, LARGEST_PAGE)))


def approval_by_id(tenant: str, approval_id: str) -> Select[Any]:
    """One approval."""
    return select(approvals).where(approvals.c.tenant == tenant, approvals.c.id == approval_id)


def approvals_of(tenant: str, *, pending_only: bool) -> Select[Any]:
    """Approvals, oldest first."""
    statement = select(approvals).where(approvals.c.tenant == tenant)
    if pending_only:
        statement = statement.where(approvals.c.status == ApprovalStatus.PENDING.value)
    return statement.order_by(approvals.c.requested_at, approvals.c.id)


def checkpoints_of(tenant: str, run_id: str) -> Select[Any]:
    """The checkpoints of a run, newest first."""
    wanted = (checkpoints.c.tenant == tenant, checkpoints.c.run == run_id)
    return select(checkpoints).where(*wanted).order_by(checkpoints.c.at.desc(), checkpoints.c.id.desc())


def named_checkpoints(tenant: str, run_id: str, *, before: Checkpoint | None, limit: int) -> Select[Any]:
    """Those of a run that belong to no action (a plan's own do), newest first; with `before`, only what is older."""
    wanted = checkpoints_of(tenant, run_id).where(checkpoints.c.action.is_(None))
    if before is not None:
        wanted = wanted.where(earlier((checkpoints.c.at, checkpoints.c.id), (before.at, before.id)))
    return wanted.limit(max(1, min(limit, LARGEST_PAGE)))


def checkpoint_by_id(tenant: str, checkpoint_id: str) -> Select[Any]:
    """One checkpoint."""
    return select(checkpoints).where(checkpoints.c.tenant == tenant, checkpoints.c.id == checkpoint_id)
