"""The ways to merge, each as a story: what was there, what came, what is there then."""

from __future__ import annotations

from typing import Any

import pytest

import headrace
from headrace.errors import UnknownColumn, UsageError
from headrace.loaders.commit import LoadedTable
from headrace.loaders.warehouse import Warehouse


@pytest.fixture
def warehouse() -> Warehouse:
    return headrace.connect()


def merge(
    warehouse: Warehouse, records: list[Any], strategy: str = "delete-insert", **more: Any
) -> LoadedTable:
    landing: Any = {"primary_key": "id", "write_disposition": "merge", "merge_strategy": strategy, **more}
    return headrace.load(records, "t", into=warehouse, **landing)


def rows(warehouse: Warehouse, columns: str, table: str = "t") -> list[tuple[Any, ...]]:
    return warehouse.query(f"SELECT {columns} FROM {table} ORDER BY ALL")


def equation(loaded: LoadedTable) -> tuple[int, int, int, int]:
    counts = loaded.counts
    return counts.rows_in, counts.loaded, counts.quarantined, counts.deduplicated


UPSERTS = [
    pytest.param({"id": 1}, (1, "x"), [7], id="what is absent stays"),
    pytest.param({"id": 1, "a": 2}, (2, "x"), [7], id="what is given replaces"),
    pytest.param({"id": 1, "a": None}, (None, "x"), [7], id="null replaces"),
    pytest.param({"id": 1, "l": [8, 9]}, (1, "x"), [8, 9], id="a list replaces the list"),
    pytest.param({"id": 1, "l": []}, (1, "x"), [], id="an empty list empties it"),
    pytest.param({"id": 1, "l": None}, (1, "x"), [], id="null empties it too"),
    pytest.param({"id": 1, "d": {"b": "y"}}, (1, "y"), [7], id="a nested value replaces"),
    pytest.param({"id": 1, "d": {}}, (1, "x"), [7], id="an empty dict mentions nothing"),
    pytest.param({"id": 1, "d": None}, (1, None), [7], id="null for a dict empties it"),
]


@pytest.mark.parametrize(("record", "row", "items"), UPSERTS)
def test_upsert(warehouse: Warehouse, record: dict[str, Any], row: tuple[Any, ...], items: list[int]) -> None:
    """An upsert changes what the record mentions, and the row keeps its id."""
    merge(warehouse, [{"id": 1, "a": 1, "d": {"b": "x"}, "l": [7]}], "upsert")
    before = rows(warehouse, "_hr_id")
    merge(warehouse, [record], "upsert")

    assert [row] == rows(warehouse, "a, d__b")
    assert before == rows(warehouse, "_hr_id")
    assert [(item, *before[0]) for item in items] == rows(warehouse, "value, _hr_root_id", "t__l")


def test_upsert_of_another_kind(warehouse: Warehouse) -> None:
    """A value of another kind takes the whole place of the old one, whatever columns hold them."""
    merge(warehouse, [{"id": 1, "v": "text"}, {"id": 2, "v": 7}, {"id": 3, "v": [1]}], "upsert")
    merge(warehouse, [{"id": 1, "v": 5}, {"id": 2, "v": {"a": 1}}, {"id": 3, "v": 9}], "upsert")

    assert [(1, 5, None, None), (2, None, None, 1), (3, 9, None, None)] == rows(
        warehouse, "id, v, v__v_text, v__a"
    )
    assert [] == rows(warehouse, "value", "t__v")


def test_insert_only(warehouse: Warehouse) -> None:
    """What is there stays as it is; what is new comes in, and the rest is counted."""
    merge(warehouse, [{"id": 1, "a": 1, "l": [1]}])
    loaded = merge(warehouse, [{"id": 1, "a": 2, "l": [2]}, {"id": 2, "a": 2, "l": [2]}], "insert-only")

    assert (2, 1, 0, 1) == equation(loaded)
    assert [(1, 1), (2, 2)] == rows(warehouse, "id, a")
    assert [(1,), (2,)] == rows(warehouse, "value", "t__l")


