from __future__ import annotations

import pytest

from tests.core.policy.policies import mistakes

ONE_OF = (
    "give it one of them: a command to start, the address of an MCP server that runs, or the document of an HTTP API"
)

UPSTREAMS = (
    ("read_lag = '1s'", f"upstream.x: has none of `command`, `url` and `openapi`; {ONE_OF}"),
    ('command = "a"\nurl = "b"', f"upstream.x: has both `command` and `url`; {ONE_OF}"),
    ('url = "b"\nargs = ["c"]', "upstream.x.args: has no meaning for an upstream with a `url`; take it out"),
    ('url = "b"\ncwd = "c"', "upstream.x.cwd: has no meaning for an upstream with a `url`; take it out"),
    ('url = "b"\nenv = { A = "c" }', "upstream.x.env: has no meaning for an upstream with a `url`; take it out"),
    (
        'command = "a"\nheaders = { A = "c" }',
        "upstream.x.headers: has no meaning for an upstream with a `command`; take it out",
    ),
    (
        'command = "a"\ntransport = "sse"',
        'upstream.x.transport: does not fit an upstream with a `command`; use "stdio", or leave it out',
    ),
    (
        'url = "a"\ntransport = "stdio"',
        'upstream.x.transport: does not fit an upstream with a `url`; use "http" or "sse", or leave it out',
    ),
    (
        'url = "a"\nidempotency = { valid_for = "1h" }',
        "upstream.x.idempotency: does not say how the key travels; name a `header`, an `argument` or a `meta` key",
    ),
    (
        'command = "a"\nidempotency = { header = "Idempotency-Key" }',
        "upstream.x.idempotency.header: an upstream with a `command` has no headers; use `argument` or `meta`",
    ),
    ('command = "a"\ntimeout = "0s"', "upstream.x.timeout: must be longer than nothing"),
    ('command = "a"\nlands_within = "4000d"', "upstream.x.lands_within: is longer than ten years"),
)


@pytest.mark.parametrize(("body", "expected"), UPSTREAMS)
def test_upstreams(body: str, expected: str) -> None:
    assert mistakes(f"[upstream.x]\n{body}\n") == [expected]


def test_the_name_of_compensations_in_code_is_taken() -> None:
    assert mistakes('[upstream.python]\ncommand = "x"\n') == [
        "upstream.python: `python` stands for compensations in code; choose another name"
    ]
