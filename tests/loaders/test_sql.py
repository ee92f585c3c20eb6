"""SQL: the statements of a commit, reviewed as files, and quoting that nothing gets through.

A snapshot holds what one commit sends to DuckDB, the catalogue's own statements aside. To write them anew
after a change that is meant: HEADRACE_SNAPSHOTS=write pytest tests/loaders/test_sql.py
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import headrace
from headrace.loaders.commit import commit
from headrace.loaders.contracts.target import Target
from headrace.loaders.database.quoting import ident, insert_values, literal
from headrace.loaders.extract import extract
from headrace.loaders.packages.writer import PackageWriter
from headrace.loaders.records import Rekey
from headrace.loaders.warehouse import Warehouse
from tests.loaders import landed

SNAPSHOTS = Path(__file__).parent / "snapshots"
NOW = re.compile(r"'\d{4}-\d\d-\d\dT[\d:.]+'")
"""The moment of a commit, which snapshots leave out."""
HOSTILE = [
    '"; DROP TABLE t; --',
    "'; DROP TABLE t; --",
    'we"ird',
    "it's",
    "a\\b",
    "$$",
    "{x}",
    "%s",
    "?",
    "a\nb",
]

FIRST = [{"id": 1, "at": "2026-01-31", "items": [{"sku": "a", "opts": [1]}]}]
VERSIONS = [
    [
        {"id": 1, "day": "Mon", "n": 1, "gone": None, "tags": ["x"]},
        {"id": 2, "day": "Tue", "n": 1, "gone": None},
    ],
    [
        {"id": 1, "day": "Mon", "n": 3, "gone": True, "tags": ["y"]},
        {"id": 1, "day": "Mon", "n": 2, "gone": None},
    ],
]
"""Two loads of a merge: a row with child rows, then two records of its key, of which one says it was deleted."""


def merging(strategy: str = "delete-insert", **more: Any) -> tuple[Target, list[list[Any]]]:
    """Return a case: both loads of `VERSIONS`, merged by id in one way."""
    options: Any = {"primary_key": ("id",), "merge_strategy": strategy, **more}
    return Target("orders", "shop", write_disposition="merge", **options), VERSIONS


LOADS: dict[str, tuple[Target, list[list[Any]]]] = {
    "append_first": (Target("orders", "shop"), [FIRST]),
    "append_nothing": (Target("orders", "shop"), [[]]),
    "append_again": (Target("orders", "shop"), [FIRST, FIRST]),
    "add_columns": (
        Target("orders", "shop"),
        [FIRST, [{"note": "x", "items": [{"gift": True}], "tags": ["y"]}]],
    ),
    "widen": (Target("orders"), [[{"n": 1, "m": None}], [{"n": 0.5, "m": b"x"}]]),
    "variant": (Target("orders"), [[{"n": 1}], [{"n": "one"}, {"n": 2}]]),
    "several_kinds": (
        Target("orders"),
        [[{"n": 1}, {"n": 2**60}, {"n": 2**70}, {"t": "2026-01-31"}, {"t": "?"}]],
    ),
    "replace": (Target("orders", write_disposition="replace"), [FIRST, [{"id": 2}]]),
    "replace_by_nothing": (Target("orders", write_disposition="replace"), [FIRST, []]),
    "merge_one_key": (Target("orders", primary_key=("id",), write_disposition="merge"), [FIRST, FIRST]),
    "merge_two_keys": (
        Target("orders", primary_key=("shop", "Order No"), write_disposition="merge"),
        [[{"shop": "a", "Order No": 1, "tags": ["x"]}], [{"shop": "a", "Order No": 1}]],
    ),
    "upsert": merging("upsert"),
    "insert_only": merging("insert-only"),
    "scd2": merging("scd2"),
    "scd2_by_group": merging("scd2", merge_key=("day",)),
    "snapshot": merging("snapshot"),
    "merge_key": merging(primary_key=(), merge_key=("day",)),
    "merge_key_and_key": merging(merge_key=("day",)),
    "dedup_sort": merging(dedup_sort="n"),
    "hard_delete": merging(hard_delete="gone"),
    "upsert_of_all": merging("upsert", dedup_sort="n", hard_delete="gone"),
    "rekey": (
        Target("orders", primary_key=("shop", "id"), write_disposition="merge"),
        [[{"shop": "a", "id": "it's", "tags": ["x"]}],
         [Rekey("id", "it's", 'new"'), {"shop": "a", "id": "b"}]],
    ),
    "hints": (
        Target("orders", columns={"price": "DECIMAL(18,2)", "meta": "JSON", "items[].sku": "VARCHAR"}),
        [[{"meta": {"a": 1}, "items": [{"sku": "a"}]}]],
    ),
}  # fmt: skip


class Recorder:
    """A connection that keeps what it is told to execute, and executes it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.statements: list[str] = []

    def execute(self, statement: str) -> Any:
        self.statements.append(statement)
        return self.connection.execute(statement)


