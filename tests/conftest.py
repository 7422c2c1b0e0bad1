"""Options and fixtures of the whole suite."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from .postgresql import postgresql

__all__ = ["postgresql"]

# How long an example takes says how busy the machine is, and nothing else.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

_SKIPPED: Final = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a test that is skipped fails the run")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SKIPPED] = []
    if config.getoption("--no-skips"):
        config.pluginmanager.register(NoSkips(config), "no-skips")


class NoSkips:
    """Notes what was skipped, whether a test or a whole module, and lets the run fail for it."""

    def __init__(self, config: pytest.Config) -> None:
        self._skipped = config.stash[_SKIPPED]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._skipped.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._skipped and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._skipped:
            terminalreporter.section("skipped, which --no-skips forbids", red=True, bold=True)
            for name in self._skipped:
                terminalreporter.write_line(name)
