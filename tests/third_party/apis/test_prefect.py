"""Prefect behind the guard: 187 operations narrowed to a few, and a key in the body; SQL says what really happened."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.third_party.guarded import Guarded, policy

from .prefect import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

CREATE_RUN = "create_flow_run_flow_runs_post"
UPDATE_RUN = "update_flow_run_flow_runs_id_patch"
CREATE_VARIABLE = "create_variable_variables_post"
UPDATE_VARIABLE = "update_variable_by_name_variables_name_name_patch"
DELETE_VARIABLE = "delete_variable_by_name_variables_name_name_delete"


async def test_a_few_of_187_operations_are_offered_and_each_has_a_rule(flows: Guarded, server: Server) -> None:
    document = server.ask("GET", "/openapi.json").json()
    assert sum(len(operations) for operations in document["paths"].values()) == 187
    offered = {f"prefect.{name}" for name in await flows.names()}
    named = {numbered.rule.tool for numbered in policy("prefect", server.env).rules}
    assert named - offered == {"prefect.delete_flow_flows_id_delete"}
    assert offered < named
    assert len(offered) == 10


async def test_a_run_is_created_under_a_key_and_deleted(flows: Guarded, server: Server) -> None:
    flow = server.flow("created")
    count = "SELECT count(*) FROM flow_run WHERE flow_id = ?"
    action = (await flows.call(CREATE_RUN, flow_id=flow, name="nightly")).wrote(undo="exact")
    await flows.replayed(CREATE_RUN, flow_id=flow, name="nightly")
    [(key,)] = server.rows("SELECT idempotency_key FROM flow_run WHERE flow_id = ?", flow)
    assert re.fullmatch("[0-9a-f]{64}", key)
    same = server.ask("POST", "/flow_runs/", json={"flow_id": flow, "idempotency_key": key, "name": "other"})
    assert same.json()["name"] == "nightly"
    await flows.undone_exactly(action)
    assert server.rows(count, flow) == [(0,)]


async def test_a_run_whose_answer_was_lost_is_asked_for_again_by_its_key(flows: Guarded, server: Server) -> None:
    flow = server.flow("lost")
    server.served.proxy.lose_answer("POST", "/flow_runs/")
    sent = len(server.served.proxy.sent("POST", "/flow_runs/"))
    action = (await flows.call(CREATE_RUN, flow_id=flow, name="nightly")).wrote(undo="exact")
    assert not server.served.proxy.pending
    assert len(server.served.proxy.sent("POST", "/flow_runs/")) == sent + 2
    assert server.rows("SELECT name FROM flow_run WHERE flow_id = ?", flow) == [("nightly",)]
    await flows.undone_exactly(action)
    assert server.rows("SELECT name FROM flow_run WHERE flow_id = ?", flow) == []


async def test_two_runs_that_are_meant_are_two(flows: Guarded, server: Server) -> None:
    flow = server.flow("twice")
    first = await flows.call(CREATE_RUN, flow_id=flow, name="again")
    await flows.call("takeback_repeat", action=first.mark("action"), reason="a second run is wanted")
    assert server.rows("SELECT count(*) FROM flow_run WHERE flow_id = ?", flow) == [(2,)]


async def test_fields_of_a_run_go_back_and_others_edits_stay(flows: Guarded, server: Server) -> None:
    flow = server.flow("fields")
    run = server.ask("POST", "/flow_runs/", json={"flow_id": flow, "name": "old", "tags": ["a"]}).json()["id"]
    action = (await flows.call(UPDATE_RUN, id=run, name="new")).wrote(undo="exact")
    server.ask("PATCH", f"/flow_runs/{run}", json={"tags": ["theirs"]})
    answer = await flows.undo(action)
    assert answer.mark("outcome") == "exact", answer
    assert "unconditioned" in answer.line
    [(name, tags)] = server.rows("SELECT name, tags FROM flow_run WHERE id = ?", run)
    assert (name, json.loads(tags)) == ("old", ["theirs"])


VALUES: list[Any] = [{"a": [1, "ü"]}, "text", 7]


@pytest.mark.parametrize("value", VALUES, ids=["object", "text", "number"])
async def test_variables_come_and_go(flows: Guarded, server: Server, value: Any) -> None:
    name = f"variable_{type(value).__name__}"
    created = (await flows.call(CREATE_VARIABLE, name=name, value=value, tags=["x"])).wrote(undo="exact")
    made = server.variable(name)
    assert json.loads(str(made[0][0])) == value
    changed = (await flows.call(UPDATE_VARIABLE, name=name, value="changed")).wrote(undo="exact")
    await flows.undone_exactly(changed)
    assert server.variable(name) == made
    await flows.undone_exactly(created)
    assert server.variable(name) == []
    server.ask("POST", "/variables/", json={"name": name, "value": value, "tags": ["x"]})
    deleted = (await flows.call(DELETE_VARIABLE, name=name)).wrote(undo="exact")
    assert server.variable(name) == []
    await flows.undone_exactly(deleted)
    assert server.variable(name) == made


async def test_a_variable_that_others_changed_is_a_conflict(flows: Guarded, server: Server) -> None:
    action = (await flows.call(CREATE_VARIABLE, name="shared", value=1)).wrote(undo="exact")
    server.ask("PATCH", "/variables/name/shared", json={"value": 2})
    assert "changed" in await flows.not_undone(action)
    assert json.loads(str(server.variable("shared")[0][0])) == 2
    taken = await flows.call(CREATE_VARIABLE, name="shared", value=3)
    assert taken.error
    assert json.loads(str(server.variable("shared")[0][0])) == 2


WRITES = [(CREATE_VARIABLE, "POST"), (UPDATE_VARIABLE, "PATCH"), (DELETE_VARIABLE, "DELETE")]


@pytest.mark.parametrize(("tool", "method"), WRITES)
async def test_a_variable_s_write_whose_answer_was_lost_has_one_effect(
    flows: Guarded, server: Server, tool: str, method: str
) -> None:
    name = f"lost_{method.lower()}"
    if method != "POST":
        server.ask("POST", "/variables/", json={"name": name, "value": "old"})
    before, sent = server.variable(name), len(server.served.proxy.sent(method, "/variables/"))
    server.served.proxy.lose_answer(method, "/variables/")
    answer = await flows.call(tool, name=name, **({} if method == "DELETE" else {"value": "new"}))
    assert (answer.mark("status"), answer.mark("verified")) == ("succeeded", "yes"), answer
    assert len(server.served.proxy.sent(method, "/variables/")) == sent + 1
    assert server.variable(name) != before
    await flows.undone_exactly(answer.mark("action"))
    assert server.variable(name) == before
