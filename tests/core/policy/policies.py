"""Small policies for the tests of loading: one upstream, one read, and what a test adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest

from takeback.core.policy.load import Policy, load
from takeback.core.policy.mistakes import PolicyMistakes

HEAD: Final = """
[upstream.desk]
command = "desk"

[[rule]]
tool = "desk.get"
class = "read_only"
"""

ENV: Final = {"STATE": "/state", "TOKEN": "s3cr3t-t0ken", "EMPTY": ""}

WRITE: Final = """
[[rule]]
tool = "desk.set"
class = "internal_update"
"""

READ_BACK: Final = """target = { type = "record", id = "args.id" }
read = { tool = "desk.get", args = { id = "args.id" } }
"""


def loaded(text: str, env: Mapping[str, str] = ENV) -> Policy:
    return load(text, env=env, source="policy.toml")


def with_rule(body: str) -> str:
    """A policy whose second rule is a write of `desk.set` with these keys."""
    return HEAD + WRITE + body


def mistakes(text: str | bytes, env: Mapping[str, str] = ENV) -> list[str]:
    """The lines that a person reads, without the headline."""
    with pytest.raises(PolicyMistakes) as caught:
        load(text, env=env, source="policy.toml")
    headline, *lines = str(caught.value).splitlines()
    count = "a mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
    assert headline == f"policy.toml has {count}:"
    assert lines == [str(mistake) for mistake in caught.value.mistakes]
    return lines
