from __future__ import annotations

import pytest

from takeback.core.policy.load import load
from takeback.core.policy.mistakes import Mistake, PolicyMistakes, did_you_mean, listed, spelled
from tests.core.policy.policies import ENV, HEAD, mistakes, with_rule

SPAN = 'must be a duration such as "500ms", "30s", "5m", "24h" or "7d"'

SYNTAX: tuple[tuple[str | bytes, str], ...] = (
    ("[defaults]\ntenant = acme\n", "line 2, column 10: not TOML: invalid value"),
    ('[defaults]\ntenant = "acme"\ntenant = "b"\n', "line 3, column 13: not TOML: cannot overwrite a value"),
    ('[[rule]]\ntool = "desk.x\n', "line 2, column 15: not TOML: illegal character '\\n'"),
    ("[defaults", "end of the file: not TOML: expected ']' at the end of a table declaration"),
    (b"\xff\xfe[", "the file is not UTF-8 text; save it as UTF-8"),
    ("x = '\ud800'", "the file is not UTF-8 text; save it as UTF-8"),
    ("x = " + "9" * 5000, "not TOML: a number has too many digits"),
    ("x = " + "[" * 5000 + "]" * 5000, "tables and lists are nested more than 24 deep"),
    (".".join("a" * 3000) + " = 1", "tables and lists are nested more than 24 deep"),
)

TABLES = (
    (
        "nonsense = 1\n",
        (
            "nonsense: there is no such key; the keys here are `ledger`, `retention`, `defaults`, `upstream`, `plans`, "
            "`rule`"
        ),
    ),
    ('[default]\ntenant = "a"\n', "default: there is no such key; did you mean `defaults`?"),
    (
        '[retention]\nimages = "90d"\nruns = "30d"\n',
        "retention.images: may not outlast `runs`: what they belong to would be gone before them",
    ),
    ('[retention]\nimages = "23h"\n', "retention.images: is shorter than a day"),
    ('[retention]\nruns = "4000d"\n', "retention.runs: is longer than ten years"),
    ('[retention]\nrun = "30d"\n', "retention.run: there is no such key; did you mean `runs`?"),
    ("rule = 3\n", "rule: must be a list of rules; write [[rule]]"),
    ('[rule]\ntool = "desk.get"\n', "rule: must be a list of rules; write [[rule]]"),
    ("upstream = 3\n", "upstream: must be a table"),
    ("[upstream]\ndesk = 3\n", "upstream.desk: must be a table"),
    (
        '[upstream."a b"]\ncommand = "x"\n',
        'upstream."a b": a name begins with a letter, and goes on with at most 31 letters, digits, _ and -',
    ),
    (
        '[defaults]\nunknown_tools = "aks"\n',
        'defaults.unknown_tools: must be "deny", "ask" or "allow"; did you mean `ask`?',
    ),
    ('[defaults]\napproval = "someone"\n', 'defaults.approval: must be "low", "medium" or "high"'),
    ("[defaults]\napproval = 3\n", 'defaults.approval: must be "low", "medium" or "high"'),
    ('[defaults]\ntimeout = "5 parsecs"\n', f"defaults.timeout: {SPAN}"),
    ("[defaults]\ntimeout = 30\n", f"defaults.timeout: {SPAN}"),
    ('[defaults]\nannounce = "perhaps"\n', "defaults.announce: must be true or false"),
    ('[defaults]\ntenant = ""\n', "defaults.tenant: must have at least 1 characters"),
    ("[defaults]\ntenant = 7\n", "defaults.tenant: must be a string"),
    ("[defaults]\nretry = { attempts = 0 }\n", "defaults.retry.attempts: must be at least 1"),
    ("[defaults]\nretry = { attempts = 21 }\n", "defaults.retry.attempts: must be at most 20"),
    ("[defaults]\nretry = { attempts = 1.5 }\n", "defaults.retry.attempts: must be a whole number"),
    ("[defaults]\nretry = { atempts = 1 }\n", "defaults.retry.atempts: there is no such key; did you mean `attempts`?"),
    (
        "[defaults]\nretry = { times = 1 }\n",
        "defaults.retry.times: there is no such key; the keys here are `attempts`, `backoff`, `max`",
    ),
    ("[defaults]\nlimits = { same_call = inf }\n", "defaults.limits.same_call: must be a finite number"),
    (
        "[defaults]\nlimits = { same_call = 2026-01-01 }\n",
        "defaults.limits.same_call: no key takes a date or a time; write it as a string",
    ),
    (f'[defaults]\ntenant = "{"x" * 8001}"\n', "defaults.tenant: is longer than 8000 characters"),
    ('[upstream.a]\ncommand = "x"\nargs = "y"\n', "upstream.a.args: must be a list"),
    ('[upstream.a]\ncommand = "x"\nenv = { A = 1 }\n', "upstream.a.env.A: must be a string"),
    (
        '[upstream.a]\ncommand = "x"\ntransport = "sdtio"\n',
        'upstream.a.transport: must be "stdio", "http" or "sse"; did you mean `stdio`?',
    ),
)

