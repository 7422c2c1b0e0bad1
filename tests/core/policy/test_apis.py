from __future__ import annotations

import pytest

from tests.core.policy.policies import loaded, mistakes

AT = 'openapi = "a.json"\n'
OP = 'base_url = "https://h"\n[upstream.x.operation.t]\nmethod = "PUT"\n'
TYPED = 'must be "string", "integer", "number", "boolean", "object" or "array", or a table'

WRONG = (
    (
        'base_url = "https://h"',
        "upstream.x: has no tools; name a document with `openapi`, or declare `[upstream.NAME.operation.TOOL]`",
    ),
    (
        AT + 'base_url = "https://user:pw@h"',
        "upstream.x.base_url: must be an http(s) address without a query; credentials have their place in `auth`",
    ),
    (
        AT + 'base_url = "ftp://h"',
        "upstream.x.base_url: must be an http(s) address without a query; credentials have their place in `auth`",
    ),
    (
        'openapi = "https://user:pw@h/a.json"',
        "upstream.x.openapi: must hold no credentials; they have their place in `auth`",
    ),
    (AT + 'methods = ["GE T"]', 'upstream.x.methods[1]: is no HTTP method; write "GET", "POST", and so on'),
    (
        '[upstream.x.operation.t]\nmethod = "GET"\npath = "/"',
        "upstream.x.operation: has no address to go to; give the upstream a `base_url`",
    ),
    (
        AT + 'transport = "http"',
        "upstream.x.transport: has no meaning for an upstream that is an HTTP API; take it out",
    ),
    (AT + 'args = ["a"]', "upstream.x.args: has no meaning for an upstream that is an HTTP API; take it out"),
    (
        'command = "a"\nbase_url = "https://h"',
        "upstream.x.base_url: has no meaning for an upstream with a `command`; take it out",
    ),
    ('command = "a"\ntags = ["b"]', "upstream.x.tags: has no meaning for an upstream with a `command`; take it out"),
    (
        'url = "a"\nauth = { type = "bearer", token = "b" }',
        (
            "upstream.x.auth: has no meaning for an upstream with a `url`; "
            "an MCP server takes its credentials in `headers`"
        ),
    ),
    (
        AT + 'idempotency = { meta = "k" }',
        "upstream.x.idempotency.meta: an HTTP API has no `_meta`; use `header` or `argument`",
    ),
    (
        AT + "auth = {}",
        'upstream.x.auth: does not say how to sign in; give it a `type`: "bearer", "basic", "api_key" or "oauth2"',
    ),
    (AT + 'auth = { type = "bearer" }', 'upstream.x.auth: type "bearer" needs `token`'),
    (
        AT + 'auth = { type = "bearer", token = "a", scope = "b" }',
        'upstream.x.auth.scope: has no meaning for type "bearer"; take it out',
    ),
    (AT + 'auth = { type = "api_key", name = "a", key = "b" }', 'upstream.x.auth: type "api_key" needs `in`'),
    (
        AT + 'auth = { tenants = { acme = { type = "basic", username = "a" } } }',
        'upstream.x.auth.tenants.acme: type "basic" needs `password`',
    ),
    (
        AT + 'auth = { token = "a", tenants = { acme = { type = "bearer", token = "a" } } }',
        "upstream.x.auth.token: has no meaning for an `auth` without a `type`; take it out",
    ),
    (
        OP + 'path = "x"',
        "upstream.x.operation.t.path: must begin with `/` and hold no query; arguments of a query stand in `query`",
    ),
    (
        OP + 'path = "/{a"',
        "upstream.x.operation.t.path: has a `{` that stands alone; write `{{` for the character itself",
    ),
    (
        OP + 'path = "/"\nargs = { a = "string" }',
        "upstream.x.operation.t.args.a: stands nowhere in the request; write {a} where it belongs",
    ),
    (OP + 'path = "/{a}"\nargs = { a = "sting" }', f"upstream.x.operation.t.args.a: {TYPED}; did you mean `string`?"),
    (
        OP + 'path = "/{name}"\noptional = ["nam"]',
        "upstream.x.operation.t.optional[1]: there is no argument `nam`; did you mean `name`?",
    ),
    (OP + 'path = "/"\nheaders = { "a b" = "c" }', 'upstream.x.operation.t.headers."a b": is no name of a header'),
    (
        OP + 'path = "/"\ncontent_type = "text/plain"',
        "upstream.x.operation.t.content_type: has no meaning without a `body`; take it out",
    ),
    (
        OP + 'path = "/"\nbody = "a {b}"',
        "upstream.x.operation.t.body: must be a table of fields, or one `{argument}`; a text needs a `content_type`",
    ),
    (
        OP + 'path = "/"\ncontent_type = "text/plain"\nbody = { a = "b" }',
        "upstream.x.operation.t.body: must be a text for text/plain",
    ),
    (
        'base_url = "https://h"\n[upstream.x.operation.t]\nmethod = "P T"\npath = "/"',
        'upstream.x.operation.t.method: is no HTTP method; write "GET", "POST", and so on',
    ),
)


@pytest.mark.parametrize(("table", "expected"), WRONG)
def test_what_does_not_fit_is_told(table: str, expected: str) -> None:
    assert mistakes(f"[upstream.x]\n{table}\n") == [expected]


def test_an_api_takes_its_secrets_from_the_environment_and_is_told_from_a_server() -> None:
    policy = loaded(
        '[upstream.api]\nopenapi = "a.json"\nauth = { type = "api_key", in = "query", name = "k", key = "${TOKEN}" }\n'
        '[upstream.dav]\nbase_url = "https://h"\n[upstream.dav.operation.get]\nmethod = "GET"\npath = "/{a}"\n'
        '[upstream.mcp]\nurl = "https://h/mcp"\n'
    )
    upstreams = policy.file.upstream
    assert [(name, upstream.kind) for name, upstream in upstreams.items()] == [
        ("api", "http"),
        ("dav", "http"),
        ("mcp", "mcp"),
    ]
    auth = upstreams["api"].auth
    assert auth is not None
    assert (auth.place, auth.key) == ("query", "s3cr3t-t0ken")
    assert "s3cr3t-t0ken" in policy.secrets
