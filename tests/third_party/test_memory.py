"""The official memory server behind the guard; the lines of its file say what really happened."""

from __future__ import annotations

import asyncio
from typing import Any

from .guarded import Guarded, every_tool_has_a_rule
from .servers import Cut, memory_env
from .world import Graph, entity, relation

EVE: dict[str, Any] = {"name": "Eve", "entityType": "poet", "observations": ["rhymes", "is 3"]}


def named(one: str, kind: str, other: str) -> dict[str, Any]:
    """A relation as the tools take it."""
    return {"from": one, "to": other, "relationType": kind}


async def test_every_tool_of_the_server_has_a_rule(memory: Guarded, graph: Graph, cut: Cut) -> None:
    await every_tool_has_a_rule(memory, "memory", "memory", memory_env(graph.file, cut))


async def test_created_entities_are_deleted_and_those_that_were_there_stay(memory: Guarded, graph: Graph) -> None:
    before = graph.bytes
    ada = {"name": "Ada", "entityType": "mathematician", "observations": ["liked horses"]}
    for call in ({"entities": [EVE]}, {"entities": [ada, {**EVE, "name": "Dora"}]}):
        (await memory.call("create_entities", **call)).wrote(undo="exact")
        assert graph.names() == ["Ada", "Babbage", call["entities"][-1]["name"]]
        written = graph.bytes
        await memory.replayed("create_entities", **call)
        assert graph.bytes == written
        await memory.undone_exactly()
        assert graph.bytes == before


async def test_an_entity_that_others_relate_to_is_not_deleted(memory: Guarded, graph: Graph) -> None:
    action = (await memory.call("create_entities", entities=[EVE])).wrote(undo="exact")
    graph.write([*graph.lines, relation("Babbage", "admires", "Eve")])
    changed = graph.bytes
    assert "changed by others since" in await memory.not_undone(action)
    assert graph.bytes == changed
    again = await memory.call("create_entities", entities=[EVE])
    assert "changed meanwhile by others" in again.line
    assert graph.bytes == changed


async def test_an_entity_that_was_named_before_it_existed_cannot_be_taken_back(memory: Guarded, graph: Graph) -> None:
    graph.write([*graph.lines, relation("Babbage", "expects", "Eve")])
    action = (await memory.call("create_entities", entities=[EVE])).wrote(undo="refused")
    written = graph.bytes
    assert "no undo call of the rule applies" in await memory.not_undone(action)
    assert graph.bytes == written


async def test_deleted_entities_come_back_with_their_relations(memory: Guarded, graph: Graph) -> None:
    before, call = graph.state, {"entityNames": ["Ada", "Nobody"]}
    action = (await memory.call("delete_entities", **call)).wrote(undo="exact")
    assert graph.lines == [entity("Babbage", "engineer")]
    await memory.replayed("delete_entities", **call)
    preview = await memory.undo(action)
    assert "Preview, nothing was changed yet" in preview.line
    assert graph.lines == [entity("Babbage", "engineer")]
    await memory.undone_exactly(action, confirm=preview.confirm)
    assert graph.state == before
    assert graph.lines[1]["observations"] == ["wrote notes", "liked horses", "met Babbage"]


async def test_relations_go_and_come_back(memory: Guarded, graph: Graph) -> None:
    before = graph.bytes
    both = {"relations": [named("Ada", "knows", "Babbage"), named("Babbage", "knows", "Ada")]}
    (await memory.call("create_relations", **both)).wrote(undo="exact")
    assert graph.lines[-1] == relation("Babbage", "knows", "Ada")
    await memory.replayed("create_relations", **both)
    assert len(graph.lines) == 4
    await memory.undone_exactly()
    assert graph.bytes == before
    one = {"relations": [named("Ada", "knows", "Babbage"), named("Ada", "knows", "Nobody")]}
    (await memory.call("delete_relations", **one)).wrote(undo="exact")
    assert [line["type"] for line in graph.lines] == ["entity", "entity"]
    await memory.replayed("delete_relations", **one)
    await memory.undone_exactly()
    assert graph.bytes == before


async def test_observations_go_and_come_back_around_those_of_others(memory: Guarded, graph: Graph) -> None:
    before = graph.bytes
    added = {"observations": [{"entityName": "Ada", "contents": ["liked horses", "died young"]}]}
    (await memory.call("add_observations", **added)).wrote(undo="exact")
    await memory.replayed("add_observations", **added)
    assert graph.lines[0]["observations"] == ["wrote notes", "liked horses", "met Babbage", "died young"]
    await memory.undone_exactly()
    assert graph.bytes == before
    deleted = {"deletions": [{"entityName": "Ada", "observations": ["liked horses", "never noted"]}]}
    action = (await memory.call("delete_observations", **deleted)).wrote(undo="exact")
    await memory.replayed("delete_observations", **deleted)
    first, *rest = graph.lines
    graph.write([{**first, "observations": [*first["observations"], "theirs"]}, *rest])
    await memory.undone_exactly(action)
    # what the policy says of order: what is put back comes last
    assert graph.lines[0]["observations"] == ["wrote notes", "met Babbage", "theirs", "liked horses"]
    assert graph.lines[1:] == rest


async def test_a_failing_call_changes_nothing_and_says_so(memory: Guarded, graph: Graph) -> None:
    before = graph.bytes
    answer = await memory.call("add_observations", observations=[{"entityName": "Nobody", "contents": ["x"]}])
    assert answer.error
    assert answer.mark("status") == "failed"
    assert "Entity with name Nobody not found" in answer.texts[0]
    assert graph.bytes == before


async def test_writes_side_by_side_lose_nothing(memory: Guarded, graph: Graph) -> None:
    names = [f"E{number}" for number in range(8)]
    calls = [memory.call("create_entities", entities=[{**EVE, "name": name}]) for name in names]
    for answer in await asyncio.gather(*calls):
        answer.wrote(undo="exact")
    assert sorted(graph.names()) == sorted(["Ada", "Babbage", *names])
