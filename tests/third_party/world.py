"""What is really there, looked at past guard and server: a tree's hash, the lines of a file, git's own words, SQL."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Tree:
    """A directory with files. `state` is a hash of every name, kind, permission and content below it."""

    root: Path

    @classmethod
    def seeded(cls, root: Path) -> Tree:
        (root / "notes").mkdir(parents=True)
        (root / "notes" / "todo.txt").write_bytes("eins\r\nzwei, dreißig\r\n".encode())
        (root / "notes" / "empty.txt").write_bytes(b"")
        (root / "run.sh").write_text("#!/bin/sh\n")
        (root / "run.sh").chmod(0o750)
        (root / "picture.png").write_bytes(bytes(range(256)))
        return cls(root)

    @property
    def state(self) -> str:
        found = hashlib.sha256()
        for path in sorted(self.root.rglob("*")):
            name, seen = path.relative_to(self.root), path.lstat()
            content = (
                str(path.readlink()).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
            )
            found.update(f"{name}\0{seen.st_mode:o}\0{len(content)}\0".encode() + content)
        return found.hexdigest()

    def __truediv__(self, name: str) -> Path:
        return self.root / name

    def path(self, name: str) -> str:
        return str(self.root / name)


@dataclass(frozen=True, slots=True)
class Graph:
    """The memory server's file, line by line, as it lies there."""

    file: Path

    @classmethod
    def seeded(cls, file: Path) -> Graph:
        entities = [
            entity("Ada", "mathematician", "wrote notes", "liked horses", "met Babbage"),
            entity("Babbage", "engineer"),
        ]
        graph = cls(file)
        graph.write([*entities, relation("Ada", "knows", "Babbage")])
        return graph

    def write(self, lines: list[dict[str, Any]]) -> None:
        """Written by somebody else than guard and server, the way the server writes it."""
        self.file.write_text("\n".join(json.dumps(line, separators=(",", ":")) for line in lines))

    @property
    def bytes(self) -> bytes:
        return self.file.read_bytes()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    @property
    def state(self) -> list[str]:
        """Without order, which has no meaning to the server."""
        plain = (
            {**line, **({"observations": sorted(line["observations"])} if "observations" in line else {})}
            for line in self.lines
        )
        return sorted(json.dumps(line, sort_keys=True) for line in plain)

    def names(self) -> list[str]:
        return [line["name"] for line in self.lines if line["type"] == "entity"]


def entity(name: str, kind: str, *observations: str) -> dict[str, Any]:
    return {"type": "entity", "name": name, "entityType": kind, "observations": list(observations)}


def relation(one: str, kind: str, other: str) -> dict[str, Any]:
    return {"type": "relation", "from": one, "to": other, "relationType": kind}


@dataclass(frozen=True, slots=True)
class Repo:
    """A git repository, asked through git. `state` is what an undo must bring back: HEAD, refs, index and files."""

    root: Path

    @classmethod
    def seeded(cls, root: Path) -> Repo:
        root.mkdir()
        repo = cls(root)
        repo.git("init", "--quiet", "--initial-branch=main")
        repo.git("config", "user.name", "Tester")
        repo.git("config", "user.email", "tester@example.org")
        (root / "a.txt").write_text("one\n")
        (root / "b.txt").write_text("eins\n")
        repo.commit("first")
        return repo

    def git(self, *command: str) -> str:
        env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(["git", *command], cwd=self.root, env=env, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        """A commit of everything, made by somebody else."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    @property
    def state(self) -> dict[str, Any]:
        return {
            "head": (self.root / ".git" / "HEAD").read_text(),
            "refs": self.git("for-each-ref", "--format=%(refname) %(objectname)"),
            "index": self.git("ls-files", "--stage"),
            "status": self.git("status", "--porcelain=v2", "--branch", "--untracked-files=all"),
            "config": (self.root / ".git" / "config").read_text(),
            "files": {path.name: path.read_bytes() for path in self.root.iterdir() if path.is_file()},
        }

    @property
    def commits(self) -> int:
        return int(self.git("rev-list", "--all", "--count"))

    def __truediv__(self, name: str) -> Path:
        return self.root / name


@dataclass(frozen=True, slots=True)
class Tasks:
    """A table of tasks in a database, asked by SQL. `state` is all that the database holds, its schema included."""

    file: Path
    one: int
    """The id of the first of two tasks, which no earlier test used; ids after the second are free."""

    _ids: ClassVar = itertools.count(10, 10)

    @classmethod
    def seeded(cls, file: Path) -> Tasks:
        file.unlink(missing_ok=True)
        tasks = cls(file, next(cls._ids))
        tasks.sql("CREATE TABLE tasks (id INTEGER PRIMARY KEY, title TEXT NOT NULL, status TEXT NOT NULL)")
        tasks.sql(f"INSERT INTO tasks VALUES ({tasks.one}, 'Ada''s \"notes\", größer', 'open')")
        tasks.sql(f"INSERT INTO tasks VALUES ({tasks.two}, 'pay', 'done')")
        return tasks

    @property
    def two(self) -> int:
        return self.one + 1

    def known(self, statement: str) -> str:
        """One of the statements that the example's policy knows, about a task of this test."""
        return {
            "close": f"UPDATE tasks SET status = 'closed' WHERE id = {self.one}",
            "rename": f"UPDATE tasks SET title = 'new; DROP TABLE tasks --' WHERE id = {self.one}",
            "add": f"INSERT INTO tasks (id, title, status) VALUES ({self.two + 1}, 'write, (again)', 'open')",
            "delete": f"DELETE FROM tasks WHERE id = {self.one}",
        }[statement]

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Carried out by somebody else than guard and server."""
        with closing(sqlite3.connect(self.file)) as connection, connection:
            return connection.execute(statement).fetchall()

    @property
    def state(self) -> list[str]:
        with closing(sqlite3.connect(self.file)) as connection:
            return list(connection.iterdump())


@dataclass(frozen=True, slots=True)
class Workbook:
    """A workbook, opened by openpyxl in another process."""

    file: Path
    python: Path

    @classmethod
    def seeded(cls, file: Path, python: Path) -> Workbook:
        book = cls(file, python)
        book.ask()
        return book

    def ask(self, *write: str) -> dict[str, Any]:
        """What it holds, after somebody else than guard and server wrote a cell (sheet, cell, value)."""
        program = Path(__file__).with_name("workbook.py")
        done = subprocess.run([self.python, program, self.file, *write], check=True, capture_output=True, text=True)
        return dict(json.loads(done.stdout))

    @property
    def state(self) -> dict[str, Any]:
        return self.ask()
