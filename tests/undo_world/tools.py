"""The service behind tools: versions in reads, conditional writes, and somebody else's hand between requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from takeback.core.jsontext import JSON
from takeback.ports import VERSION, Changed, OutcomeUnknown
from takeback.testing import MemoryTools, ToolError
from tests.undo_world.records import FIELDS, Record
from tests.undo_world.service import OTHERS, Service

GUARD: Final = "guard"
_ID: Final = {"id": {"type": "string"}}


def _schema(required: tuple[str, ...], **optional: Any) -> dict[str, Any]:
    properties: dict[str, Any] = {name: {} for name in required} | optional
    return {"type": "object", "properties": properties | _ID, "required": list(required), "additionalProperties": False}


_FIELDS: Final[dict[str, Any]] = {name: {} for name in FIELDS}
SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "get": _schema(("id",)),
    "update": _schema(("id",), **_FIELDS),
    "replace": _schema(("id", *FIELDS)),
    "create": _schema((), **_FIELDS, count={}),
    "delete": _schema(("id",)),
    "add": _schema(("id", "by")),
    "move": _schema(("id", "folder")),
    "join": _schema(("id", "member")),
    "leave": _schema(("id", "member")),
    "comment": _schema(("doc", "text")),
    "uncomment": _schema(("id",)),
    "comments": _schema(("doc",)),
}


class WorldTools(MemoryTools):
    """The upstream. `service` is put in for each schedule; `between` is called before each request."""

    def __init__(self, *, versions: bool) -> None:
        super().__init__("world", {name: getattr(self, f"_{name}") for name in SCHEMAS}, SCHEMAS)
        self.service = Service(lambda: 0.0)
        self.versions = versions
        self.between: Callable[[], None] = lambda: None
        self._fault = ""

    def arm_fault(self, fault: str) -> None:
        """What happens to the next write: `lost` (it took effect, no reply), `refused` (an error before the effect) or
        `lied` (an error after it); empty for nothing.
        """
        self._fault = fault

    async def request(
        self, method: str, params: Mapping[str, Any] | None, *, headers: Mapping[str, str] | None = None, **how: Any
    ) -> dict[str, Any]:
        """Serve one request, after whatever somebody else does just before it."""
        self.between()
        assert params is not None
        target = str((params.get("arguments") or {}).get("id"))
        self._condition(target, headers or {})
        self.service.by = GUARD
        try:
            result = await self._faulty(method, params, headers=headers, **how)
        finally:
            self.service.by = OTHERS
        if params["name"] == "get" and self.versions and "structuredContent" in result:
            result["_meta"] = {VERSION: f'"{self.service.reads[-1].version}"'}
        return result

    async def _faulty(self, method: str, params: Mapping[str, Any], **how: Any) -> dict[str, Any]:
        reading = params["name"] in {"get", "comments"}
        fault, self._fault = ("", self._fault) if reading else (self._fault, "")
        failed = {"isError": True, "content": [{"type": "text", "text": "internal error"}]}
        if fault == "refused":
            return failed
        result = await super().request(method, params, **how)
        if fault == "lost":
            raise OutcomeUnknown("lost", "the reply was lost")
        return failed if fault == "lied" else result

    def _condition(self, target: str, headers: Mapping[str, str]) -> None:
        held = self.service.versions.get(target) if target in self.service.records else None
        wanted = headers.get("If-Match")
        if wanted is not None and wanted != f'"{held}"':
            raise Changed(f"HTTP 412: {target} has another version")
        if headers.get("If-None-Match") == "*" and held is not None:
            raise Changed(f"HTTP 412: {target} is there")

    def _there(self, args: dict[str, Any], kind: str = "doc") -> str:
        target = str(args["id"])
        if target not in self.service.records or self.service.records[target]["kind"] != kind:
            raise ToolError(f"{target} not found")
        return target

    def _get(self, args: dict[str, Any]) -> JSON:
        record, _ = self.service.read(args["id"])
        if record is None:
            raise ToolError(f"{args['id']} not found")
        return dict(record)

    def _update(self, args: dict[str, Any]) -> JSON:
        self.service.update(self._there(args), **{name: value for name, value in args.items() if name != "id"})
        return {"ok": True}

    def _replace(self, args: dict[str, Any]) -> JSON:
        return self._update(args)

    def _create(self, args: dict[str, Any]) -> JSON:
        fields = {name: value for name, value in args.items() if name != "id"}
        if args.get("id") in self.service.records:
            raise ToolError(f"{args['id']} exists")
        return {"id": self.service.create(args.get("id"), **fields)}

    def _delete(self, args: dict[str, Any]) -> JSON:
        self.service.remove(self._there(args))
        return {"ok": True}

    def _add(self, args: dict[str, Any]) -> JSON:
        self.service.add(self._there(args), args["by"])
        return {"ok": True}

    def _move(self, args: dict[str, Any]) -> JSON:
        self.service.update(self._there(args), folder=args["folder"])
        return {"ok": True}

    def _join(self, args: dict[str, Any]) -> JSON:
        return self._membership(args, there=True)

    def _leave(self, args: dict[str, Any]) -> JSON:
        return self._membership(args, there=False)

    def _membership(self, args: dict[str, Any], *, there: bool) -> JSON:
        target, member = self._there(args, "group"), args["member"]
        record: Record = self.service.records[target]
        others = [one for one in record["members"] if one != member]
        members = [*others, member] if there else others
        self.service.put(target, {**record, "members": members}, touched=[("members", member)])
        return {"ok": True}

    def _comment(self, args: dict[str, Any]) -> JSON:
        if args["doc"] not in self.service.records:
            raise ToolError(f"{args['doc']} not found")
        return {"id": self.service.comment(args["doc"], args["text"])}

    def _uncomment(self, args: dict[str, Any]) -> JSON:
        self.service.uncomment(self._there(args, "comment"))
        return {"ok": True}

    def _comments(self, args: dict[str, Any]) -> JSON:
        return {"comments": self.service.children(args["doc"])}
