"""What the contracts between packages cannot say: checked in the source itself.

Each check is a function from a text to what is wrong with it, and each is shown a bad sample first: a check that cannot
fail says nothing.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from takeback.core.states import diagram

ROOT: Final = Path(__file__).parent.parent
PACKAGES: Final = ("server", "tools", "compensations")
MOST_LINES: Final = 400
PRINTING: Final = ("server/takeback/cli/", "server/takeback/play/")

Problems = list[str]


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# --- the checks ---


def without_program(tree: ast.Module) -> ast.Module:
    """A module without what it does when it is run as a program."""
    kept = [node for node in tree.body if not (isinstance(node, ast.If) and "__main__" in ast.unparse(node.test))]
    return ast.Module(kept, tree.type_ignores)


def awaiting(text: str) -> Problems:
    """The core decides and never waits."""
    kinds = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
    return [
        f"line {node.lineno}: {type(node).__name__}" for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)
    ]


_CLOCKS: Final = re.compile(r"(^|\.)(datetime|date)\.(now|utcnow|today)$|^time\.")
_CHANCE: Final = re.compile(r"(^|\.)uuid[1-8]$|^(random|secrets)\.|(^|\.)urandom$")
_OUTSIDE: Final = re.compile(r"^(open|input|print|exec|eval|__import__)$|^(os|sys|socket|subprocess)\.")


def impure(text: str) -> Problems:
    """Time, identifiers and everything read from the world are arguments of the core."""
    calls = [node for node in ast.walk(without_program(ast.parse(text))) if isinstance(node, ast.Call)]
    found = [(node.lineno, ast.unparse(node.func)) for node in calls]
    return [
        f"line {line}: {call}()" for line, call in found if any(p.search(call) for p in (_CLOCKS, _CHANCE, _OUTSIDE))
    ]


def printing(text: str) -> Problems:
    """Only the command line and the player speak to a terminal; on stdio, a print would break the protocol."""
    calls = [node for node in ast.walk(without_program(ast.parse(text))) if isinstance(node, ast.Call)]
    return [
        f"line {node.lineno}: print()" for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


def swallowing(text: str) -> Problems:
    """No exception is caught without a name, or caught in general and dropped."""
    handlers = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ExceptHandler)]
    return [f"line {node.lineno}: {said}" for node in handlers if (said := _swallowed(node))]


def _swallowed(node: ast.ExceptHandler) -> str | None:
    if node.type is None:
        return "except without a type"
    caught = ast.unparse(node.type)
    drops = all(isinstance(step, ast.Pass | ast.Continue) or _is_ellipsis(step) for step in node.body)
    return f"except {caught} drops it" if drops and caught in {"Exception", "BaseException"} else None


def _is_ellipsis(step: ast.stmt) -> bool:
    return isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant) and step.value.value is ...


def too_long(text: str, most: int = MOST_LINES) -> Problems:
    """A file is a room that one can keep in mind."""
    lines = len(text.splitlines())
    return [f"{lines} lines; at most {most}"] if lines > most else []


_REGISTRIES: Final = re.compile(
    r"pypi\.org|pythonhosted\.org|registry\.npmjs\.|npmjs\.com|proxy\.golang\.org|--(?:extra-)?index-url|--find[-]links",
    re.IGNORECASE,
)
_MACHINES: Final = re.compile(
    r"(?<![\w.~$}/-])(?:/home/|/Users/|/root/|/work/|/mnt/|/private/|/var/folders/)\w|\b[A-Z]:\\Users\\"
)


def tied_to_a_place(text: str) -> Problems:
    """The repository names no package registry and no place on anybody's machine."""
    return [
        f"line {number}: {match[0]}"
        for number, line in enumerate(text.splitlines(), 1)
        for match in (_REGISTRIES.search(line), _MACHINES.search(line))
        if match
    ]


def not_as_drawn(page: str) -> Problems:
    """The page on states shows the table."""
    marker, _, drawn = page.partition("<!-- drawn")[2].partition("\n")
    if not marker:
        return ["the marker is gone"]
    return [] if drawn == diagram() else ["it does not show the table; run `make states`"]


_LINK: Final = re.compile(r"\]\((?!\w+:|#)([^)\s#]+)[^)]*\)")


def dead_links(text: str, folder: Path = ROOT) -> Problems:
    """A link from one page to another file of the project leads there."""
    return [f"no {link}" for link in _LINK.findall(text) if not (folder / link).exists()]


# --- what they are shown: each must find something in the bad sample and nothing in the good one ---

