"""The warehouse: what a path or URL names, who may have it open, and how threads share it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

import headrace
from headrace.errors import LoadError, SourceError, UsageError, WarehouseLocked, WarehouseUnreadable
from headrace.loaders.maintenance.pending import stored
from headrace.loaders.warehouse import Warehouse
from tests.loaders import landed

HOLD = """
import sys
import headrace
with headrace.connect(sys.argv[1]) as warehouse:
    warehouse.query("SELECT 1")
    print("open", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_open(path: Path) -> Iterator[None]:
    """Have another process keep a warehouse open."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert b"open\n" == other.stdout.readline()
        try:
            yield
        finally:
            other.communicate()


@pytest.mark.parametrize(
    ("into", "path"),
    [
        (":memory:", None),
        ("duckdb://", None),
        ("duckdb:///:memory:", None),
        ("shop.duckdb", Path.cwd() / "shop.duckdb"),
        (Path("shop.duckdb"), Path.cwd() / "shop.duckdb"),
        ("duckdb:///shop.duckdb", Path.cwd() / "shop.duckdb"),
        ("./shop.db", Path.cwd() / "shop.db"),
        ("duckdb:////tmp/shop.duckdb", Path("/tmp/shop.duckdb")),
        ("/tmp/shop", Path("/tmp/shop")),
    ],
)
def test_what_a_name_names(into: str | Path, path: Path | None) -> None:
    """A path, or a URL with three slashes for a relative and four for an absolute path; nothing is opened."""
    assert path == headrace.connect(into).path


@pytest.mark.parametrize(
    ("into", "message"),
    [
        ("postgresql://localhost/db", "names no warehouse"),
        ("duckdb://host/shop.duckdb", "names no warehouse"),
        ("s3://bucket/x", "names no warehouse"),
        ("no/such/folder/shop.duckdb", "no/such/folder.*does not exist"),
        ("duckdb:////no/such/folder/shop.duckdb", "does not exist"),
    ],
)
def test_names_that_name_nothing(into: str, message: str) -> None:
    """A URL of another kind and a folder that does not exist are refused at once."""
    with pytest.raises(UsageError, match=message):
        headrace.connect(into)


@pytest.mark.parametrize(
    "folder",
    ["plain", "with space", "it's", 'quo"te', "[1]", "a*b", "100%", "naïve", "$HOME", "{x}", "#a", "-w"],
)
def test_paths_are_data(tmp_path: Path, folder: str) -> None:
    """A folder may be called anything: its name is never a pattern, a variable or SQL."""
    into = tmp_path / folder / "shop.duckdb"
    into.parent.mkdir()
    headrace.load([{"id": 1, "tags": ["a"]}], "t", into=into)
    with headrace.connect(into) as warehouse:
        assert [(1,)] == landed.rows(warehouse, "t")
        assert [("a",)] == landed.rows(warehouse, "t__tags")


@pytest.mark.parametrize(
    "name", ["main.duckdb", "shop.duckdb", "temp.duckdb", "system.duckdb", "memory", "a.b.c"]
)
def test_files_of_any_name(tmp_path: Path, name: str) -> None:
    """A file may be called like a schema, a catalogue or nothing in particular."""
    into = tmp_path / name
    headrace.load([{"id": 1}], "shop.t", into=into)
    with headrace.connect(into) as warehouse:
        assert [(1,)] == warehouse.query("SELECT id FROM shop.t")


def test_a_path_that_duckdb_misreads(tmp_path: Path) -> None:
    """DuckDB takes a question mark for the end of the path: such a path is refused at once."""
    (tmp_path / "what?").mkdir()
    with pytest.raises(UsageError, match=r"what\?"):
        headrace.load([{"id": 1}], "t", into=tmp_path / "what?" / "shop.duckdb")


def test_plain_duckdb_reads_it(tmp_path: Path) -> None:
    """A closed warehouse is a DuckDB file like any other."""
    into = tmp_path / "file.duckdb"
    headrace.load([{"id": 1, "tags": ["a"]}], "shop.t", into=into)
    with duckdb.connect(str(into)) as connection:
        assert [(1, "a")] == connection.execute(
            "SELECT id, value FROM shop.t t JOIN shop.t__tags g ON g._hr_root_id = t._hr_id"
        ).fetchall()


def test_other_tables_are_left_alone(tmp_path: Path) -> None:
    """A file that has tables of its own gets ours beside them; one in the way is named, and stays."""
    into = tmp_path / "shop.duckdb"
    with duckdb.connect(str(into)) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS a; CREATE TABLE t AS SELECT 'x' AS theirs")
    headrace.load([{"id": 1}], "other", into=into)
    with pytest.raises(LoadError, match='"t" already exists'):
        headrace.load([{"id": 1}], "t", into=into)
    with headrace.connect(into) as warehouse:
        assert [("x",)] == warehouse.query("SELECT * FROM t")
        assert [(1,)] == warehouse.query("SELECT * FROM mine")


def test_locked_by_another_process(tmp_path: Path) -> None:
    """While another process has the file open, a load leaves within a second and says what to do."""
    into = tmp_path / "shop.duckdb"
    headrace.load([{"id": 1}], "t", into=into)

    def source() -> Iterator[dict[str, Any]]:
        raise AssertionError("the source was asked before the lock")
        yield {}

    with held_open(into):
        started = time.perf_counter()
        with pytest.raises(WarehouseLocked, match="open in another process") as raised:
            headrace.load(source(), "t", into=into)
        with pytest.raises(WarehouseLocked):
            headrace.connect(into).open_readonly()

        assert time.perf_counter() - started < 1
        assert 75 == raised.value.exit_code
    headrace.load([{"id": 2}], "t", into=into)


@pytest.mark.parametrize("content", [b"hello", b"id,name\n1,a\n" * 100, b"SQLite format 3\0" + b"\0" * 100])
def test_what_is_no_duckdb_file(tmp_path: Path, content: bytes) -> None:
    """A file of another kind is refused by its name and left as it is."""
    into = tmp_path / "notes.txt"
    into.write_bytes(content)
    with pytest.raises(UsageError, match=r"notes\.txt cannot be opened as a DuckDB file"):
        headrace.load([{"id": 1}], "t", into=into)

    assert content == into.read_bytes()


def test_a_folder_is_no_warehouse(tmp_path: Path) -> None:
    """A folder is refused as such."""
    with pytest.raises(WarehouseUnreadable, match="cannot be opened"):
        headrace.load([{"id": 1}], "t", into=tmp_path)


@pytest.mark.parametrize(
    ("records", "message"),
    [("https://example.org/orders.json", "is no file of JSON or Parquet here"),
     ("orders.csv", r"load duckdb\.sql"), ("~/no-such.json", "There is no file '/")],
)  # fmt: skip
def test_what_is_no_file_of_records(records: str, message: str) -> None:
    """A URL and a CSV file are refused with what reads them; `~` is the home folder."""
    with pytest.raises(SourceError, match=message):
        headrace.load(records, "t", into=":memory:")


def test_a_series_is_no_table() -> None:
    """One column of pandas is refused with the two ways to make records of it."""
    import pandas as pd

    with pytest.raises(SourceError, match=r"give series\.to_frame\(\), or series\.tolist\(\)"):
        headrace.load(pd.Series([1, 2]), "t", into=":memory:")


def test_reading_what_is_not_there(tmp_path: Path) -> None:
    """Reading makes no file."""
    with pytest.raises(UsageError, match="There is no warehouse"):
        headrace.connect(tmp_path / "shop.duckdb").open_readonly()

    assert [] == list(tmp_path.iterdir())


def test_readonly_changes_nothing(tmp_path: Path) -> None:
    """Through a read-only connection nothing can be written."""
    into = tmp_path / "shop.duckdb"
    headrace.load([{"id": 1}], "t", into=into)
    with headrace.connect(into).open_readonly() as connection:
        assert [(1,)] == connection.execute("SELECT id FROM t").fetchall()
        with pytest.raises(duckdb.Error, match="read-only"):
            connection.execute("DELETE FROM t")


def test_close_and_use_again(tmp_path: Path) -> None:
    """A closed warehouse lets others in, and opens again at its next use."""
    with headrace.connect(tmp_path / "shop.duckdb") as warehouse:
        headrace.load([{"id": 1}], "t", into=warehouse)
        warehouse.close()
        with duckdb.connect(str(tmp_path / "shop.duckdb")) as other:
            other.execute("SELECT 1")
        headrace.load([{"id": 2}], "t", into=warehouse)

        assert [(1,), (2,)] == landed.rows(warehouse, "t")


def test_two_warehouses_on_one_file(tmp_path: Path) -> None:
    """Within one process a file may be opened twice, by different spellings; both see every load."""
    (tmp_path / "folder").mkdir()
    first = headrace.connect(tmp_path / "shop.duckdb")
    second = headrace.connect(tmp_path / "folder" / ".." / "shop.duckdb")
    with first, second:
        headrace.load([{"id": 1}], "t", into=first)
        headrace.load([{"id": 2}], "t", into=second)
        first.close()

        assert [(1,), (2,)] == landed.rows(second, "t")


def test_memory_is_ones_own() -> None:
    """Two databases in memory know nothing of each other."""
    with Warehouse() as first, Warehouse() as second:
        headrace.load([{"id": 1}], "t", into=first)

        assert [] == landed.tables(second)


@pytest.mark.parametrize("where", ["memory", "file"])
@pytest.mark.parametrize("tables", [1, 6], ids=["same table", "different tables"])
def test_threads(tmp_path: Path, where: str, tables: int) -> None:
    """Threads share a warehouse: loads of different tables, and first loads of the same one, all land."""
    into = tmp_path / "shop.duckdb" if where == "file" else ":memory:"

    def load(number: int) -> int:
        records = [{"id": number, "n": n, "tags": [n, n]} for n in range(20)]
        return headrace.load(records, f"t{number % tables}", into=warehouse).load_id

    with headrace.connect(into) as warehouse, ThreadPoolExecutor(6) as pool:
        load_ids = list(pool.map(load, range(12)))

        assert list(range(1, 13)) == sorted(load_ids)
        for number in range(tables):
            rows = 12 // tables * 20

            assert rows == landed.count(warehouse, f"t{number}")
            assert 2 * rows == landed.count(
                warehouse, f"t{number}__tags g JOIN t{number} t ON t._hr_id = g._hr_root_id"
            )


def test_threads_with_a_warehouse_each(tmp_path: Path) -> None:
    """Threads that each open the file for themselves get all their loads in, too."""
    into = tmp_path / "shop.duckdb"

    def load(number: int) -> None:
        headrace.load([{"id": number}], "t", into=into)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(load, range(8)))
    with headrace.connect(into) as warehouse:
        assert [(n,) for n in range(8)] == sorted(landed.rows(warehouse, "t"))


@pytest.mark.parametrize(
    "name", ["shop.duckdb", "./elsewhere/../shop.duckdb", "link.duckdb", "elsewhere/link"]
)
def test_one_file_of_many_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """By whatever name a file is opened once more, also after `chdir`, the loads under way are left alone."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link.duckdb").symlink_to("shop.duckdb")
    (tmp_path / "elsewhere" / "link").symlink_to(tmp_path / "shop.duckdb")

    def records() -> Iterator[dict[str, int]]:
        yield {"id": 1}
        monkeypatch.chdir(tmp_path / "elsewhere")
        headrace.load([{"id": 1}], "other", into=tmp_path / "shop.duckdb")
        yield {"id": 2}

    with headrace.connect(name) as warehouse:
        assert 2 == headrace.load(records(), "t", into=warehouse).counts.loaded
        assert tmp_path / "shop.duckdb" == warehouse.path

    assert {"elsewhere", "link.duckdb", "shop.duckdb"} == {path.name for path in tmp_path.iterdir()}
    assert ["link"] == [path.name for path in (tmp_path / "elsewhere").iterdir()]