CLASSES = '"read_only", "draft", "internal_update", "external_reversible", "external_irreversible" or "workflow"'
VARIABLES = "after, args, before, current, error, id, reason, restored, result, run, target, targets, tenant, user"
APPROVALS = 'must be "always", "never", "low", "medium" or "high", or an expression'

RULES = (
    ('effet = "set"', "rule[2].effet (desk.set): there is no such key; did you mean `effect`?"),
    ('wibble = "set"', "rule[2].wibble (desk.set): there is no such key; docs/policy.md lists the keys"),
    ('effect = "one"', 'rule[2].effect (desk.set): must be "set" or "once"; did you mean `once`?'),
    ('approval = "alwys"', f"rule[2].approval (desk.set): {APPROVALS}; did you mean `always`?"),
    ("approval = 3", f"rule[2].approval (desk.set): {APPROVALS}"),
    (
        'approval = "args.x >"',
        "rule[2].approval (desk.set): `args.x >` is not an expression: at character 9: it ends too early",
    ),
    ('when = "args["', "rule[2].when (desk.set): `args[` is not an expression: it ends too early"),
    ("when = true", "rule[2].when (desk.set): must be an expression, written as a string"),
    (
        'when = "arg.x == 1"',
        f"rule[2].when (desk.set): `arg.x == 1` names `arg`; there are {VARIABLES}; did you mean `args`?",
    ),
    ('when = "lowr(args.x)"', "rule[2].when (desk.set): `lowr(args.x)` calls lowr(), which does not exist"),
    ('target = { type = 3, id = "args.id" }', "rule[2].target.type (desk.set): must be a string"),
    ("target = 3", "rule[2].target (desk.set): must be a list"),
    (
        'target = { typ = "record", id = "args.id" }',
        "rule[2].target.typ (desk.set): there is no such key; did you mean `type`?",
    ),
    ('target = { type = "record" }', "rule[2].target.id (desk.set): is required and missing"),
    (
        'target = { type = "record", id = "args.id", canonical = "trm" }',
        (
            'rule[2].target.canonical (desk.set): must be "exact", "trim", "lower" or "path", or an '
            "expression; did you mean `trim`?"
        ),
    ),
    (
        'target = [{ type = "record", id = "args.id", name = "a" }, { type = "record", id = 3 }]',
        "rule[2].target[2].id (desk.set): must be an expression, written as a string",
    ),
    ('undo = "non"', 'rule[2].undo (desk.set): must be a call, a list of calls, or "none"; did you mean `none`?'),
    ("undo = 3", 'rule[2].undo (desk.set): must be a call, a list of calls, or "none"'),
    ("undo = {}", "rule[2].undo.tool (desk.set): is required and missing"),
    (
        'undo = { tool = "desk.set", arg = {} }',
        "rule[2].undo.arg (desk.set): there is no such key; did you mean `args`?",
    ),
    (
        'undo = { tol = "desk.set", args = {} }',
        "rule[2].undo.tol (desk.set): there is no such key; did you mean `tool`?",
    ),
    (
        'undo = { compensaton = "restore_file" }',
        "rule[2].undo.compensaton (desk.set): there is no such key; did you mean `compensation`?",
    ),
    (
        'undo = { compensation = "restore_file", optoins = {} }',
        "rule[2].undo.optoins (desk.set): there is no such key; did you mean `options`?",
    ),
    ('undo = [{ tool = "desk.set" }, { tool = 3 }]', "rule[2].undo[2].tool (desk.set): must be a string"),
    ('undo = [{ tool = "desk.set" }, 3]', "rule[2].undo[2] (desk.set): must be a table"),
    (
        'undo = { tool = "desk.set", args = { id = "args." } }',
        "rule[2].undo.args (desk.set): `args.` is not an expression: at character 6: unexpected '.'",
    ),
    ('probe = { tool = "desk.get" }', "rule[2].probe.found (desk.set): is required and missing"),
    ("undo_within = 3", f"rule[2].undo_within (desk.set): {SPAN}"),
    ('writes = "title"', "rule[2].writes (desk.set): must be a list"),
    ('by = { total = "+" }', "rule[2].by.total (desk.set): `+` is not an expression: it ends too early"),
)


