"""The tables of docs/semantics.md, run."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import requests

import headrace
from headrace import Checkpoint, Contract, ContractViolation, SourceError
from headrace.loaders.contracts.contract import Mode
from headrace.loaders.contracts.target import Strategy, Target
from headrace.loaders.reading.parts import Pace

PAGE = Path(__file__).parent.parent / "docs" / "semantics.md"
SYSTEM = {"_hr_id", "_hr_parent_id", "_hr_root_id", "_hr_index", "_hr_load_id"}
NAMES = {
    "Checkpoint": Checkpoint, "Decimal": Decimal, "UUID": UUID, "date": date, "datetime": datetime, "time": time, "timedelta": timedelta,
}  # fmt: skip
RECORDS = [{"id": 1, "tags": ["a", "b"], "user": {"name": "x"}}, {"id": 2, "tags": [], "user": {"name": "y"}}]


def rows_of(name: str) -> list[list[str]]:
    """Return the rows of the table that is marked to be run under a name, cells without their backticks."""
    text = PAGE.read_text(encoding="utf-8")
    table = text.split(f"<!-- run: {name} -->\n")[1].split("\n\n")[0]
    lines = table.splitlines()[2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def value(text: str) -> Any:
    builtins = {"float": float, "range": range, "str": str, "bytearray": bytearray, "dict": dict}
    return eval(text, {"__builtins__": builtins, **NAMES})


def columns(warehouse: headrace.Warehouse, table: str) -> list[tuple[str, str]]:
    found = warehouse.query(
        "SELECT column_name, replace(data_type, 'TIMESTAMP WITH TIME ZONE', 'TIMESTAMPTZ') FROM duckdb_columns() "
        f"WHERE database_name = current_database() AND table_name = '{table}' ORDER BY column_index"
    )
    return [(name, type_) for name, type_ in found if name not in SYSTEM]


def every_column(warehouse: headrace.Warehouse) -> list[tuple[str, str]]:
    """Return the columns of all tables as `table.column`, with their types."""
    tables = warehouse.query("SELECT table_name FROM _headrace.tables ORDER BY table_name")
    return [(f"{table}.{name}", type_) for (table,) in tables for name, type_ in columns(warehouse, table)]


def split_columns(text: str) -> list[tuple[str, ...]]:
    return [tuple(one.split(" ", 1)) for one in re.split(r", (?=[a-z])", text)]


@dataclass
class Order:
    """A record as a class has it."""

    id: int
    tags: list[str]
    user: dict[str, str]


async def arriving(records: list[Any]) -> AsyncIterator[Any]:
    for record in records:
        await asyncio.sleep(0)
        yield record


@pytest.mark.parametrize(("_", "example"), rows_of("containers"))
def test_containers(_: str, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the records come in, the tables are the same."""
    import duckdb
    import ibis
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.chdir(tmp_path)
    lines = b"".join(json.dumps(record).encode() + b"\n" for record in RECORDS)
    Path("orders.jsonl").write_bytes(lines)
    Path("orders.jsonl.gz").write_bytes(gzip.compress(lines))
    pq.write_table(pa.Table.from_pylist(RECORDS), "orders.parquet")
    names = {
        "records": RECORDS, "Order": Order, "arriving": arriving, "Path": Path, "json": json, "iter": iter,
        "pa": pa, "pd": pd, "duckdb": duckdb, "ibis": ibis,
    }  # fmt: skip
    with headrace.connect() as warehouse:
        loaded = headrace.load(eval(example, names), "t", into=warehouse)

        assert (2, {"t": 2, "t__tags": 2}) == (loaded.counts.loaded, loaded.rows)
        assert [(1, "x"), (2, "y")] == warehouse.query("SELECT id, user__name FROM t ORDER BY _hr_id")
        assert [("a",), ("b",)] == warehouse.query("SELECT value FROM t__tags ORDER BY _hr_index")


