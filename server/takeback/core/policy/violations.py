"""What the schema says against a document, in the words of the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from takeback.core.expressions import VARIABLES, ExpressionError
from takeback.core.policy.keys import known_keys
from takeback.core.policy.mistakes import Keys, Mistake, at, did_you_mean, listed

_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "approval": ("always", "never", "low", "medium", "high"),
    "canonical": ("exact", "trim", "lower", "path"),
}
"""Keys that take one of these words or an expression."""

_BRANCH: Final = re.compile(r"(literal|str-enum|function-before|tuple|is-instance)\[|(Undo|NamedUndo)$")
_WORD_OR_TABLE: Final = re.compile(r"literal\[|(KeyedList|Condition)$")
_UNDO: Final = 'must be a call, a list of calls, or "none"'
_FEW: Final = 12
_PARSER_WORDS: Final = (
    (r"(?:mismatched|extraneous) input '<EOF>'", "it ends too early"),
    (r" at '<EOF>'", " at the end"),
    (r"(?:mismatched|extraneous) input|no viable alternative at input", "unexpected"),
    (r"token recognition error at:", "unexpected"),
)


@dataclass(frozen=True, slots=True)
class _Fault:
    """One of pydantic's errors: the keys of the file, and the branches of a union that it tried."""

    keys: Keys
    branches: tuple[str, ...]
    error: ErrorDetails

    @property
    def kind(self) -> str:
        return self.error["type"]

    @property
    def facts(self) -> Mapping[str, Any]:
        return self.error.get("ctx") or {}


def violations(error: ValidationError, document: Mapping[str, Any]) -> list[Mistake]:
    """One mistake for each thing that is wrong. `document` is the file as written, without secrets."""
    faults = [_fault(details, document) for details in error.errors(include_url=False)]
    meant = [fault for fault in faults if _is_meant(fault, document)]
    misspelt = {keys for fault in meant if fault.kind == "extra_forbidden" for keys in _meant_by(fault)}
    return [_mistake(fault, document) for fault in meant if fault.kind != "missing" or fault.keys not in misspelt]


def _fault(details: ErrorDetails, document: Mapping[str, Any]) -> _Fault:
    keys: list[str | int] = []
    branches: list[str] = []
    here: Any = document
    for part in details["loc"]:
        if isinstance(part, str) and keys and _is_branch(keys, part):
            branches.append(part)
        elif not _is_no_key(part, here):
            keys.append(part)
            here = at(here, (part,))
    return _Fault(tuple(keys), tuple(branches), details)


def _is_no_key(part: str | int, here: Any) -> bool:
    """What stands in an error's place and in no file: that a key is meant, and the place of an only table in a list."""
    if not isinstance(here, Mapping):
        return part == "[key]"
    return isinstance(part, int) or (part == "[key]" and part not in here)


def _is_branch(keys: list[str | int], part: str) -> bool:
    names = [key for key in keys if isinstance(key, str)]
    if _of_words_or_table(names):
        return _WORD_OR_TABLE.match(part) is not None
    return names[-1] in {*_CHOICES, "undo"} and _BRANCH.match(part) is not None


def _of_words_or_table(names: Sequence[object]) -> bool:
    """Whether the place takes a word or a table: `condition`, and each field of `lists`."""
    return names[-1] == "condition" or (len(names) > 1 and names[-2] == "lists")


def _is_meant(fault: _Fault, document: Mapping[str, Any]) -> bool:
    """Whether the error comes from the branch of a union that the author meant."""
    if not fault.branches:
        return True
    if (depth := _word_or_table(fault.keys)) is not None:
        item = at(document, fault.keys[:depth])
        return fault.branches[-1].startswith("literal") is not isinstance(item, Mapping)
    if "undo" not in fault.keys:
        return fault.branches[-1].startswith("function-before")  # the last of the branches, and the most general
    if fault.branches[-1] not in {"Undo", "NamedUndo"}:
        return fault.kind == "tuple_type"
    item = at(document, fault.keys[: _item_depth(fault, document)])
    return fault.branches[-1] == _shape_of(item)


def _word_or_table(keys: Keys) -> int | None:
    """How many keys lead to the place of a rule that takes a word or a table; None where there is no such place."""
    depths = {"condition": 3, "lists": 4}
    return depths.get(str(keys[2])) if keys[:1] == ("rule",) and len(keys) > len(("rule", 0)) else None


def _item_depth(fault: _Fault, document: Mapping[str, Any]) -> int:
    depth = fault.keys.index("undo") + 1
    return depth + 1 if isinstance(at(document, fault.keys[:depth]), list) else depth


