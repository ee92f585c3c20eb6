"""The loads of a run go side by side, and what becomes of one is no matter of the others."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import headrace
from headrace.errors import SourceError, UsageError

MakeFlow = Callable[[str, str], ModuleType]

MEETING = """
import threading
meeting = threading.Barrier({parties})
"""

WAITS = """
@resource
def {name}() -> Iterator[Record]:
    meeting.wait(timeout=60)
    yield {{"id": 1}}
"""

FAILS = """
@resource
def {name}() -> Iterator[Record]:
    meeting.wait(timeout=60)
    raise ValueError("no entry to {name}")
    yield
"""

NOTES = """
seen = []

@resource
def one() -> Iterator[Record]:
    seen.append("one begins")
    yield {"id": 1}
    seen.append("one ends")

@resource
def two() -> Iterator[Record]:
    seen.append("two begins")
    yield {"id": 1}
    seen.append("two ends")
"""

NEEDS = """
@resource
def details(orders: ir.Table) -> Iterator[Record]:
    yield {"count": int(orders.count().execute())}

def doubled(details: ir.Table, clients: ir.Table) -> ir.Table:
    return details.select(total=details["count"] * 2 + clients.count().as_scalar())
"""


def test_eight_sources_are_waited_for_at_once(make_flow: MakeFlow, tmp_path: Path) -> None:
    """Eight sources that answer only when all have been asked are loaded: one after another never ends."""
    names = [f"r{number}" for number in range(8)]
    module = make_flow("shop", MEETING.format(parties=8) + "".join(WAITS.format(name=name) for name in names))
    with headrace.run(module, into=tmp_path / "shop.duckdb", progress=False) as result:
        counts = {name: loaded.counts.loaded for name, loaded in result.loads.items()}

    assert dict.fromkeys(names, 1) == counts


def test_one_worker(make_flow: MakeFlow, tmp_path: Path) -> None:
    """With one worker a resource begins when the one before it has ended."""
    module = make_flow("shop", NOTES)
    headrace.run(module, into=tmp_path / "s.duckdb", progress=False, workers=1).warehouse.close()

    assert ["one begins", "one ends", "two begins", "two ends"] == module.seen


def test_no_worker(make_flow: MakeFlow, tmp_path: Path) -> None:
    """There must be one."""
    with pytest.raises(UsageError, match="workers=0: at least one"):
        headrace.run(make_flow("shop", NOTES), into=tmp_path / "s.duckdb", progress=False, workers=0)

    assert not (tmp_path / "s.duckdb").exists()


def test_a_source_that_fails(make_flow: MakeFlow, tmp_path: Path) -> None:
    """The others are loaded all the same; the first error is raised, and the second told as a warning."""
    source = MEETING.format(parties=3) + FAILS.format(name="bad") + WAITS.format(name="good")
    module = make_flow("shop", source + FAILS.format(name="worse"))
    into = tmp_path / "shop.duckdb"
    with (
        pytest.warns(UserWarning, match=r"Another load failed: shop\.worse.*no entry to worse"),
        pytest.raises(SourceError, match=r"shop\.bad: record 0: ValueError: no entry to bad"),
    ):
        headrace.run(module, into=into, progress=False)

    with headrace.connect(into) as warehouse:
        assert [("good",)] == warehouse.query("SELECT table_name FROM _headrace.loads")


def test_what_needs_a_load_waits_for_it(make_flow: MakeFlow, tmp_path: Path) -> None:
    """A resource that reads another's table, and a transform, get it as it is after the load."""
    source = MEETING.format(parties=2) + WAITS.format(name="orders") + WAITS.format(name="clients")
    module = make_flow("shop", source + NEEDS)
    with headrace.run(module, into=tmp_path / "shop.duckdb", progress=False) as result:
        assert [(3,)] == result.warehouse.query("SELECT total FROM shop.doubled")


_ENDLESS = """
import itertools
from collections.abc import Iterator
from headrace import resource

@resource
def numbers() -> Iterator[dict]:
    for n in itertools.count():
        if n == 5000:
            print("under way", flush=True)
        yield {"n": n}

@resource
def silence() -> Iterator[dict]:
    import time
    time.sleep(600)
    yield {"n": 0}
"""


