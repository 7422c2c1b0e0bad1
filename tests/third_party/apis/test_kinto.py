"""Kinto behind the guard by its own Swagger document, with real ETags; SQL says what really happened."""

from __future__ import annotations

from typing import Any

import pytest

from tests.third_party.guarded import Guarded, every_tool_has_a_rule

from .kinto import WHERE, Store

pytestmark = pytest.mark.asyncio(loop_scope="module")


def article(title: str, body: str = "text", status: str = "draft") -> dict[str, Any]:
    return {"title": title, "body": body, "status": status}


async def test_every_offered_operation_has_a_rule(kinto: Guarded, store: Store) -> None:
    await every_tool_has_a_rule(kinto, "kinto", "kinto", store.env)


@pytest.mark.parametrize("tool", ["update_record", "put_article"])
async def test_a_created_article_is_deleted(kinto: Guarded, store: Store, tool: str) -> None:
    made, name = article(f"created by {tool}"), tool.replace("_", "-")
    call = {**WHERE, "id": name, **({"data": made} if tool == "update_record" else made)}
    action = (await kinto.call(tool, **call)).wrote(undo="exact")
    assert await store.articles(made["title"]) == [{**made, "id": name}]
    assert store.served.proxy.sent("PUT", name)[0].headers["if-none-match"] == "*"
    await kinto.replayed(tool, **call)
    assert len(store.served.proxy.sent("PUT", name)) == 1
    await kinto.undone_exactly(action)
    assert await store.articles(made["title"]) == []
    assert "if-match" in store.served.proxy.sent("DELETE", name)[0].headers


async def test_an_article_is_never_created_over_another(kinto: Guarded, store: Store) -> None:
    store.write("taken", **article("theirs"))
    answer = await kinto.call("update_record", **WHERE, id="taken", data=article("ours"))
    assert answer.error
    assert "Nothing was changed" in answer.line
    store.served.proxy.before_next("PUT", "just-taken", lambda: store.write("just-taken", **article("theirs, too")))
    answer = await kinto.call("update_record", **WHERE, id="just-taken", data=article("ours"))
    assert answer.error
    assert not store.served.proxy.pending
    assert await store.articles("ours") == []
    assert len(await store.articles("theirs, too")) == 1


@pytest.mark.parametrize("tool", ["patch_record", "set_article"])
async def test_changed_fields_go_back_and_others_edits_stay(kinto: Guarded, store: Store, tool: str) -> None:
    title = f"changed by {tool}"
    store.write(tool, **article(title))
    changed = {"status": "published"}
    call = {**WHERE, "id": tool, **({"data": changed} if tool == "patch_record" else changed)}
    action = (await kinto.call(tool, **call)).wrote(undo="exact")
    assert (await store.articles(title))[0]["status"] == "published"
    await kinto.replayed(tool, **call)
    store.change(tool, body="theirs")
    await kinto.undone_exactly(action)
    assert await store.articles(title) == [{**article(title, body="theirs"), "id": tool}]
    assert all("if-match" in request.headers for request in store.served.proxy.sent("PATCH", tool))


async def test_the_same_field_changed_by_others_is_a_conflict(kinto: Guarded, store: Store) -> None:
    store.write("conflict", **article("conflict"))
    call = {**WHERE, "id": "conflict", "data": {"status": "published"}}
    action = (await kinto.call("patch_record", **call)).wrote(undo="exact")
    store.change("conflict", status="withdrawn")
    assert "changed by others since" in await kinto.not_undone(action)
    assert (await store.articles("conflict"))[0]["status"] == "withdrawn"


@pytest.mark.parametrize("when", ["write", "undo"])
async def test_an_edit_between_read_and_write_is_never_lost(kinto: Guarded, store: Store, when: str) -> None:
    name = f"race-{when}"
    store.write(name, **article(name))
    call = {**WHERE, "id": name, "data": {"status": "published"}}
    if when == "undo":
        action = (await kinto.call("patch_record", **call)).wrote(undo="exact")
    store.served.proxy.before_next("PATCH", name, lambda: store.change(name, status="withdrawn"))
    if when == "undo":
        await kinto.not_undone(action)
    else:
        answer = await kinto.call("patch_record", **call)
        assert answer.error
        assert "changed" in answer.line
    assert not store.served.proxy.pending
    assert (await store.articles(name))[0]["status"] == "withdrawn"


async def test_a_deleted_article_comes_back(kinto: Guarded, store: Store) -> None:
    store.write("deleted", **article("deleted"))
    before = await store.articles("deleted")
    action = (await kinto.call("delete_record", **WHERE, id="deleted")).wrote(undo="exact")
    assert await store.articles("deleted") == []
    await kinto.undone_exactly(action)
    assert await store.articles("deleted") == before


async def test_an_article_that_could_not_come_back_whole_is_not_deleted(kinto: Guarded, store: Store) -> None:
    store.write("rich", **article("rich"), image="picture.png")
    answer = await kinto.call("delete_record", **WHERE, id="rich")
    assert answer.error
    assert "Nothing was changed" in answer.line
    for more in ({"colour": "red"}, {"image": "other.png"}):
        (await kinto.call("patch_record", **WHERE, id="rich", data=more)).wrote(undo="refused")
    store.write("poor", title="poor")
    assert (await kinto.call("delete_record", **WHERE, id="poor")).error
    (await kinto.call("set_article", **WHERE, id="poor", body="more")).wrote(undo="refused")
    assert await store.articles("poor") == [{"title": "poor", "body": "more", "id": "poor"}]
    expected = {**article("rich"), "id": "rich", "colour": "red", "image": "other.png"}
    assert await store.articles("rich") == [expected]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_a_write_whose_answer_was_lost_has_one_effect(kinto: Guarded, store: Store, method: str) -> None:
    name = f"lost-{method}"
    if method != "PUT":
        store.write(name, **article(name))
    before = await store.articles(name)
    store.served.proxy.lose_answer(method, name)
    where = {**WHERE, "id": name}
    match method:
        case "PUT":
            answer = await kinto.call("update_record", **where, data=article(name))
        case "PATCH":
            answer = await kinto.call("patch_record", **where, data={"status": "published"})
        case _:
            answer = await kinto.call("delete_record", **where)
    assert not store.served.proxy.pending
    assert (answer.mark("status"), answer.mark("verified")) == ("succeeded", "yes"), answer
    assert await store.articles(name) != before
    assert len(store.served.proxy.sent(method, name)) == 1
    await kinto.undone_exactly(answer.mark("action"))
    assert await store.articles(name) == before


async def test_a_post_happens_once_and_is_undone(kinto: Guarded, store: Store) -> None:
    call = {**WHERE, "data": article("posted")}
    action = (await kinto.call("create_record", **call)).wrote(undo="exact")
    await kinto.replayed("create_record", **call)
    assert len(await store.articles("posted")) == 1
    await kinto.undone_exactly(action)
    assert await store.articles("posted") == []


async def test_a_post_whose_answer_was_lost_is_found_and_not_sent_again(kinto: Guarded, store: Store) -> None:
    store.served.proxy.lose_answer("POST", "/records")
    call = {**WHERE, "data": article("lost post")}
    answer = await kinto.call("create_record", **call)
    assert not store.served.proxy.pending
    assert answer.mark("status") == "succeeded", answer
    again = await kinto.call("create_record", **call)
    assert "nothing more is needed" in again.texts[0]
    assert len(await store.articles("lost post")) == 1
