"""Whether a process lives is told by its name, also when its pid is used again."""

from __future__ import annotations

import subprocess
import sys

import pytest

from takeback.processes import LocalProcesses


def test_this_process_lives() -> None:
    processes = LocalProcesses()
    assert processes.me()
    assert not processes.is_gone(processes.me())
    assert LocalProcesses().me() == processes.me()


def test_a_process_that_was_killed_is_gone_before_and_after_it_is_reaped() -> None:
    processes = LocalProcesses()
    say = (
        "import sys; from takeback.processes import LocalProcesses as P; print(P().me(), flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen([sys.executable, "-c", say], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin, child.stdout:
        name = child.stdout.readline().strip()
        assert not processes.is_gone(name)
        child.kill()
        child.stdout.read()  # until its end of the pipe is closed, which is its end
        while not processes.is_gone(name):
            pass  # closed a moment before it is a zombie
        child.wait()
    assert processes.is_gone(name)


def test_a_pid_that_is_used_again_is_another_process() -> None:
    processes = LocalProcesses()
    place, pid, start = processes.me().rsplit("/", 2)
    assert processes.is_gone(f"{place}/{pid}/{int(start) - 1}")


@pytest.mark.parametrize("name", ["", "nonsense", "/", "a/b/c", "another-boot/pid:[1]/1/1"])
def test_what_runs_elsewhere_is_never_gone_for_sure(name: str) -> None:
    assert not LocalProcesses().is_gone(name)
