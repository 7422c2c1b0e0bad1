"""What the names of a rule's expressions stand for, as far as the tools' schemas say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from takeback.core.expressions import Expression
from takeback.core.policy.live.mentions import literal_fields, selection
from takeback.core.policy.live.offers import Live, Tool
from takeback.core.policy.live.schemas import NOTHING_KNOWN, Fate, Look, Shape, look, whole
from takeback.core.policy.mistakes import Keys
from takeback.core.policy.places import is_read_back
from takeback.core.policy.schema import Call, Read, Rule
from takeback.core.policy.tools import named_calls

_TEXT = whole({"type": "string"})
_TARGET = Shape(fields={"type": _TEXT, "id": _TEXT})
_LIKELY = [Fate.NAMED, Fate.UNKNOWN, Fate.UNNAMED, Fate.EXCLUDED]
"""Of what is looked for in several places, the fate that counts: it is enough that one of them may have it."""

_OF_ITS_OWN = frozenset({"select", "absent", "found", "done", "failed", "ids"})
"""The expressions of a call whose `result` is that of the call itself, and not of the write."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """What is known of the values in the expressions of one rule for one tool (None: the upstream was not asked)."""

    rule: Rule
    tool: Tool | None
    live: Live

    def named(self, keys: Keys) -> Mapping[str, Shape]:
        """By name, for the expression at `keys` (within the rule)."""
        image = self._image()
        return {
            "args": whole(self.tool.input_schema) if self.tool is not None else NOTHING_KNOWN,
            "target": self._target(),
            "targets": self._target(),
            "before": image,
            "after": image,
            "current": image,
            "result": self._result(keys),
        }

    def of(self, expression: Expression, keys: Keys) -> Shape:
        """What an expression comes to."""
        return shape_of(expression.source, self.named(keys))

    def field(self, name: str) -> Look:
        """A field as `writes`, `ignore` and `by` name it: where there are several targets, of one of them or of any."""
        image, names = self._image(), [spec.name for spec in self.rule.target]
        of, dot, rest = name.partition(".")
        if len(names) == 1 or image.fields is None:
            return look(image, (name,))
        if dot and of in names:
            return look(image, (of, rest))
        looks = [look(image, (target, name)) for target in names]
        return min(looks, key=lambda one: _LIKELY.index(one.fate))

    def _target(self) -> Shape:
        specs = self.rule.target
        return _TARGET if len(specs) == 1 else Shape(fields={spec.name: _TARGET for spec in specs})

    def _image(self) -> Shape:
        """The images: what the targets' reads give."""
        if not is_read_back(self.rule):
            return NOTHING_KNOWN
        if self.rule.read is not None:
            return self._read(self.rule.read)
        shapes = {spec.name: self._read(spec.read) for spec in self.rule.target if spec.read is not None}
        return next(iter(shapes.values())) if len(shapes) == 1 else Shape(fields=shapes)

    def _read(self, read: Read) -> Shape:
        data = self._data(read)
        if read.select is None:
            return data
        return shape_of(read.select.source, {"result": data, "target": self._target(), "args": NOTHING_KNOWN})

    def _data(self, call: Call) -> Shape:
        tool = self.live.tool(call.tool)
        return whole(tool.output_schema) if tool is not None else NOTHING_KNOWN

    def _result(self, keys: Keys) -> Shape:
        own = self._call_with(keys)
        if own is not None:
            return self._data(own)
        return whole(self.tool.output_schema) if self.tool is not None else NOTHING_KNOWN

    def _call_with(self, keys: Keys) -> Call | None:
        """The call whose own answer the expression at `keys` looks at; None: it looks at the write's."""
        if not keys or keys[-1] not in _OF_ITS_OWN:
            return None
        return next((call for where, call in named_calls(self.rule) if where == keys[:-1]), None)


def shape_of(source: str, named: Mapping[str, Shape]) -> Shape:
    """What an expression comes to, where it only selects, or makes an object of what it selects."""
    path = selection(source)
    if path is not None:
        return look(named.get(path[0], NOTHING_KNOWN), path[1:]).shape
    fields = literal_fields(source)
    if fields is not None:
        return Shape(fields={name: shape_of(part, named) for name, part in fields.items()})
    return NOTHING_KNOWN
