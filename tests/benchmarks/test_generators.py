"""Generated records: the same seed gives the same bytes, and they have what loaders must cope with."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from benchmarks import generators
from benchmarks.generators import KINDS


def records(kind: str, rows: int) -> list[dict[str, Any]]:
    """The records of a kind, parsed."""
    return [orjson.loads(line) for line in generators.lines(kind, rows)]


def tables(record: dict[str, Any], table: str = "") -> Iterator[tuple[str, str]]:
    """Yield each table and column that a record needs."""
    for key, value in record.items():
        if isinstance(value, dict):
            yield from ((at or table, f"{key}__{name}") for at, name in tables(value, ""))
        elif isinstance(value, list):
            for item in value:
                inner = item if isinstance(item, dict) else {"value": item}
                yield from ((f"{key}__{at}" if at else key, name) for at, name in tables(inner))
        else:
            yield table, key


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_the_same_bytes(kind: str, tmp_path: Path) -> None:
    """Figures of two machines are of the same files; another seed gives another file."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        generators.write(kind, 200, tmp_path / name, seed)

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_records_are_distinct_json(kind: str) -> None:
    """Each line is a record of its own: nothing can be cached or compressed away."""
    lines = list(generators.lines(kind, 500))

    assert 500 == len(set(lines))
    assert all(isinstance(orjson.loads(line), dict) for line in lines)


@pytest.mark.parametrize(
    ("kind", "least", "most"), [("slack", 650, 850), ("flat", 220, 290), ("wide", 4500, 5500)]
)
def test_record_size(kind: str, least: int, most: int) -> None:
    """The bytes of a record are about as many as the report says."""
    lines = list(generators.lines(kind, 2000))

    assert least < sum(map(len, lines)) / len(lines) < most


def test_flat_events_drift() -> None:
    """Codes turn into text from 30 % on, in 0.7 % of all; two columns come midway."""
    events = records("flat", 20_000)
    text = [at for at, event in enumerate(events) if isinstance(event["code"], str)]

    assert min(text) >= 6_000
    assert 0.005 < len(text) / len(events) < 0.009
    assert ("referrer" in events[7_999], "referrer" in events[8_000]) == (False, True)
    assert ("campaign" in events[11_999], "campaign" in events[12_000]) == (False, True)
    assert 16 == len(set(itertools.chain.from_iterable(events)))


def test_wide_events_are_wide() -> None:
    """Every type of event has another payload; together they need some 680 columns."""
    events = records("wide", 2_000)
    paths = {column for event in events for column in tables(event)}

    assert 7 == len({event["type"] for event in events})
    assert 650 < len(paths) < 700
