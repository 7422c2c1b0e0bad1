"""From a call's arguments to a request, as a document describes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from takeback.core.jsontext import JSON
from takeback_tools.http.bodies import Body
from takeback_tools.http.operations import Draft, Unfit
from takeback_tools.http.serialising import Parameter, in_cookie, in_header, in_path, in_query

_TEMPLATE: Final = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Requests:
    """Makes the requests of one operation."""

    method: str
    path: str
    parameters: tuple[Parameter, ...]
    body: Body | None

    def draft(self, arguments: Mapping[str, JSON]) -> Draft:
        """The request for these arguments.

        Raises:
            Unfit: one has no place in the request, or a value that cannot stand there.
        """
        extra = self._extra(arguments)
        given = [(one, arguments[one.argument]) for one in self.parameters if one.argument in arguments]
        query = [piece for one, value in given if one.place == "query" for piece in in_query(one, value)]
        headers = {
            one.name: text for one, v in given if one.place == "header" and (text := in_header(one, v)) is not None
        }
        cookies = [text for one, v in given if one.place == "cookie" and (text := in_cookie(one, v)) is not None]
        if cookies:
            headers["Cookie"] = "; ".join(cookies)
        content = None
        if self.body is not None and (encoded := self.body.encoded(arguments, extra)) is not None:
            content, headers["Content-Type"] = encoded
        return Draft(self.method, self._target(dict(_named(given)), query), headers, content)

    def _extra(self, arguments: Mapping[str, JSON]) -> dict[str, JSON]:
        known = {one.argument for one in self.parameters} | (self.body.names() if self.body is not None else set())
        extra = {name: value for name, value in arguments.items() if name not in known}
        if extra and (self.body is None or not self.body.open):
            raise Unfit(f"there is no argument {', '.join(sorted(extra))}")
        return extra

    def _target(self, in_paths: Mapping[str, tuple[Parameter, JSON]], query: list[str]) -> str:
        def put(found: re.Match[str]) -> str:
            if found[1] not in in_paths:
                raise Unfit(f"{found[1]} stands in the path and is missing")
            return in_path(*in_paths[found[1]])

        path = _TEMPLATE.sub(put, self.path)
        return f"{path}?{'&'.join(query)}" if query else path


def _named(given: list[tuple[Parameter, JSON]]) -> list[tuple[str, tuple[Parameter, JSON]]]:
    return [(one.name, (one, value)) for one, value in given if one.place == "path"]
