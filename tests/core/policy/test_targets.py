"""What a call's target is: the upstream's own, unless the rule names the thing itself."""

from __future__ import annotations

import pytest

from takeback.core.policy.decide import decide, resolve_late
from takeback.core.policy.load import load

UPSTREAMS = "".join(f'[upstream.{name}]\ncommand = "{name}"\n' for name in ("one", "two"))


def lease_names(rule: str, *tools: str) -> list[str]:
    policy = load(f'{UPSTREAMS}\n[[rule]]\nclass = "internal_update"\n{rule}', env={"STATE": "/state"})
    found = []
    for tool in tools:
        decision = decide(policy, tool, {"id": "7"}, tenant="acme", user="ada", run="r1")
        targets = resolve_late(decision, {"args": {"id": "7"}, "result": {"id": "7"}})
        found += [target.lease_name for target in targets]
    return found


@pytest.mark.parametrize("where", ["args", "result"])
def test_two_upstreams_have_two_things_of_the_same_id(where: str) -> None:
    rule = f'tool = "*.set"\ntarget = {{ type = "ticket", id = "{where}.id" }}'
    assert lease_names(rule, "one.set", "two.set") == ["one/ticket:7", "two/ticket:7"]


def test_a_resource_is_one_thing_behind_both() -> None:
    rule = 'tool = "*.set"\ntarget = { type = "file", id = "args.id", resource = "\'/srv/\' + id" }'
    assert lease_names(rule, "one.set", "two.set") == ["/srv/7", "/srv/7"]
