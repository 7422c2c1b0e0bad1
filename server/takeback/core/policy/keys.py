"""Which keys there are where, asked of the schema itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from takeback.core.policy.later import ANY, LATER
from takeback.core.policy.mistakes import Keys
from takeback.core.policy.schema import PolicyFile


def known_keys(table: Keys, model: str = "") -> list[str]:
    """The keys that the table at `table` may hold; of those that have several shapes, the one called `model`."""
    found = _models(table)
    wanted = [one for one in found if one.__name__ == model] or found
    names = {name: None for one in wanted for name in _fields(one)}
    return [name for name in names if not _is_later(table, name)]


def _models(table: Keys) -> list[type[BaseModel]]:
    found: list[type[BaseModel]] = [PolicyFile]
    for place, key in enumerate(table):
        if isinstance(key, int) or (place == 1 and table[0] == "upstream"):
            continue
        found = [
            below for model in found if key in (fields := _fields(model)) for below in _tables(fields[key].annotation)
        ]
    return found


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _tables(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _tables(part)


def _is_later(table: Keys, name: str) -> bool:
    general = tuple(ANY if isinstance(key, int) or place == 1 else key for place, key in enumerate(table))
    return (*general, name) in LATER