def test_cursors_are_read_while_packages_come_and_go(tmp_path: Path) -> None:
    """Each load makes and removes its package, and the folder for them; who looks there is told nothing false."""
    path = tmp_path / "shop.duckdb"
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with headrace.connect(path) as warehouse, ThreadPoolExecutor(6) as pool:
            loading = pool.submit(
                lambda: [headrace.load([{"id": n}], "t", into=warehouse) for n in range(60)]
            )

            def look() -> set[Any]:
                seen = set()
                while not loading.done():
                    seen.add(warehouse.cursor("main.t"))
                    seen |= {package.status for package in stored(path)}
                return seen

            looking = [pool.submit(look) for _ in range(5)]

            assert 60 == len(loading.result())
            assert set().union(*(each.result() for each in looking)) <= {None, "pending"}
    finally:
        sys.setswitchinterval(usual)


def test_a_reader_sees_whole_loads(warehouse: Warehouse) -> None:
    """While a thread loads, another sees the load before or the load after, never half of one."""
    headrace.load([{"n": 0, "tags": [0]}] * 10, "t", into=warehouse)
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(
            lambda: [
                headrace.load([{"n": n, "tags": [n]}] * 10, "t", into=warehouse, write_disposition="replace")
                for n in range(1, 8)
            ]
        )
        seen = []
        while not loading.done():
            seen += warehouse.query(
                "SELECT count(*), count(DISTINCT n), bool_and(n = value) FROM t "
                "JOIN t__tags g ON g._hr_root_id = t._hr_id"
            )
        loading.result()

    assert {(10, 1, True)} == set(seen)


