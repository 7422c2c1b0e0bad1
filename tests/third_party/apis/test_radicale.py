"""Radicale behind the guard by declared requests; the files of its store say what really happened."""

from __future__ import annotations

import pytest

from tests.third_party.guarded import Guarded, every_tool_has_a_rule

from .radicale import CALENDAR, Calendars, event

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_every_declared_request_has_a_rule(dav: Guarded, calendars: Calendars) -> None:
    await every_tool_has_a_rule(dav, "radicale", "dav", calendars.env)


async def test_reads_pass(dav: Guarded, calendars: Calendars) -> None:
    calendars.put("read", event("read", "größer"))
    read = await dav.call("get_event", calendar=CALENDAR, uid="read")
    assert read.texts[0].encode() == calendars.file("read").read_bytes()
    listed = await dav.call("list_calendar", calendar=CALENDAR)
    assert "/ada/work/read.ics" in listed.texts[0]


async def test_a_created_event_is_deleted(dav: Guarded, calendars: Calendars) -> None:
    before, call = calendars.state, {"calendar": CALENDAR, "uid": "new", "ics": event("new", "meet")}
    action = (await dav.call("put_event", **call)).wrote(undo="exact")
    assert b"SUMMARY:meet" in calendars.file("new").read_bytes()
    assert calendars.served.proxy.sent("PUT", "new.ics")[0].headers["if-none-match"] == "*"
    await dav.replayed("put_event", **call)
    assert len(calendars.served.proxy.sent("PUT", "new.ics")) == 1
    await dav.undone_exactly(action)
    assert calendars.state == before
    assert "if-match" in calendars.served.proxy.sent("DELETE", "new.ics")[0].headers


async def test_a_changed_event_is_put_back_to_the_byte(dav: Guarded, calendars: Calendars) -> None:
    calendars.put("moved", event("moved", "original, with ümlauts"))
    before, tag = calendars.state, calendars.ask("GET", f"{CALENDAR}/moved.ics").headers["etag"]
    answer = await dav.call("put_event", calendar=CALENDAR, uid="moved", ics=event("moved", "later", hour=14))
    action = answer.wrote(undo="exact")
    assert calendars.served.proxy.sent("PUT", "moved.ics")[0].headers["if-match"] == tag
    assert calendars.state != before
    await dav.undone_exactly(action)
    assert calendars.state == before


async def test_a_deleted_event_comes_back(dav: Guarded, calendars: Calendars) -> None:
    calendars.put("gone", event("gone", "important"))
    before, call = calendars.state, {"calendar": CALENDAR, "uid": "gone"}
    action = (await dav.call("delete_event", **call)).wrote(undo="exact")
    assert not calendars.file("gone").exists()
    await dav.replayed("delete_event", **call)
    await dav.undone_exactly(action)
    assert calendars.state == before
    assert calendars.served.proxy.sent("PUT", "gone.ics")[0].headers["if-none-match"] == "*"


async def test_what_others_changed_since_is_not_undone(dav: Guarded, calendars: Calendars) -> None:
    calendars.put("shared", event("shared", "original"))
    changed = await dav.call("put_event", calendar=CALENDAR, uid="shared", ics=event("shared", "ours"))
    created = await dav.call("put_event", calendar=CALENDAR, uid="shared-2", ics=event("shared-2", "ours"))
    for uid in ("shared", "shared-2"):
        calendars.put(uid, event(uid, "theirs"))
    theirs = calendars.state
    for answer in (changed, created):
        assert "changed" in await dav.not_undone(answer.wrote(undo="exact"))
        assert calendars.state == theirs


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_an_edit_between_read_and_write_is_never_lost(dav: Guarded, calendars: Calendars, method: str) -> None:
    uid = f"race-{method}"
    calendars.put(uid, event(uid, "original"))
    calendars.served.proxy.before_next(method, uid, lambda: calendars.put(uid, event(uid, "theirs")))
    call = {"calendar": CALENDAR, "uid": uid}
    if method == "PUT":
        answer = await dav.call("put_event", **call, ics=event(uid, "ours"))
    else:
        answer = await dav.call("delete_event", **call)
    assert not calendars.served.proxy.pending
    assert answer.error
    assert "changed" in answer.line
    assert b"SUMMARY:theirs" in calendars.file(uid).read_bytes()


@pytest.mark.parametrize("uid", ["lost-new", "lost-old"])
async def test_a_put_whose_answer_was_lost_has_one_effect(dav: Guarded, calendars: Calendars, uid: str) -> None:
    if uid == "lost-old":
        calendars.put(uid, event(uid, "original"))
    before, call = calendars.state, {"calendar": CALENDAR, "uid": uid, "ics": event(uid, "ours")}
    calendars.served.proxy.lose_answer("PUT", uid)
    action = (await dav.call("put_event", **call)).wrote(undo="exact")
    assert not calendars.served.proxy.pending
    await dav.replayed("put_event", **call)
    assert len(calendars.served.proxy.sent("PUT", uid)) == 1
    await dav.undone_exactly(action)
    assert calendars.state == before


async def test_a_delete_whose_answer_was_lost_has_one_effect(dav: Guarded, calendars: Calendars) -> None:
    calendars.put("lost-delete", event("lost-delete", "original"))
    before = calendars.state
    calendars.served.proxy.lose_answer("DELETE", "lost-delete")
    action = (await dav.call("delete_event", calendar=CALENDAR, uid="lost-delete")).wrote(undo="exact")
    assert len(calendars.served.proxy.sent("DELETE", "lost-delete")) == 1
    await dav.undone_exactly(action)
    assert calendars.state == before


async def test_an_undo_whose_answer_was_lost_has_one_effect(dav: Guarded, calendars: Calendars) -> None:
    before = calendars.state
    call = {"calendar": CALENDAR, "uid": "lost-undo", "ics": event("lost-undo", "ours")}
    action = (await dav.call("put_event", **call)).wrote(undo="exact")
    calendars.served.proxy.lose_answer("DELETE", "lost-undo")
    await dav.undone_exactly(action)
    assert calendars.state == before
    assert len(calendars.served.proxy.sent("DELETE", "lost-undo")) == 1


async def test_what_the_server_refuses_changes_nothing_and_says_so(dav: Guarded, calendars: Calendars) -> None:
    before = calendars.state
    answer = await dav.call("put_event", calendar=CALENDAR, uid="bad", ics="no calendar at all")
    assert answer.error
    assert answer.mark("status") == "failed"
    assert calendars.state == before


async def test_a_created_calendar_is_deleted_while_it_is_empty(dav: Guarded, calendars: Calendars) -> None:
    before = calendars.state
    action = (await dav.call("make_calendar", calendar="trip")).wrote(undo="exact")
    assert calendars.folder("trip").is_dir()
    calendars.ask("PUT", "trip/x.ics", content=event("x", "theirs"), headers={"Content-Type": "text/calendar"})
    assert "changed" in await dav.not_undone(action)
    calendars.ask("DELETE", "trip/x.ics")
    waiting = await dav.undo(action)
    await dav.agree(waiting)
    await dav.undone_exactly(action)
    assert calendars.state == before


async def test_deleting_a_calendar_waits_for_a_person(dav: Guarded, calendars: Calendars) -> None:
    before = calendars.state
    answer = await dav.call("delete_calendar", calendar=CALENDAR)
    assert answer.mark("status") == "awaiting_approval", answer
    assert calendars.state == before
