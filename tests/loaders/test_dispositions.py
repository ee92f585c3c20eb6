"""Dispositions: append, replace and merge, the marks of a stream, and the cursor that is committed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace
from headrace.errors import LoadError, SourceError, UnknownColumn, UsageError
from headrace.loaders.commit import LoadedTable
from headrace.loaders.contracts.target import Disposition, Target
from headrace.loaders.records import Checkpoint, Rekey
from headrace.loaders.warehouse import Warehouse
from tests.loaders import landed


def merge(warehouse: Warehouse, records: list[Any], key: Any = "id") -> LoadedTable:
    return headrace.load(records, "t", into=warehouse, primary_key=key, write_disposition="merge")


def by_id(warehouse: Warehouse) -> dict[Any, dict[str, Any]]:
    return {row["id"]: row for row in landed.records(warehouse, "t")}


def tags(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    """Return each tag with the id of the record that has it; none may be without."""
    return warehouse.query(
        "SELECT t.id, value FROM t__tags LEFT JOIN t ON t._hr_id = t__tags._hr_root_id ORDER BY ALL"
    )


def test_append_adds(warehouse: Warehouse) -> None:
    """Rows are added, equal ones too."""
    for _ in range(2):
        headrace.load([{"id": 1, "tags": ["a"]}], "t", into=warehouse)

    assert [(1,), (1,)] == landed.rows(warehouse, "t")
    assert [(1, "a"), (1, "a")] == tags(warehouse)


def test_replace_empties_first(warehouse: Warehouse) -> None:
    """What was there goes with its children, also those that the new records lack."""
    headrace.load([{"id": 1, "tags": ["a"], "old": 1}], "t", into=warehouse)
    headrace.load([{"id": 2}], "t", into=warehouse, write_disposition="replace")

    assert [{"id": 2, "old": None}] == landed.records(warehouse, "t")
    assert [] == tags(warehouse)


@pytest.mark.parametrize("stream", [[], [[]], iter(())], ids=["none", "empty page", "empty iterator"])
def test_replace_with_nothing(warehouse: Warehouse, stream: Any) -> None:
    """An empty stream replaces everything by nothing: the table stays, its rows and children go."""
    headrace.load([{"id": 1, "tags": ["a"]}], "t", into=warehouse)
    loaded = headrace.load(stream, "t", into=warehouse, write_disposition="replace")

    assert (0, [], []) == (loaded.counts.rows_in, landed.rows(warehouse, "t"), tags(warehouse))
    assert ["t", "t__tags"] == landed.tables(warehouse)


@pytest.mark.parametrize("how", ["append", "replace", "merge"])
def test_an_empty_stream_makes_an_empty_table(warehouse: Warehouse, how: Disposition) -> None:
    """A first load without records leaves a table that can be named."""
    headrace.load([], "t", into=warehouse, write_disposition=how, primary_key="id", columns={"id": "BIGINT"})

    assert {"id": ("BIGINT", [])} == landed.contents(warehouse, "t")


def test_merge_replaces_by_key(warehouse: Warehouse) -> None:
    """A record takes the place of the one with its key, wholly: what it lacks is null."""
    merge(warehouse, [{"id": 1, "name": "a", "extra": 1}, {"id": 2, "name": "b"}])
    loaded = merge(warehouse, [{"id": 1, "name": "A"}, {"id": 3, "name": "c"}])

    assert {
        1: {"id": 1, "name": "A", "extra": None},
        2: {"id": 2, "name": "b", "extra": None},
        3: {"id": 3, "name": "c", "extra": None},
    } == by_id(warehouse)
    assert (2, 2, 0) == (loaded.counts.rows_in, loaded.counts.loaded, loaded.counts.deduplicated)


def test_merge_replaces_children(warehouse: Warehouse) -> None:
    """Rows of lists go and come with their record, at every depth; those of others stay."""
    items = [{"sku": "x", "opts": [1, 2]}]
    merge(
        warehouse, [{"id": 1, "tags": ["a", "b"], "items": items}, {"id": 2, "tags": ["c"], "items": items}]
    )
    merge(warehouse, [{"id": 1, "tags": ["z"]}])

    assert [(1, "z"), (2, "c")] == tags(warehouse)
    assert (1, 2) == (landed.count(warehouse, "t__items"), landed.count(warehouse, "t__items__opts"))


def test_last_of_duplicates_wins(warehouse: Warehouse) -> None:
    """Of records with one key in one load the last counts, with its children; the others are told of."""
    loaded = merge(
        warehouse,
        [
            {"id": 1, "n": 0, "tags": ["a"]},
            {"id": 2, "n": 1},
            {"id": 1, "n": 2, "tags": ["b"]},
            {"id": 1, "n": 3},
        ],
    )

    assert {1: {"id": 1, "n": 3}, 2: {"id": 2, "n": 1}} == by_id(warehouse)
    assert [] == tags(warehouse)
    assert (4, 2, 2) == (loaded.counts.rows_in, loaded.counts.loaded, loaded.counts.deduplicated)
    assert [(4, 2, 0, 2)] == warehouse.query(
        "SELECT rows_in, rows_loaded, rows_quarantined, rows_deduplicated FROM _headrace.loads"
    )


def test_compound_keys(warehouse: Warehouse) -> None:
    """Records are the same only if all columns of the key are."""
    first = [{"shop": "a", "no": 1, "n": 1}, {"shop": "a", "no": 2, "n": 2}, {"shop": "b", "no": 1, "n": 3}]
    merge(warehouse, first, key=("shop", "no"))
    merge(warehouse, [{"shop": "a", "no": 1, "n": 10}], key=("shop", "no"))

    assert [("a", 1, 10), ("a", 2, 2), ("b", 1, 3)] == sorted(landed.rows(warehouse, "t"))


@pytest.mark.parametrize(
    ("key", "record"),
    [
        ("userId", {"userId": 1}),  # as the source names it
        ("user_id", {"userId": 1}),  # as the warehouse does
        ("user.id", {"user": {"id": 1}}),
        ("user__id", {"user": {"id": 1}}),
        ('"; DROP TABLE t; --', {'"; DROP TABLE t; --': 1}),
    ],
)
def test_keys_by_either_name(warehouse: Warehouse, key: str, record: dict[str, Any]) -> None:
    """A key is found by the source's name, nested too, or by the column's."""
    for n in range(2):
        merge(warehouse, [{**record, "n": n}], key=key)

    assert [(1,)] == warehouse.query("SELECT n FROM t")


KEY_VALUES: list[Any] = [1, "a", "2026-01-31", date(2026, 1, 31), 1.5, True, b"x", 2**70, "01", "é\0"]


@pytest.mark.parametrize("value", KEY_VALUES, ids=repr)
def test_keys_of_any_type(warehouse: Warehouse, value: Any) -> None:
    """A key may be of any type; merging twice leaves one row."""
    for n in range(2):
        merge(warehouse, [{"id": value, "n": n}])

    assert [(1,)] == warehouse.query("SELECT n FROM t")


def test_a_key_that_widens(warehouse: Warehouse) -> None:
    """A key whose column widens still finds the rows that were there before."""
    merge(warehouse, [{"id": 1, "n": 0}])
    merge(warehouse, [{"id": 2**70, "n": 1}, {"id": 1, "n": 2}])

    assert {1: 2, 2**70: 1} == {key: row["n"] for key, row in by_id(warehouse).items()}


def test_a_key_of_two_types_is_refused(warehouse: Warehouse) -> None:
    """A key whose values need two columns is refused with the way out, and nothing is written."""
    merge(warehouse, [{"id": 1}])
    with pytest.raises(LoadError, match=r"key column 'main.t.id' is BIGINT.*columns=\{'id': 'VARCHAR'\}"):
        merge(warehouse, [{"id": "a"}])

    assert [(1,)] == landed.rows(warehouse, "t")


@pytest.mark.parametrize("record", [{"n": 1}, {"id": None, "n": 1}], ids=["absent", "null"])
def test_a_record_without_its_key(warehouse: Warehouse, record: dict[str, Any]) -> None:
    """A record without a key goes to quarantine with its number and its reason; the others land."""
    merge(warehouse, [{"id": 1, "n": 0}])
    counts = merge(warehouse, [{"id": 2, "n": 0}, record]).counts

    assert (2, 1, 1, 0) == (counts.rows_in, counts.loaded, counts.quarantined, counts.deduplicated)
    assert [{"id": 1, "n": 0}, {"id": 2, "n": 0}] == landed.records(warehouse, "t")
    assert [(2, 1, "$.id", "primary_key")] == warehouse.query(
        "SELECT load_id, record, path, rule FROM _headrace.quarantine"
    )


@pytest.mark.parametrize("how", ["append", "merge"])
def test_an_unknown_key_column(warehouse: Warehouse, how: Disposition) -> None:
    """A key that no record has is refused with the likely name, and nothing is written."""
    with pytest.raises(UnknownColumn, match="no column 'updated'; did you mean 'updated_at'"):
        headrace.load([{"updated_at": 1}], "t", into=warehouse, primary_key="updated", write_disposition=how)

    assert [] == landed.tables(warehouse)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"write_disposition": "merge"}, "merge needs primary_key"),
        ({"write_disposition": "apend"}, "did you mean 'append'"),
        ({"primary_key": ("id", "id")}, "names a column twice"),
        ({"table": "Order Lines"}, "'order_lines' would be"),
        ({"table": ""}, "is no name"),
        ({"table": "_headrace.loads"}, "headrace's own catalogue"),
        ({"table": 't"; DROP TABLE t; --'}, "is no name"),
    ],
)
def test_targets_that_cannot_work(warehouse: Warehouse, options: dict[str, Any], message: str) -> None:
    """A call that cannot work is refused before a record is read."""

    def source() -> Iterator[dict[str, Any]]:
        raise AssertionError("read")
        yield {}

    with pytest.raises(UsageError, match=message):
        headrace.load(source(), **{"table": "t", "into": warehouse, **options})


@settings(max_examples=8)
@given(
    st.lists(
        st.lists(
            st.fixed_dictionaries(
                {
                    "id": st.integers(0, 3),
                    "n": st.integers(0, 9),
                    "tags": st.lists(st.integers(0, 9), max_size=2),
                }
            ),
            max_size=4,
        ),
        max_size=3,
    )
)
def test_merge_is_a_dict_update(batches: list[list[dict[str, Any]]]) -> None:
    """After any merges the table is what a Python dict would be; merging the last again changes nothing."""
    expected = {record["id"]: record for batch in batches for record in batch}
    with Warehouse() as warehouse:
        for batch in [[{"id": 0, "n": 0, "tags": [0]}], *batches, *batches[-1:]]:
            merge(warehouse, list(batch))
        expected.setdefault(0, {"id": 0, "n": 0, "tags": [0]})
        found = {key: {"id": key, "n": row["n"], "tags": []} for key, row in by_id(warehouse).items()}
        for key, value in warehouse.query(
            "SELECT id, value FROM t__tags LEFT JOIN t ON t._hr_id = _hr_root_id ORDER BY id, _hr_index"
        ):
            found[key]["tags"].append(value)

        assert expected == found


def test_rekey_moves_landed_rows(warehouse: Warehouse) -> None:
    """Rows that landed under an old key get the new one, before the load's own are merged."""
    merge(warehouse, [{"id": "draft", "n": 1, "tags": ["a"]}, {"id": "other", "n": 2}])
    merge(warehouse, [Rekey("id", "draft", "final"), {"id": "new", "n": 3}])

    assert {"final": 1, "other": 2, "new": 3} == {key: row["n"] for key, row in by_id(warehouse).items()}
    assert [("final", "a")] == tags(warehouse)