def test_report_tells_of_progress() -> None:
    """A report is told the table, how many records were read, and when they are committed."""
    told: list[tuple[str, int, bool]] = []
    with headrace.connect(
        report=lambda table, records, done: told.append((table, records, done))
    ) as warehouse:
        headrace.load(({"n": n} for n in range(2500)), "shop.t", into=warehouse)

    assert [
        ("shop.t", 0, False), ("shop.t", 1000, False), ("shop.t", 2000, False), ("shop.t", 2500, False), ("shop.t", 2500, True),
    ] == told  # fmt: skip


def test_write_table_replaces_at_once(warehouse: Warehouse) -> None:
    """A derived table takes the place of its older version; if it fails, the old one stays."""

    def write(sql: str) -> Any:
        return lambda fresh: warehouse.query(f'CREATE TABLE shop."{fresh}" AS {sql}')

    warehouse.write_table("shop", "derived", write("SELECT 1 AS a"))
    warehouse.write_table("shop", "derived", write("SELECT 'x' AS b"))
    with pytest.raises(duckdb.Error):
        warehouse.write_table("shop", "derived", write("SELECT nothing"))

    assert [("x",)] == warehouse.query("SELECT b FROM shop.derived")
    assert ["derived"] == landed.tables(warehouse, "shop")


def test_write_table_spares_resources(warehouse: Warehouse) -> None:
    """A table that a resource loads is never overwritten by a derived one."""
    headrace.load([{"id": 1}], "shop.t", into=warehouse)
    with pytest.raises(UsageError, match=r"shop\.t is a resource's table"):
        warehouse.write_table("shop", "t", lambda fresh: None)


def test_a_cache_keeps_text(tmp_path: Path) -> None:
    """A cache gives back what was put, over connections; a later value takes the place of an older one."""
    into = tmp_path / "shop.duckdb"
    with headrace.connect(into) as warehouse:
        cache = warehouse.cache("summaries")
        cache.put_many({"a": "1", "it's\0": "2"})
        cache.put_many({"a": "3"})
        cache.put_many({})
    with headrace.connect(into) as warehouse:
        assert {"a": "3", "it's\0": "2"} == warehouse.cache("summaries").get_many(["a", "it's\0", "none"])
