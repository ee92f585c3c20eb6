"""Atomicity: all of a load is in the warehouse or none, whatever breaks and whenever."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

import headrace
from headrace.errors import HeadraceError, LoadError, PackageDamaged, SourceError, UsageError
from headrace.loaders.commit import commit
from headrace.loaders.contracts.target import Target
from headrace.loaders.extract import extract
from headrace.loaders.packages.folders import pending
from headrace.loaders.packages.package import MANIFEST, Package, read_package
from headrace.loaders.packages.writer import PackageWriter
from headrace.loaders.records import Checkpoint, Record
from headrace.loaders.warehouse import Warehouse
from tests.loaders import landed

RECORDS = [{"id": n, "tags": ["a", "b"]} for n in range(3)]


def snapshot(warehouse: Warehouse) -> dict[str, Any]:
    """Return everything that a load may change."""
    tables = {name: landed.contents(warehouse, name) for name in landed.tables(warehouse)}
    names = landed.tables(warehouse, "_headrace")
    return {
        "tables": tables,
        "catalogue": {n: warehouse.query(f"SELECT * FROM _headrace.{n} ORDER BY ALL") for n in names},
    }


def sealed(folder: Path, records: list[Any], target: Target | None = None) -> Package:
    with PackageWriter(folder, target or Target("t"), "source") as writer:
        return extract(records, writer)


def raising(error: Exception, after: int) -> Iterator[Record]:
    yield from ({"id": n, "tags": [n], "new": n} for n in range(after))
    raise error


@pytest.mark.parametrize("after", [0, 1, 5])
@pytest.mark.parametrize("how", ["append", "replace", "merge"])
def test_a_source_that_fails(warehouse: Warehouse, how: str, after: int) -> None:
    """Nothing of the load is written; the message names the table and counts the records that came."""
    options: dict[str, Any] = {"into": warehouse, "primary_key": "id", "write_disposition": how}
    headrace.load(RECORDS, "t", **options)
    before = snapshot(warehouse)
    with pytest.raises(SourceError, match=rf"main\.t: record {after}: OSError: gone") as raised:
        headrace.load(raising(OSError("gone"), after), "t", **options)

    assert isinstance(raised.value.__cause__, OSError)
    assert before == snapshot(warehouse)


def test_a_source_that_fails_late(warehouse: Warehouse) -> None:
    """Also where most of the stream was written to files already, through the columnar lane."""
    from headrace.loaders import extract as lanes

    with pytest.MonkeyPatch.context() as sizes, pytest.raises(SourceError, match="record 50: OSError"):
        sizes.setattr(lanes, "BLOCK", 100)
        headrace.load(raising(OSError("gone"), 50), "t", into=warehouse)

    assert [] == landed.tables(warehouse)


def test_a_source_that_fails_on_purpose(warehouse: Warehouse) -> None:
    """An error of headrace's own passes as it is."""
    with pytest.raises(UsageError, match=r"^stop$"):
        headrace.load(raising(UsageError("stop"), 1), "t", into=warehouse)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_interrupts_pass(warehouse: Warehouse, interrupt: type[BaseException]) -> None:
    """Control-C in a source stops the load at once and leaves the warehouse as it was."""

    def source() -> Iterator[Record]:
        yield {"id": 1}
        raise interrupt

    with pytest.raises(interrupt):
        headrace.load(source(), "t", into=warehouse)

    assert [] == landed.tables(warehouse)


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    """Neither a load that worked nor one that failed leaves a package or a folder behind."""
    into = tmp_path / "w.duckdb"
    headrace.load(RECORDS, "t", into=into)
    with pytest.raises(SourceError):
        headrace.load(raising(OSError("gone"), 2), "t", into=into)

    assert ["w.duckdb"] == [path.name for path in tmp_path.iterdir()]