def test_snapshot(warehouse: Warehouse) -> None:
    """Rows that the source no longer has are deleted, with their children."""
    merge(warehouse, [{"id": 1, "l": [1]}, {"id": 2, "l": [2]}])
    merge(warehouse, [{"id": 2, "l": [3]}, {"id": 4}], "snapshot")

    assert [(2,), (4,)] == rows(warehouse, "id")
    assert [(3,)] == rows(warehouse, "value", "t__l")


def test_scd2_keeps_versions(warehouse: Warehouse) -> None:
    """A change retires the old version and adds a new one; what did not change is left alone."""
    merge(warehouse, [{"id": 1, "a": 1, "l": [1]}, {"id": 2, "a": 1}], "scd2")
    same = merge(warehouse, [{"a": 1, "id": 2}, {"id": 1, "l": [1], "a": 1}], "scd2")
    changed = merge(warehouse, [{"id": 1, "a": 1, "l": [2]}, {"id": 2, "a": 1}], "scd2")

    assert (2, 0, 0, 2) == equation(same)
    assert (2, 1, 0, 1) == equation(changed)
    assert [(1, False), (1, True), (2, True)] == rows(warehouse, "id, _hr_valid_to IS NULL")
    assert [(1, False), (2, True)] == rows(
        warehouse, "l.value, t._hr_valid_to IS NULL", "t__l l JOIN t ON l._hr_root_id = t._hr_id"
    )


def test_scd2_versions_meet(warehouse: Warehouse) -> None:
    """A version ends at the moment at which the next begins."""
    merge(warehouse, [{"id": 1, "a": 1}], "scd2")
    merge(warehouse, [{"id": 1, "a": 2}], "scd2")

    assert [(1,)] == rows(warehouse, "count(*)", "t old JOIN t new ON old._hr_valid_to = new._hr_valid_from")


def test_scd2_retires_what_is_absent(warehouse: Warehouse) -> None:
    """A record that the source no longer has is retired; with merge_key only in the groups that came."""
    records = [{"id": 1, "g": "x"}, {"id": 2, "g": "x"}, {"id": 3, "g": "y"}]
    merge(warehouse, records, "scd2", merge_key="g")
    merge(warehouse, records[:1], "scd2", merge_key="g")

    assert [(1, True), (2, False), (3, True)] == rows(warehouse, "id, _hr_valid_to IS NULL")


def test_scd2_compound_keys(warehouse: Warehouse) -> None:
    """Keys are compared column by column: ("ab", "c") is not ("a", "bc")."""
    records = [{"x": "a", "y": "bc", "v": 1}, {"x": "ab", "y": "c", "v": 1}]
    merge(warehouse, records, "scd2", primary_key=("x", "y"))
    merge(warehouse, [records[0], {**records[1], "v": 2}], "scd2", primary_key=("x", "y"))

    assert [("a", 1, True), ("ab", 1, False), ("ab", 2, True)] == rows(
        warehouse, "x, v, _hr_valid_to IS NULL"
    )


def test_merge_key_replaces_groups(warehouse: Warehouse) -> None:
    """Without a primary key, a load replaces the groups that it holds and adds all of its rows."""
    merge(
        warehouse,
        [{"day": 1, "n": 1}, {"day": 1, "n": 1}, {"day": 2, "n": 2}],
        primary_key=None,
        merge_key="day",
    )
    merge(warehouse, [{"day": 1, "n": 9}], primary_key=None, merge_key="day")

    assert [(1, 9), (2, 2)] == rows(warehouse, "day, n")


def test_dedup_sort(warehouse: Warehouse) -> None:
    """Among records of one key the greatest wins; without a sort, the last; a null never."""
    records = [{"id": 1, "s": 2, "a": "2"}, {"id": 1, "s": 3, "a": "3"}, {"id": 1, "s": None, "a": "-"}]
    loaded = merge(warehouse, records, dedup_sort="s")

    assert (3, 1, 0, 2) == equation(loaded)
    assert [("3",)] == rows(warehouse, "a")


