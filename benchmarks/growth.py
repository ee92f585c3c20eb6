"""What grows with what, in headrace: `python -m benchmarks.growth columns 100 --into FOLDER`.

| axis | what is timed |
|---|---|
| loads | so many loads of 100 rows, one after the other, into one open file |
| columns | two million cells, in rows of so many columns |
| new-columns | a load of 10,000 rows that adds so many columns to a table |
| depth | 20,000 records of so many dicts in each other |
| lists | 20,000 records of so many lists in each other, each a child table |
| drift | 500,000 records that change so many times: a new column each time, and `value` of another type |
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import clock
from benchmarks.engines import DATABASE, SCHEMA

CELLS = 2_000_000
ROWS = 20_000
DRIFTING = 500_000
_VALUES = (17, "seventeen", 17.5, True, "2026-01-17T00:00:00Z")


def loads(many: int, path: Path) -> None:
    """Load 100 rows so many times; the phases are the mean seconds of the first and last tenth."""
    import headrace

    seconds = []
    with headrace.connect(path) as warehouse:
        for load in range(many):
            begin = time.perf_counter()
            headrace.load(_records(100, 10, load * 100), f"{SCHEMA}.events", into=warehouse)
            seconds.append(time.perf_counter() - begin)
    tenth = max(1, many // 10)
    ends = {"first loads": sum(seconds[:tenth]) / tenth, "last loads": sum(seconds[-tenth:]) / tenth}
    clock.tell(sum(seconds), ends, rows=many * 100)


def columns(many: int, path: Path) -> None:
    rows = max(1, CELLS // many)
    _timed(path, lambda: _records(rows, many), rows)


def new_columns(many: int, path: Path) -> None:
    import headrace

    headrace.load(_records(ROWS // 2, 5), f"{SCHEMA}.events", into=path)
    _timed(path, lambda: _records(ROWS // 2, 5 + many), ROWS // 2)


def depth(many: int, path: Path) -> None:
    def nested() -> Iterator[dict[str, Any]]:
        for at in range(ROWS):
            record: dict[str, Any] = {"id": at}
            for _ in range(many - 1):
                record = {"id": at, "in": record}
            yield record

    _timed(path, nested, ROWS)


def lists(many: int, path: Path) -> None:
    def nested() -> Iterator[dict[str, Any]]:
        for at in range(ROWS):
            record: dict[str, Any] = {"id": at}
            for _ in range(many - 1):
                record = {"id": at, "in": [record]}
            yield record

    _timed(path, nested, ROWS)


def drift(many: int, path: Path) -> None:
    def drifting() -> Iterator[dict[str, Any]]:
        for at in range(DRIFTING):
            now = at * many // DRIFTING
            yield {"id": at, "value": _VALUES[now % len(_VALUES)], f"new_{now}": at}

    _timed(path, drifting, DRIFTING)


def _timed(path: Path, records: Callable[[], Iterator[dict[str, Any]]], rows: int) -> None:
    """Time one load; the records are made inside of it."""
    import headrace

    begin = time.perf_counter()
    headrace.load(records(), f"{SCHEMA}.events", into=path)
    clock.tell(time.perf_counter() - begin, {}, rows=rows)


def _records(rows: int, width: int, first: int = 0) -> Iterator[dict[str, Any]]:
    """Yield flat records: an id, and numbers and texts by turns."""
    names = [f"column_{at}" for at in range(1, width)]
    for at in range(first, first + rows):
        yield {"id": at, **{name: at if n % 2 else f"text {at % 1000}" for n, name in enumerate(names)}}


AXES = {
    "loads": loads,
    "columns": columns,
    "new-columns": new_columns,
    "depth": depth,
    "lists": lists,
    "drift": drift,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time headrace along one axis of growth.")
    parser.add_argument("axis", choices=AXES)
    parser.add_argument("many", type=int)
    parser.add_argument("--into", type=Path, required=True, help="the folder of the database")
    given = parser.parse_args()
    AXES[given.axis](given.many, given.into / DATABASE)