@pytest.mark.parametrize(("text", "expected"), SYNTAX)
def test_a_file_that_is_not_toml_is_told_where(text: str | bytes, expected: str) -> None:
    assert mistakes(text) == [expected]


@pytest.mark.parametrize(("text", "expected"), TABLES)
def test_mistakes_in_tables(text: str, expected: str) -> None:
    assert mistakes(text) == [expected]


@pytest.mark.parametrize(("body", "expected"), RULES)
def test_mistakes_in_rules(body: str, expected: str) -> None:
    assert mistakes(with_rule(body)) == [expected]


def test_a_rules_class_is_spelled_as_in_the_file() -> None:
    assert mistakes(HEAD + '[[rule]]\ntool = "desk.x"\naction_class = "workflow"\n') == [
        "rule[2].action_class (desk.x): there is no such key; docs/policy.md lists the keys",
        "rule[2].class (desk.x): is required and missing",
    ]
    assert mistakes(HEAD + '[[rule]]\ntool = "desk.x"\nclass = "inernal_update"\n') == [
        f"rule[2].class (desk.x): must be {CLASSES}; did you mean `internal_update`?"
    ]


def test_mistakes_of_every_kind_are_told_together_in_the_order_of_the_file() -> None:
    text = """
    [ledger]
    url = "${LEDGER}"
    [defaults]
    unknown_tools = "aks"
    pause = "lwo"
    join_within = "99999999999999d"
    [upstream.desk]
    command = "desk"
    url = "https://desk.example/mcp"
    [[rule]]
    tool = "dsk.get"
    class = "read_only"
    effect = "set"
    [[rule]]
    tool = "desk.set"
    class = "internal_update"
    require = "before.tenant == tenant"
    redact = "ssn"
    [[rule]]
    tool = "desk.send"
    class = "external_irreversible"
    undo = { tool = "desk.unsend" }
    when = "${TOKEN}"
    [[rule]]
    tool = "desk.add"
    class = "internal_update"
    verify = "after.total == before.total"
    confirm = "person"
    """
    assert mistakes(text) == [
        "ledger.url: the environment variable LEDGER is not set; set it, or write `${LEDGER:-default}`",
        'defaults.unknown_tools: must be "deny", "ask" or "allow"; did you mean `ask`?',
        'defaults.pause: must be "low", "medium", "high" or "never"; did you mean `low`?',
        "defaults.join_within: is longer than ten years",
        (
            "upstream.desk: has both `command` and `url`; "
            "give it one of them: a command to start, the address of an MCP server that runs, "
            "or the document of an HTTP API"
        ),
        "rule[1].tool (dsk.get): there is no upstream `dsk`; did you mean `desk`?",
        (
            "rule[1].effect (dsk.get): has no meaning for a tool that only reads; "
            "take it out, or give the rule another class"
        ),
        "rule[2].redact (desk.set): must be a list",
        "rule[3].when (desk.send): `${...}` stands for the environment only in [upstream.*] and [ledger]",
        (
            "rule[4].verify (desk.add): `after.total == before.total` names `after`, and nothing is read; "
            "give the rule a `read`"
        ),
        (
            "rule[4].verify (desk.add): `after.total == before.total` names `before`, and nothing is read; "
            "give the rule a `read`"
        ),
        (
            "rule[4].confirm (desk.add): is not in this version yet: ask a person to confirm what a call came to; "
            "take it out for now"
        ),
    ]


