"""Anything that an action may hold comes back as it went in, and the events alone tell the same story as the row."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from takeback.core.action import Action, Event, IllegalChange, Target, begin, evolve
from takeback.core.states import TABLE, Happening
from takeback.core.vocabulary import ActionClass, Does, Effect, Origin, Risk, Verified
from takeback.ledger import SqlLedger
from takeback.ledger.columns import restored, storable
from takeback.ledger.rebuild import rebuilt
from takeback.ports import Change, LedgerFailure, NotFound

from .raw import sql
from .stories import a_checkpoint, a_run, an_approval, an_item, first, sha, write

# Any string that Python can hold: labels come from upstreams, and NUL and lone surrogates have been seen.
TEXT = st.text(st.characters(exclude_categories=()) | st.sampled_from("\x00\x1a\ud800\udfff%'"), max_size=12)
MAYBE = st.none() | TEXT
DIGEST = st.none() | TEXT.map(sha)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
TIME = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis wants naive bounds
TARGET = st.builds(Target, type=TEXT, id=TEXT, name=TEXT, label=MAYBE, resource=MAYBE)
FREE = {
    "targets": st.lists(TARGET, max_size=3).map(tuple),
    "fields": st.lists(TEXT, max_size=3).map(tuple),
    "changed": st.lists(TEXT, max_size=3).map(tuple),
    "verified": st.sampled_from(Verified),
    "in_force": st.booleans(),
    "attempts": st.integers(0, 2**31),
    **{name: TIME | st.none() for name in ("deadline", "sent_at", "settled_at")},
    **dict.fromkeys(("mismatch", "error", "compensation", "forecast", "outcome"), JSON),
    **dict.fromkeys(("approval", "compensated_by"), MAYBE),
    **dict.fromkeys(("before", "after", "result"), DIGEST),
}
FIRST = FREE | {
    **dict.fromkeys(("run", "principal", "client", "upstream", "tool", "fingerprint", "rule", "policy_digest"), TEXT),
    **dict.fromkeys(("client_key", "reason", "trace"), MAYBE),
    "arguments": JSON,
    "action_class": st.sampled_from(ActionClass),
    "effect": st.sampled_from(Effect),
    "does": st.sampled_from(Does),
    "risk": st.sampled_from(Risk),
    "origin": st.sampled_from(Origin),
    "original": MAYBE,
}
_numbers = itertools.count(1)


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[Event, Action]]:
    """A legal life of an action: a beginning, and steps that the table allows, with any content."""
    id_ = f"{next(_numbers)} {draw(TEXT)}"
    # Unique by itself, so that two stories never contend: that is another test's business.
    tenant = f"tenant {id_}"
    given_first = draw(st.fixed_dictionaries({}, optional=FIRST))
    event, action = first(id_, **given_first, tenant=tenant, key=sha(repr(id_)), operation=sha(repr(id_)))
    told = [(replace(event, at=draw(TIME), actor=draw(TEXT), detail=draw(TEXT)), action)]
    told[0] = (told[0][0], begin(told[0][0]))
    for _ in range(draw(st.integers(0, 4))):
        action = told[-1][1]
        steps = [row.happening for row in TABLE if row.source is action.status] or [Happening.NOTE]
        changes = draw(st.fixed_dictionaries({}, optional=FREE))
        step = draw(st.sampled_from(steps))
        event = Event(id_, action.version + 1, step, draw(TIME), draw(TEXT), changes, draw(TEXT))
        told.append((event, evolve(action, event)))
    return told


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(story=stories(), together=st.booleans())
async def test_an_action_comes_back_as_it_went_in(
    ledger: SqlLedger, story: list[tuple[Event, Action]], together: bool
) -> None:
    for part in [story] if together else [[fact] for fact in story]:
        await ledger.commit(Change(actions=tuple(part), tenant=story[0][1].tenant))
    final = story[-1][1]
    stored = await ledger.action(final.tenant, final.id)
    events = await ledger.events(final.tenant, final.id)
    assert [getattr(stored, field.name) for field in fields(Action)] == [
        getattr(final, field.name) for field in fields(Action)
    ]
    assert events == [event for event, _ in story]
    assert rebuilt(events) == stored


@settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(text=TEXT, body=JSON, at=TIME)
async def test_what_belongs_to_actions_comes_back_too(ledger: SqlLedger, text: str, body: Any, at: datetime) -> None:
    tenant = f"tenant {next(_numbers)} {text}"
    run = a_run(text, tenant=tenant, request=text, reason=text, active_at=at)
    approval = an_approval(text, tenant=tenant, preview=body, decided_at=at, decided_by=text)
    item = an_item(text, tenant=tenant, suggestion=body, why=text)
    checkpoint = a_checkpoint(text, tenant=tenant, run=text, body=body, action=text)
    change = Change(runs=(run,), approvals=(approval,), queue=(item,), checkpoints=(checkpoint,), tenant=tenant)
    await ledger.commit(change)
    assert await ledger.run(tenant, text) == run
    assert await ledger.approval(tenant, text) == approval
    assert await ledger.queue(tenant) == [item]
    assert await ledger.checkpoints(tenant, text) == [checkpoint]


@given(TEXT, TEXT)
def test_stored_text_is_unambiguous(one: str, other: str) -> None:
    assert restored(storable(one)) == one
    assert (storable(one) == storable(other)) is (one == other)
    storable(one).encode()
    assert "\x00" not in storable(one)


async def test_a_damaged_document_is_a_failure_of_the_ledger(ledger: SqlLedger, url: str) -> None:
    await write(ledger, first("a1"))
    await sql(url, "UPDATE actions SET arguments = '{'")
    with pytest.raises(LedgerFailure, match="cannot be read"):
        await ledger.action("acme", "a1")


def test_a_story_with_a_gap_is_not_rebuilt() -> None:
    event, _ = first("a1")
    with pytest.raises(IllegalChange):
        rebuilt([event, replace(event, seq=3, changes={}, happening=Happening.NOTE)])
    with pytest.raises(NotFound):
        rebuilt([])
