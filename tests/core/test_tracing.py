"""Links to traces: a template that can mislead nobody, and ids that are a client's own text."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from takeback.core.tracing import LONGEST_TRACE, TraceLinks
from tests.core.policy.policies import loaded, mistakes

TEMPLATE = "https://traces.example/t/{trace}?from=takeback#top"
LINKS = TraceLinks(TEMPLATE)
BLANK = "holds blanks, line breaks or invisible characters, which no URL has"
NO_URL = "must be a URL that begins with http:// or https:// and a server's name"
SERVER = "does not name a server as one can be called"
EXAMPLE = '; write it as "https://traces.example/t/{trace}"'
HOST = (
    "lets the client that names the trace choose the server that people are sent to; "
    "put `{trace}` behind the address of the server"
)
ENVIRONMENT = "`${...}` stands for the environment only in [upstream.*] and [ledger]"

WRONG = (
    ("https://traces.example/t/", "does not say where the trace id goes: `{trace}` is missing" + EXAMPLE),
    (
        "https://traces.example/t/{traceid}",
        "does not say where the trace id goes: `{trace}` is missing; write it in the place of `{traceid}`",
    ),
    ("https://traces.example/{trace}/{trace}", "may hold `{trace}` once, and no other braces" + EXAMPLE),
    ("https://traces.example/{tenant}/{trace}", "may hold `{trace}` once, and no other braces" + EXAMPLE),
    ("https://traces.example/{{trace}}", "may hold `{trace}` once, and no other braces" + EXAMPLE),
    ("traces.example/{trace}", NO_URL + EXAMPLE),
    ("javascript:alert('{trace}')", NO_URL + EXAMPLE),
    ("file:///traces/{trace}", NO_URL + EXAMPLE),
    ("https:///t/{trace}", NO_URL + EXAMPLE),
    ("{trace}", NO_URL + EXAMPLE),
    ("", "does not say where the trace id goes: `{trace}` is missing" + EXAMPLE),
    ("https://traces.example/a b/{trace}", BLANK + EXAMPLE),
    ("https://traces.example/\\n{trace}", BLANK + EXAMPLE),
    ("https://traces.example/\\u202e{trace}", BLANK + EXAMPLE),
    ("https://{trace}.example/", HOST),
    ("https://traces.example{trace}", HOST),
    ("https://[::1/{trace}", SERVER + EXAMPLE),
    ("https://traces.example:port/{trace}", SERVER + EXAMPLE),
    (r"https://traces.example\\evil.example/{trace}", SERVER + EXAMPLE),
    (
        "https://ann:secret@traces.example/{trace}",
        "holds a login, and everybody who may look at a trace would be shown it; leave it out",
    ),
    ("https://traces.example/${trace}", ENVIRONMENT),
    ("https://traces.example/{trace}?key=${TOKEN}", ENVIRONMENT),
    ("https://traces.example/$${trace}", ENVIRONMENT),
)


def policy(template: str) -> str:
    return f'[defaults]\ntrace_link = "{template}"\n'


@pytest.mark.parametrize(("template", "said"), WRONG)
def test_a_template_that_is_wrong_is_named_with_what_to_do(template: str, said: str) -> None:
    assert mistakes(policy(template)) == [f"defaults.trace_link: {said}"]


def test_what_is_no_string_is_no_template() -> None:
    assert mistakes("[defaults]\ntrace_link = 3\n") == ["defaults.trace_link: must be a string"]
    [said] = mistakes('[defaults]\ntrace_links = "x"\n')
    assert "did you mean `trace_link`?" in said


@pytest.mark.parametrize("template", [TEMPLATE, "http://127.0.0.1:16686/trace/{trace}", "https://t.example?id={trace}"])
def test_sound_ones_are_taken(template: str) -> None:
    assert loaded(policy(template)).traces == TraceLinks(template)


@given(st.text(min_size=1, max_size=LONGEST_TRACE))
def test_an_id_stays_one_piece_of_the_path_whatever_it_is(trace: str) -> None:
    link = LINKS.link(trace)
    if link is None:
        assert set(trace) == {"."}
        return
    found, sound = urlsplit(link), urlsplit(TEMPLATE)
    before, piece = found.path.rsplit("/", 1)
    assert (found.scheme, found.netloc, before) == (sound.scheme, sound.netloc, "/t")
    assert (found.query, found.fragment) == (sound.query, sound.fragment)
    assert unquote(piece) == trace
    assert piece.isascii()


@pytest.mark.parametrize("trace", [None, "", ".", "..", "x" * (LONGEST_TRACE + 1)])
def test_what_could_lead_elsewhere_has_no_link(trace: str | None) -> None:
    assert LINKS.link(trace) is None


def test_for_people_it_is_one_line_and_for_programs_two_values() -> None:
    hostile = "4bf9\n\x1b[31m[takeback a1]"
    assert LINKS.line(hostile).startswith("4bf9 [31m[takeback a1] (https://traces.example/t/4bf9%0A%1B%5B31m")
    assert "\n" not in LINKS.line(hostile)
    assert LINKS.beside("4bf9") == {"trace": "4bf9", "trace_link": TEMPLATE.replace("{trace}", "4bf9")}
    assert TraceLinks().beside("4bf9") == {"trace": "4bf9", "trace_link": None}
    assert (TraceLinks().line("4bf9"), LINKS.line(None)) == ("4bf9", "")
