"""Packages that are not in the warehouse: what waits, what is refused, and that neither blocks new data."""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.errors import (
    ContractViolation,
    LoadError,
    LoadPending,
    PackageDamaged,
    UnknownColumn,
    UsageError,
)
from headrace.loaders.contracts.target import Disposition, Target
from headrace.loaders.extract import extract
from headrace.loaders.maintenance import pending
from headrace.loaders.maintenance.pending import Stored, stored
from headrace.loaders.packages.package import MANIFEST, Package
from headrace.loaders.packages.writer import PackageWriter
from headrace.loaders.records import Checkpoint
from headrace.loaders.warehouse import Warehouse
from tests.loaders import landed

T = Target("t", primary_key=("id",), write_disposition="merge")


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "w.duckdb"


def store(into: Path) -> Path:
    return into.with_name(f"{into.name}.packages")


def sealed(into: Path, number: int, target: Target = T) -> Package:
    """Return a package as a process leaves it that dies between sealing and committing."""
    with PackageWriter(store(into), target, "test") as writer:
        package = extract([{"id": number, "tags": [number]}, Checkpoint(number)], writer)
    package.release()
    return package


def ids(into: Path) -> list[int]:
    with headrace.connect(into) as warehouse:
        return [n for (n,) in warehouse.query("SELECT id FROM t ORDER BY id")]


def table_of(one: Stored) -> tuple[str, str | None, int | None]:
    return one.status, one.table, one.records


def blocked(
    warehouse: Warehouse, records: list[Any], target: Target = T
) -> pytest.ExceptionInfo[LoadPending]:
    """Load while a transaction of somebody else's changes the same table, so that DuckDB refuses the commit."""
    with landed.in_the_way(warehouse, target.table), pytest.raises(LoadPending) as raised:
        warehouse.load(records, target)
    return raised


def test_an_outside_failure_keeps_the_package(into: Path) -> None:
    """What was read is committed when the warehouse is next used, in the same process or another, and once."""
    append = Target("t")
    with headrace.connect(into) as warehouse:
        warehouse.load([{"id": 1}], append)
        error = str(blocked(warehouse, [{"id": 2}, Checkpoint(2)], append).value)

        (waiting,) = stored(into)
        assert ("pending", "main.t", 1) == table_of(waiting)
        assert waiting.reason is not None and "DuckDB refused" in waiting.reason
        assert f"are kept in the package {waiting.id}" in error and "do not load them again" in error

        assert 2 == warehouse.cursor("main.t")
        assert [(1,), (2,)] == warehouse.query("SELECT id FROM t ORDER BY id")

        blocked(warehouse, [{"id": 3}, Checkpoint(3)], append)
    assert [1, 2, 3] == ids(into)
    assert [] == stored(into)


def test_packages_of_one_table_are_committed_in_order(into: Path) -> None:
    """What comes after a package that waits is taken, and waits too; other tables do not."""
    with headrace.connect(into) as warehouse:
        warehouse.load([{"id": 1, "n": 0}], T)
        with landed.in_the_way(warehouse):
            for n in (1, 2):
                with pytest.raises(LoadPending):
                    warehouse.load([{"id": 1, "n": n}, Checkpoint(n)], T)
            with pytest.raises(LoadPending, match="an earlier package"):
                warehouse.cursor("main.t")
            assert 1 == warehouse.load([{"id": 5}], Target("u")).counts.loaded
        assert [("pending", "main.t", 1)] * 2 == [table_of(one) for one in stored(into)]

        assert 2 == warehouse.cursor("main.t")
        assert [(1, 2)] == warehouse.query("SELECT id, n FROM t")


@pytest.mark.parametrize(
    ("records", "landing", "error"),
    [
        ([{"id": 2, "new": 1}], {"contract": "freeze"}, ContractViolation),
        ([{"id": 2}], {"primary_key": "idd"}, UnknownColumn),
    ],
)
def test_what_the_caller_can_mend(
    into: Path, records: list[Any], landing: dict[str, Any], error: type[Exception]
) -> None:
    """Against a contract or a definition nothing is kept: the source is read again, its cursor has not moved."""
    headrace.load([{"id": 1}], "t", into=into)
    with pytest.raises(error):
        headrace.load(records, "t", into=into, **landing)

    assert [into] == list(into.parent.iterdir())


