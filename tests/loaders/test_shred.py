"""Shredding: nested records become tables. The golden cases are what dlt makes of the same inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.loaders.warehouse import Warehouse
from tests.loaders import landed

GOLDEN = Path(__file__).parents[2].parent / "shared" / "data" / "dlt_golden_small.json"
CASES = [
    "nested", "list_of_list", "mixed_list", "empties", "variant", "iso", "names", "scalars", "dict_or_list",
    "empty_key",
]  # fmt: skip

Columns = list[tuple[str, str]]
Contents = dict[str, tuple[Columns, list[dict[str, Any]]]]


def as_dlt_would(warehouse: Warehouse) -> Contents:
    """Return every table's columns and rows under dlt's names: `_dlt_list_idx` for `_hr_index`."""
    found: Contents = {}
    for table in landed.tables(warehouse):
        columns = list(landed.types(warehouse, table).items())
        table_rows = landed.records(warehouse, table)
        if table != "t":
            indexes = warehouse.query(f'SELECT _hr_index FROM "{table}" ORDER BY _hr_id')
            for row, (index,) in zip(table_rows, indexes, strict=True):
                row["_dlt_list_idx"] = index
        found[table] = (columns, table_rows)
    return found


def golden(case: dict[str, Any]) -> Contents:
    """Return the tables of a golden case in the same form, dlt's own columns aside."""
    found: Contents = {}
    for table, expected in case["expected"].items():
        columns = [
            (name, type_.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"))
            for name, type_ in expected["columns"]
            if not name.startswith("_dlt_")
        ]
        names = expected["row_columns"]
        found[table] = (columns, [dict(zip(names, row, strict=True)) for row in expected["rows_without_ids"]])
    return found


def better(name: str, expected: Contents) -> Contents:
    """Return what dlt made, with each of its losses and changes mended: the only differences allowed."""
    if name == "empties":
        # A key that has only ever been null is there, and the catalogue tells of it.
        expected["t"] = ([("id", "BIGINT"), ("n", "VARCHAR")], [{"id": 1, "n": None}])
    if name == "variant":
        # dlt turned the text "7" into the number 7, and put 2.5 beside a column that could have held it.
        columns, rows = expected["t"]
        kept = [(column, type_) for column, type_ in columns if column not in {"v", "v__v_double"}]
        expected["t"] = ([("id", "BIGINT"), ("v", "DOUBLE"), *kept[1:]], rows)
        rows[4].update(v=None, v__v_text="7")
        rows[2].update(v=2.5)
        for row in rows:
            del row["v__v_double"]
    if name == "iso":
        # dlt gave naive times a zone that nobody had named, and left a date as text.
        naive = {"c": "TIMESTAMP", "d": "DATE", "e": "TIMESTAMP"}
        columns, rows = expected["t"]
        expected["t"] = ([(column, naive.get(column, type_)) for column, type_ in columns], rows)
    return expected


@pytest.mark.parametrize("name", CASES)
def test_golden(warehouse: Warehouse, name: str) -> None:
    """The same tables, columns and rows as dlt makes, but for what it loses or changes."""
    if not GOLDEN.exists():
        pytest.skip(f"{GOLDEN} is not here")
    case = json.loads(GOLDEN.read_text(encoding="utf-8"))[name]
    headrace.load(case["input"], "t", into=warehouse)

    expected, found = better(name, golden(case)), as_dlt_would(warehouse)

    assert _sorted_columns(expected) == _sorted_columns(found)
    assert _texts(expected) == _texts(found)


def _sorted_columns(contents: Contents) -> dict[str, Columns]:
    return {table: sorted(columns) for table, (columns, _) in contents.items()}


def _texts(contents: Contents) -> dict[str, list[dict[str, str]]]:
    """Return rows with values as text, times cut to their seconds: dlt's are JSON."""
    return {
        table: [{name: _text(value) for name, value in row.items()} for row in rows]
        for table, (_, rows) in contents.items()
    }


def _text(value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(float(value))
    return str(value).replace("T", " ").removesuffix("+00:00") if value is not None else ""


def test_nested_dicts_are_columns(warehouse: Warehouse) -> None:
    """Keys of dicts within dicts join with two underscores, to any depth."""
    headrace.load([{"a": {"b": {"c": 1}, "d": 2}}], "t", into=warehouse)

    assert [{"a__b__c": 1, "a__d": 2}] == landed.records(warehouse, "t")


def test_lists_are_child_tables(warehouse: Warehouse) -> None:
    """Rows of lists know their parent, their root record and their place, counted from 0."""
    records = [
        {"id": "x", "items": [{"sku": "a", "opts": [{"o": 1}, {"o": 2}]}, {"sku": "b"}]},
        {"id": "y", "items": [{"sku": "c", "opts": [{"o": 3}]}]},
    ]
    headrace.load(records, "t", into=warehouse)

    assert [("x", "a", 0), ("x", "b", 1), ("y", "c", 0)] == warehouse.query(
        "SELECT t.id, i.sku, i._hr_index FROM t__items i JOIN t ON t._hr_id = i._hr_parent_id ORDER BY ALL"
    )
    assert [("x", "a", 1, 0), ("x", "a", 2, 1), ("y", "c", 3, 0)] == warehouse.query(
        "SELECT t.id, i.sku, o.o, o._hr_index FROM t__items__opts o "
        "JOIN t__items i ON i._hr_id = o._hr_parent_id JOIN t ON t._hr_id = o._hr_root_id ORDER BY ALL"
    )


def test_system_columns(warehouse: Warehouse) -> None:
    """Root rows have an id and a load; rows of lists also a parent, a root and an index. All are integers."""
    headrace.load([{"tags": ["a"]}], "t", into=warehouse)
    root = {"_hr_id": "BIGINT", "_hr_load_id": "BIGINT"}
    child = {**root, "_hr_parent_id": "BIGINT", "_hr_root_id": "BIGINT", "_hr_index": "BIGINT"}

    assert root == landed.types(warehouse, "t", system=True)
    assert {"value": "VARCHAR", **child} == landed.types(warehouse, "t__tags", system=True)


def test_ids_are_unique_over_loads(warehouse: Warehouse) -> None:
    """No two rows of a table share an id, whichever loads they came with, and ids rise with loads."""
    for _ in range(3):
        headrace.load([{"n": n, "tags": [1, 2]} for n in range(5)], "t", into=warehouse)

    for table in ("t", "t__tags"):
        assert [(0,)] == warehouse.query(f"SELECT count(*) - count(DISTINCT _hr_id) FROM {table}")
    assert [(1,), (2,), (3,)] == warehouse.query("SELECT _hr_load_id FROM t GROUP BY 1 ORDER BY min(_hr_id)")


def test_system_names_are_taken(warehouse: Warehouse) -> None:
    """A key that is called like a system column gets a suffix."""
    headrace.load(
        [{"_hr_id": "mine", "_HR_LOAD_ID": 2, "tags": [{"_hr_index": "first"}]}], "t", into=warehouse
    )

    assert [{"_hr_id_2": "mine", "_hr_load_id_2": 2}] == landed.records(warehouse, "t")
    assert [{"_hr_index_2": "first"}] == landed.records(warehouse, "t__tags")


@pytest.mark.parametrize(
    ("records", "rows"),
    [([], 0), ([{}], 1), ([{}, {}], 2), ([{"a": {}}], 1), ([{"a": []}], 1), ([[]], 0), ([[{}, {}], {}], 3)],
)
def test_records_without_values(warehouse: Warehouse, records: list[Any], rows: int) -> None:
    """An empty record is a row; an empty dict or list in it leaves no trace; an empty page is nothing."""
    loaded = headrace.load(records, "t", into=warehouse)

    assert rows == loaded.counts.loaded == landed.count(warehouse, "t")
    assert (["t"], {}) == (landed.tables(warehouse), landed.types(warehouse, "t"))


def test_pages_are_lists_of_records(warehouse: Warehouse) -> None:
    """A list is a page of records, records and pages may alternate, and order is kept."""
    headrace.load([[{"n": 0}, {"n": 1}], {"n": 2}, [], [{"n": 3}]], "t", into=warehouse)

    assert [(n,) for n in range(4)] == landed.rows(warehouse, "t")


def test_sources_may_reuse_their_dict(warehouse: Warehouse) -> None:
    """A record is taken as it is when it is yielded, whatever the source does with it after."""

    def source() -> Any:
        record: dict[str, Any] = {"tags": []}
        for n in range(3):
            record["n"] = n
            record["tags"].append(n)
            yield record

    headrace.load(source(), "t", into=warehouse)

    assert [(0,), (1,), (2,)] == landed.rows(warehouse, "t")
    assert [(0,), (0,), (1,), (0,), (1,), (2,)] == landed.rows(warehouse, "t__tags")


def test_the_callers_records_stay_as_they_are(warehouse: Warehouse) -> None:
    """Loading changes nothing in the records that it is given."""
    record = {"v": float("inf"), "when": {1}, "meta": {"a": [1, {"b": None}]}}
    copy = {"v": float("inf"), "when": {1}, "meta": {"a": [1, {"b": None}]}}
    headrace.load([record], "t", into=warehouse, columns={"meta": "JSON"})

    assert copy == record


def test_json_hint_stops_shredding(warehouse: Warehouse) -> None:
    """What is declared JSON stays one column, with all that is in it."""
    values = [{"a": [1, {"b": None}], "n": 2**70}, [1], "text", None]
    records = [{"id": number, "meta": value} for number, value in enumerate(values)]
    headrace.load([*records, {"id": 4}], "t", into=warehouse, columns={"meta": "JSON"})
    kept = [row["meta"] for row in landed.records(warehouse, "t")]

    assert ["t"] == landed.tables(warehouse)
    assert {"id": "BIGINT", "meta": "JSON"} == dict(sorted(landed.types(warehouse, "t").items()))
    assert [*values, None] == [None if text is None else json.loads(text) for text in kept]
