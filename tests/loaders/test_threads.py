"""Threads of one process share a warehouse: none takes, stops or outruns what is another's."""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest

import headrace
from headrace.errors import LoadPending, Shortage
from headrace.loaders.contracts.target import Target
from headrace.loaders.database import lock, opening
from headrace.loaders.extract import extract
from headrace.loaders.maintenance.pending import stored
from headrace.loaders.packages.package import Package
from headrace.loaders.packages.writer import PackageWriter
from headrace.loaders.records import Checkpoint
from headrace.loaders.warehouse import Warehouse
from headrace.masking import masked
from tests.loaders import landed

T = Target("t", primary_key=("id",), write_disposition="merge")
UNIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """A warehouse with one table, closed."""
    path = tmp_path / "w.duckdb"
    headrace.load([{"id": 1, "v": "old"}], T.table, into=path, primary_key="id", write_disposition="merge")
    return path


@pytest.fixture
def damaged(into: Path) -> Package:
    """A package beside the warehouse, which will be refused."""
    with PackageWriter(into.with_name("w.duckdb.packages"), T, "test") as writer:
        package = extract([{"id": 2, "v": "new"}], writer)
    package.release()
    (package.folder / "0-0.jsonl").write_bytes(b"{}")
    return package


@pytest.fixture
def often() -> Iterator[None]:
    """Switch between threads as often as can be."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_a_younger_load_waits_for_an_older_one(into: Path) -> None:
    """If an older load of the table could not be committed meanwhile, it goes first, and both are there."""
    begun, failed = threading.Event(), threading.Event()

    def younger() -> Iterator[dict[str, Any]]:
        begun.set()
        yield {"id": 1, "v": "younger"}
        assert failed.wait(60)
        yield Checkpoint(2)  # type: ignore[misc]

    def older() -> Iterator[dict[str, Any]]:
        yield {"id": 1, "v": "older"}
        loading.append(pool.submit(warehouse.load, younger(), T))
        assert begun.wait(60)

    loading: list[Any] = []
    with headrace.connect(into) as warehouse, ThreadPoolExecutor(1) as pool:
        with landed.in_the_way(warehouse), pytest.raises(LoadPending):
            warehouse.load(older(), T)
        failed.set()
        loading[0].result()

        assert [(1, "younger")] == warehouse.query("SELECT id, v FROM t")
        assert [(1,), (2,), (3,)] == warehouse.query("SELECT load_id FROM _headrace.loads ORDER BY started")
    assert [] == stored(into)


def test_an_older_load_does_not_go_over_a_younger_one(into: Path) -> None:
    """One that could not be committed in time is set aside with the reason; `--stale` is for those who want it."""

    def older() -> Iterator[dict[str, Any]]:
        yield {"id": 1, "v": "older"}
        warehouse.load([{"id": 1, "v": "younger"}], T)
        way.enter_context(landed.in_the_way(warehouse))

    with headrace.connect(into) as warehouse:
        with contextlib.ExitStack() as way, pytest.raises(LoadPending):
            warehouse.load(older(), T)
        with pytest.warns(UserWarning, match="in the place of newer ones"):
            warehouse.cursor("main.t")

        assert [(1, "younger")] == warehouse.query("SELECT id, v FROM t")
    assert ["refused"] == [one.status for one in stored(into)]


def test_what_was_interrupted_once_it_was_sealed(into: Path) -> None:
    """Such a package is recovered by the same process too."""
    with headrace.connect(into) as warehouse:
        store = into.with_name("w.duckdb.packages")
        with pytest.raises(KeyboardInterrupt), PackageWriter(store, T, "test") as writer:
            extract([{"id": 2, "v": "new"}], writer)
            raise KeyboardInterrupt

        assert warehouse.cursor("main.t") is None
        assert [(1, "old"), (2, "new")] == warehouse.query("SELECT id, v FROM t ORDER BY id")


@pytest.mark.usefixtures("damaged")
def test_a_warehouse_that_cannot_be_recovered_is_closed(into: Path) -> None:
    """Its file is free for others at once, while somebody holds the error still."""
    with warnings.catch_warnings(), pytest.raises(UserWarning) as held:
        warnings.simplefilter("error")
        headrace.connect(into).query("SELECT 1")

    with duckdb.connect(str(into)) as other:
        assert [(1,)] == other.execute("SELECT count(*) FROM t").fetchall()
    assert "was refused" in str(held.value)


def test_a_late_error_leaves_what_was_opened_since(into: Path) -> None:
    """A thread that gives up a broken connection closes that one, not one which others have opened since."""
    with headrace.connect(into) as warehouse:
        broken = warehouse.connection
        warehouse.database.close(only=broken)
        anew = warehouse.connection
        warehouse.database.close(only=broken)

        assert anew is warehouse.connection
        assert [(1,)] == warehouse.query("SELECT count(*) FROM t")


def test_derived_tables_take_turns(into: Path, often: None) -> None:
    """Threads that write the same derived table, caches and first loads at a time refuse each other nothing."""
    with headrace.connect(into) as warehouse, ThreadPoolExecutor(6) as pool:

        def derive(number: int) -> None:
            def write(fresh: str) -> None:
                warehouse.query(f"CREATE TABLE made.{fresh} AS SELECT {number} AS n")

            warehouse.write_table("made", "d", write)

        def keep(number: int) -> None:
            warehouse.cache("summaries").put_many({"k": str(number), f"k{number}": "v"})

        def load(number: int) -> None:
            headrace.load([{"n": number}], f"made.t{number % 3}", into=warehouse)

        for done in [pool.submit(act, number) for number in range(12) for act in (derive, keep, load)]:
            done.result()

        assert [(12,)] == warehouse.query("SELECT count(*) FROM _headrace.loads WHERE table_schema = 'made'")
        assert [("d",), ("t0",), ("t1",), ("t2",)] == warehouse.query(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'made' ORDER BY ALL"
        )
        assert 13 == len(warehouse.cache("summaries").get_many(["k", *(f"k{n}" for n in range(12))]))


def test_forgotten_warehouses_let_go_in_any_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, often: None
) -> None:
    """The collector may meet one in the midst of another's heartbeat, or of its own."""
    monkeypatch.setattr(lock, "BEAT", 0.0005)
    usual = gc.get_threshold()

    def forget(number: int) -> None:
        for each in range(40):
            warehouse: Any = headrace.connect(tmp_path / f"{number}{each % 3}.duckdb")
            warehouse.query("SELECT 1")
            warehouse.itself = warehouse

    kept = headrace.connect(tmp_path / "kept.duckdb")
    kept.query("SELECT 1")
    threads = [threading.Thread(target=forget, args=(number,), daemon=True) for number in range(2)]
    gc.set_threshold(1)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "they wait for each other"
    finally:
        gc.set_threshold(*usual)
    gc.collect()

    assert ["kept.duckdb.lock"] == [path.name for path in tmp_path.glob("*.lock")]
    kept.close()