def last_commit(warehouse: Warehouse, folder: Path, target: Target, batches: list[list[Any]]) -> str:
    """Load every batch; return the statements of the last commit that are not about the catalogue."""
    for batch in batches:
        with warehouse.session() as connection:
            with PackageWriter(folder, target, "source") as writer:
                package = extract(batch, writer)
            recorder = Recorder(connection)
            commit(recorder, package)  # type: ignore[arg-type]
    kept = [
        NOW.sub("'NOW'", statement.replace(str(package.folder), "PACKAGE"))
        for statement in recorder.statements
        if "_headrace" not in statement and "duckdb_tables()" not in statement
    ]
    return ";\n\n".join(kept) + ";\n"


@pytest.mark.parametrize("name", LOADS)
def test_commit(warehouse: Warehouse, tmp_path: Path, name: str) -> None:
    """Everything that a commit does to the tables is one transaction of these statements."""
    found = last_commit(warehouse, tmp_path, *LOADS[name])
    path = SNAPSHOTS / f"{name}.sql"
    if os.environ.get("HEADRACE_SNAPSHOTS") == "write":
        path.write_text(found, encoding="utf-8")

    assert path.read_text(encoding="utf-8") == found


def test_no_snapshot_is_left_over() -> None:
    """Each snapshot belongs to a load above."""
    assert sorted(LOADS) == sorted(path.stem for path in SNAPSHOTS.glob("*"))


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.integers() | st.booleans() | st.none())
def test_literals_come_back(engine: duckdb.DuckDBPyConnection, value: Any) -> None:
    """A literal is the value and nothing but the value, quotes, backslashes and NUL included."""
    if isinstance(value, int) and not -(2**127) <= value < 2**127:
        return

    assert (value,) == engine.execute(f"SELECT {literal(value)}").fetchone()


@given(st.floats())
@example(0.18924180256725887)
def test_fractions_come_back(engine: duckdb.DuckDBPyConnection, value: float) -> None:
    """A literal of a float is that float, infinities and NaN included."""
    row = engine.execute(f"SELECT CAST({literal(value)} AS DOUBLE)").fetchone()

    assert row is not None
    assert (value + 0.0).hex() == (row[0] + 0.0).hex()


@pytest.mark.parametrize("name", HOSTILE)
def test_identifiers_are_quoted(engine: duckdb.DuckDBPyConnection, name: str) -> None:
    """Any text is a name, of a schema, a table and a column alike."""
    engine.execute(f"CREATE SCHEMA {ident(name)}")
    engine.execute(f"CREATE TABLE {ident(name, name)} ({ident(name)} VARCHAR)")
    engine.execute(insert_values(ident(name, name), [name], [[name], [None]]))
    result = engine.execute(f"SELECT {ident(name)} FROM {ident(name, name)} ORDER BY 1")

    assert [name] == [column[0] for column in result.description or ()]
    assert [(name,), (None,)] == result.fetchall()


@pytest.mark.parametrize("text", HOSTILE)
def test_records_are_data(warehouse: Warehouse, text: str) -> None:
    """Keys, values, lists, hints and merge keys that look like SQL land as what they are."""
    record = {text: text, "id": text, f"{text}s": [{text: text}], "nested": {text: text}}
    for _ in range(2):
        headrace.load(
            [record],
            "t",
            into=warehouse,
            primary_key="id",
            write_disposition="merge",
            columns={"id": "VARCHAR"},
        )
    values = [value for row in landed.rows(warehouse, "t") for value in row]
    child = next(table for table in landed.tables(warehouse) if table != "t")

    assert [text, text, text] == values
    assert [(text,)] == landed.rows(warehouse, child)
