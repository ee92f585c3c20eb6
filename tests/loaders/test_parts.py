"""Parts: where a long load is cut, what each part commits, and what a source may rely on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import headrace
from headrace.errors import SourceError, UsageError
from headrace.loaders.contracts.target import Target
from headrace.loaders.loading import RunSettings
from headrace.loaders.reading.parts import Pace, Partitions
from headrace.loaders.records import Checkpoint, Item, Rekey
from headrace.loaders.warehouse import Warehouse
from tests.loaders import landed

KEYED = Target("t", primary_key=("id",), write_disposition="merge")


def records(*values: int) -> list[dict[str, int]]:
    return [{"id": n, "at": value} for n, value in enumerate(values)]


def loads(warehouse: Warehouse) -> list[int]:
    """Return how many records each load read, in order."""
    return [rows for (rows,) in warehouse.query("SELECT rows_in FROM _headrace.loads ORDER BY load_id")]


def read(warehouse: Warehouse, stream: Any, *, part: int = 2, target: Target = KEYED, **options: Any) -> Any:
    order = options.pop("row_order", None)
    return warehouse.load(stream, target, pace=Pace(part_records=part, row_order=order), **options)


@pytest.mark.parametrize(
    ("stream", "part", "expected", "cursor"),
    [
        ([*records(1, 2, 3)], 2, [3], None),
        ([*records(1, 2, 3), Checkpoint(3)], 9, [3], 3),
        ([*records(1, 2), Checkpoint(2), *records(3)], 2, [2, 1], 2),
        ([*records(1, 2), Checkpoint(2), *records(3)], 3, [3], 2),
        ([*records(1), Checkpoint(1), *records(2, 3), Checkpoint(3), *records(4)], 2, [3, 1], 3),
        ([*records(1, 2), Checkpoint(2)], 2, [2], 2),
        ([*records(1, 2), Checkpoint(2), Checkpoint(5)], 2, [2, 0], 5),
        ([*records(1, 2), Checkpoint(2), Checkpoint(2)], 2, [2], 2),
        ([*records(1, 2), Checkpoint()], 2, [2], None),
        ([*records(1), Checkpoint(durable=True), *records(2)], 9, [1, 1], None),
        ([*records(1), Checkpoint(7, durable=True), *records(2), Checkpoint(8)], 9, [1, 1], 8),
        ([Checkpoint(durable=True), Checkpoint(durable=True)], 9, [0], None),
        ([[*records(1, 2), Checkpoint(2)], [*records(3), Checkpoint(3)]], 2, [2, 1], 3),
        ([], 2, [0], None),
    ],
)
def test_checkpoints_are_borders(
    warehouse: Warehouse, stream: list[Item], part: int, expected: list[int], cursor: Any
) -> None:
    """A load ends a part at the first checkpoint after so many records, or at a durable one; never elsewhere."""
    target = Target("t")
    done = read(warehouse, iter(stream), part=part, target=target)

    assert expected == loads(warehouse)
    assert cursor == warehouse.cursor("main.t")
    assert sum(expected) == done.counts.rows_in == done.counts.loaded
    assert tuple(range(1, len(expected))) == done.earlier
    assert len(expected) == done.load_id


@pytest.mark.parametrize(
    ("values", "part", "expected"),
    [
        ([1, 2, 3, 4, 5], 2, [2, 2, 1]),
        ([1, 1, 1, 2, 2, 3], 2, [3, 2, 1]),
        ([1, 1, 1, 1], 2, [4]),
        ([1, 2], 9, [2]),
    ],
)
def test_a_rising_cursor_is_a_border(
    warehouse: Warehouse, values: list[int], part: int, expected: list[int]
) -> None:
    """A part ends between different values, so that records of one value are never torn apart."""
    read(warehouse, iter(records(*values)), part=part, cursor="at", row_order="asc")

    assert expected == loads(warehouse)
    assert values[-1] == warehouse.cursor("main.t")


@pytest.mark.parametrize(
    "stream",
    [
        records(1, 2, 3, 4, 5),
        pa.Table.from_pylist(records(1, 2, 3, 4, 5)),
        b"\n".join(b'{"id": %d, "at": %d}' % (n, n) for n in range(1, 6)),
        [records(1, 2, 3), iter(records(4, 5))],
    ],
    ids=["dicts", "arrow", "json", "pages"],
)
def test_in_any_container(warehouse: Warehouse, stream: Any) -> None:
    """Whatever the records come in, a part ends where the cursor rises."""
    read(warehouse, stream, cursor="at", row_order="asc", target=Target("t"))

    assert [2, 2, 1] == loads(warehouse)


def test_without_an_order_there_is_no_border(warehouse: Warehouse) -> None:
    """A cursor column alone cuts nothing: what comes later may lie below it."""
    read(warehouse, iter(records(5, 1, 4, 2, 3)), cursor="at")

    assert [5] == loads(warehouse)
    assert 5 == warehouse.cursor("main.t")


def test_a_cursor_column_beside_checkpoints(warehouse: Warehouse) -> None:
    """A cut at a checkpoint keeps the checkpoint's cursor, not the greatest value, which may be ahead."""
    seen: list[Any] = []

    def source() -> Iterator[Item]:
        yield from records(5, 1)
        yield Checkpoint(durable=True)
        seen.append(warehouse.cursor("main.t"))
        yield {"id": 3, "at": 2}
        yield Checkpoint(2, durable=True)
        seen.append(warehouse.cursor("main.t"))
        yield {"id": 4, "at": 9}

    read(warehouse, source(), cursor="at")

    assert [None, 2] == seen
    assert 9 == warehouse.cursor("main.t")