def test_what_duckdb_refuses(warehouse: Warehouse) -> None:
    """A commit that DuckDB refuses half-way is undone as a whole, and tells why."""
    headrace.load(RECORDS, "t", into=warehouse)
    warehouse.query("CREATE UNIQUE INDEX one ON t (id)")
    before = snapshot(warehouse)
    with pytest.raises(LoadError, match=r"main\.t: DuckDB refused, and nothing was written"):
        headrace.load([{"id": 9, "tags": ["z"]}, {"id": 1}], "t", into=warehouse)

    assert before == snapshot(warehouse)


def test_the_same_package_twice(warehouse: Warehouse, tmp_path: Path) -> None:
    """A package that is committed again counts once: the second time nothing changes."""
    package = sealed(tmp_path, [*RECORDS, Checkpoint(3)])
    with warehouse.session() as connection:
        first = commit(connection, package)
        before = snapshot(warehouse)
        second = commit(connection, read_package(package.folder))

    assert (first.load_id, 3, 0) == (second.load_id, first.counts.loaded, second.counts.loaded)
    assert second.counts.balanced
    assert before == snapshot(warehouse)


def test_a_package_survives_on_disk(warehouse: Warehouse, tmp_path: Path) -> None:
    """What is read back from a sealed folder is what was sealed, and commits the same."""
    target = Target("t", "shop", ("id",), "merge", {"price": "DECIMAL(18,2)"})
    package = sealed(tmp_path, [*RECORDS, Checkpoint({"a": 1})], target)

    assert package == read_package(package.folder)
    assert [package.folder] == pending(tmp_path)

    with warehouse.session() as connection:
        commit(connection, read_package(package.folder))

    assert (3, 6) == (landed.count(warehouse, "shop.t"), landed.count(warehouse, "shop.t__tags"))


def damage_bytes(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    "damage", [damage_bytes, Path.unlink, lambda file: file.write_bytes(b"")], ids=["bit", "gone", "empty"]
)
def test_a_damaged_package(warehouse: Warehouse, tmp_path: Path, damage: Callable[[Path], object]) -> None:
    """A file that is not the one that was sealed is refused by name, and nothing is written."""
    package = sealed(tmp_path, RECORDS)
    damaged = package.files[-1].path
    damage(damaged)
    with (
        pytest.raises(PackageDamaged, match=rf"{package.id}: {damaged.name} is"),
        warehouse.session() as connection,
    ):
        commit(connection, package)

    assert [] == landed.tables(warehouse)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"format": 99}', b"null"],
    ids=lambda content: content.decode() or "empty",
)
def test_a_damaged_manifest(tmp_path: Path, content: bytes) -> None:
    """A manifest that cannot be read is told of as a damaged package."""
    package = sealed(tmp_path, RECORDS)
    (package.folder / MANIFEST).write_bytes(content)
    with pytest.raises(PackageDamaged, match=package.id):
        read_package(package.folder)


def test_a_manifest_is_whole(tmp_path: Path) -> None:
    """No key of a manifest can be missing."""
    package = sealed(tmp_path, RECORDS)
    manifest = orjson.loads((package.folder / MANIFEST).read_bytes())
    for key in manifest:
        (package.folder / MANIFEST).write_bytes(orjson.dumps({k: v for k, v in manifest.items() if k != key}))
        with pytest.raises(PackageDamaged):
            read_package(package.folder)


def test_an_unsealed_package_counts_for_nothing(tmp_path: Path) -> None:
    """A folder that was never sealed is not pending, and is gone when its writer leaves with an error."""
    with pytest.raises(RuntimeError), PackageWriter(tmp_path, Target("t"), "source") as writer:
        writer.add_rows({(): [{"i": 0}]})

        assert ["part"] == [path.suffix[1:] for path in tmp_path.iterdir()]
        assert [] == pending(tmp_path)

        raise RuntimeError

    assert [] == list(tmp_path.iterdir())


