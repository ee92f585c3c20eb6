"""Extract a stream of records into a sealed package, in bounded memory.

Records are written as lines at once (so a source may reuse its dicts), gathered into blocks and shredded.
A stream that ends before the first block is full goes through the exact lane; else every block goes
through the columnar lane, which hands back the lines it must not take. Arrow tables are columns already.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.errors import SourceError
from headrace.loaders.contracts.target import Target
from headrace.loaders.packages.package import Package
from headrace.loaders.packages.writer import PackageWriter
from headrace.loaders.reading.containers import ArrowRows, RawLines
from headrace.loaders.reading.intake import CUT, Intake, OnRows, Unit
from headrace.loaders.reading.lines import LineEncoder
from headrace.loaders.reading.parts import Pace
from headrace.loaders.schema.known import RootSchema
from headrace.loaders.shredding.exact import BadLine, shred_lines
from headrace.loaders.shredding.key_limit import KeyLimit, keys_of
from headrace.loaders.values.paths import RecordPath

if TYPE_CHECKING:
    from headrace.loaders.shredding.pipeline import Pipeline

_NOTHING = RootSchema()
SMALL = 2 << 20
"""Bytes of JSON below which a whole load takes the exact lane: importing pyarrow would cost more."""

BLOCK = 16 << 20
"""Bytes of JSON that are held, parsed and written at a time."""


def extract(
    stream: Any, writer: PackageWriter, *, before: RootSchema = _NOTHING,
    cursor_column: str | None = None, since: Any = None, on_rows: OnRows = lambda records: None,
) -> Package:  # fmt: skip
    """Read `stream` to its end into a sealed package.

    Args:
        stream: Records in any container, with marks between them.
        writer: The open package.
        before: What the warehouse knows: where strings are times, and dicts JSON.
        cursor_column: The key whose greatest value is the next run's `since`.
        since: The value from which it rises.
        on_rows: Called now and then with the number of records read.

    Raises:
        SourceError: The source raised, or yielded what is no record; the message counts records from 0.
    """
    never = Pace(part_records=sys.maxsize, part_seconds=math.inf)
    extraction = Extraction(
        stream, writer.target, never, cursor_column=cursor_column, since=since, on_rows=on_rows
    )
    package = extraction.read_part(writer, before=before)
    assert package is not None, "the first part is sealed, also where it is empty"
    return package


class Extraction:
    """A stream on its way into packages: one after the other, if it is cut into parts.

    The stream stands still between them, so that its source goes on once a part is committed.

    Attributes:
        target: Where the records land, and how.
    """

    def __init__(
        self, stream: Any, target: Target, pace: Pace, *, cursor_column: str | None = None, since: Any = None,
        on_rows: OnRows = lambda records: None,
    ) -> None:  # fmt: skip
        self.target = target
        encoder = LineEncoder(
            target.paths_of("JSON"),
            target.paths_of("NESTED"),
            target.max_nesting,
            canonical=target.strategy == "scd2",
            clears=target.strategy == "upsert",
        )
        self._intake = Intake(
            target.name, encoder, cursor_column, since, on_rows, pace=pace, whole=target.needs_whole
        )
        self._units = self._intake.read(stream)
        self._is_first = True

    @property
    def ended(self) -> bool:
        """Whether the stream was read to its end."""
        return self._intake.ended

    def read_part(self, writer: PackageWriter, *, before: RootSchema = _NOTHING) -> Package | None:
        """Read up to the end of a part and seal it; None where the stream ended and there was no more.

        Raises:
            SourceError: As `extract` does; what was sealed before stays.
        """
        intake = self._intake
        intake.begin_part()
        with _Shredding(writer, before, intake) as shredding:
            for block, last in _blocks(self._units):
                shredding.add(block, last)
        intake.on_rows(intake.records)
        if intake.is_idle and not self._is_first:
            return None
        self._is_first = False
        return writer.seal(
            records=intake.records - intake.first,
            exact_records=shredding.exact,
            cursor=intake.kept_cursor(),
            rekeys=intake.rekeys,
        )

    def close(self) -> None:
        """Leave the stream, as far as it was read."""
        self._units.close()


@dataclass(frozen=True, slots=True)
class _Block:
    """Some records of a stream.

    Attributes:
        text: A line of JSON for each, a new line between two.
        count: How many there are.
    """

    text: bytes
    count: int


class _Shredding:
    """Writes block after block into a package, each through the lane that fits.

    In the columnar lane the stream is read in this thread, blocks are parsed in two others, flattened in this
    one in their order, and written in a fourth: all but the reading is work outside of Python's lock.
    """

    def __init__(self, writer: PackageWriter, before: RootSchema, intake: Intake) -> None:
        self.exact = 0
        self._writer = writer
        self._before = before
        self._intake = intake
        self._records = 0
        # where the nesting has a limit, a JSON column may hold what was too deep in another record
        self._limit = KeyLimit(before.maps() if writer.target.max_nesting is None else ())
        self._required = writer.target.needed_keys()
        self._hashed = writer.target.strategy == "scd2"
        self._keeps_raw = writer.target.contract.quarantines
        self._pipeline: Pipeline | None = None

    def __enter__(self) -> _Shredding:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._pipeline is not None:
            self._pipeline.close(finish=kind is None)

    def add(self, block: _Block | ArrowRows, last: bool) -> None:
        if isinstance(block, ArrowRows):
            if not self._keeps_raw and self._columns().add_table(self._records, block.table):
                self._records += block.table.num_rows
                return
            lines = [self._intake.encoder.encode(record) for record in block.table.to_pylist()]
            block = _Block(b"\n".join(lines), len(lines))
        if self._keeps_raw:
            self._writer.add_raw(block.text)
        text = self._limit.apply(block.text, keys_of(self._paths()))
        if self._pipeline is None and last and len(text) < SMALL:
            self._shred_exactly(list(enumerate(text.split(b"\n"), self._records)))()
        else:
            self._columns().add(self._records, text, block.count)
        self._records += block.count

    def _paths(self) -> Iterator[RecordPath]:
        """Yield the path of every column, or column to be."""
        for table in self._before.tables.values():
            yield from ((*table.path, *column.path) for column in table.columns)
        for found in self._writer.observed.tables.values():
            yield from ((*found.path, *fact.path) for fact in found.observed.values())

    def _shred_exactly(self, lines: list[tuple[int, bytes]]) -> Callable[[], None]:
        """Shred records in the exact lane; return what writes them."""
        try:
            rows, rejected = shred_lines(lines, self._writer.observed, self._required, hashed=self._hashed)
        except BadLine as error:
            record = self._intake.first + error.record
            place = f"record {record}{self._intake.where(record)}"
            raise SourceError(f"{self._writer.target.name}: {place} {error}{self._intake.kept()}") from error
        self.exact += len(lines)

        def write() -> None:
            self._writer.add_rows(rows)
            self._writer.reject(rejected)

        return write

    def _columns(self) -> Pipeline:
        if self._pipeline is None:
            from headrace.loaders.shredding.columnar import ColumnarShredder  # here: these import pyarrow
            from headrace.loaders.shredding.pipeline import Pipeline

            target = self._writer.target
            number_sensitive_paths = self._before.number_sensitive_paths(
                frozen=target.contract.types != "evolve"
            )
            number_sensitive_paths |= {path for path, type_ in target.hints().items() if type_ == "VARCHAR"}
            shredder = ColumnarShredder(
                self._writer.observed,
                self._before.times(),
                number_sensitive_paths,
                self._required,
                hashed=self._hashed,
            )
            self._pipeline = Pipeline(shredder, self._writer.add_tables, self._shred_exactly)
        return self._pipeline


def _blocks(units: Iterator[Unit]) -> Iterator[tuple[_Block | ArrowRows, bool]]:
    """Yield blocks of some `BLOCK` bytes, and Arrow tables, and whether the part ended there."""
    pieces: list[bytes] = []
    count = size = 0
    for unit in units:
        if unit is CUT:
            break
        if isinstance(unit, ArrowRows):
            if pieces:
                yield _Block(b"\n".join(pieces), count), False
                pieces, count, size = [], 0, 0
            yield unit, False
            continue
        text, more = (unit.text, unit.count) if isinstance(unit, RawLines) else (unit, 1)
        pieces.append(text)
        count += more
        size += len(text)
        if size >= BLOCK:
            yield _Block(b"\n".join(pieces), count), False
            pieces, count, size = [], 0, 0
    if pieces:
        yield _Block(b"\n".join(pieces), count), True
