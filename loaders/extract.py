"""Extraction: a stream of records becomes a sealed package, in bounded memory.

Records are written as lines at once (so a source may reuse its dicts), gathered into blocks and shredded.
A stream that ends before the first block is full goes through the exact lane; else every block goes
through the columnar lane, which hands back the lines it must not take.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from headrace.errors import HeadraceError, SourceError, UsageError
from headrace.loaders.exact import shred_lines
from headrace.loaders.lines import LineEncoder
from headrace.loaders.names import Path
from headrace.loaders.package import Package, PackageWriter
from headrace.loaders.records import Checkpoint, Rekey, Stream

SMALL = 2 << 20
"""Bytes of JSON below which a whole load takes the exact lane: importing pyarrow would cost more."""

BLOCK = 32 << 20
"""Bytes of JSON that are held, parsed and written at a time."""

_REPORT_EVERY = 1000

OnRows = Callable[[int], None]
"""Is told how many records have been read so far."""


@dataclass(slots=True)
class _Intake:
    """What has been read of a stream."""

    cursor_column: str | None
    cursor: Any
    on_rows: OnRows
    records: int = 0
    rekeys: list[Rekey] = field(default_factory=list)

    def note(self, mark: Checkpoint | Rekey) -> None:
        if isinstance(mark, Checkpoint):
            self.cursor = mark.value
        else:
            self.rekeys.append(mark)

    def advance(self, record: Any) -> None:
        """Keep the greatest value of the cursor column."""
        value = record.get(self.cursor_column) if isinstance(record, dict) else None
        if value is None:
            return
        try:
            if self.cursor is None or value > self.cursor:
                self.cursor = value
        except TypeError as error:
            raise SourceError(
                f"record {self.records}: the cursor column {self.cursor_column!r} holds {value!r} here and "
                f"{self.cursor!r} before, which cannot be compared."
            ) from error


def extract(
    stream: Stream, writer: PackageWriter, *, watched: Collection[tuple[Path, Path]] = (),
    cursor_column: str | None = None, since: Any = None, on_rows: OnRows = lambda records: None,
) -> Package:  # fmt: skip
    """Read `stream` to its end into a sealed package.

    Args:
        stream: Records, or pages of records, with marks between them.
        writer: The open package.
        watched: Paths that are times in the warehouse already; see `columnar`.
        cursor_column: The key whose greatest value is the next run's `since`.
        since: The value from which it rises.
        on_rows: Called now and then with the number of records read.

    Raises:
        SourceError: The source raised, or yielded what is no record; the message counts records from 0.
    """
    intake = _Intake(cursor_column, since, on_rows)
    json_paths = [path for path, type_ in writer.target.hints().items() if type_ == "JSON"]
    lines = _lines(stream, intake, LineEncoder(json_paths), writer.target.name)
    exact_records = _shred(lines, writer, watched)
    on_rows(intake.records)
    return writer.seal(
        records=intake.records,
        exact_records=exact_records,
        cursor=_json_value(intake.cursor),
        rekeys=intake.rekeys,
    )


def _lines(stream: Stream, intake: _Intake, encoder: LineEncoder, name: str) -> Iterator[bytes]:
    try:
        for item in stream:
            for record in item if isinstance(item, list) else (item,):
                if isinstance(record, (Checkpoint, Rekey)):
                    intake.note(record)
                    continue
                if intake.cursor_column is not None:
                    intake.advance(record)
                yield encoder.encode(record)
                intake.records += 1
                if intake.records % _REPORT_EVERY == 0:
                    intake.on_rows(intake.records)
    except HeadraceError:
        raise
    except Exception as error:
        raise SourceError(f"{name}: record {intake.records}: {type(error).__name__}: {error}") from error


def _shred(lines: Iterator[bytes], writer: PackageWriter, watched: Collection[tuple[Path, Path]]) -> int:
    """Write every line into the package; return how many took the exact lane."""
    first, exact, columnar = 0, 0, None
    for block, last in _blocks(lines):
        if columnar is None and last and sum(map(len, block)) < SMALL:
            writer.add_rows(shred_lines(enumerate(block, first), writer.facts))
            exact += len(block)
        else:
            if columnar is None:
                from headrace.loaders.columnar import ColumnarShredder  # here: it imports pyarrow

                columnar = ColumnarShredder(writer.facts, watched)
            tables, odd = columnar.shred(first, block)
            writer.add_tables(tables)
            writer.add_rows(shred_lines([(first + at, block[at]) for at in odd], writer.facts))
            exact += len(odd)
        first += len(block)
    return exact


def _blocks(lines: Iterator[bytes]) -> Iterator[tuple[list[bytes], bool]]:
    """Yield lists of lines of some `BLOCK` bytes each, and whether the stream ended with it."""
    block: list[bytes] = []
    size = 0
    for line in lines:
        block.append(line)
        size += len(line)
        if size >= BLOCK:
            yield block, False
            block, size = [], 0
    if block:
        yield block, True


def _json_value(value: Any) -> Any:
    """Return a cursor as JSON holds it: times as ISO text."""
    isoformat = getattr(value, "isoformat", None)
    if isoformat is not None:
        return isoformat()
    if value is None or isinstance(value, (str, int, float, bool, dict, list)):
        return value
    raise UsageError(f"A cursor must be JSON or a time, and {value!r} is a {type(value).__name__}.")
