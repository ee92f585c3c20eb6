"""Files of records to load: three kinds, any number of rows; the same seed gives the same bytes.

`python -m benchmarks.generators flat 1000000 events.jsonl` writes one.
"""

from __future__ import annotations

import argparse
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks import flat_events, slack_messages, wide_events


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of records.

    Attributes:
        table: The name of the root table.
        lines: Makes a number of records, each a line of JSON.
        about: What they are like, for the report.
    """

    table: str
    lines: Callable[[Random, int], Iterator[bytes]]
    about: str


KINDS = {
    "slack": Kind("messages", slack_messages.lines, "nested messages: 9 tables, 0.75 KB a record"),
    "flat": Kind(
        "events", flat_events.lines, "flat events: 16 columns, 270 B, a type conflict and two columns midway"
    ),
    "wide": Kind("events", wide_events.lines, "polymorphic events: 680 columns in 7 tables, 5 KB a record"),
}
SEED = 20260101
FOLDER = Path(os.environ.get("BENCH_FOLDER", ".bench"))
"""Where generated files and the databases under test are kept; in the working folder, unless told."""


def lines(kind: str, rows: int, seed: int = SEED) -> Iterator[bytes]:
    """Yield the records of a kind as lines of JSON.

    >>> next(lines("flat", 10))[:50]
    b'{"event_id":0,"ts":"2025-01-01T00:00:00.658Z","day'
    """
    return KINDS[kind].lines(Random(f"{kind} {rows} {seed}"), rows)


def write(kind: str, rows: int, path: Path, seed: int = SEED) -> None:
    """Write a file of JSON lines; the name appears when all of it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("wb") as file:
        for line in lines(kind, rows, seed):
            file.write(line)
            file.write(b"\n")
    unfinished.rename(path)


def jsonl(kind: str, rows: int) -> Path:
    """Return the file of so many records of a kind, made where it is missing."""
    path = FOLDER / "data" / f"{kind}-{rows}-{_version(kind)}.jsonl"
    if not path.exists():
        write(kind, rows, path)
    return path


def parquet(kind: str, rows: int) -> Path:
    """Return the same records as a Parquet file with nested types, as DuckDB reads them.

    Arrow has no columns of mixed types: the `code` of flat events is text throughout.
    """
    import duckdb

    source = jsonl(kind, rows)
    path = source.with_suffix(".parquet")
    if not path.exists():
        columns = "* REPLACE (code->>'$' AS code)" if kind == "flat" else "*"
        reader = f"read_json('{source}', format = 'newline_delimited', sample_size = -1)"
        with duckdb.connect() as connection:
            connection.execute(
                f"COPY (SELECT {columns} FROM {reader}) TO '{path}.unfinished' (FORMAT parquet)"
            )
        Path(f"{path}.unfinished").rename(path)
    return path


def _version(kind: str) -> str:
    """Return what tells the files of a generator from those of an older one: a sum of its source."""
    source = Path(KINDS[kind].lines.__code__.co_filename).read_bytes()
    return f"{zlib.crc32(source):08x}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("rows", type=int)
    parser.add_argument("path", type=Path)
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    write(given.kind, given.rows, given.path, given.seed)