def _shape_of(item: object) -> str:
    if not isinstance(item, Mapping) or "tool" in item:
        return "Undo"
    named = any(key in item or did_you_mean(key, item) for key in ("compensation", "options"))
    return "NamedUndo" if named and not did_you_mean("tool", item) else "Undo"


def _mistake(fault: _Fault, document: Mapping[str, Any]) -> Mistake:
    value = at(document, fault.keys)
    if fault.branches and fault.keys[-1] in _CHOICES:
        return _choice(fault, value)
    if fault.branches and fault.kind == "tuple_type":
        return Mistake(fault.keys, _UNDO, "" if not isinstance(value, str) else did_you_mean(value, ["none"]))
    said = _SAYINGS.get(fault.kind)
    message, suggestion = said(fault, value) if said is not None else (_general(fault.error["msg"]), "")
    return Mistake(fault.keys, message, suggestion)


def _choice(fault: _Fault, value: object) -> Mistake:
    words = _CHOICES[str(fault.keys[-1])]
    if isinstance(value, str) and re.search(r"\W", value.strip()) is not None:
        return Mistake(fault.keys, *_value_error(fault, value))
    near = did_you_mean(value, words) if isinstance(value, str) else ""
    return Mistake(fault.keys, f"must be {listed(words, 'or')}, or an expression", near)


def _known(fault: _Fault) -> list[str]:
    return known_keys(fault.keys[:-1], fault.branches[-1] if fault.branches else "")


def _meant_by(fault: _Fault) -> list[Keys]:
    """The keys that an unknown one is probably a misspelling of: they are not missing, then."""
    return [(*fault.keys[:-1], key) for key in _known(fault) if did_you_mean(str(fault.keys[-1]), [key])]


def _unknown(fault: _Fault, _: object) -> tuple[str, str]:
    known, name = _known(fault), str(fault.keys[-1])
    few = f"the keys here are {_names(known)}" if known and len(known) <= _FEW else "docs/policy.md lists the keys"
    return "there is no such key", did_you_mean(name, known) or few


def _word(fault: _Fault, value: object) -> tuple[str, str]:
    words = re.findall(r"'([^']*)'", str(fault.facts.get("expected", "")))
    return f"must be {listed(words)}", did_you_mean(value, words) if isinstance(value, str) else ""


def _value_error(fault: _Fault, _: object) -> tuple[str, str]:
    error = fault.facts.get("error")
    text = str(error)
    if not isinstance(error, ExpressionError):
        return text, ""
    strange = re.search(r" names `(\w+)`; there are ", text)
    return plainly(text), did_you_mean(strange[1], sorted(VARIABLES)) if strange else ""


def plainly(text: str) -> str:
    """An expression's error without the parser's own way of speaking."""
    text = re.sub(r"<input>:\d+:(\d+): ", r"at character \1: ", text).replace("Syntax error: ", "")
    text = re.sub(r" expecting .*$", "", text, flags=re.DOTALL)
    for pattern, plain in _PARSER_WORDS:
        text = re.sub(pattern, plain, text)
    return " ".join(text.split())


def _tuple(fault: _Fault, _: object) -> tuple[str, str]:
    if fault.keys == ("rule",):
        return "must be a list of rules", "write [[rule]]"
    return "must be a list", ""


def _bound(word: str, fact: str) -> Callable[[_Fault, object], tuple[str, str]]:
    return lambda fault, _: (f"must be at {word} {fault.facts.get(fact)}", "")


def _fixed(message: str, suggestion: str = "") -> Callable[[_Fault, object], tuple[str, str]]:
    return lambda _fault, _value: (message, suggestion)


def _general(message: str) -> str:
    return re.sub(r"^(Input|Value|String) should ", "must ", message)


def _names(keys: Iterable[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


_TABLE: Final = _fixed("must be a table")
_NUMBER: Final = _fixed("must be a whole number")
_TRUTH: Final = _fixed("must be true or false")

_SAYINGS: Final[Mapping[str, Callable[[_Fault, object], tuple[str, str]]]] = {
    "extra_forbidden": _unknown,
    "missing": _fixed("is required and missing"),
    "enum": _word,
    "literal_error": _word,
    "value_error": _value_error,
    "tuple_type": _tuple,
    "string_type": _fixed("must be a string"),
    "string_too_short": lambda fault, _: (f"must have at least {fault.facts.get('min_length')} characters", ""),
    "string_pattern_mismatch": _fixed(
        "a name begins with a letter, and goes on with at most 31 letters, digits, _ and -"
    ),
    "model_type": _TABLE,
    "dict_type": _TABLE,
    "int_type": _NUMBER,
    "int_parsing": _NUMBER,
    "int_parsing_size": _NUMBER,
    "int_from_float": _NUMBER,
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "greater_than_equal": _bound("least", "ge"),
    "less_than_equal": _bound("most", "le"),
}