SAMPLES: Final[list[tuple[Callable[[str], Problems], str, str]]] = [
    (awaiting, "async def f():\n    pass", "def f():\n    pass"),
    (awaiting, "async def f():\n    await g()", "def f():\n    return g()"),
    (impure, "from datetime import datetime\nnow = datetime.now()", "def f(now):\n    return now"),
    (
        impure,
        "import datetime\nnow = datetime.datetime.now(datetime.UTC)",
        "from datetime import timedelta\ntimedelta(1)",
    ),
    (impure, "import time\nt = time.time()", "def f(time):\n    return time"),
    (impure, "import uuid\nx = uuid.uuid4()", "def f(uuid4):\n    return uuid4"),
    (impure, "from uuid import uuid4\nx = uuid4()", "uuid = 4"),
    (impure, "import random\nx = random.random()", "def f(jitter):\n    return jitter * 2"),
    (impure, "text = open('x').read()", "opened = reopen('x')"),
    (printing, "def f():\n    print(1)", "def f(out):\n    out.print(1)"),
    (printing, "print(1)", "if __name__ == '__main__':\n    print(1)"),
    (swallowing, "try:\n    f()\nexcept:\n    g()", "try:\n    f()\nexcept OSError:\n    pass"),
    (swallowing, "try:\n    f()\nexcept Exception:\n    pass", "try:\n    f()\nexcept Exception as e:\n    g(e)"),
    (swallowing, "try:\n    f()\nexcept BaseException:\n    ...", "try:\n    f()\nexcept BaseException:\n    raise"),
    (too_long, "x = 1\n" * (MOST_LINES + 1), "x = 1\n" * MOST_LINES),
    (tied_to_a_place, "see " + "https://" + "pypi" + ".org/simple", "see the package index"),
    (tied_to_a_place, "pip install --index" + "-url x", "pip install x"),
    (tied_to_a_place, "in " + "/home/" + "ada/x", "in ./home/ada/x and ~/work/x"),
    (tied_to_a_place, "in " + "/root/" + "x", "in $HOME/root/x"),
    (dead_links, "[a](docs/nowhere.md)", "[a](docs/states.md#top) and [b](https://example.com) and [c](#here)"),
    (not_as_drawn, "<!-- drawn -->\nsomething else", f"Words.\n<!-- drawn -->\n{diagram()}"),
]


@pytest.mark.parametrize(("check", "bad", "good"), SAMPLES)
def test_a_check_finds_what_is_wrong_and_nothing_else(check: Callable[[str], Problems], bad: str, good: str) -> None:
    assert check(bad)
    assert not check(good)


# --- and this project ---


def found(paths: list[Path], check: Callable[[str], Problems]) -> Problems:
    assert paths
    return [f"{name(path)}, {problem}" for path in paths for problem in check(path.read_text(encoding="utf-8"))]


def test_the_core_never_waits() -> None:
    assert found(sources("server/takeback/core"), awaiting) == []


def test_the_core_is_handed_time_ids_and_the_world() -> None:
    assert found(sources("server/takeback/core"), impure) == []


def test_only_the_command_line_prints() -> None:
    quiet = [path for path in sources(*PACKAGES) if not name(path).startswith(PRINTING)]
    assert found(quiet, printing) == []


def test_no_exception_is_swallowed() -> None:
    assert found(sources(*PACKAGES, "examples"), swallowing) == []


def test_files_are_short() -> None:
    problems = [
        f"{name(path)}, {problem}"
        for path in sources(*PACKAGES)
        for problem in too_long(path.read_text(encoding="utf-8"), MOST_LINES)
    ]
    assert problems == []


def test_the_page_on_states_is_drawn_from_the_table() -> None:
    assert not_as_drawn((ROOT / "docs/states.md").read_text(encoding="utf-8")) == []


def test_links_between_pages_lead_somewhere() -> None:
    pages = [path for path, _ in files_of_the_project() if path.suffix == ".md"]
    assert pages
    problems = {name(path): dead_links(path.read_text(encoding="utf-8"), path.parent) for path in pages}
    assert {page: dead for page, dead in problems.items() if dead} == {}


LEFT_OUT: Final = {".git", ".venv", ".hypothesis", "__pycache__", "node_modules", "dist", "build"}


def files_of_the_project() -> Iterator[tuple[Path, str]]:
    """Every text file that is part of the project (where there is no git, every file that is not left out)."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    names = listed.stdout.splitlines() if listed.returncode == 0 else [name(p) for p in ROOT.rglob("*") if p.is_file()]
    for each in sorted(names):
        parts = Path(each).parts
        if (
            LEFT_OUT.isdisjoint(parts)
            and not any(part.endswith("_cache") for part in parts)
            and (ROOT / each).is_file()
        ):
            try:
                yield ROOT / each, (ROOT / each).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


RECORDED: Final = ROOT / "tests/inventory/corpus"
"""What other people's servers say, example paths included."""


def test_nothing_is_tied_to_a_place() -> None:
    files = {path: text for path, text in files_of_the_project() if RECORDED not in path.parents}
    assert ROOT / "pyproject.toml" in files
    assert [f"{name(path)}, {problem}" for path, text in files.items() for problem in tied_to_a_place(text)] == []


# --- and the suite itself ---

SKIPPING: Final = "import pytest\ndef test_it():\n    pytest.skip('no')\n"
SKIPPED_WHOLE: Final = "import pytest\npytest.importorskip('no_such_module_anywhere')\ndef test_it(): pass\n"


@pytest.mark.parametrize(
    ("text", "option", "passes"),
    [
        (SKIPPING, "--no-skips", False),
        (SKIPPED_WHOLE, "--no-skips", False),
        (SKIPPING, "-q", True),
        ("def test_it(): pass\n", "--no-skips", True),
    ],
)
def test_a_skipped_test_fails_the_run_that_forbids_it(tmp_path: Path, text: str, option: str, passes: bool) -> None:
    (tmp_path / "test_sample.py").write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", option, str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode == 0) is passes, ran.stdout + ran.stderr