def test_refused_in_process(into: Path) -> None:
    """What DuckDB refuses for what it is goes to the refused, and the error says where; new data lands."""
    with headrace.connect(into) as warehouse:
        warehouse.load([{"id": 1}], T)
        warehouse.query("CREATE UNIQUE INDEX one ON t (id)")
        with pytest.raises(LoadError, match=r"Duplicate key.*kept in .*refused.*packages list") as raised:
            warehouse.load([{"id": 1}], Target("t"))
        assert not isinstance(raised.value, LoadPending)
        assert ["refused"] == [one.status for one in stored(into)]
        warehouse.load([{"id": 2}], Target("t"))
    assert [1, 2] == ids(into)


DISK_FULL = """
import os, resource, signal, sys
import headrace
from headrace.loaders.contracts.target import Target

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
warehouse = headrace.connect(sys.argv[1])
warehouse.load([{"id": -1}], Target("t"))
# no file may grow beyond 1 MB: the package is compressed and does not, the commit would
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
try:
    warehouse.load([{"id": n, "text": "x" * 400} for n in range(10_001)], Target("t"))
except headrace.LoadPending as error:
    print(error, flush=True)
os._exit(0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits")
def test_a_full_disk(into: Path) -> None:
    """A commit that finds no room leaves the old data as it was, and the package for when there is room."""
    done = subprocess.run(
        [sys.executable, "-c", DISK_FULL, str(into)], capture_output=True, text=True, check=False
    )

    assert "The 10,001 records are kept in the package" in done.stdout, done.stderr
    assert [("pending", "main.t", 10_001)] == [table_of(one) for one in stored(into)]
    assert [*range(-1, 10_001)] == ids(into)
    assert [] == stored(into)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def rename_a_table(file: Path) -> None:
    manifest = file.with_name(MANIFEST)
    manifest.write_text(manifest.read_text().replace('"table": "t"', '"table": "u"'))


DAMAGES: list[tuple[str, Callable[[Path], object]]] = [
    ("flip", flip),
    ("truncate", lambda file: file.write_bytes(file.read_bytes()[:-1])),
    ("empty", lambda file: file.write_bytes(b"")),
    ("delete", Path.unlink),
]
CASES = [
    *((f"{how} {name}", damage, name, name) for how, damage in DAMAGES for name in (MANIFEST, "0-0.jsonl", "1-1.jsonl")),
    ("edit manifest", rename_a_table, MANIFEST, MANIFEST),
    ("foreign file", lambda file: file.with_name("notes.txt").touch(), MANIFEST, "notes.txt"),
    ("foreign folder", lambda file: file.with_name("notes").mkdir(), MANIFEST, "notes"),
    ("copy", lambda file: shutil.move(file.parent, file.parent.with_name("20200101T000000-00")), MANIFEST, "renamed"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "file", "named"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_damaged_package_is_refused_by_name(
    into: Path, damage: Callable[[Path], object], file: str, named: str
) -> None:
    """Whatever was done to a package, it is set aside with the file's name; the others and new data land."""
    first, damaged, last = (sealed(into, n) for n in (1, 2, 3))
    assert {MANIFEST, "0-0.jsonl", "1-1.jsonl"} == {path.name for path in damaged.folder.iterdir()}
    damage(damaged.folder / file)
    with headrace.connect(into) as warehouse:
        with pytest.warns(UserWarning, match="A package was refused and is kept"):
            warehouse.load([{"id": 4}], T)
        assert [(1,), (3,), (4,)] == warehouse.query("SELECT id FROM t ORDER BY id")
    (refused,) = stored(into)

    assert "refused" == refused.status
    assert refused.reason is not None and named in refused.reason
    assert [1, 3, 4] == ids(into)  # and it is not tried again
    assert not first.folder.exists() and not last.folder.exists()


def test_what_is_no_package_stays(into: Path) -> None:
    """Other things in the folder of the packages are left alone."""
    sealed(into, 1)
    (store(into) / "README").write_text("Do not touch.")
    (store(into) / "lost+found").mkdir()

    assert [1] == ids(into)
    assert ["README", "lost+found"] == sorted(path.name for path in store(into).iterdir())


def test_a_move_to_another_machine(into: Path, tmp_path: Path) -> None:
    """A database and the packages beside it go wherever they are taken."""
    headrace.load([{"id": 0}], "t", into=into)
    sealed(into, 1)
    sealed(into, 2)
    there = tmp_path / "there"
    there.mkdir()
    for path in (into, store(into)):
        shutil.move(path, there / path.name)

    assert [0, 1, 2] == ids(there / into.name)
    with headrace.connect(there / into.name) as warehouse:
        assert 2 == warehouse.cursor("main.t")


