"""What every test may use: one hypothesis profile, a warehouse in memory, and flows written as text.

At the end of a run it lists what was left out.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings

from headrace.loaders.warehouse import Warehouse
from tests.left_out import lines

SLOW_TIMEOUT = 1800
"""Seconds that a slow test may take."""

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

MakeFlow = Callable[[str, str], ModuleType]
"""Makes a module of a name and its source; what every flow imports is there already."""

_FLOW_HEADER = """
from __future__ import annotations
import dataclasses, datetime, typing
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, TypedDict
import ibis
import ibis.expr.types as ir
from hamilton.htypes import Collect, Parallelizable
from headrace import Checkpoint, Record, Rekey, resource
"""


_SLOW_LEFT_OUT = pytest.StashKey[int]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Give SIGINT its usual effect, which the tests and the processes they start rely on.

    A shell that starts a command in the background makes it ignore SIGINT, and children inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the slow tests more time than `timeout` in pyproject.toml."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT))


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Count the slow tests that this process leaves out."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        stash = slow[0].config.stash
        stash[_SLOW_LEFT_OUT] = stash.get(_SLOW_LEFT_OUT, 0) + len(slow)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the count from a worker of pytest-xdist to the process that reports."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["slow_left_out"] = session.config.stash.get(_SLOW_LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Receive the count; every worker collects all tests, so each sends the same one."""
    output = getattr(node, "workeroutput", None) or {}  # a worker that crashed sends nothing
    if "slow_left_out" in output:
        node.config.stash[_SLOW_LEFT_OUT] = output["slow_left_out"]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """List what was left out; the slow tests and other Pythons where `make test` asked to leave them out."""
    reasons = [report.longrepr[2] for report in terminalreporter.stats.get("skipped", [])]
    quick = config.getoption("markexpr") == "not slow"
    if reasons or quick:
        terminalreporter.section("left out")
        for line in lines(config.stash.get(_SLOW_LEFT_OUT, 0) if quick else None, reasons):
            terminalreporter.write_line(line)


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    """A database in memory."""
    with Warehouse() as opened:
        yield opened


@pytest.fixture
def make_flow(tmp_path: Path) -> Iterator[MakeFlow]:
    """Writes flows as files and imports them as `headrace run flow.py` does."""
    from headrace.dataflows.flows import find_flow  # here: it imports hamilton, and loaders need not

    made: list[str] = []

    def make(name: str, source: str) -> ModuleType:
        path = tmp_path / f"{name}.py"
        path.write_text(_FLOW_HEADER + dedent(source), encoding="utf-8")
        made.append(name)
        (module,) = find_flow(str(path))
        return module

    yield make
    for name in made:
        sys.modules.pop(name, None)