@pytest.mark.parametrize(("lines", "values"), rows_of("json"))
def test_json(lines: str, values: str) -> None:
    """JSON is read exactly, or refused whole."""
    data = b'{"v":null}\n' + lines.encode() + b"\n"
    with headrace.connect() as warehouse:
        if values == "refused":
            with pytest.raises(SourceError, match="record 1"):
                headrace.load(data, "t", into=warehouse)
            return
        headrace.load(data, "t", into=warehouse)

        assert [None, *value(values)] == [
            found for (found,) in warehouse.query("SELECT v FROM t ORDER BY _hr_id")
        ]


@pytest.mark.parametrize(("name", "tables", "_"), rows_of("system"))
def test_system_columns(name: str, tables: str, _: str) -> None:
    """Root and child tables have the system columns that the page says, and no others."""
    with headrace.connect() as warehouse:
        headrace.load([{"l": [1]}], "root", into=warehouse)
        found = warehouse.query(
            "SELECT replace(table_name, 'root__l', 'child'), data_type FROM duckdb_columns() "
            f"WHERE schema_name = 'main' AND column_name = '{name}' ORDER BY table_name"
        )
        named = warehouse.query(
            "SELECT DISTINCT column_name FROM duckdb_columns() WHERE schema_name = 'main' "
            "AND starts_with(column_name, '_hr_')"
        )

        assert [(table, "BIGINT") for table in tables.split(", ")] == found
        assert {row[0] for row in rows_of("system")} == {column for (column,) in named}


@pytest.mark.parametrize(("first", "second", "expected"), rows_of("widening"))
def test_widening(first: str, second: str, expected: str) -> None:
    """A second load changes columns as the page says, and all values can be read."""
    with headrace.connect() as warehouse:
        for text in (first, second):
            headrace.load([{"v": value(text)}], "t", into=warehouse)

        assert split_columns(expected) == columns(warehouse, "t")


@pytest.mark.parametrize(("values", "expected", "_"), rows_of("changed"))
def test_what_looks_different(values: str, expected: str, _: str) -> None:
    """Values are kept as the page says, here as text; times with a zone in UTC."""
    with headrace.connect() as warehouse:
        headrace.load([{"v": one} for one in value(values)], "t", into=warehouse)
        found = []
        for name, type_ in columns(warehouse, "t"):
            column = f'make_timestamp(epoch_us("{name}"))' if type_ == "TIMESTAMPTZ" else f'"{name}"'
            texts = warehouse.query(f"SELECT CAST({column} AS VARCHAR) FROM t ORDER BY _hr_id")
            shown = f"{type_} " + ", ".join(text for (text,) in texts)
            found.append(shown if name == "v" else f"{name} {shown}")

        assert expected == "; ".join(found)


@pytest.mark.parametrize(("record", "levels", "expected"), rows_of("limits"))
def test_limits(record: str, levels: str, expected: str) -> None:
    """What is too deep or has too many keys stays JSON."""
    with headrace.connect() as warehouse:
        headrace.load([value(record)], "t", into=warehouse, max_nesting=value(levels))

        assert split_columns(expected) == every_column(warehouse)


@pytest.mark.parametrize(("how", "there", "comes", "counts"), rows_of("counts"))
def test_counts(how: str, there: str, comes: str, counts: str) -> None:
    """The records of a load add up as the page says."""
    with headrace.connect() as warehouse:
        options = value(f"dict({how})")
        headrace.load([{"id": key} for key in value(there)], "t", into=warehouse, primary_key="id", **options)
        loaded = headrace.load(
            [{"id": key} for key in value(comes)], "t", into=warehouse, primary_key="id", **options
        )
        found = loaded.counts

        assert counts == f"{found.rows_in} = {found.loaded} + {found.quarantined} + {found.deduplicated}"
        assert found.balanced


@pytest.mark.parametrize(("records", "table", "named", "rows"), rows_of("shred"))
def test_shredding(records: str, table: str, named: str, rows: str) -> None:
    """Records land in the tables, columns and rows that the page says."""
    with headrace.connect() as warehouse:
        headrace.load(value(records), "t", into=warehouse)

        assert value(rows) == warehouse.query(f"SELECT {named} FROM {table} ORDER BY _hr_id")
        assert {name for name, _ in columns(warehouse, table)} >= set(named.split(", ")) - SYSTEM


