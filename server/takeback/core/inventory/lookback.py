"""The tool that shows what a write changes: of the same kind of thing, asked by what the write itself is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from takeback.core.inventory.arguments import Argument
from takeback.core.inventory.calls import Asked, field_for, from_arguments, is_field, last_word, likeness, same_thing
from takeback.core.inventory.evidence import Confidence
from takeback.core.inventory.judging import Judgement
from takeback.core.inventory.offered import Offered
from takeback.core.inventory.verbs import MOVERS, Deed
from takeback.core.inventory.words import is_plural, key, vocabulary, words

_ONE: Final = vocabulary("get read describe show view retrieve fetch inspect")
_MANY: Final = vocabulary("list search find query browse")
OF_THE_KIND: Final = 2
"""The likeness from which a reader shows the thing itself."""

_LESS: Final = 6
"""What a reader loses that shows more than the one thing."""

_ONLY: Final = vocabulary(
    "settings preferences permissions restrictions details contents info options stats status config"
)
"""Plurals of which there is one."""

_FROM: Final = frozenset({"source", "from", "src", "old_path", "from_path", "source_path"})
_TO: Final = frozenset(
    {"destination", "to", "dest", "dst", "target", "new_path", "to_path", "destination_path", "target_path"}
)


@dataclass(frozen=True, slots=True)
class Picked:
    """One thing out of many: the expression that names it, `select` and `absent`."""

    identity: str
    select: str
    absent: str


@dataclass(frozen=True, slots=True)
class Shown:
    """How a target is read.

    `identity` names the target where the arguments of the read do not; `whole` says that more is shown than the target.
    """

    asked: Asked
    reader: Offered
    identity: str | None
    whole: bool
    select: str | None = None
    absent: str | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the target, where it is known that they are shown as they are."""
        return tuple(self.reader.output or ()) if self.select is None and not self.whole else ()

    @property
    def made(self) -> bool:
        """Whether the target is named by what the call answers, so that there is nothing before it."""
        return self.identity is not None and self.identity.startswith("result.")


def readers(tools: Iterable[tuple[Offered, Judgement]]) -> list[tuple[Offered, Judgement]]:
    """The tools that may be asked."""
    return [(tool, judgement) for tool, judgement in tools if judgement.reads and tool.is_plain]


def shown_by(writer: Offered, deed: Deed | None, among: list[tuple[Offered, Judgement]]) -> Shown | None:
    """The best way to see what a write changes; None where no tool shows it."""
    if deed in {None, Deed.RUN}:
        return None
    found = [
        (rank - _LESS * (shown.whole or shown.select is not None), -len(reader.name), shown)
        for reader, judged in among
        if (rank := _rank(writer, deed, reader)) and (shown := _by(writer, deed, reader, judged)) is not None
    ]
    return max(found, key=lambda each: each[:2])[-1] if found else None


def ends_of_a_move(writer: Offered) -> tuple[Argument, Argument] | None:
    """Where a move begins and where it ends, for moves that name both in the same way."""
    if writer.verb not in MOVERS | {"copy"}:
        return None
    start = next((a for a in writer.required if a.key in _FROM and a.is_plain), None)
    end = next((a for a in writer.required if a.key in _TO and a.is_plain), None)
    return (start, end) if start is not None and end is not None and start.type == end.type else None


def _rank(writer: Offered, deed: Deed | None, reader: Offered) -> int:
    alike = likeness(writer, reader) or _by_its_id(writer, deed, reader)
    if not alike:
        return 0
    habit = 3 if reader.verb in _ONE else 1 if reader.verb in _MANY else 0 if reader.verb == "count" else 2
    given, _ = from_arguments(writer, reader)
    about = writer.verb in MOVERS and bool({"info", "metadata", "stat"} & set(words(reader.name)))
    return alike * 10 + habit + 2 * len(given) + about


def _by_its_id(writer: Offered, deed: Deed | None, reader: Offered) -> int:
    """A tool that is given an `invoice_id` works on an invoice, and one that answers with it made it."""
    if not reader.noun or not reader.required or writer.family != reader.family:
        return 0
    ids = {f"{'_'.join(reader.noun)}_{last}" for last in ("id", "key", "number")}
    if deed is Deed.CREATE:
        made_ids = {key(name) for name in writer.output or {}} - {argument.key for argument in writer.arguments}
        return int(any(wanted.key in ids & made_ids for wanted in reader.required))
    return int(
        all(wanted.key in {a.key for a in writer.required} for wanted in reader.required)
        and any(a.key in ids for a in reader.required)
    )


