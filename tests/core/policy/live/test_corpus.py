"""What the inventory drafts for public servers, held against those very servers: nothing of it is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from takeback.core.inventory.drafting import inventory
from takeback.core.policy.live.findings import Severity
from takeback.core.policy.live.offers import Live, Tool
from takeback.core.policy.live.survey import survey
from tests.inventory.offers import policy_of

CORPUS = sorted((Path(__file__).parents[3] / "inventory" / "corpus").glob("*.json"))


def test_there_is_a_corpus() -> None:
    assert len(CORPUS) >= 10


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_a_draft_has_no_errors(path: Path) -> None:
    tools = json.loads(path.read_text(encoding="utf-8"))["tools"]
    live = Live({"up": tuple(Tool("up", tool) for tool in tools)})
    found = survey(policy_of(inventory("up", tools)), live)
    assert [str(one.mistake) for one in found if one.severity is Severity.ERROR] == []