def test_tools_are_looked_at_in_rules_that_are_broken_otherwise() -> None:
    assert mistakes(with_rule('effet = "set"\nundo = { tool = "dsk.set" }\nread = { tool = "desk.g*" }')) == [
        "rule[2].effet (desk.set): there is no such key; did you mean `effect`?",
        "rule[2].undo.tool (desk.set): there is no upstream `dsk`; did you mean `desk`?",
        "rule[2].read.tool (desk.set): must be one tool; patterns match only in a rule's own `tool`",
    ]


def test_the_mistakes_are_data_too() -> None:
    with pytest.raises(PolicyMistakes) as caught:
        load(with_rule('effet = "set"'), env=ENV, source="mine.toml")
    assert caught.value.source == "mine.toml"
    assert caught.value.mistakes == (
        Mistake(("rule", 1, "effet"), "there is no such key", "did you mean `effect`?", "desk.set"),
    )
    assert caught.value.mistakes[0].path == "rule[2].effet"


def test_control_characters_of_the_file_do_not_reach_the_terminal() -> None:
    rule = '[[rule]]\ntool = "desk.\\u001b31m"\nclass = "workflow"\n"\\u001b" = 1\nwhen = "args\\n.\\u001b"\n'
    assert mistakes(HEAD + rule) == [
        'rule[2]."?" (desk.?31m): there is no such key; docs/policy.md lists the keys',
        "rule[2].when (desk.?31m): `args .?` is not an expression: unexpected '.'",
    ]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ((), ""),
        (("defaults", "retry", "max"), "defaults.retry.max"),
        (("rule", 2, "undo", 0, "tool"), "rule[3].undo[1].tool"),
        (("upstream", "a b", "env"), 'upstream."a b".env'),
    ],
)
def test_key_paths_are_spelled_as_in_the_file(keys: tuple[str | int, ...], expected: str) -> None:
    assert spelled(keys) == expected


def test_words() -> None:
    assert listed(["a"]) == '"a"'
    assert listed(["a", "b", "c"]) == '"a", "b" or "c"'
    assert did_you_mean("efect", ["effect", "does"]) == "did you mean `effect`?"
    assert did_you_mean("wibble", ["effect", "does"]) == ""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('lists = { tags = "sets" }', 'rule[2].lists.tags (desk.set): must be "set" or "lines"'),
        (
            'lists = { tags = { kee = "x" } }',
            "rule[2].lists.tags.kee (desk.set): there is no such key",
        ),
        ('condition = "x"', 'rule[2].condition (desk.set): must be "none"'),
        ("condition = 7", 'rule[2].condition (desk.set): must be "none"'),
    ],
)
def test_a_word_or_a_table(body: str, expected: str) -> None:
    assert mistakes(with_rule(body))[0].startswith(expected), mistakes(with_rule(body))


def test_a_key_that_looks_like_the_schemas_own_word_is_one_that_is_not_there() -> None:
    assert mistakes('"[key]" = []\n')[0].startswith('"[key]": there is no such key')
