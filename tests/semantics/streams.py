"""Random streams of loads, from a seed: any value at any depth, any key, through either lane."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from random import Random
from typing import Any

from tests.semantics.reference import Load

_EDGES = [2**53, 2**63, 2**64, 2**127, 2**128, 10**38, 10**39, 10**60]
FAMILIES: dict[str, list[Any]] = {
    "int": [0, 1, 2, 3, -7, 1000, 2**31],
    "edge": [sign * edge + step for edge in _EDGES for sign in (1, -1) for step in (-1, 0, 1)],
    "float": [0.0, -0.0, 0.5, 1.0, 3.0, 0.1, -2.5, 1e300, 5e-324, 2.0**53, 1e17, 1e19, 1e22],
    "not a number": [math.nan, math.inf, -math.inf, Decimal("NaN"), Decimal("-Infinity")],
    "bool": [True, False],
    "text": ["", "a", "b", "null", "true", "1", "1.5", "é\U0001f40e", "a\0b", "\x01date", '"', "\\", "/", "\r\n", "\u2028"],
    "hostile": [
        "'; DROP TABLE t; --", '"; DROP SCHEMA main CASCADE; --', "$1", "{}", "[]", "%s", "\ue000\uf8ff",
        "\ud800", "x\udfffy", "\\ud800", "\x7f\x1f", "NaN", "inf", "[null]", ",null", "\ufeff", "\ufffe",
    ],
    "date": ["2026-01-31", "2024-02-29", "0001-01-01", "9999-12-31", "1969-12-31"],
    "odd date": ["2026-02-30", "0000-01-01", "2026-13-01", "2026-1-1", "20260131", "2026-01-31 ", "2026-01-31\n"],
    "timestamp": ["2026-01-31T10:00:00", "2026-01-31 10:00", "2026-01-31T10:00:00.5", "0001-01-01T00:00:00"],
    "zoned": [
        "2026-01-31T10:00:00Z", "2026-01-31T10:00:00+02:00", "2026-01-31 10:00-13:59", "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00", "1969-12-31T23:59:59.999999Z",
    ],
    "odd time": [
        "2026-01-31T24:00:00", "2026-02-30T10:00:00Z", "2026-01-31T10:00:60", "2026-01-31T10:00:00.1234567",
        "2026-01-31T10:00:00+15:00", "2026-01-31T10:00:00+0200", "10:30:00", "2026-01-31T10", "2026-01-31Z",
    ],
    "decimal": [
        Decimal("1.50"), Decimal("0.1"), Decimal("-7"), Decimal("1e5"), Decimal("1E-20"), Decimal("-0.00"),
        Decimal("9" * 38), Decimal("9" * 39), Decimal("0." + "1" * 38), Decimal("1" * 30 + ".5"),
    ],
    "python": [
        date(2026, 1, 31), time(10, 30), time(10, 30, 0, 1), datetime(2026, 1, 31, 10), timedelta(days=-1, seconds=5),
        datetime(2026, 1, 31, 10, tzinfo=timezone(timedelta(hours=2))), b"", b"\x00'\xff", datetime.max, date.min,
    ],
}  # fmt: skip
KEYS = [
    "a", "A", "b", "c", "userId", "user_id", "UserID", "a__b", "a_b", "a.b", "b_2", "value", "list", "_hr_id",
    "_hr_load_id", "_hr_valid_to", "value__v_text", "a__v_text", "", " ", "é", "\U0001f40e", '"', "'", "\\", "/", "\0", "\n",
    "\x01date", "\x01\x01", "\x01json", "'; DROP TABLE t; --", '"); DELETE FROM t; --', "\ue000", "\ud800", "1st", "i", "p",
    "c0", "select", "_extra", "[]", "$", "None", "_dlt_id", "t", "x" * 70,
]  # fmt: skip
ODD_KEYS: list[Any] = [None, True, 7, 1.5, date(2026, 1, 31)]
LANES = [(1 << 40, 1 << 25), (0, 1), (0, 60), (0, 400), (0, 1 << 25)]
"""Sizes of `extract.SMALL` and `extract.BLOCK`: the exact lane, or the columnar lane in blocks of some size."""
STRATEGIES = ["delete-insert", "upsert", "insert-only", "scd2", "snapshot"]


@dataclass(frozen=True)
class Stream:
    """Some loads into one table.

    Attributes:
        loads: The loads, in order.
        small: The size below which a load takes the exact lane.
        block: The size of the blocks of the columnar lane.
        as_json: Whether records come as JSON lines, where JSON has them.
    """

    loads: tuple[Load, ...]
    small: int
    block: int
    as_json: bool = False

    def data(self, load: Load) -> Any:
        """Return the records of a load in the container in which they come."""
        if not self.as_json:
            return load.records
        try:
            lines = [json.dumps(one, ensure_ascii=False, allow_nan=False).encode() for one in load.records]
        except (TypeError, ValueError):  # no JSON, or half a surrogate pair
            return load.records
        return b"".join(line + b"\n" for line in lines)


def random_stream(seed: int) -> Stream:
    """Return the stream of a seed."""
    random = Random(seed)
    small, block = random.choice(LANES)
    write = _merges if random.random() < 0.4 else _appends
    return Stream(tuple(write(random)), small, block, random.random() < 0.3)


def _appends(random: Random) -> Iterator[Load]:
    record = _Records(random)
    levels = random.choice([0, 1, 2]) if random.random() < 0.15 else None
    for at in range(random.randint(1, 4)):
        how = "replace" if at and random.random() < 0.15 else "append"
        yield Load([record() for _ in range(random.randint(1, 20))], how, max_nesting=levels)


def _merges(random: Random) -> Iterator[Load]:
    record = _Records(random)
    strategy = random.choice(STRATEGIES)
    key = random.choice([("id",), ("id",), ("shop", "id"), ("key.id",)])
    load = Load(
        [],
        "merge",
        strategy,
        key,
        dedup_sort="seq" if random.random() < 0.3 else None,
        hard_delete="gone" if random.random() < 0.3 else None,
    )
    if strategy in {"delete-insert", "scd2"} and random.random() < 0.3:
        load = replace(load, merge_key=("day",))
        if strategy == "delete-insert" and random.random() < 0.3:
            load = replace(load, primary_key=(), dedup_sort=None)
    id_sets: list[list[Any]] = [[0, 1, 2, 3], ["a", "A", "b", "ab", "'"], [2**53, 2**63, 2**70, 1]]
    mark_sets: list[list[Any]] = [[True, False, None], [None, "2026-01-31"]]
    ids, marks = random.choice(id_sets), random.choice(mark_sets)
    records_before = False
    for _ in range(random.randint(1, 4)):
        records = []
        for at in range(random.randint(0 if records_before and random.random() < 0.1 else 1, 10)):
            is_first = not (records_before or at)  # from it the columns of the key are known
            id_ = random.choice(ids) if is_first or random.random() < 0.96 else None
            more: dict[str, Any] = {
                "seq": random.choice([None, 1, 2, 3]),
                "day": random.choice(["mon", "tue", None]),
            }
            more |= {
                "shop": random.choice("ab"),
                "gone": random.choice(marks) if random.random() < 0.5 else None,
            }
            more |= {"key": {"id": id_}} if key == ("key.id",) else {"id": id_}
            records.append({**more, **record.dict(3)})
        yield replace(load, records=records)
        records_before = True


class _Records:
    """Makes records of one stream: a few keys and a few families of values, so that they meet."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._keys: list[Any] = random.sample(KEYS, random.randint(2, 6))
        if random.random() < 0.1:
            self._keys.append(random.choice(ODD_KEYS))
        families = random.sample(list(FAMILIES), random.randint(1, 4))
        self._values = [value for family in families for value in FAMILIES[family]]
        self._nested = random.choice([0.0, 0.2, 0.5])
        self._null = random.choice([0.0, 0.1, 0.3])
        self._keeps = random.choice([0.4, 0.8, 1.0])

    def __call__(self) -> Any:
        if self._random.random() < 0.01:
            leaf = self._leaf()
            return leaf if not isinstance(leaf, bytes) else {"bytes": leaf}  # bytes alone are JSON text
        return self.dict(3)

    def dict(self, depth: int) -> dict[Any, Any]:
        return {key: self._value(depth) for key in self._keys if self._random.random() < self._keeps}

    def _value(self, depth: int) -> Any:
        chance = self._random.random()
        if chance < self._null:
            return None
        if depth == 0 or self._random.random() >= self._nested:
            return self._leaf()
        if chance < 0.5:
            return self.dict(depth - 1) if self._random.random() < 0.9 else {}
        items = [self._value(depth - 1) for _ in range(self._random.choice([0, 1, 2, 3]))]
        return tuple(items) if self._random.random() < 0.05 else items

    def _leaf(self) -> Any:
        return self._random.choice(self._values)


def smaller(stream: Stream) -> Iterator[Stream]:
    """Yield streams with a little less in them, larger cuts first."""
    loads = stream.loads
    for at, load in enumerate(loads):
        if len(loads) > 1:
            yield replace(stream, loads=loads[:at] + loads[at + 1 :])
        for records in _smaller(load.records):
            yield replace(stream, loads=(*loads[:at], replace(load, records=records), *loads[at + 1 :]))


def _smaller(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield {other: kept for other, kept in value.items() if other != key}
            for less in _smaller(item):
                yield {**value, key: less}
    elif isinstance(value, (list, tuple)):
        if len(value) > 3:
            yield list(value[: len(value) // 2])
            yield list(value[len(value) // 2 :])
        for at, item in enumerate(value):
            yield [*value[:at], *value[at + 1 :]]
            for less in _smaller(item):
                yield [*value[:at], less, *value[at + 1 :]]