def test_rekey_gives_way(warehouse: Warehouse) -> None:
    """Where the new key is there already, the old row goes, and its children with it."""
    merge(warehouse, [{"id": "old", "n": 1, "tags": ["a"]}, {"id": "new", "n": 2, "tags": ["b"]}])
    merge(warehouse, [Rekey("id", "old", "new"), {"id": "x", "n": 0}])

    assert {"new": 2, "x": 0} == {key: row["n"] for key, row in by_id(warehouse).items()}
    assert [("new", "b")] == tags(warehouse)


def test_rekey_then_merge_of_the_new_key(warehouse: Warehouse) -> None:
    """A record with the new key in the same load replaces the row that was moved."""
    merge(warehouse, [{"id": "it's", "n": 1}])
    merge(warehouse, [Rekey("id", "it's", "new"), {"id": "new", "n": 2}])

    assert {"new": {"id": "new", "n": 2}} == by_id(warehouse)


def test_rekey_of_a_compound_key(warehouse: Warehouse) -> None:
    """Only the named column changes, in every row that has the old value."""
    key = ("shop", "id")
    merge(warehouse, [{"shop": "a", "id": "1"}, {"shop": "a", "id": "2"}, {"shop": "b", "id": "1"}], key)
    merge(warehouse, [Rekey("shop", "a", "b"), {"shop": "c", "id": "9"}], key)

    assert [("b", "1"), ("b", "2"), ("c", "9")] == sorted(landed.rows(warehouse, "t"))


