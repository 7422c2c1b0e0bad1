"""The arguments of a tool, and what each is for: naming the thing, giving it content, or saying what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from takeback.core.inventory.verbs import Deed, deed_of
from takeback.core.inventory.words import key, singular, vocabulary, words

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED: Final = vocabulary(
    "in true false null as break const continue else for function if import let loop package namespace return "
    "var void while"
)
_IDENTIFIERS: Final = vocabulary(
    "id key number name path url uri uuid guid slug ref sha handle email login username owner repo repository "
    "project workspace organization org namespace database collection table bucket channel folder directory "
    "branch cluster region tenant account team segment host hostname index timestamp ts pid code cell sheet "
    "filename file"
) - {"code"}  # fmt: skip
_ORDERS: Final = vocabulary("action operation op command cmd subcommand verb method mode task event")
_ABOUT_ORDERS: Final = frozenset({"sub", "http", "request", "type", "name", "kind", "to", "perform"})
_COMMANDS: Final = vocabulary(
    "sql cypher graphql command cmd script code javascript js shell statement statements mutation pipeline "
    "program expression function bash python snippet manifest jsonrpc gremlin sparql"
)
_LANGUAGES: Final = re.compile(
    r"\b(?:sql|cypher|graphql|sparql|javascript|python code|shell|bash|select query|insert into|aggregation)\b",
    re.IGNORECASE,
)
_CONTENTS: Final = vocabulary(
    "body content contents message data payload document documents text value values html markdown attachment "
    "attachments comment note title description subject patch update updates fields properties records rows "
    "edits changes file_content new_content input thought amount answers"
)
_PAGES: Final = vocabulary("limit offset page cursor sort order fields filter query q depth format output count size")
_OUTPUT: Final = re.compile(
    r"\b(?:sav(?:e|es|ed|ing)|writ(?:e|es|ing|ten)|stor(?:e|ed|ing)|download(?:ed)? to)\b", re.IGNORECASE
)
_FILES: Final = frozenset(
    {"filename", "path", "file", "filepath", "dir", "directory", "folder", "destination", "output"}
)
_ASIDE: Final = vocabulary(
    "expected_version dry_run validate_only force confirm verbose timeout timeout_ms idempotency_key "
    "request_id origin return_field format options option mode encoding context"
)
_REMARKS: Final = frozenset({"message", "commit_message", "reason", "version_comment", "note"})


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument, with its schema. `key` is its name without its spelling."""

    name: str
    schema: Mapping[str, Any]
    required: bool

    @property
    def key(self) -> str:
        """Its name without its spelling."""
        return key(self.name)

    @property
    def said(self) -> str:
        """What the schema says about it."""
        return str(self.schema.get("description") or "")

    @property
    def type(self) -> str:
        """Its JSON type; of several the first that is not null; empty where the schema does not say."""
        return json_type(self.schema)

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts that it may be, where the schema lists them."""
        return choices(self.schema)

    @property
    def is_plain(self) -> bool:
        """Whether an expression can spell it as `args.name`."""
        return _PLAIN.fullmatch(self.name) is not None and self.name not in _RESERVED

    @property
    def is_single(self) -> bool:
        """Whether its value is a text or a number: what an id can be made of."""
        return self.type in {"string", "integer", "number", ""}

    @property
    def names_something(self) -> bool:
        """Whether it looks like an id, or another name of a thing."""
        last = singular(words(self.name)[-1]) if words(self.name) else ""
        return self.is_single and last in _IDENTIFIERS and not self.choices

    @property
    def is_order(self) -> bool:
        """Whether it says which of several things the tool is to do."""
        named = words(self.name)
        about = set(named) & _ORDERS and set(named) <= _ORDERS | _ABOUT_ORDERS
        return (
            bool(about)
            and len(self.choices) > 1
            and any(deed_of(words(choice)[0]) for choice in self.choices if words(choice))
        )

    @property
    def is_command(self) -> bool:
        """Whether it is a program, a query in a language that can write, or the like."""
        named = set(words(self.name))
        if self.choices or self.type not in {"string", "array", "object", ""}:
            return False
        if (words(self.name)[-1:] and words(self.name)[-1] in _COMMANDS) or "".join(words(self.name)) in _COMMANDS:
            return len(named) == 1 or not named & {
                "language",
                "country",
                "status",
                "error",
                "zip",
                "postal",
                "currency",
            }
        return self.is_query and is_language(self.said)

    @property
    def is_query(self) -> bool:
        """Whether it asks something in a language of queries, which may be one that can write."""
        return bool({"query", "statement", "code"} & set(words(self.name))) and not self.choices

    @property
    def is_content(self) -> bool:
        """Whether it carries what is to be written."""
        named = words(self.name)
        return bool(named) and (named[-1] in _CONTENTS or named[0] == "new") and not self.choices

    @property
    def is_switch(self) -> bool:
        """Whether it turns a change on: `mark_as_read`, `deleteAfter`."""
        named = words(self.name)
        if self.type != "boolean" or not named:
            return False
        return any(
            deed_of(word) not in {None, Deed.LOOK}
            for word in (named[0], *(named[1:2] if named[0] in {"auto", "and", "should", "do"} else ()))
        )

    @property
    def is_output_file(self) -> bool:
        """Whether the tool writes a file when it is given this."""
        named = words(self.name)
        if self.type not in {"string", ""} or self.choices or not named or not (set(named) & _FILES):
            return False
        told = "output" in named or "destination" in named or "save" in named or _OUTPUT.search(self.said) is not None
        return told and (not self.required or _OUTPUT.search(self.said) is not None)

    @property
    def is_remark(self) -> bool:
        """Whether it is said about the change and is no part of the thing: a commit's message."""
        return self.key in _REMARKS

    @property
    def is_aside(self) -> bool:
        """Whether it says how to do it and not what."""
        return self.key in _ASIDE or self.key.startswith(("include_", "is_minor", "notify", "send_")) or self.is_order

    @property
    def is_paging(self) -> bool:
        """Whether it narrows or orders what is shown."""
        return self.key in _PAGES


