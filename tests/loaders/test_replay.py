"""Replay: quarantined records land later, once, as they would have landed then."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ContractViolation, LoadError, UsageError
from headrace.loaders.catalogue import recording
from headrace.loaders.contracts.contract import Contract
from headrace.loaders.contracts.target import Target
from headrace.loaders.maintenance.migrate import migrate
from headrace.loaders.maintenance.migrations import RenameColumn
from headrace.loaders.maintenance.replay import Replayed, quarantined, replay, restored
from headrace.loaders.reading.lines import LineEncoder
from headrace.loaders.warehouse import Warehouse
from tests.loaders import landed

STRICT = Contract(columns="quarantine", types="quarantine", tables="quarantine")
T = Target("t", contract=STRICT)
MERGED = Target("t", primary_key=("id",), write_disposition="merge", contract=STRICT)
EVOLVE = Contract()


def waiting(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    """Return load, record, rule and replay of every record in quarantine."""
    return warehouse.query(
        "SELECT load_id, record, rule, replayed_in FROM _headrace.quarantine ORDER BY load_id, record"
    )


def quarantined_records(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    """Return the records that wait in quarantine."""
    return warehouse.query("SELECT * FROM _headrace.quarantine WHERE replayed_in IS NULL")


def summary(done: Replayed) -> tuple[int | None, int, int, int]:
    return done.load.load_id if done.load else None, done.landed, done.failed, done.overtaken


VALUES: dict[str, Any] = {
    "text": "x", "int": 7, "big": 2**62, "huge": 2**100, "beyond": 10**60, "fraction": 0.1, "whole": 1.0,
    "nan": float("nan"), "infinity": float("-inf"), "true": True, "nothing": None,
    "decimal": Decimal("1.10"), "long decimal": Decimal("1." + "1" * 50),
    "date": datetime.date(2026, 1, 31), "time": datetime.time(10, 0, 0, 5),
    "naive": datetime.datetime(2026, 1, 31),
    "zoned": datetime.datetime(2026, 1, 31, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
    "zoned time": datetime.time(10, tzinfo=datetime.timezone.utc),
    "interval": datetime.timedelta(days=-3, microseconds=7), "bytes": b"\x00\xff", "empty": {}, "none": [],
    "list": [1, [2, None], {"a": datetime.date(2026, 1, 31)}], "iso": "2026-01-31T10:00:00Z",
    "\x01date": "2026-01-31", "\x01\x01": {"\x01json": "{}"}, "a\0b": "\0", "surrogate": "\ud800", "🙂": "é",
    "": 1, " ": 2, "a.b": 3, "$.x": 4, "it's": "it's", 'we"ird': 'we"ird',
}  # fmt: skip


def test_every_value_comes_through(warehouse: Warehouse) -> None:
    """A record that went through quarantine lands as it would have landed at once: marks, keys and all."""
    direct, strict = Target("direct"), Target("strict", contract=STRICT)
    for target in (direct, strict):
        warehouse.load([{"id": 1}], target)
        warehouse.load([{"id": 2, **VALUES}], target)

    assert (5, 1, 0, 0) == summary(replay(warehouse, "strict", contract=EVOLVE))
    assert 4 < len(landed.tables(warehouse))
    for table in landed.tables(warehouse):
        if table.startswith("direct"):
            twin = f"strict{table.removeprefix('direct')}"
            assert repr(landed.contents(warehouse, table)) == repr(landed.contents(warehouse, twin)), table


_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates()
    | st.times() | st.datetimes() | st.datetimes(timezones=st.timezones()) | st.timedeltas()
    | st.decimals(allow_nan=False, allow_infinity=False, places=3)
)  # fmt: skip
_RECORDS = st.recursive(
    _SCALARS, lambda below: st.lists(below) | st.dictionaries(st.text(), below), max_leaves=10
)


@given(_RECORDS)
def test_restoring_and_writing_again(record: Any) -> None:
    """A line that is restored and written again is the same line."""
    line = LineEncoder().encode(record)

    assert line == LineEncoder().encode(restored(line))


def test_a_replay_lands_once(warehouse: Warehouse) -> None:
    """What lands is marked with the load in which it did; a second replay has nothing to do."""
    warehouse.load([{"id": 1}], T)
    warehouse.load([{"id": 2}, {"id": 3, "new": "x"}, {"id": 4, "new": "y"}], T)

    assert [(2, 1, "columns", None), (2, 2, "columns", None)] == waiting(warehouse)
    assert (3, 2, 0, 0) == summary(replay(warehouse, "t", contract=EVOLVE))
    assert [(2, 1, "columns", 3), (2, 2, "columns", 3)] == waiting(warehouse)
    assert (None, 0, 0, 0) == summary(replay(warehouse, "t", contract=EVOLVE))
    assert [(1, None), (2, None), (3, "x"), (4, "y")] == landed.rows(warehouse, "t")
    assert [(3,)] == warehouse.query("SELECT max(load_id) FROM _headrace.loads")


def test_what_fails_again_stays(warehouse: Warehouse) -> None:
    """It stays where it was, with the reason it has now; nothing is in quarantine twice."""
    warehouse.load([{"id": 1, "n": 1}], T)
    warehouse.load([{"id": 2, "n": "x", "new": 1}, {"id": 3, "new": 2}], T)
    before = waiting(warehouse)
    again = replay(warehouse, "t", contract=Contract(types="quarantine"))

    assert (3, 1, 1, 0) == summary(again)
    assert again.load is not None and again.load.counts.balanced
    assert [(2, 0, "types", None), (2, 1, before[1][2], 3)] == waiting(warehouse)
    assert (4, 0, 1, 0) == summary(replay(warehouse, "t", contract=Contract(types="quarantine")))
    assert [(2, 0, "types", None), (2, 1, before[1][2], 3)] == waiting(warehouse)
    assert (5, 1, 0, 0) == summary(replay(warehouse, "t", contract=EVOLVE))
    assert [(1, 1, None, None), (3, None, 2, None), (2, None, 1, "x")] == landed.rows(warehouse, "t")


def test_the_contract_that_holds_now(warehouse: Warehouse) -> None:
    """Without another one, the contract of the newest load holds, and its hints."""
    warehouse.load([{"id": 1}], T)
    warehouse.load([{"id": 2, "at": {"x": 1}}], T)

    assert (3, 0, 1, 0) == summary(replay(warehouse, "t"))

    warehouse.load([{"id": 3}], Target("t", contract=EVOLVE, columns={"at": "JSON"}))

    assert (5, 1, 0, 0) == summary(replay(warehouse, "t"))
    assert [(1, None), (3, None), (2, '{"x":1}')] == landed.rows(warehouse, "t")


def test_a_target_of_ones_own(warehouse: Warehouse) -> None:
    """The target may be given; it must be of the same table."""
    warehouse.load([{"id": 1}], T)
    warehouse.load([{"id": 2, "n": 1}], T)
    with pytest.raises(UsageError, match=r"The target is main.u, and the records to replay are of main.t"):
        replay(warehouse, "t", target=Target("u"))

    assert (3, 1, 0, 0) == summary(replay(warehouse, "t", target=Target("t", columns={"n": "VARCHAR"})))
    assert [(1, None), (2, "1")] == landed.rows(warehouse, "t")


@pytest.mark.parametrize(("load", "replayed"), [(2, [(2,)]), (3, [(3,)]), (9, []), (None, [(2,), (3,)])])
def test_one_load(warehouse: Warehouse, load: int | None, replayed: list[tuple[int]]) -> None:
    """Only the records that one load kept aside."""
    warehouse.load([{"id": 1}], T)
    warehouse.load([{"id": 2, "n": 1}], T)
    warehouse.load([{"id": 3, "n": 1}], T)
    replay(warehouse, "t", contract=EVOLVE, load=load)

    assert replayed == warehouse.query(
        "SELECT load_id FROM _headrace.quarantine WHERE replayed_in IS NOT NULL ORDER BY load_id"
    )


def test_a_missing_key(warehouse: Warehouse) -> None:
    """A record without its key stays, whatever the contract; the others land."""
    warehouse.load([{"id": 1}, {"n": 1}, {"id": None, "n": 2}, {"id": 2, "new": 1}], MERGED)
    warehouse.load([{"id": 3, "newer": 1}], MERGED)
    done = replay(warehouse, "t", contract=EVOLVE)

    assert ((1, 2), 2) == ((done.landed, done.failed), len(quarantined_records(warehouse)))


def test_a_contract_that_freezes(warehouse: Warehouse) -> None:
    """A frozen table refuses the whole replay; nothing is written, and another one may follow."""
    warehouse.load([{"id": 1}], T)
    warehouse.load([{"id": 2, "n": 1}], T)
    with pytest.raises(ContractViolation, match="n"):
        replay(warehouse, "t", contract=Contract(columns="freeze"))

    assert [(2, 0, "columns", None)] == waiting(warehouse)
    assert [] == warehouse.query("FROM _headrace.replays")
    assert (3, 1, 0, 0) == summary(replay(warehouse, "t", contract=EVOLVE))


@pytest.mark.parametrize(
    ("table", "message"),
    [("nothing", "No load made a table"), ("t__tags", "name its root"), ("", "No load made a table"),
     ("t'; DROP TABLE t", "No load made a table")],
)  # fmt: skip
def test_tables_that_are_not_there(warehouse: Warehouse, table: str, message: str) -> None:
    """A name that is no root table is refused, before the first load too."""
    with pytest.raises(UsageError, match="no catalogue"):
        replay(warehouse, table)
    warehouse.load([{"id": 1, "tags": ["a"]}], replace(T, contract=EVOLVE))
    with pytest.raises(UsageError, match=message):
        replay(warehouse, table)

    assert (None, 0, 0, 0) == summary(replay(warehouse, "t"))


def test_which_tables_have_some(warehouse: Warehouse) -> None:
    """The tables whose records wait, by name."""
    with warehouse.session() as connection:
        assert [] == quarantined(connection)
    for target in (T, replace(T, schema="shop")):
        warehouse.load([{"id": 1}], target)
        warehouse.load([{"id": 2, "n": 1}], target)
    with warehouse.session() as connection:
        assert ["main.t", "shop.t"] == quarantined(connection)
    replay(warehouse, "t", contract=EVOLVE)
    with warehouse.session() as connection:
        assert ["shop.t"] == quarantined(connection)


Loads = list[list[dict[str, Any]]]


def options(**given: Any) -> dict[str, Any]:
    return {"primary_key": ("id",), "write_disposition": "merge", **given}


@pytest.mark.parametrize(
    ("how", "loads", "expected"),
    [
        pytest.param({}, [[{"id": 2, "n": 1}]], {1: 0, 2: 1}, id="append"),
        pytest.param(
            {"write_disposition": "replace"}, [[{"id": 5, "v": 5}, {"id": 2, "n": 1}]], {5: 5, 2: 1},
            id="replace",
        ),
        pytest.param(
            {"write_disposition": "replace"},
            [[{"id": 2, "n": 1}], [{"id": 2, "n": 2}, {"id": 5, "v": 5}]], {5: 5, 2: 2},
            id="replace: what an earlier load kept aside is gone from the source, or came again",
        ),
        pytest.param(options(), [[{"id": 1, "n": 1}]], {1: 1}, id="a newer version of a row"),
        pytest.param(
            options(), [[{"id": 1, "n": 1}], [{"id": 1, "v": 7}]], {1: 7}, id="overtaken by a later load"
        ),
        pytest.param(
            options(), [[{"id": 1, "n": 1}], [{"id": 1, "n": 2}]], {1: 2}, id="the later of two in quarantine"
        ),
        pytest.param(
            options(dedup_sort="day"), [[{"id": 1, "n": 2, "day": 9}], [{"id": 1, "n": 1, "day": 1}]], {1: 2},
            id="the greatest by dedup_sort",
        ),
        pytest.param(
            options(merge_strategy="insert-only"), [[{"id": 1, "n": 1}, {"id": 2, "n": 1}]], {1: 0, 2: 1},
            id="insert-only",
        ),
        pytest.param(options(merge_strategy="upsert"), [[{"id": 1, "n": 1}]], {1: 1}, id="upsert"),
        pytest.param(
            options(merge_strategy="snapshot"), [[{"id": 1, "v": 1}, {"id": 2, "n": 1}]], {1: 1, 2: 1},
            id="snapshot: the rows that the replay does not have stay",
        ),
        pytest.param(
            options(merge_strategy="snapshot"), [[{"id": 1, "v": 1}, {"id": 2, "n": 1}], [{"id": 1, "v": 3}]],
            {1: 3}, id="snapshot: the source no longer has it",
        ),
        pytest.param(
            options(merge_strategy="scd2"), [[{"id": 1, "v": 0}, {"id": 2, "n": 1}]], {1: 0, 2: 1},
            id="scd2: the rows that the replay does not have stay current",
        ),
        pytest.param(
            options(merge_key=("day",)), [[{"id": 1, "v": 0, "day": 1}, {"id": 2, "n": 1, "day": 1}]],
            {1: 0, 2: 1}, id="merge_key: the rest of the group stays",
        ),
        pytest.param(
            options(merge_key=("day",)), [[{"id": 2, "n": 1, "day": 1}], [{"id": 1, "v": 0, "day": 1}]],
            {1: 0}, id="merge_key: a later load has replaced the group",
        ),
        pytest.param(
            options(primary_key=(), merge_key=("day",)), [[{"id": 2, "n": 1, "day": 1}]], {1: 0, 2: 1},
            id="merge_key alone",
        ),
    ],
)  # fmt: skip
def test_dispositions(
    warehouse: Warehouse, how: dict[str, Any], loads: Loads, expected: dict[int, int]
) -> None:
    """A replay adds what was missing, as if it had landed then: it removes no row, and puts none back."""
    target = replace(T, **how)
    warehouse.load([{"id": 1, "v": 0, "day": 1}], target)
    for records in loads:
        warehouse.load(records, target)
    replay(warehouse, "t", contract=EVOLVE)

    current = "WHERE _hr_valid_to IS NULL" if target.strategy == "scd2" else ""
    value = "coalesce(n, v)" if "n" in landed.types(warehouse, "t") else "v"
    assert expected == dict(warehouse.query(f"SELECT id, {value} FROM t {current}"))
    assert [] == quarantined_records(warehouse)
    assert (None, 0, 0, 0) == summary(replay(warehouse, "t", contract=EVOLVE))


@pytest.mark.parametrize("order", [(2, 3), (3, 2)])
@pytest.mark.parametrize(
    "key",
    [1, "x", 2**100, True, 1.5, datetime.date(2026, 1, 31), "2026-01-31T10:00:00+02:00", Decimal("1.10")],
)
def test_out_of_order(warehouse: Warehouse, order: tuple[int, int], key: Any) -> None:
    """Whichever load is replayed first, the record that came last stays, for keys of any type."""
    warehouse.load([{"id": key, "v": 0}], MERGED)
    warehouse.load([{"id": key, "n": 1}], MERGED)
    warehouse.load([{"id": key, "n": 2}], MERGED)
    for load in order:
        replay(warehouse, "t", contract=EVOLVE, load=load)

    assert [(2,)] == warehouse.query("SELECT n FROM t")
    assert [] == quarantined_records(warehouse)


def test_overtaken_records_tell_by_which_load(warehouse: Warehouse) -> None:
    """They are marked with the load that has a later version, and nothing is loaded for them."""
    warehouse.load([{"id": 1, "v": 0}], MERGED)
    warehouse.load([{"id": 1, "n": 1}], MERGED)
    warehouse.load([{"id": 1, "v": 7}], MERGED)

    assert (None, 0, 0, 1) == summary(replay(warehouse, "t", contract=EVOLVE))
    assert [(2, 0, "columns", 3)] == waiting(warehouse)


def test_after_a_migration(warehouse: Warehouse) -> None:
    """Records that waited land in renamed columns, and are told to be overtaken by a renamed key."""
    warehouse.load([{"id": 1, "v": 0}], MERGED)
    warehouse.load([{"id": 1, "v": "x"}, {"id": 2, "v": "y"}], MERGED)
    migrate(warehouse, RenameColumn("t", "id", "key"), RenameColumn("t", "v", "w"))
    warehouse.load([{"id": 1, "v": 7}], MERGED)

    assert (4, 1, 0, 1) == summary(replay(warehouse, "t", contract=EVOLVE))
    assert [(1, 7, None), (2, None, "y")] == sorted(landed.rows(warehouse, "t"))


@pytest.mark.parametrize("record", [[1, 2], ["a", [3]], 7, "x", [{"a": 1}]], ids=repr)
def test_records_that_are_no_dicts(warehouse: Warehouse, record: Any) -> None:
    """A line of JSON that is a list is one record, in quarantine too."""
    warehouse.load([{"id": 1}], T)
    lines: Any = [json.dumps({"id": 2}).encode() + b"\n" + json.dumps(record).encode() + b"\n"]
    warehouse.load(lines, T)

    assert 1 == replay(warehouse, "t", contract=EVOLVE).landed
    assert [(3,)] == warehouse.query("SELECT count(*) FROM t")


def test_many_records(warehouse: Warehouse) -> None:
    """More than one batch, through the columnar lane too: each record is the one it was."""
    records = [{"id": n, "text": "x" * 200, "new": {"n": n, "tags": [n, n + 1]}} for n in range(12_000)]
    warehouse.load([{"id": -1, "text": ""}], MERGED)
    warehouse.load(records[::-1], MERGED)

    assert (3, 12_000, 0, 0) == summary(replay(warehouse, "t", contract=EVOLVE))
    assert [(12_000,)] == warehouse.query("SELECT count(*) FROM t WHERE id = new__n")
    assert [(24_000,)] == warehouse.query("SELECT count(*) FROM t__new__tags")
    assert [(12_000,)] == warehouse.query("SELECT count(*) FROM _headrace.quarantine WHERE replayed_in = 3")


class Stopped(BaseException):
    """Stands for the end of the process."""


def test_a_replay_that_is_cut_short(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends it, landing and marking happen together: either both, or neither."""
    warehouse.load([{"id": 1}], T)
    warehouse.load([{"id": 2, "n": 1}], T)

    def settle(replay: str, load_id: int) -> list[str]:
        raise Stopped

    with monkeypatch.context() as patched, pytest.raises(Stopped):
        patched.setattr(recording, "_settle", settle)
        replay(warehouse, "t", contract=EVOLVE)

    assert [(1,)] == landed.rows(warehouse, "t")
    assert [(2, 0, "columns", None)] == waiting(warehouse)
    assert (3, 1, 0, 0) == summary(replay(warehouse, "t", contract=EVOLVE))