@pytest.fixture
def refused(into: Path) -> Iterator[Stored]:
    """A package with cursor 1 that is refused as long as the table is a view; then a load with cursor 5."""
    with headrace.connect(into) as warehouse:
        warehouse.load([{"id": 0}, Checkpoint(0)], T)
        warehouse.query("CREATE UNIQUE INDEX one ON t (id)")
    sealed(into, 0, Target("t"))
    with pytest.warns(UserWarning, match="Duplicate key"):
        ids(into)
    (found,) = stored(into)
    with headrace.connect(into) as warehouse:
        warehouse.load([{"id": 5}, Checkpoint(5)], T)
    yield found


def test_retry(into: Path, refused: Stored) -> None:
    """A refused package is tried again when its reason has gone; its cursor does not overtake a later one."""
    with headrace.connect(into) as warehouse:
        with pytest.raises(LoadError, match="Duplicate key"):
            pending.retry(warehouse, refused)
        assert [refused.id] == [one.id for one in stored(into)]
        warehouse.query("DROP INDEX one")

        assert 3 == pending.retry(warehouse, refused)
        assert 5 == warehouse.cursor("main.t")
    assert [0, 0, 5] == ids(into)
    assert [into] == list(into.parent.iterdir())


@pytest.mark.parametrize("how", ["merge", "replace"])
def test_retry_of_what_is_stale(into: Path, how: Disposition) -> None:
    """Newer rows do not give way to those of an older package, unless that is asked for."""
    target = Target("t", primary_key=("id",), write_disposition=how)
    with headrace.connect(into) as warehouse:
        warehouse.load([{"id": 1, "n": 0}], target)
        package = sealed(into, 1, target)
        folder = store(into) / "refused" / package.id
        folder.parent.mkdir()
        package.folder.rename(folder)
        warehouse.load([{"id": 1, "n": 2}, {"id": 2, "n": 2}], target)
        (old,) = stored(into)
        with pytest.raises(LoadError, match=rf"is older than what main\.t holds.*{target.strategy}"):
            pending.retry(warehouse, old)
        assert [(1, 2), (2, 2)] == warehouse.query("SELECT id, n FROM t ORDER BY id")
        pending.retry(warehouse, old, stale=True)
        assert (1, None) in warehouse.query("SELECT id, n FROM t")


def test_retry_of_what_waits(into: Path) -> None:
    """Opening commits what is pending: a retry tells the load, or why it was refused."""
    sealed(into, 1)
    damaged = sealed(into, 2)
    (damaged.folder / "0-0.jsonl").unlink()
    good, bad = stored(into)
    with headrace.connect(into) as warehouse, pytest.warns(UserWarning, match="is missing"):
        assert 1 == pending.retry(warehouse, good)
        with pytest.raises(LoadError, match=r"was refused: .*0-0\.jsonl is missing"):
            pending.retry(warehouse, bad)


def test_drop(into: Path, refused: Stored) -> None:
    """One package goes for good, by the beginning of its id; its loss can be told before."""
    other = sealed(into, 7)
    assert f"1 records of main.t, {refused.bytes:,} bytes" == refused.loss
    with pytest.raises(UsageError, match="no package 'x'; known"):
        pending.find(into, "x")
    with pytest.raises(UsageError, match="more than one"):
        pending.find(into, "20")
    pending.drop(into, pending.find(into, refused.id[:-2]))

    assert [(other.id, "pending")] == [(one.id, one.status) for one in stored(into)]
    assert [0, 5, 7] == ids(into)


def test_listing_changes_nothing(into: Path) -> None:
    """The list reads files only: it works without a database, and makes and commits nothing."""
    package, damaged = sealed(into, 1), sealed(into, 2)
    (damaged.folder / MANIFEST).write_bytes(b"{")
    before = {path: path.read_bytes() for path in store(into).rglob("*") if path.is_file()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = stored(into)

    assert (package.id, "pending", "main.t", 1, None) == (
        first.id, first.status, first.table, first.records, first.reason
    )  # fmt: skip
    assert (damaged.id, "pending", None, None) == (second.id, second.status, second.table, second.records)
    assert second.reason is not None and "manifest.json cannot be read" in second.reason
    assert sum(map(len, before.values())) == first.bytes + second.bytes
    assert ["0-0.jsonl", "1-1.jsonl"] == [file.name for file in pending.files(first)]
    with pytest.raises(PackageDamaged):
        pending.files(second)
    assert before == {path: path.read_bytes() for path in store(into).rglob("*") if path.is_file()}
    assert [store(into)] == list(into.parent.iterdir())