@pytest.mark.parametrize("mark", [True, "2026-01-31", 0], ids=repr)
def test_hard_delete(warehouse: Warehouse, mark: Any) -> None:
    """A record that says it was deleted takes its row and children away: true, or anything not null."""
    merge(warehouse, [{"id": 1, "l": [1]}, {"id": 2, "l": [2]}], hard_delete="gone")
    loaded = merge(warehouse, [{"id": 1, "gone": mark}, {"id": 9, "gone": mark}], hard_delete="gone")

    assert (2, 2, 0, 0) == equation(loaded)
    assert [(2,)] == rows(warehouse, "id")
    assert [(2,)] == rows(warehouse, "value", "t__l")


def test_switching(warehouse: Warehouse) -> None:
    """A table may be appended to first and merged into later, children included, in any way."""
    headrace.load([{"id": 1, "l": [1]}, {"id": 2, "l": [2]}], "t", into=warehouse)
    for strategy in ("delete-insert", "upsert", "scd2", "insert-only", "snapshot"):
        merge(warehouse, [{"id": 1, "l": [7]}, {"id": 2, "l": [2]}], strategy)

    assert [(1,), (2,)] == rows(warehouse, "id")
    assert [(2,), (7,)] == rows(warehouse, "value", "t__l")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"merge_strategy": "scd"}, "no merge_strategy 'scd'; did you mean 'scd2'"),
        ({"merge_strategy": "upsert", "primary_key": None}, "merge needs primary_key"),
        ({"merge_strategy": "scd2", "primary_key": None, "merge_key": "id"}, "merge needs primary_key"),
    ],
)
def test_impossible_merges(warehouse: Warehouse, options: Any, message: str) -> None:
    """What cannot work is refused before anything is read."""
    with pytest.raises(UsageError, match=message):
        merge(warehouse, [{"id": 1}], options.pop("merge_strategy"), **options)


def test_misspelt_merge_key(warehouse: Warehouse) -> None:
    """A merge_key that no record has is refused, with the name that was meant."""
    with pytest.raises(UnknownColumn, match="did you mean 'day'"):
        merge(warehouse, [{"id": 1, "day": 1}], merge_key="days")


@pytest.mark.parametrize(
    "option", [{"merge_strategy": "upsert"}, {"merge_key": "id"}, {"hard_delete": "gone"}]
)
def test_merging_without_merge(warehouse: Warehouse, option: Any) -> None:
    """An option of merging without write_disposition='merge' is refused: it would be ignored."""
    with pytest.raises(UsageError, match="add write_disposition='merge'"):
        headrace.load([{"id": 1}], "t", into=warehouse, primary_key="id", **option)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"primarykey": "id"}, "no option 'primarykey'; did you mean 'primary_key'"),
        ({"contract": int}, "is no Contract, model or path"),
    ],
)
def test_misspelt_options(warehouse: Warehouse, options: Any, message: str) -> None:
    """An option that does not exist, or is of no use, is refused by name."""
    with pytest.raises(UsageError, match=message):
        headrace.load([{"id": 1}], "t", into=warehouse, **options)


def test_a_mode_is_a_contract(warehouse: Warehouse) -> None:
    """One word stands for all three rules."""
    headrace.load([{"id": 1}], "t", into=warehouse)
    with pytest.raises(headrace.ContractViolation):
        headrace.load([{"id": 1, "new": 1}], "t", into=warehouse, contract="freeze")


def test_times_with_a_zone_are_text(warehouse: Warehouse) -> None:
    """A query gives times with a zone as text, whatever else it selects."""
    headrace.load([{"id": 1, "at": "2026-01-01T00:00:00Z"}], "t", into=warehouse)

    assert [(1, "2026-01-01 00:00:00+00")] == warehouse.query('-- all\nSELECT id, "at" FROM t;')