def test_two_replays_at_once(warehouse: Warehouse) -> None:
    """Of two replays of the same records the second to commit is refused: nothing lands twice."""
    warehouse.load([{"id": 1}], T)
    warehouse.load([{"id": 2, "n": 1}], T)
    loading = warehouse.load

    def later(stream: Any, target: Target, **given: Any) -> Any:
        records: list[Any] = list(stream)
        warehouse.load = loading  # type: ignore[method-assign]

        def read() -> Iterator[Any]:
            replay(warehouse, "t", contract=EVOLVE)
            yield from records

        return loading(read(), target, **given)

    warehouse.load = later  # type: ignore[method-assign]
    with pytest.raises(LoadError, match="replayed already"):
        replay(warehouse, "t", contract=EVOLVE)

    assert [(1, None), (2, 1)] == landed.rows(warehouse, "t")
    assert [(2, 0, "columns", 3)] == waiting(warehouse)


def test_the_cursor_stays(warehouse: Warehouse) -> None:
    """A replay moves no cursor: the next run goes on from where the last one ended."""
    warehouse.load([{"id": 1, "at": 5}], T, cursor="at")
    warehouse.load([{"id": 2, "at": 9, "n": 1}, {"id": 3, "at": 3, "n": 1}], T, cursor="at")
    before = warehouse.cursor("main.t")
    replay(warehouse, "t", contract=EVOLVE)

    assert before == warehouse.cursor("main.t")