def is_language(text: str) -> bool:
    """Whether a text speaks of a language in which one can write: SQL, a shell."""
    return _LANGUAGES.search(text) is not None


def arguments(schema: Any) -> tuple[Argument, ...]:
    """The arguments that an input schema declares."""
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    required = schema.get("required") if isinstance(schema, Mapping) else None
    wanted = set(map(str, required)) if isinstance(required, list) else set()
    if not isinstance(properties, Mapping):
        return ()
    return tuple(
        Argument(str(name), each if isinstance(each, Mapping) else {}, name in wanted)
        for name, each in properties.items()
    )


def branches(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A schema and the alternatives that it gives."""
    found = [schema]
    for name in ("anyOf", "oneOf", "allOf"):
        several = schema.get(name)
        found += [each for each in several if isinstance(each, Mapping)] if isinstance(several, list) else []
    return found


def json_type(schema: Mapping[str, Any]) -> str:
    """The JSON type that a schema asks for; empty where it does not say."""
    for branch in branches(schema):
        given = branch.get("type")
        several = given if isinstance(given, list) else [given]
        for one in several:
            if isinstance(one, str) and one != "null":
                return one
    return ""


def choices(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The texts that a schema allows, where it lists them."""
    found: list[str] = []
    for branch in branches(schema):
        listed = branch.get("enum")
        found += [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
        found += [branch["const"]] if isinstance(branch.get("const"), str) else []
    return tuple(found)


def fits(given: Argument, wanted: Argument) -> bool:
    """Whether the value of one argument can be given for another, as far as the schemas show."""
    if given.type and wanted.type and given.type != wanted.type and {given.type, wanted.type} != {"integer", "number"}:
        return False
    ours, theirs = _inner(given.schema), _inner(wanted.schema)
    return ours == theirs or not ours or not theirs or (ours <= theirs and not _needed(wanted.schema) - ours)


def _items(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    items = schema.get("items")
    return items if isinstance(items, Mapping) else schema


def _inner(schema: Mapping[str, Any]) -> frozenset[str]:
    properties = _items(schema).get("properties")
    return frozenset(map(str, properties)) if isinstance(properties, Mapping) else frozenset()


def _needed(schema: Mapping[str, Any]) -> frozenset[str]:
    required = _items(schema).get("required")
    return frozenset(map(str, required)) if isinstance(required, list) else frozenset()