def test_the_cursor_is_never_ahead(warehouse: Warehouse) -> None:
    """After each part the cursor is that of its last record, also where the next was looked at already."""
    seen: list[tuple[int, Any]] = []

    def source() -> Iterator[Item]:
        for n in range(1, 7):
            yield {"id": n, "at": n}
            if landed.tables(warehouse):
                seen.append((landed.count(warehouse, "t"), warehouse.cursor("main.t")))

    read(warehouse, source(), cursor="at", row_order="asc")

    assert {(2, 2), (4, 4)} == set(seen)


def test_a_record_out_of_order(warehouse: Warehouse) -> None:
    """It stops the load by record and values; nothing of its part is written, and what was sealed stays."""
    with pytest.raises(
        SourceError, match=r"main\.t: record 4: 'at' is 1 after 4.*row_order.*first 2 are in the warehouse"
    ):
        read(warehouse, iter(records(1, 2, 3, 4, 1)), part=2, cursor="at", row_order="asc")

    assert [2] == loads(warehouse)
    assert 2 == warehouse.cursor("main.t")


def test_records_from_before_since(warehouse: Warehouse) -> None:
    """A source may go back behind `since` for late records: order counts among what comes, and the cursor stays."""
    seen = []

    def source() -> Iterator[Item]:
        for record in records(8, 9, 10, 11, 12):
            yield record
            seen.append(warehouse.cursor("main.t"))

    read(warehouse, source(), part=2, cursor="at", row_order="asc", since=10)

    assert [2, 2, 1] == loads(warehouse)
    assert [None, None, 10, 10, 11] == seen
    assert 12 == warehouse.cursor("main.t")


def test_times_and_nulls(warehouse: Warehouse) -> None:
    """Times rise as times; a record without a value belongs to the part that is open."""
    moments = [datetime(2026, 1, 1), None, datetime(2026, 1, 2), None, datetime(2026, 1, 3)]
    stream = ({"id": n, "at": moment} for n, moment in enumerate(moments))
    read(warehouse, stream, cursor="at", row_order="asc")

    assert [2, 2, 1] == loads(warehouse)
    assert "2026-01-03T00:00:00" == warehouse.cursor("main.t")


def test_seconds(warehouse: Warehouse) -> None:
    """A part also ends at the first border after so many seconds."""

    def source() -> Iterator[Item]:
        for n in range(3):
            yield {"id": n}
            time.sleep(0.01)
            yield Checkpoint(n)

    warehouse.load(source(), KEYED, pace=Pace(part_seconds=0.005))

    assert [1, 1, 1] == loads(warehouse)


def test_after_a_durable_checkpoint_all_is_committed(tmp_path: Path) -> None:
    """The code after it sees everything before it in the warehouse, cursor included."""
    seen = []
    with headrace.connect(tmp_path / "w.duckdb") as warehouse:

        def source() -> Iterator[Item | list[Item]]:
            for n in range(3):
                yield [{"id": 2 * n}, {"id": 2 * n + 1}]
                yield Checkpoint(n, durable=True)
                seen.append((landed.count(warehouse, "main.t"), warehouse.cursor("main.t")))

        done = headrace.load(source(), "t", into=warehouse)

    assert [(2, 0), (4, 1), (6, 2)] == seen
    assert (6, (1, 2)) == (done.counts.loaded, done.earlier)


def test_nothing_is_acknowledged_that_is_not_committed(warehouse: Warehouse) -> None:
    """A part that the warehouse refuses ends the load at the checkpoint: the code after it does not run."""
    acknowledged = []

    def source() -> Iterator[Item]:
        for n in (1, 2, 2, 3):
            yield {"id": n}
            yield Checkpoint(durable=True)
            acknowledged.append(n)

    headrace.load([{"id": 0}], "t", into=warehouse)
    warehouse.query("CREATE UNIQUE INDEX one ON t (id)")
    with pytest.raises(headrace.LoadError):
        headrace.load(source(), "t", into=warehouse)

    assert [1, 2] == acknowledged
    assert 3 == landed.count(warehouse, "t")


