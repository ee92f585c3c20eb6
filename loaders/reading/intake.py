"""Read a stream: encode records as JSON lines, track the cursor, decide where parts end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from typing import Any, Final, Literal

from headrace.errors import HeadraceError, SourceError, SourceUnavailable, UsageError
from headrace.loaders.reading.containers import ArrowRows, RawLines, Whole, opened
from headrace.loaders.reading.lines import Gathered, LineEncoder
from headrace.loaders.reading.nesting import read_line
from headrace.loaders.reading.parts import Enter, Leave, Pace, Partitions, plain
from headrace.loaders.reading.patience import is_temporary, with_timeout
from headrace.loaders.records import Checkpoint, Rekey
from headrace.loaders.values.paths import RecordPath, parse_hint

_REPORT_EVERY = 1000
_GATHERED = 1 << 18
"""Bytes of lines that are handed on together."""
_MARKS = (Checkpoint, Rekey, Enter, Leave)

OnRows = Callable[[int], None]
"""Is told how many records have been read so far."""


class _Mark(Enum):
    CUT = "cut"


CUT: Final = _Mark.CUT
"""Stands in what is read where a part ends."""

Unit = bytes | RawLines | ArrowRows | Literal[_Mark.CUT]
"""A record as a line, many lines, rows of an Arrow table, or the end of a part."""


@dataclass(slots=True)
class Intake:
    """What has been read of a stream.

    Attributes:
        name: The table, for messages.
        encoder: Writes records as lines.
        cursor_column: The key whose greatest value becomes the cursor.
        cursor: The value reached; at first the one to rise from.
        on_rows: Told now and then of the number of records.
        pace: Where parts end, and how long the source may be silent.
        whole: What forbids a cut; None where there may be parts.
        records: Records read.
        first: The number of the first record of the open part.
        rekeys: Marks of the open part to apply to the rows that are there already.
        has_cursor: Whether a record had the cursor's key.
        lines: Where records of files stand: a record, its file and its line, wherever the next record is
            not on the next line.
        ended: Whether the stream was read to its end.
    """

    name: str
    encoder: LineEncoder
    cursor_column: str | None = None
    cursor: Any = None
    on_rows: OnRows = lambda records: None
    pace: Pace = field(default_factory=Pace)
    whole: str | None = None
    records: int = 0
    first: int = 0
    rekeys: list[Rekey] = field(default_factory=list)
    has_cursor: bool = False
    lines: list[tuple[int, str, int]] = field(default_factory=list)
    ended: bool = False
    _steps: RecordPath = ()  # to the cursor column
    _safe: Any = None  # the cursor that covers all that was read and nothing after it
    _last: Any = None  # the cursor column's value in the last record
    _rose: bool = False  # whether it is greater than the one before
    _partitions: Partitions | None = None
    _started: float = field(default_factory=time.monotonic)
    _has_news: bool = False  # whether the open part has anything to commit

    def __post_init__(self) -> None:
        self._safe = self.cursor
        self._steps = parse_hint(self.cursor_column or "")

    def where(self, record: int) -> str:
        """Return the file and the line that a record came from, for messages; "" where it came from none."""
        known = [entry for entry in self.lines if entry[0] <= record]
        if not known:
            return ""
        at, name, line = known[-1]
        return f" ({name}:{line + record - at})" if line else f" ({name})"

    def kept(self) -> str:
        """Return what is kept of a load that fails now, for messages; "" where it is nothing."""
        return f"; the first {self.first:,} are in the warehouse" if self.first else ""

    def begin_part(self) -> None:
        """Begin a part with the next record."""
        self.first = self.records
        self.rekeys = []
        self._started = time.monotonic()
        self._has_news = False

    @property
    def is_idle(self) -> bool:
        """Whether the open part has nothing to commit: no record, no mark and no new cursor."""
        return not self._has_news and self.records == self.first

    def read(self, stream: Any) -> Generator[Unit, None, None]:
        """Yield every record of a stream, as a line, among others or in an Arrow table, and where parts end.

        Nothing is asked of the stream until what was yielded has been dealt with: after `CUT`, that is the
        commit of the part.

        Raises:
            SourceUnavailable: The source was silent or broke off.
            SourceError: The source raised, or a record is no data; the message counts records from 0.
        """
        items = opened(stream)
        if self.pace.timeout is not None:
            items = with_timeout(self.pace.timeout, items)
        gathered, is_plain = Gathered(self.encoder), self.cursor_column is None
        try:
            for item in items:
                if is_plain and type(item) is dict:  # mostly, and what is asked of each of them costs
                    gathered.add(item)
                    self.records += 1
                    if gathered.count == _REPORT_EVERY or len(gathered.text) >= _GATHERED:
                        yield RawLines(*gathered.taken(), "")
                        self.on_rows(self.records)
                    continue
                if gathered.count:
                    yield RawLines(*gathered.taken(), "")
                    self.on_rows(self.records)
                if isinstance(item, _MARKS):
                    if self._note(item):
                        yield CUT
                elif isinstance(item, ArrowRows):
                    yield from self._rows(item)
                elif isinstance(item, RawLines):
                    yield from self._raw(item)
                else:
                    line = self._line(item)
                    if self._rose and self._ends_before():
                        yield CUT
                    yield line
                    self._counted(1)
            if gathered.count:
                yield RawLines(*gathered.taken(), "")
        except HeadraceError:
            raise
        except Exception as error:
            part = f" (partition {self._partitions.open})" if self._partitions is not None else ""
            place = f"{self.name}: record {self.records}{part}"
            message = f"{place}: {type(error).__name__}: {error}{self.kept()}"
            raise (SourceUnavailable if is_temporary(error) else SourceError)(message) from error
        self.ended = True
        self._has_news |= self._safe != self.cursor
        self._safe = self.cursor

    def kept_cursor(self) -> str | None:
        """Return the cursor of the open part as the text of its JSON, times as ISO text; or None.

        Raises:
            UsageError: JSON does not hold it.
        """
        value = self._safe if self._partitions is None else self._partitions.state(self._safe)
        if self.ended and self.cursor_column is not None and self.records and not self.has_cursor:
            raise UsageError(
                f"{self.name}: no record has the cursor's key {self.cursor_column!r}, so every run would "
                "read everything again. Name a key that records have."
            )
        if value is None:
            return None
        try:
            return json.dumps(plain(value), allow_nan=False)
        except (TypeError, ValueError) as error:
            message = f"{self.name}: a cursor must be JSON or a time, and {value!r} is not: {error}."
            raise UsageError(message) from error

    def _note(self, mark: Checkpoint | Rekey | Enter | Leave) -> bool:
        """Note a mark; tell whether a part ends with it."""
        if isinstance(mark, Enter):
            self._partitions = mark.partitions
            mark.partitions.enter(mark.value)
            self.cursor = self._safe = mark.since
            self._last = None
            return False
        if isinstance(mark, Leave):
            assert self._partitions is not None, "a partition is entered before it is left"
            self._partitions.leave(self.cursor)
            self._safe, self._has_news = self.cursor, True
            return self._is_due()
        if isinstance(mark, Rekey):
            self.rekeys.append(mark)
            self._has_news = True
            return False
        if mark.value is not None:
            self._has_news |= mark.value != self._safe
            self.cursor = self._safe = mark.value
        if self.whole is None:
            return self._is_due(now=mark.durable)
        if mark.durable:
            raise UsageError(
                f"{self.name}: Checkpoint(durable=True) commits what was read so far, and {self.whole} needs "
                "the whole load. Take another way of landing, or leave durable out."
            )
        return False

    def _is_due(self, *, now: bool = False) -> bool:
        """Tell whether a part ends at the border that was reached."""
        return not self.is_idle and (
            now
            or self.records - self.first >= self.pace.part_records
            or time.monotonic() - self._started >= self.pace.part_seconds
        )

    def _ends_before(self) -> bool:
        """Tell whether a part ends before the record with which the cursor has risen."""
        self._rose = False
        return self.whole is None and self._is_due()

    def _line(self, item: Any) -> bytes:
        if isinstance(item, Whole):
            item = item.record
        if self.cursor_column is not None:
            self._advance(item)
        return self.encoder.encode(item)

    def _raw(self, item: RawLines) -> Iterator[Unit]:
        self._locate(item)
        if self.cursor_column is None and self.encoder.keeps(item.text):
            self._counted(item.count)
            yield item
            return
        for raw in item.text.split(b"\n"):
            try:
                record = None if self.cursor_column is None else read_line(raw)
                line = self.encoder.line(raw)
            except ValueError as error:
                place = f"record {self.records}{self.where(self.records)}"
                reason = f"is no JSON: {error}: {raw[:100]!r}"
                raise SourceError(f"{self.name}: {place} {reason}{self.kept()}") from error
            if self.cursor_column is not None:
                self._advance(record)
            if self._rose and self._ends_before():
                yield CUT
            yield line
            self._counted(1)

    def _locate(self, item: RawLines) -> None:
        if self.lines:
            record, name, line = self.lines[-1]
            expected = line + self.records - record if line else 0
            if (name, expected) == (item.origin, item.line):
                return
        self.lines.append((self.records, item.origin, item.line))

    def _rows(self, item: ArrowRows) -> Iterator[Unit]:
        if self.cursor_column is None and not self.encoder.changes_records:
            from headrace.loaders.reading.arrow import plain_table  # here: it imports pyarrow

            plain = plain_table(item.table)
            if plain is not None:
                self._counted(plain.num_rows)
                yield ArrowRows(plain)
                return
        for record in item.table.to_pylist(maps_as_pydicts="strict"):
            line = self._line(record)
            if self._rose and self._ends_before():
                yield CUT
            yield line
            self._counted(1)

    def _counted(self, more: int) -> None:
        before = self.records
        self.records += more
        if before // _REPORT_EVERY != self.records // _REPORT_EVERY:
            self.on_rows(self.records)

    def _advance(self, record: Any) -> None:
        """Keep the greatest value of the cursor column."""
        value = record
        for step in self._steps:
            if not isinstance(value, dict) or step not in value:
                return
            value = value[step]
        self.has_cursor = True
        if value is None:
            return
        try:
            if self.pace.row_order is not None:
                self._keep_order(value)
            if self.cursor is None or _is_greater(value, self.cursor):
                self.cursor = value
        except TypeError as error:
            raise SourceError(
                f"{self.name}: record {self.records}: the cursor column {self.cursor_column!r} holds "
                f"{value!r} here and {self.cursor!r} before, which cannot be compared."
            ) from error

    def _keep_order(self, value: Any) -> None:
        """Note where the cursor column rises; no record may come below one that may be committed already."""
        last, self._last = self._last, value
        if last is None or last == value:
            return
        if not _is_greater(value, last):
            raise SourceError(
                f"{self.name}: record {self.records}: {self.cursor_column!r} is {value!r} after {last!r}, "
                f"and row_order='asc' says that it only rises. Let the source sort, or leave row_order out"
                f"{self.kept()}."
            )
        self._rose = True
        self._safe = self.cursor


def _is_greater(value: Any, other: Any) -> bool:
    return bool(_comparable(value, other) > _comparable(other, value))


def _comparable(value: Any, other: Any) -> Any:
    """Return an ISO text as the time it is, beside a time."""
    if isinstance(value, str) and isinstance(other, datetime):
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    if isinstance(value, str) and isinstance(other, date):
        return date.fromisoformat(value)
    return value