def test_a_cursor_that_json_lacks(warehouse: Warehouse) -> None:
    """A checkpoint that cannot be kept is refused as a mistake of the source, and nothing is written."""
    with pytest.raises(HeadraceError):
        warehouse.load([{"id": 1}, Checkpoint(object())], Target("t"))

    assert [] == landed.tables(warehouse)


@pytest.mark.parametrize("value", [2**70, {"n": 2**70}, {"x": {1}}, float("nan")], ids=repr)
def test_odd_cursors(warehouse: Warehouse, value: Any) -> None:
    """A cursor that JSON writes badly comes back as it was, or is refused as an error of headrace."""
    try:
        warehouse.load([{"id": 1}, Checkpoint(value)], Target("t"))
    except HeadraceError:
        assert [] == landed.tables(warehouse)
    else:
        assert str(value) == str(warehouse.cursor("main.t"))


LOOP = """
import sys
import headrace
from headrace import Checkpoint
from headrace.loaders.contracts.target import Target

warehouse = headrace.connect(sys.argv[1])
number = warehouse.cursor("main.t") or 0
print("ready", flush=True)
while True:
    number += 1
    # every load adds a record, replaces another, and every third one a column and a child table as well
    records = [{"id": number, "tags": ["a", "b"]}, {"id": -1, "number": number, "tags": ["z"]}]
    if number % 3 == 0:
        records[0][f"column_{number}"] = [number]
        records[0][f"scalar_{number}"] = number
    target = Target("t", primary_key=("id",), write_disposition="merge")
    warehouse.load([*records, Checkpoint(number)], target)
"""


def test_kill_at_any_moment(tmp_path: Path) -> None:
    """A process that is killed between any two instructions leaves whole loads only.

    Six processes in turn load into one file until each is killed without notice, at moments spread over
    the first half second. After each, rows, children, cursor, columns and catalogue agree.
    """
    into, moments = tmp_path / "w.duckdb", random.Random(7)
    (tmp_path / "w.duckdb.packages" / "20260131T000000-dead.part").mkdir(parents=True)
    for _ in range(6):
        with subprocess.Popen([sys.executable, "-c", LOOP, str(into)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert b"ready\n" == child.stdout.readline()
            time.sleep(moments.uniform(0, 0.4))
            child.kill()
        with headrace.connect(into) as warehouse:
            if warehouse.cursor("main.t") is not None:
                check_whole_loads(warehouse)
    with headrace.connect(into) as warehouse:
        assert warehouse.cursor("main.t") > 1


def check_whole_loads(warehouse: Warehouse) -> None:
    """Check that what is there is what the loads of `LOOP` up to the cursor would have made."""
    last = warehouse.cursor("main.t")
    ids = {row[0] for row in warehouse.query("SELECT id FROM t")}

    assert {-1, *range(1, last + 1)} == ids
    assert [(last,)] == warehouse.query("SELECT number FROM t WHERE id = -1")
    assert [(2 * last + 1, last + 1)] == warehouse.query(
        "SELECT count(*), count(DISTINCT t._hr_id) FROM t__tags JOIN t ON t._hr_id = t__tags._hr_root_id"
    )
    assert [(last, last, 2 * last)] == warehouse.query(
        "SELECT count(*), max(load_id), sum(rows_loaded) FROM _headrace.loads"
    )
    odd = [f"column_{n}" for n in range(3, last + 1, 3)]

    assert sorted(["t", "t__tags", *(f"t__{name}" for name in odd)]) == landed.tables(warehouse)
    assert {"id", "number", *(f"scalar_{n}" for n in range(3, last + 1, 3))} == set(
        landed.types(warehouse, "t")
    )
    assert [(0,)] == warehouse.query(
        "SELECT count(*) FROM _headrace.columns c LEFT JOIN duckdb_columns() d "
        "ON d.table_name = c.table_name AND d.column_name = c.column_name "
        "AND d.database_name = current_database() "
        "WHERE d.column_name IS NULL"
    )