def test_without_threads(into: Path) -> None:
    """A machine that has no thread left is told of, and the lock is free once it has."""
    threading.stack_size(1 << 46)  # which no machine has
    try:
        with pytest.raises(Shortage, match=r"too many \(ulimit -u\)"):
            headrace.connect(into).query("SELECT 1")
    finally:
        threading.stack_size(0)

    with headrace.connect(into) as warehouse:
        assert [(1,)] == warehouse.query("SELECT count(*) FROM t")


@UNIX
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_inherits_no_lock(tmp_path: Path) -> None:
    """A child that was forked while a thread of its parent made a file, or was committing, makes its own."""
    with opening._creating, opening.locks_of(tmp_path / "child.duckdb").committing:
        child = os.fork()
        if not child:
            headrace.load([{"id": 1}], "t", into=tmp_path / "child.duckdb")
            os._exit(0)
    ended = threading.Timer(60, os.kill, (child, 9))
    ended.start()

    assert 0 == os.waitpid(child, 0)[1]
    ended.cancel()


def test_a_refused_package_that_is_half_removed(into: Path, damaged: Package) -> None:
    """A kill while it is dropped leaves nothing that the next run does not sweep up."""
    with pytest.warns(UserWarning, match="was refused"), headrace.connect(into) as warehouse:
        warehouse.query("SELECT 1")
    killed = subprocess.run(
        [sys.executable, "-m", "headrace", "packages", "drop", damaged.id, "--yes", "-w", str(into)],
        env={**os.environ, "HEADRACE_CRASH_AT": "package.forgotten"}, capture_output=True, check=False,
    )  # fmt: skip
    assert 0 != killed.returncode

    headrace.load([{"id": 3, "v": "new"}], "t", into=into)

    assert ["w.duckdb"] == [path.name for path in into.parent.iterdir()]


def test_masking_while_the_environment_changes(monkeypatch: pytest.MonkeyPatch, often: None) -> None:
    """Another thread may set and delete variables."""
    monkeypatch.setenv("SHOP_TOKEN", "s3cret-of-the-shop")
    stopped = threading.Event()

    def change() -> None:
        while not stopped.is_set():
            os.environ["SHOP_FLAG"] = "on"
            del os.environ["SHOP_FLAG"]

    changing = threading.Thread(target=change)
    changing.start()
    try:
        texts = {masked("the key is s3cret-of-the-shop") for _ in range(3000)}
    finally:
        stopped.set()
        changing.join()

    assert 1 == len(texts)
    assert "s3cret" not in texts.pop()


Write = Callable[[Warehouse], object]


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda warehouse: warehouse.load([{"id": 2}], Target("t")), id="a load"),
        pytest.param(lambda warehouse: warehouse.cache("summaries"), id="a cache"),
        pytest.param(lambda warehouse: warehouse.write_table("main", "d", lambda fresh: None), id="a table"),
    ],
)
def test_who_was_taken_over_writes_nothing(into: Path, write: Write) -> None:
    """Neither a load nor anything else goes into a file that another machine has by now."""
    with headrace.connect(into) as warehouse:
        warehouse.query("SELECT 1")
        held = into.with_name("w.duckdb.lock")
        mine = held.read_bytes()
        held.write_bytes(mine.replace(b'"pid":', b'"pid":1'))
        with pytest.raises(headrace.errors.WarehouseLocked, match="was taken over"):
            write(warehouse)
        held.write_bytes(mine)

        assert [(1, 1)] == warehouse.query(
            "SELECT (SELECT count(*) FROM _headrace.loads), count(*) FROM duckdb_tables() WHERE schema_name = 'main'"
        )
