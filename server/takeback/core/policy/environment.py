"""Secrets come from the environment: `${NAME}` in the two sections that may hold them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from takeback.core.policy.mistakes import Keys, Mistake

SECTIONS: Final = frozenset({"upstream", "ledger"})
"""The sections whose strings are filled in."""

_REFERENCE: Final = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^{}]*)?\})?")
_NOT_SECRET: Final = frozenset({"STATE"})
_ALLOWED: Final = "`${...}` stands for the environment only in [upstream.*] and [ledger]"
_MALFORMED: Final = "`${` must begin `${NAME}` or `${NAME:-default}`; write `$${` for the two characters"


@dataclass(slots=True)
class Filled:
    """What filling in came to. `mistakes` name keys and variables, never values; `secrets` are those values."""

    document: dict[str, Any] = field(default_factory=dict, repr=False)
    mistakes: list[Mistake] = field(default_factory=list)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


def fill(document: Mapping[str, Any], env: Mapping[str, str]) -> Filled:
    """The document with its references to the environment filled in. Never raises: what is missing is a mistake."""
    filling = _Filling(env)
    filled = {key: filling.value((key,), value) for key, value in document.items()}
    return Filled(filled, filling.mistakes, frozenset(filling.used))


class _Filling:
    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.mistakes: list[Mistake] = []
        self.used: set[str] = set()

    def value(self, keys: Keys, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self.value((*keys, self._key(keys, key)), item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value((*keys, index), item) for index, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        return self._text(keys, value)

    def _key(self, keys: Keys, key: str) -> str:
        if "${" in key:
            self.mistakes.append(Mistake((*keys, key), "keys are not filled in from the environment, only values"))
        return key

    def _text(self, keys: Keys, text: str) -> str:
        if keys[0] not in SECTIONS:
            self.mistakes.append(Mistake(keys, _ALLOWED))
            return text
        return _REFERENCE.sub(lambda found: self._found(keys, found), text)

    def _found(self, keys: Keys, found: re.Match[str]) -> str:
        if found[0] == "$${":
            return "${"
        name, default = found["name"], found["default"]
        if name is None:
            self.mistakes.append(Mistake(keys, _MALFORMED))
        elif name in self._env and (self._env[name] or default is None):
            return self._taken(name)
        elif default is None:
            self.mistakes.append(
                Mistake(keys, f"the environment variable {name} is not set", f"set it, or write `${{{name}:-default}}`")
            )
        return (default or "").removeprefix(":-")

    def _taken(self, name: str) -> str:
        value = self._env[name]
        if value and name not in _NOT_SECRET:
            self.used.add(value)
        return value