def _by(writer: Offered, deed: Deed | None, reader: Offered, judged: Judgement) -> Shown | None:
    given, missing = from_arguments(writer, reader)
    if writer.http is not None and reader.http is not None and not reader.http.is_safe:
        return None
    extra: dict[str, Any] = dict(judged.harmless[0].given) if judged.harmless else {}
    ends = ends_of_a_move(writer)
    if ends is not None and len(missing) == 1 and not given and missing[0].is_single:
        given, missing = {missing[0].name: f"args.{ends[0].name}"}, []
    if not missing:
        whole = _shows_many(reader, given) or likeness(writer, reader) < OF_THE_KIND
        picked = _picked(writer, deed, reader, given) if whole else None
        asked = Asked(reader.name, {**given, **extra}, _sure(writer, reader, shown=True), _why(reader, given))
        if picked is None:
            return Shown(asked, reader, None, whole)
        return Shown(asked, reader, picked.identity, whole=False, select=picked.select, absent=picked.absent)
    if deed is Deed.CREATE and len(missing) == 1 and _is_identity(missing[0], reader):
        result = made(writer, missing[0])
        if result is None:
            return None
        confidence = _sure(writer, reader, shown=writer.output is not None)
        asked = Asked(reader.name, {**given, **extra, missing[0].name: result}, confidence, _why(reader, given))
        return Shown(asked, reader, result, whole=False)
    return None


def _is_identity(argument: Argument, reader: Offered) -> bool:
    return argument.is_single and (argument.names_something or last_word(argument) in set(reader.noun))


def made(writer: Offered, wanted: Argument) -> str | None:
    """Where the answer of a create names what it made. Where its shape is not known, by habit: `result.id`."""
    if writer.output is None:
        return f"result.{last_word(wanted)}" if is_field(last_word(wanted)) else None
    field = field_for(wanted, writer.output) or next(
        (name for name in writer.output if key(name) == last_word(wanted) and is_field(name)), None
    )
    return None if field is None else f"result.{field}"


def _shows_many(reader: Offered, given: Mapping[str, str]) -> bool:
    """Whether a reader shows more than the one thing: it lists, or is asked by nothing."""
    if reader.http is not None and reader.http.segments[-1:] == ("{}",):
        return False
    last = words(reader.http.segments[-1])[-1:] if reader.http is not None and reader.http.segments else ()
    named = (last or words(reader.name)[-1:] or ("",))[0]
    many = is_plural(named) and named not in _ONLY and not (reader.verb in _ONE and _shows_one(reader))
    return (
        reader.verb in _MANY
        or named == "list"
        or many
        or bool(reader.required == () and reader.arguments and not given)
    )


def _shows_one(reader: Offered) -> bool:
    """Whether the answer is known, and holds no list of records."""
    return reader.output is not None and not any("properties" in _items(schema) for schema in reader.output.values())


def _items(schema: Any) -> Mapping[str, Any]:
    items = schema.get("items") if isinstance(schema, Mapping) else None
    return items if isinstance(items, Mapping) else {}


def _picked(writer: Offered, deed: Deed | None, reader: Offered, given: Mapping[str, str]) -> Picked | None:
    """How the one thing is found in what a reader lists, where the schemas show it."""
    for name, schema in (reader.output or {}).items():
        properties = _items(schema).get("properties")
        if not is_field(name) or not isinstance(properties, Mapping):
            continue
        for own in (Argument(str(each), properties[each], required=True) for each in properties):
            if not own.is_plain or own.type not in {"string", "integer"} or f"args.{own.name}" in given.values():
                continue
            known = _known(writer, deed, own)
            if known is not None:
                held = f"x.{own.name}" if own.type == "string" else f"string(x.{own.name})"
                is_it = f"{held} == target.id"
                there = f"result.{name}.exists(x, {is_it})"
                return Picked(known, f"result.{name}.filter(x, {is_it})[0]", f"error == null && !{there}")
    return None


def _known(writer: Offered, deed: Deed | None, own: Argument) -> str | None:
    """What names the one thing: the answer of a create, or an argument of any other write."""
    ids = {"id", f"{'_'.join(writer.noun)}_id", f"{writer.noun[-1]}_id" if writer.noun else "id"}
    if deed is Deed.CREATE:
        field = field_for(own, writer.output or {})
        return f"result.{field}" if field is not None and own.key in ids else None
    given = next((a for a in writer.required if a.is_plain and a.is_single and same_thing(a, own, writer.noun)), None)
    return f"args.{given.name}" if given is not None and own.key in ids | {"name", "key", "number"} else None


def _sure(writer: Offered, reader: Offered, *, shown: bool) -> Confidence:
    same = likeness(writer, reader) > OF_THE_KIND
    if same and shown and reader.output is not None:
        return Confidence.HIGH
    return Confidence.FAIR if same and shown else Confidence.LOW


def _why(reader: Offered, given: Mapping[str, str]) -> str:
    by = ", ".join(given) if given else "the id that the call answers with" if reader.required else "nothing"
    return f"{reader.name} reads the same kind of thing, by {by}"
