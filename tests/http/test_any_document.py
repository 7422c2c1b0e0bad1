"""Documents of real APIs are wrong in every way: whatever stands in one, it is read, or refused with a reason."""

from __future__ import annotations

import copy
import logging
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from takeback_tools.http.api import Read, _read
from takeback_tools.http.described import Source, operations
from takeback_tools.http.documents import Loaded
from takeback_tools.http.operations import Operation, Unfit
from tests.http.test_documents import V20, V30

BASE = "http://api.example/openapi.json"
KEYS = ["$ref", "type", "properties", "allOf", "items", "schema", "in", "name"]
JUNK: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["", "object", "#/components/schemas/Pet", "query", "{", "/", "\x00"])
    | st.just({"$ref": "#/components/schemas/Pet"})
    | st.just({"$ref": "#"}),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.sampled_from(KEYS), below, max_size=2),
    max_leaves=4,
)  # fmt: skip


def places(here: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to every value of a document."""
    below: list[tuple[Any, Any]] = []
    if isinstance(here, dict):
        below = list(here.items())
    elif isinstance(here, list):
        below = list(enumerate(here))
    return [found for key, value in below for found in [(*path, key), *places(value, (*path, key))]]


def changed(document: Any, path: tuple[Any, ...], junk: Any) -> Any:
    found = copy.deepcopy(document)
    here = found
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = junk
    return found


def read(document: Any) -> list[Operation]:
    found: Read = _read(Loaded(BASE, {BASE: document}))
    return operations(Source("api", found.main, found.references, BASE, lambda *_: True), frozenset())


@pytest.mark.parametrize("document", [V30, V20], ids=["3.0", "2.0"])
@given(data=st.data())
def test_a_document_with_something_wrong_in_it_still_gives_sound_tools(document: Any, data: st.DataObject) -> None:
    logging.disable(logging.WARNING)
    at = [path for path in places(document) if path[0] not in {"openapi", "swagger"}]
    path = data.draw(st.sampled_from(at))
    junk = data.draw(JUNK)
    try:
        found = read(changed(document, path, junk))
    finally:
        logging.disable(logging.NOTSET)
    for operation in found:
        raw = operation.definition.raw
        jsonschema_rs.validator_for(raw["inputSchema"])
        if "outputSchema" in raw:
            assert jsonschema_rs.validator_for(raw["outputSchema"]).is_valid({"name": 1, "x": None})
        try:
            draft = operation.draft(dict.fromkeys(raw["inputSchema"]["properties"], "7"))
        except Unfit:
            continue
        assert draft.target.startswith("/")
