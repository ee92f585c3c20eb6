"""The tables of docs/semantics.md, run."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace import Contract, ContractViolation

PAGE = Path(__file__).parent.parent / "docs" / "semantics.md"
SYSTEM = {"_hr_id", "_hr_parent_id", "_hr_root_id", "_hr_index", "_hr_load_id"}
NAMES = {"Decimal": Decimal, "date": date, "datetime": datetime, "time": time, "timedelta": timedelta}


def rows_of(name: str) -> list[list[str]]:
    """Return the rows of the table that is marked to be run under a name, cells without their backticks."""
    text = PAGE.read_text(encoding="utf-8")
    table = text.split(f"<!-- run: {name} -->\n")[1].split("\n\n")[0]
    lines = table.splitlines()[2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def value(text: str) -> Any:
    return eval(text, {"__builtins__": {"float": float}}, NAMES)


def columns(warehouse: headrace.Warehouse, table: str) -> list[tuple[str, str]]:
    found = warehouse.query(
        "SELECT column_name, replace(data_type, 'TIMESTAMP WITH TIME ZONE', 'TIMESTAMPTZ') FROM duckdb_columns() "
        f"WHERE database_name = current_database() AND table_name = '{table}' ORDER BY column_index"
    )
    return [(name, type_) for name, type_ in found if name not in SYSTEM]


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
def test_merges(strategy: str, there: str, comes: str, then: str) -> None:
    """Each strategy leaves the rows that the page says."""
    with headrace.connect() as warehouse:
        for records in (there, comes):
            headrace.load(
                value(records), "t", into=warehouse, primary_key="id", write_disposition="merge",
                merge_strategy=strategy,
            )  # fmt: skip

        assert value(then) == warehouse.query("SELECT id, a FROM t ORDER BY ALL")


@pytest.mark.parametrize(("mode", "_", "ids", "kept"), rows_of("contracts"))
def test_contracts(mode: str, _: str, ids: str, kept: str) -> None:
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