@pytest.mark.parametrize(("key", "column"), rows_of("names"))
def test_names(key: str, column: str) -> None:
    """A key becomes the column that the page says."""
    with headrace.connect() as warehouse:
        headrace.load([{key: 1}], "t", into=warehouse)

        assert [(column, "BIGINT")] == columns(warehouse, "t")


@pytest.mark.parametrize(("values", "expected"), rows_of("types"))
def test_types(values: str, expected: str) -> None:
    """Values become columns of the types that the page says."""
    with headrace.connect() as warehouse:
        headrace.load([{"v": one} for one in value(values)], "t", into=warehouse)

        assert set(re.split(r", (?=v)", expected)) == {" ".join(column) for column in columns(warehouse, "t")}


@pytest.mark.parametrize(("hint", "given", "expected"), rows_of("hints"))
def test_hints(hint: str, given: str, expected: str) -> None:
    """A declared column takes what is the same value there."""
    with headrace.connect() as warehouse:
        headrace.load([{"v": value(given)}], "t", into=warehouse, columns={"v": hint})

        assert [(expected or None,)] == warehouse.query("SELECT CAST(v AS VARCHAR) FROM t")


@pytest.mark.parametrize(("strategy", "there", "comes", "then"), rows_of("merges"))
def test_merges(strategy: Strategy, there: str, comes: str, then: str) -> None:
    """Each strategy leaves the rows that the page says."""
    with headrace.connect() as warehouse:
        for records in (there, comes):
            headrace.load(
                value(records), "t", into=warehouse, primary_key="id", write_disposition="merge",
                merge_strategy=strategy,
            )  # fmt: skip

        assert value(then) == warehouse.query("SELECT id, a FROM t ORDER BY ALL")


@pytest.mark.parametrize(("how", "comes", "parts", "cursor"), rows_of("parts"))
def test_parts(how: str, comes: str, parts: str, cursor: str) -> None:
    """A load is cut into the parts that the page says."""
    options = value(f"dict({how})") if "=" in how else {}
    pace = Pace(part_records=2, row_order=options.pop("row_order", None))
    column = options.pop("cursor", None)
    stream = [{"at": one} if isinstance(one, int) else one for one in value(comes)]
    with headrace.connect() as warehouse:
        try:
            warehouse.load(iter(stream), Target("t", **options), cursor=column, pace=pace)
        except SourceError:
            assert parts.startswith("refused: ")
        found = warehouse.query(
            'SELECT list("at" ORDER BY _hr_id) FROM t GROUP BY _hr_load_id ORDER BY _hr_load_id'
        )

        assert value(parts.removeprefix("refused: `")) == [list(part) for (part,) in found]
        assert value(cursor) == warehouse.cursor("main.t")


@pytest.mark.parametrize(("error", "retry"), rows_of("days"))
def test_bad_days(error: str, retry: str) -> None:
    """An error of a source is one that passes, or not, as the page says."""

    def answered(status: int) -> requests.HTTPError:
        answer = requests.Response()
        answer.status_code = status
        return requests.HTTPError(response=answer)

    def source() -> Iterator[dict[str, int]]:
        yield {"id": 1}
        raise eval(error, {"requests": requests, "answered": answered})

    with pytest.raises(SourceError, match=r"main\.t: record 1: ") as raised:
        headrace.load(source(), "t", into=":memory:")

    assert (retry == "yes") == raised.value.retryable


@pytest.mark.parametrize(("mode", "_", "ids", "kept"), rows_of("contracts"))
def test_contracts(mode: Mode, _: str, ids: str, kept: str) -> None:
    """Each mode does with a record that brings a new column what the page says."""
    with headrace.connect() as warehouse:
        headrace.load([{"id": 1}], "t", into=warehouse)
        try:
            headrace.load([{"id": 2, "new": 5}], "t", into=warehouse, contract=Contract(columns=mode))
        except ContractViolation:
            assert mode == "freeze"

        assert value(ids) == [found for (found,) in warehouse.query("SELECT id FROM t ORDER BY id")]
        assert [(int(kept),)] == warehouse.query("SELECT count(*) FROM _headrace.quarantine")
        assert warehouse.query(
            "SELECT bool_and(rows_in = rows_loaded + rows_quarantined + rows_deduplicated) FROM _headrace.loads"
        ) == [(True,)]