@pytest.mark.parametrize(
    "options",
    [
        {"write_disposition": "replace"},
        {"write_disposition": "merge", "merge_strategy": "snapshot"},
        {"write_disposition": "merge", "merge_strategy": "scd2"},
        {"write_disposition": "merge", "merge_key": ("at",)},
        {"write_disposition": "merge", "dedup_sort": "at"},
    ],
    ids=lambda options: list(options.values())[-1],
)
def test_what_needs_the_whole(warehouse: Warehouse, options: dict[str, Any]) -> None:
    """A load that compares its records with each other is never cut, and cannot promise to be durable early."""
    target = Target("t", primary_key=("id",), **options)
    read(warehouse, iter([*records(1, 2, 3), Checkpoint(3), {"id": 9, "at": 9}]), target=target)

    assert [4] == loads(warehouse)
    with pytest.raises(UsageError, match=r"durable=True.*needs the whole load"):
        read(warehouse, iter([*records(1), Checkpoint(durable=True)]), target=target)
    assert [4] == loads(warehouse)


def test_a_source_that_fails(warehouse: Warehouse) -> None:
    """The parts before stay, the open one is not written, and the message says how far it got."""

    def source() -> Iterator[Item]:
        yield from records(1, 2)
        yield Checkpoint(2)
        yield {"id": 7, "at": 7}
        raise KeyError("next")

    with pytest.raises(SourceError, match=r"record 3: KeyError: 'next'; the first 2 are in the warehouse"):
        read(warehouse, source())

    assert [2] == loads(warehouse)
    assert 2 == landed.count(warehouse, "t")


def test_rekeys_belong_to_their_part(warehouse: Warehouse) -> None:
    """A mark is applied with the part it came in, and once."""
    warehouse.load([{"id": "a", "at": 1}], KEYED)
    stream = [Rekey("id", "a", "b"), {"id": "c", "at": 1}, Checkpoint(1, durable=True), {"id": "a", "at": 2}]
    warehouse.load(iter(stream), KEYED)

    assert [("a", 2), ("b", 1), ("c", 1)] == warehouse.query('SELECT id, "at" FROM t ORDER BY id')


def test_subscribers_are_told_of_each_part(warehouse: Warehouse) -> None:
    """A change of schema is told when its part is committed; the load has the changes of all parts."""
    told: list[int] = []
    told_of = (lambda loaded: told.append(len(loaded.changes)),)
    warehouse = warehouse.with_settings(RunSettings(subscribers=told_of))
    done = read(warehouse, iter([*records(1, 2), Checkpoint(2), {"id": 3, "new": 1}]))

    assert [1, 1] == told
    assert 2 == len(done.changes)
    assert {"t": 3} == done.rows


def test_progress_counts_the_whole_load(tmp_path: Path) -> None:
    """A load in parts is one line of progress, finished once."""
    reports: list[tuple[int, bool]] = []
    with Warehouse(report=lambda table, count, done: reports.append((count, done))) as warehouse:
        read(warehouse, iter([*records(1, 2), Checkpoint(2), *records(3)]))

    assert [(3, True)] == [report for report in reports if report[1]]
    assert sorted(reports) == reports


@pytest.mark.parametrize(
    "options",
    [{"part_records": 0}, {"part_seconds": -1}, {"timeout": 0}, {"row_order": "desc"}],
    ids=lambda options: next(iter(options)),
)
def test_a_pace_that_is_refused(options: dict[str, Any]) -> None:
    """Figures that mean nothing are refused by name."""
    with pytest.raises(UsageError, match=next(iter(options))):
        Pace(**options)


def rounds(values: list[Any], kept: Any, upto: int) -> tuple[list[Any], Any]:
    """Read partitions up to a number of them; return those that were read and what is kept then."""
    partitions = Partitions(values, True, kept)
    seen: list[Any] = []
    stream = partitions.stream(lambda part, since: (part, since), lambda since: since)
    for enter, one, _ in zip(*[stream] * 3, strict=False):
        if len(seen) == upto:
            break
        partitions.enter(enter.value)
        seen.append(one)
        partitions.leave(f"after {enter.value}")
    return seen, partitions.state(None)


def test_rounds() -> None:
    """What is done in a round is not read again in it; after the last partition a new round begins."""
    first, kept = rounds(["a", "b", 1], None, 2)
    second, kept = rounds(["a", "b", 1], kept, 9)
    third, _ = rounds(["a", "b", 1, "1"], kept, 9)

    assert [("a", None), ("b", None)] == first
    assert [(1, None)] == second
    assert [("a", "after a"), ("b", "after b"), (1, "after 1"), ("1", None)] == third


@pytest.mark.parametrize("kept", [None, 7, {"done": ["a"]}, ["a"]], ids=repr)
def test_a_cursor_of_before(kept: Any) -> None:
    """A cursor that was kept before there were partitions counts for nothing: all are read."""
    seen, _ = rounds(["a", "b"], kept, 9)

    assert [("a", None), ("b", None)] == seen


def test_partitions_that_went_away() -> None:
    """Where the rest of a round is gone, the round is over."""
    _, kept = rounds(["a", "b"], None, 1)
    seen, _ = rounds(["a"], kept, 9)

    assert [("a", "after a")] == seen


@pytest.mark.parametrize("value", [datetime(2026, 1, 1), (1, 2), {1}, float("nan")], ids=repr)
def test_a_partition_must_be_json(value: Any) -> None:
    """What would not come back from JSON as it is cannot be told from another partition."""
    with pytest.raises(UsageError, match="make it text"):
        Partitions([value], True)