def test_rekey_before_the_first_load(warehouse: Warehouse) -> None:
    """A mark in the first load finds nothing to move."""
    merge(warehouse, [Rekey("id", "a", "b"), {"id": "c"}])

    assert [("c",)] == landed.rows(warehouse, "t")


def test_checkpoints_are_committed(warehouse: Warehouse) -> None:
    """The last checkpoint of a load is the cursor from then on, in any form that JSON has."""
    target = Target("t")

    assert None is warehouse.cursor("main.t")

    warehouse.load([{"id": 1}, Checkpoint(1), [{"id": 2}, Checkpoint({"page": [2, None]})]], target)

    assert {"page": [2, None]} == warehouse.cursor("main.t")

    warehouse.load([{"id": 3}], target)

    assert {"page": [2, None]} == warehouse.cursor("main.t")
    assert [(1,), (2,), (3,)] == landed.rows(warehouse, "t")


def test_a_failed_load_leaves_the_cursor(warehouse: Warehouse) -> None:
    """The cursor is never ahead of the data."""

    def source() -> Iterator[Any]:
        yield {"id": 2}
        yield Checkpoint(2)
        raise OSError("gone")

    warehouse.load([{"id": 1}, Checkpoint(1)], Target("t"))
    with pytest.raises(SourceError):
        warehouse.load(source(), Target("t"))

    assert 1 == warehouse.cursor("main.t")


