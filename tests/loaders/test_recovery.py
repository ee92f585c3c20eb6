"""What a process that died left behind, and what becomes of it when the warehouse is next opened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import headrace
from headrace.loaders.contracts.target import Target
from headrace.loaders.extract import extract
from headrace.loaders.packages.package import Package, read_package
from headrace.loaders.packages.writer import PackageWriter
from headrace.loaders.records import Checkpoint

TARGET = Target("t", primary_key=("id",), write_disposition="merge")


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "w.duckdb"


def sealed(into: Path, number: int) -> Package:
    """Return a package as a process leaves it that dies between sealing and committing."""
    store = into.with_name(f"{into.name}.packages")
    store.mkdir(exist_ok=True)
    code = f"""
import os, pathlib
from headrace.loaders.extract import extract
from headrace.loaders.packages.writer import PackageWriter
from headrace.loaders.records import Checkpoint
from headrace.loaders.contracts.target import Target
target = Target("t", primary_key=("id",), write_disposition="merge")
with PackageWriter(pathlib.Path({str(store)!r}), target, "test") as writer:
    extract([{{"id": {number}, "tags": [{number}]}}, Checkpoint({number})], writer)
    os.kill(os.getpid(), {signal.SIGKILL:d})
"""
    before = set(store.iterdir())
    subprocess.run([sys.executable, "-c", code], check=False)
    (folder,) = set(store.iterdir()) - before
    return read_package(folder)


def test_sealed_is_committed(into: Path) -> None:
    """What was sealed is there when the file is next opened: in order, with its cursor, and once."""
    sealed(into, 1)
    sealed(into, 2)
    for _ in range(2):
        with headrace.connect(into) as warehouse:
            assert 2 == warehouse.cursor("main.t")
            assert [(1, 1), (2, 2)] == warehouse.query(
                "SELECT id, value FROM t JOIN t__tags ON _hr_root_id = t._hr_id ORDER BY id"
            )
            assert [(2,)] == warehouse.query("SELECT count(*) FROM _headrace.loads")
    assert not into.with_name("w.duckdb.packages").exists() or not list(
        into.with_name("w.duckdb.packages").iterdir()
    )


def test_a_damaged_package_blocks_nothing(into: Path) -> None:
    """A package that cannot be committed is set aside with its reason; the others and new data land."""
    damaged, whole = sealed(into, 1), sealed(into, 2)
    damaged.files[0].path.write_bytes(b"{}")
    with headrace.connect(into) as warehouse:
        with pytest.warns(UserWarning, match="was refused and is kept"):
            warehouse.load([{"id": 3}], TARGET)

        assert [(2,), (3,)] == warehouse.query("SELECT id FROM t ORDER BY id")
    refused = into.with_name("w.duckdb.packages") / "refused" / damaged.id

    assert "is not the file that was sealed" in (refused / "reason.txt").read_text()
    assert not whole.folder.exists()


def test_what_was_not_sealed_goes(into: Path) -> None:
    """The folder of an extraction that died is removed; one that is under way here stays."""
    store = into.with_name("w.duckdb.packages")
    (store / "20260131T000000-dead.part").mkdir(parents=True)
    with PackageWriter(store, TARGET, "test") as writer, headrace.connect(into) as warehouse:
        warehouse.query("SELECT 1")

        assert 1 == len(list(store.iterdir()))
        package = extract([{"id": 1}, Checkpoint(1)], writer)
        with headrace.connect(into) as other:
            other.query("SELECT 1")
        assert package.folder.exists()
    package.drop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs SIGKILL")
def test_a_later_run_goes_on(into: Path) -> None:
    """The next run's `since` is the dead run's cursor: nothing is fetched twice."""
    sealed(into, 7)
    with headrace.connect(into) as warehouse:
        assert 7 == warehouse.cursor("main.t")
