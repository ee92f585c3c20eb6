"""Streams of records that change from one turn to the next, and what loads them: a way for each kind of load.

Turn 1 is a first run. Turn 2 brings new records, new versions of every other old one, lists that got shorter,
a new column, a new child table, and a wider type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import headrace
from headrace.loaders.contracts.contract import Contract
from headrace.loaders.contracts.target import Target
from headrace.loaders.records import Record


def record(number: int, turn: int) -> Record:
    """Return the record of a number as it is in a turn."""
    version = turn if number % 2 == 0 else 1
    made: Record = {
        "id": number,
        "version": version,
        "amount": number if turn == 1 else number + 0.5,
        "customer": {"name": f"name {number}", "city": f"city {number % 7}"},
        "items": [{"sku": f"{number}-{at}", "tags": ["a", "b"][: at + 1]} for at in range(3 - version)],
    }
    if version > 1:
        made |= {"added": f"in turn {turn}", "notes": [f"note {number}"]}
    return made


def newer(size: int, turn: int, since: int | None) -> Iterator[Record]:
    """Yield what a source that is asked `since` a number has in a turn."""
    first = 0 if since is None else since + 1
    return (record(number, turn) for number in range(first, turn * size))


def every(size: int, turn: int) -> Iterator[Record]:
    """Yield all that a source without a cursor has in a turn: some were deleted since the first."""
    return (record(number, turn) for number in range(turn - 1, turn * size) if number % 5 or turn == 1)


def append(into: Path, size: int, turn: int) -> None:
    """Add what is new, and keep what breaks the contract in quarantine."""
    target = Target("t", columns={"version": "BIGINT"}, contract=Contract(types="quarantine"))
    with headrace.connect(into) as warehouse:
        since = warehouse.cursor("main.t")
        broken = (
            {**one, "version": "odd"} if one["id"] % 7 == 3 else one for one in newer(size, turn, since)
        )
        warehouse.load(broken, target, cursor="id", since=since)


def whole(**landing: Any) -> Callable[[Path, int, int], None]:
    """Return what loads everything again at each turn."""

    def load(into: Path, size: int, turn: int) -> None:
        headrace.load(every(size, turn), "t", into=into, **landing)

    return load


def run(into: Path, size: int, turn: int) -> None:
    """Run a flow of two resources and a transform."""
    from tests.reliability import shop  # here: it imports hamilton, and the others need not

    with headrace.run(shop, into=into, inputs={"size": size, "turn": turn}, progress=False):
        pass


LOADS: dict[str, Callable[[Path, int, int], None]] = {
    "append": append,
    "merge": whole(primary_key="id", write_disposition="merge"),
    "upsert": whole(primary_key="id", write_disposition="merge", merge_strategy="upsert"),
    "scd2": whole(primary_key="id", write_disposition="merge", merge_strategy="scd2"),
    "replace": whole(write_disposition="replace"),
    "run": run,
}
"""What loads a turn of `size` records into a warehouse, by the kind of load."""