@pytest.mark.parametrize(
    ("values", "since", "cursor"),
    [
        ([3, 1, 2], None, 3),
        ([3, None, 4], None, 4),
        ([1], 5, 5),  # it never falls
        ([], 5, 5),
        (["2026-01-31T10:00:00Z", "2026-02-01T00:00:00Z"], None, "2026-02-01T00:00:00Z"),
        ([datetime(2026, 1, 31, tzinfo=timezone.utc)], None, "2026-01-31T00:00:00+00:00"),
        ([date(2026, 1, 31), date(2026, 1, 30)], None, "2026-01-31"),
        ([2**70], None, 2**70),
    ],
)
def test_cursor_column(warehouse: Warehouse, values: list[Any], since: Any, cursor: Any) -> None:
    """The greatest value of the cursor's column is the next run's `since`; times are ISO text."""
    warehouse.load([{"at": value} for value in values], Target("t"), cursor="at", since=since)

    assert cursor == warehouse.cursor("main.t")


def test_cursor_text_against_a_time(warehouse: Warehouse) -> None:
    """Where `since` came as a time and records hold ISO text, the text is read as a time."""
    since = datetime(2026, 1, 31, tzinfo=timezone.utc)
    warehouse.load([{"at": "2026-02-01T00:00:00Z"}], Target("t"), cursor="at", since=since)

    assert "2026-02-01T00:00:00" == str(warehouse.cursor("main.t"))[:19]


def test_cursors_that_cannot_be_compared(warehouse: Warehouse) -> None:
    """A cursor of two types is refused by the record that has the second."""
    with pytest.raises(SourceError, match="record 1: the cursor column 'at' holds 'x'"):
        warehouse.load([{"at": 1}, {"at": "x"}], Target("t"), cursor="at")

    assert [] == landed.tables(warehouse)
