"""Intake: a stream becomes lines of JSON and Arrow tables, its marks noted, its cursor followed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from headrace.errors import HeadraceError, SourceError, UsageError
from headrace.loaders.containers import ArrowRows, RawLines, Whole, opened
from headrace.loaders.lines import LineEncoder
from headrace.loaders.names import parse_hint
from headrace.loaders.nesting import read_line
from headrace.loaders.records import Checkpoint, Rekey

_REPORT_EVERY = 1000

OnRows = Callable[[int], None]
"""Is told how many records have been read so far."""


@dataclass(slots=True)
class Intake:
    """What has been read of a stream.

    Attributes:
        name: The table, for messages.
        encoder: Writes records as lines.
        cursor_column: The key whose greatest value becomes the cursor.
        cursor: The value reached; at first the one to rise from.
        on_rows: Told now and then of the number of records.
        records: Records read.
        rekeys: Marks to apply to the rows that are there already.
        has_cursor: Whether a record had the cursor's key.
        files: The number of the first record of each file, with the file's name.
    """

    name: str
    encoder: LineEncoder
    cursor_column: str | None = None
    cursor: Any = None
    on_rows: OnRows = lambda records: None
    records: int = 0
    rekeys: list[Rekey] = field(default_factory=list)
    has_cursor: bool = False
    files: list[tuple[int, str]] = field(default_factory=list)

    def where(self, record: int) -> str:
        """Return the file that a record came from, for messages; "" where it came from none."""
        names = [name for first, name in self.files if first <= record]
        return f" ({names[-1]})" if names else ""

    def read(self, stream: Any) -> Iterator[bytes | RawLines | ArrowRows]:
        """Yield every record of a stream: as a line, among other lines, or as a row of an Arrow table.

        Raises:
            SourceError: The source raised, or a record is no data; the message counts records from 0.
        """
        try:
            for item in opened(stream):
                if isinstance(item, (Checkpoint, Rekey)):
                    self._note(item)
                elif isinstance(item, ArrowRows):
                    yield from self._rows(item)
                elif isinstance(item, RawLines):
                    yield from self._raw(item)
                else:
                    yield self._line(item)
                    self._counted(1)
        except HeadraceError:
            raise
        except Exception as error:
            message = f"{self.name}: record {self.records}: {type(error).__name__}: {error}"
            raise SourceError(message) from error

    def final_cursor(self) -> str | None:
        """Return the cursor as the text of its JSON, times as ISO text; None if there is none.

        Raises:
            UsageError: JSON does not hold it.
        """
        value = self.cursor
        if self.cursor_column is not None and self.records and not self.has_cursor:
            raise UsageError(
                f"{self.name}: no record has the cursor's key {self.cursor_column!r}, so every run would "
                "read everything again. Name a key that records have."
            )
        if value is None:
            return None
        isoformat = getattr(value, "isoformat", None)
        try:
            return json.dumps(value if isoformat is None else isoformat(), allow_nan=False)
        except (TypeError, ValueError) as error:
            message = f"{self.name}: a cursor must be JSON or a time, and {value!r} is not: {error}."
            raise UsageError(message) from error

    def _note(self, mark: Checkpoint | Rekey) -> None:
        if isinstance(mark, Checkpoint):
            self.cursor = mark.value
        else:
            self.rekeys.append(mark)

    def _line(self, item: Any) -> bytes:
        if isinstance(item, Whole):
            item = item.record
        if self.cursor_column is not None:
            self._advance(item)
        return self.encoder.encode(item)

    def _raw(self, item: RawLines) -> Iterator[bytes | RawLines]:
        if not self.files or self.files[-1][1] != item.origin:
            self.files.append((self.records, item.origin))
        if self.cursor_column is None and self.encoder.keeps(item.text):
            self._counted(item.count)
            yield item
            return
        for line in item.text.split(b"\n"):
            if self.cursor_column is not None:
                self._advance(read_line(line))
            yield self.encoder.line(line)
            self._counted(1)

    def _rows(self, item: ArrowRows) -> Iterator[bytes | ArrowRows]:
        if self.cursor_column is None and not self.encoder.changes_records:
            from headrace.loaders.arrow import plain_table  # here: it imports pyarrow

            plain = plain_table(item.table)
            if plain is not None:
                self._counted(plain.num_rows)
                yield ArrowRows(plain)
                return
        for record in item.table.to_pylist(maps_as_pydicts="strict"):
            yield self._line(record)
            self._counted(1)

    def _counted(self, more: int) -> None:
        before = self.records
        self.records += more
        if before // _REPORT_EVERY != self.records // _REPORT_EVERY:
            self.on_rows(self.records)

    def _advance(self, record: Any) -> None:
        """Keep the greatest value of the cursor column."""
        value = record
        for step in parse_hint(self.cursor_column or ""):
            if not isinstance(value, dict) or step not in value:
                return
            value = value[step]
        self.has_cursor = True
        if value is None:
            return
        try:
            if self.cursor is None or _comparable(value, self.cursor) > _comparable(self.cursor, value):
                self.cursor = value
        except TypeError as error:
            raise SourceError(
                f"{self.name}: record {self.records}: the cursor column {self.cursor_column!r} holds "
                f"{value!r} here and {self.cursor!r} before, which cannot be compared."
            ) from error


def _comparable(value: Any, other: Any) -> Any:
    """Return an ISO text as the time it is, beside a time."""
    if isinstance(value, str) and isinstance(other, datetime):
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    if isinstance(value, str) and isinstance(other, date):
        return date.fromisoformat(value)
    return value
