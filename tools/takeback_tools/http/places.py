"""Where things are: origins, and the servers that a document names."""

from __future__ import annotations

import httpx2

from takeback.core.jsontext import JSON


def origin_of(url: httpx2.URL) -> tuple[str, str, int | None]:
    """Scheme, host and port."""
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def is_same_origin(one: str, other: str) -> bool:
    """Whether two addresses have one origin; what is no address has none."""
    try:
        return origin_of(httpx2.URL(one)) == origin_of(httpx2.URL(other))
    except (ValueError, httpx2.InvalidURL):
        return False


def first_server(holder: JSON) -> str:
    """The URL of the first of `servers`, its variables filled in; `/` where there is none."""
    servers = holder.get("servers") if isinstance(holder, dict) else None
    first = servers[0] if isinstance(servers, list) and servers else None
    if not isinstance(first, dict) or not isinstance(first.get("url"), str):
        return "/"
    url: str = first["url"]
    variables = first.get("variables")
    for name, variable in (variables if isinstance(variables, dict) else {}).items():
        if isinstance(variable, dict):
            url = url.replace("{" + name + "}", str(variable.get("default", "")))
    return url
