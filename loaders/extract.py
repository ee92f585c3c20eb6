"""Extraction: a stream of records becomes a sealed package, in bounded memory.

Records are written as lines at once (so a source may reuse its dicts), gathered into blocks and shredded.
A stream that ends before the first block is full goes through the exact lane; else every block goes
through the columnar lane, which hands back the lines it must not take. Arrow tables are columns already.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from headrace.errors import SourceError
from headrace.loaders.containers import ArrowRows
from headrace.loaders.exact import BadLine, shred_lines
from headrace.loaders.intake import Intake, OnRows
from headrace.loaders.limits import KeyLimit
from headrace.loaders.lines import LineEncoder
from headrace.loaders.package import Package, PackageWriter
from headrace.loaders.schema import RootSchema

if TYPE_CHECKING:
    from headrace.loaders.columnar import ColumnarShredder

_NOTHING = RootSchema()
SMALL = 2 << 20
"""Bytes of JSON below which a whole load takes the exact lane: importing pyarrow would cost more."""

BLOCK = 32 << 20
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
    target = writer.target
    encoder = LineEncoder(
        target.paths_of("JSON"),
        target.paths_of("NESTED"),
        target.max_nesting,
        canonical=target.strategy == "scd2",
        clears=target.strategy == "upsert",
    )
    intake = Intake(target.name, encoder, cursor_column, since, on_rows)
    shredding = _Shredding(writer, before, intake)
    for block, last in _blocks(intake.read(stream)):
        shredding.add(block, last)
    on_rows(intake.records)
    return writer.seal(
        records=intake.records,
        exact_records=shredding.exact,
        cursor=intake.final_cursor(),
        rekeys=intake.rekeys,
    )


class _Shredding:
    """Writes block after block into a package, each through the lane that fits."""

    def __init__(self, writer: PackageWriter, before: RootSchema, intake: Intake) -> None:
        self.exact = 0
        self._writer = writer
        self._watched = before.times()
        self._intake = intake
        self._records = 0
        # where the nesting has a limit, a JSON column may hold what was too deep in another record
        self._limit = KeyLimit(before.maps() if writer.target.max_nesting is None else ())
        self._columnar: ColumnarShredder | None = None
        self._required = writer.target.required()
        self._hashed = writer.target.strategy == "scd2"
        self._keeps_raw = writer.target.contract.quarantines

    def add(self, block: list[bytes] | ArrowRows, last: bool) -> None:
        if isinstance(block, ArrowRows):
            tables = None if self._keeps_raw else self._columns().shred_table(self._records, block.table)
            if tables is not None:
                self._writer.add_tables(tables)
                self._records += block.table.num_rows
                return
            block = [self._intake.encoder.encode(record) for record in block.table.to_pylist()]
        if self._keeps_raw:
            self._writer.add_raw(block)
        lines = self._limit.apply(block)
        is_small = self._columnar is None and last and sum(map(len, lines)) < SMALL
        odd = range(len(lines)) if is_small else self._add_columns(lines)
        self._add_rows([(self._records + at, lines[at]) for at in odd])
        self._records += len(lines)

    def _add_rows(self, lines: list[tuple[int, bytes]]) -> None:
        try:
            rows, rejected = shred_lines(lines, self._writer.facts, self._required, hashed=self._hashed)
        except BadLine as error:
            place = f"record {error.record}{self._intake.where(error.record)}"
            raise SourceError(f"{self._writer.target.name}: {place} {error}") from error
        self._writer.add_rows(rows)
        self._writer.reject(rejected)
        self.exact += len(lines)

    def _add_columns(self, lines: list[bytes]) -> list[int]:
        odd: list[int] = []
        for tables, left_over in self._columns().shred(self._records, lines):
            self._writer.add_tables(tables)
            odd.extend(left_over)
        return sorted(odd)

    def _columns(self) -> ColumnarShredder:
        if self._columnar is None:
            from headrace.loaders.columnar import ColumnarShredder  # here: it imports pyarrow

            self._columnar = ColumnarShredder(
                self._writer.facts, self._watched, self._required, hashed=self._hashed
            )
        return self._columnar


def _blocks(units: Iterator[bytes | ArrowRows]) -> Iterator[tuple[list[bytes] | ArrowRows, bool]]:
    """Yield lists of lines of some `BLOCK` bytes, and Arrow tables, and whether the stream ended there."""
    block: list[bytes] = []
    size = 0
    for unit in units:
        if isinstance(unit, ArrowRows):
            if block:
                yield block, False
                block, size = [], 0
            yield unit, False
            continue
        block.append(unit)
        size += len(unit)
        if size >= BLOCK:
            yield block, False
            block, size = [], 0
    if block:
        yield block, True