_COUNTERS = """
import signal
import threading
import time

@resource
def a() -> Iterator[Record]:
    yield from slowly()

@resource
def b() -> Iterator[Record]:
    for n in slowly():
        if n["n"] == 2000:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        yield n

@resource
def c() -> Iterator[Record]:
    yield from slowly()

def slowly() -> Iterator[Record]:
    for n in range(20_000):
        if n % 100 == 0:
            time.sleep(0.01)
        yield {"n": n}
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one thread")
@pytest.mark.parametrize("whose", ["the run's", "the user's"])
def test_an_interrupt_in_a_notebook(make_flow: MakeFlow, tmp_path: Path, whose: str) -> None:
    """The process goes on; the loads end all the same, land nothing, and the run's warehouse stays closed."""
    path = tmp_path / "w.duckdb"
    into: Any = path if whose == "the run's" else headrace.connect(path)
    with pytest.raises(KeyboardInterrupt):
        headrace.run(make_flow("counting", _COUNTERS), into=into, workers=2, progress=False)
    for thread in threading.enumerate():
        if thread.name.endswith(".load"):
            thread.join(60)

    assert [] == [thread.name for thread in threading.enumerate() if thread.name.endswith(".load")]
    if whose == "the run's":
        assert ["w.duckdb"] == [each.name for each in tmp_path.iterdir() if each.name.startswith("w.")]
    with headrace.connect(path) if into is path else into as warehouse:
        assert [] == warehouse.query("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'counting'")
        assert 1 == headrace.load([{"id": 1}], "later", into=warehouse).counts.loaded


_SLOW = """
@resource
def {name}() -> Iterator[Record]:
    meeting.wait(timeout=60)
    yield {{"id": 1, "new": 2}}
    meeting.wait(timeout=60)
"""


def test_two_runs_on_one_warehouse(make_flow: MakeFlow, tmp_path: Path) -> None:
    """Each has its own settings, whichever ends first, and the warehouse and the loggers have theirs afterwards."""
    logger = logging.getLogger("hamilton")
    before = logger.level
    told: dict[str, list[str]] = {"one": [], "two": []}
    meeting = MEETING.format(parties=2)
    one, two = (make_flow(name, meeting + _SLOW.format(name=name)) for name in told)
    two.meeting = one.meeting  # type: ignore[attr-defined]
    with headrace.connect(tmp_path / "w.duckdb") as warehouse, ThreadPoolExecutor(2) as pool:
        strict = pool.submit(
            headrace.run, one, into=warehouse, progress=False, full=True, wait=60,
            on_schema_change=lambda loaded: told["one"].append(loaded.table),
        )  # fmt: skip
        lax = pool.submit(
            headrace.run, two, into=warehouse, progress=False,
            on_schema_change=lambda loaded: told["two"].append(loaded.table),
        )  # fmt: skip
        assert strict.result().warehouse is lax.result().warehouse is warehouse

        assert {"one": ["one"], "two": ["two"]} == told
        settings = warehouse.settings
        assert (False, 0, (), None) == (
            settings.full, settings.wait, settings.subscribers, settings.contract,
        )  # fmt: skip
    assert before == logger.level


def test_a_machine_without_threads(make_flow: MakeFlow, tmp_path: Path) -> None:
    """A run on an open warehouse loads one resource after the other where no thread can begin."""
    with headrace.connect(tmp_path / "w.duckdb") as warehouse:
        warehouse.query("SELECT 1")
        threading.stack_size(1 << 46)  # which no machine has
        try:
            result = headrace.run(make_flow("notes", NOTES), into=warehouse, progress=False)
        finally:
            threading.stack_size(0)

        assert {"one": 1, "two": 1} == {name: done.counts.loaded for name, done in result.loads.items()}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_an_interrupt(tmp_path: Path) -> None:
    """Ctrl-C ends a run at once, endless and silent sources included, and leaves nothing half-written."""
    (tmp_path / "flow.py").write_text(_ENDLESS)
    command = [sys.executable, "-m", "headrace", "run", "flow.py", "--into", "s.duckdb"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            assert "under way\n" == process.stdout.readline()
            process.send_signal(signal.SIGINT)

            assert 130 == process.wait(timeout=60)
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()
    with headrace.connect(tmp_path / "s.duckdb") as warehouse:
        assert [] == warehouse.query("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'flow'")
