"""Encode every record as one line of JSON, exactly.

Most records cost one call of `orjson.dumps`. The rest (NaN, huge integers, keys that are no strings…) are
rebuilt in Python first, with marks where JSON has no such type; see `marks`.
"""

from __future__ import annotations

import marshal
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from headrace.loaders.reading.nesting import DEEPEST, bounded, is_deeper, may_be_deep, read_line, shallow
from headrace.loaders.values.kinds import CLEAR, EMPTY
from headrace.loaders.values.marks import (
    MARK,
    MARK_IN_JSON,
    JsonText,
    exact_json,
    is_model,
    json_text,
    marked,
    read_mark,
    rebuilt,
)
from headrace.loaders.values.paths import RecordPath

_OPTIONS = (
    orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS
)

# How marshal writes a float that is NaN or infinite: 'g' and eight bytes, all bits of the exponent set.
# Other bytes can look the same; then a record is rebuilt for nothing.
_NOT_FINITE = re.compile(rb"[g\xe7].{6}[\xf0-\xff][\x7f\xff]", re.DOTALL)
_LAST_BYTES = (b"\x7f", b"\xff")
"""One of which such a float ends with; records without are told apart 10 to 70 times as fast."""


class LineEncoder:
    r"""Writes records as lines; knows which paths are kept as JSON text.

    >>> import datetime
    >>> LineEncoder().encode({"id": 1, "at": datetime.date(2026, 1, 31)})
    b'{"id":1,"at":{"\\u0001date":"2026-01-31"}}'
    """

    def __init__(
        self,
        json_paths: Iterable[RecordPath] = (),
        nested_paths: Iterable[RecordPath] = (),
        max_nesting: int | None = None,
        *,
        canonical: bool = False,
        clears: bool = False,
    ) -> None:
        """Say what is kept as JSON and what is unpacked.

        Args:
            json_paths: Paths whose values stay JSON.
            nested_paths: Paths whose texts hold JSON that is to be shredded.
            max_nesting: How many levels of dicts and lists are shredded; `DEEPEST` if it is None.
            canonical: Whether records with one content must give one line: keys are sorted.
            clears: Whether a null or an empty list that a record gives must be told from one it leaves out.
        """
        self._edits = [
            *((path, _as_json) for path in json_paths),
            *((path, _unpacked) for path in nested_paths),
        ]
        self._max_nesting = max_nesting
        self._options = _OPTIONS | orjson.OPT_SORT_KEYS if canonical else _OPTIONS
        self._clears = clears
        self._marks = 0
        self._on_other = self._mark  # bound once, not for each record
        self.changes_records = bool(self._edits) or max_nesting is not None or canonical or clears
        """Whether hints or limits may change how a record is written."""

    def encode(self, record: Any) -> bytes:
        """Return `record` as one line of JSON, without the line's end.

        Raises:
            TypeError: A value is of a type that is not data.
        """
        for path, edit in self._edits:
            record = _edited(record, path, edit)
        if self._max_nesting is not None:
            record = shallow(record, self._max_nesting)
        if self._clears:
            return orjson.dumps(_cleared(rebuilt(bounded(record))), option=self._options)
        line = self._dumps(record)
        if line.count(b"{") + line.count(b"[") > DEEPEST and is_deeper(record, DEEPEST):
            return self._dumps(bounded(record))
        return line

    def encode_plainly(self, record: Any) -> bytes | None:
        """Return a record as a line that `line` may still have to mend; None if the record is not plain.

        It costs less than `encode`: what is in the lines can be looked at in many together, see `Gathered`.
        """
        if self.changes_records:
            return None
        try:
            line = orjson.dumps(record, None, _OPTIONS)
        except (TypeError, ValueError):
            return None
        # `in` would first make an exception, since it takes numbers too
        return line if line.find(b"null") < 0 or not _may_hold_nan(record) else None

    def keeps(self, lines: bytes) -> bool:
        """Tell whether lines of JSON are as this encoder would write them, as far as can be told at once."""
        has_mark = b"\\" in lines and MARK_IN_JSON in lines  # a backslash is looked for at once
        return not (self.changes_records or has_mark or may_be_deep(lines))

    def line(self, text: bytes) -> bytes:
        """Return a record that is JSON already, as a line.

        Raises:
            ValueError: It had to be looked at, and is no JSON.
        """
        return text if self.keeps(text) else self.encode(read_line(text, self._max_nesting))

    def _dumps(self, record: Any) -> bytes:
        self._marks = 0
        try:
            line = orjson.dumps(record, self._on_other, self._options)
        except (TypeError, ValueError):  # ValueError: not serialisable as it stands
            return self._rebuilt(bounded(record))
        if line.count(MARK_IN_JSON) != self._marks or (line.find(b"null") >= 0 and _may_hold_nan(record)):
            return self._rebuilt(record)
        return line

    def _rebuilt(self, record: Any) -> bytes:
        return orjson.dumps(rebuilt(record), option=self._options)

    def _mark(self, value: Any) -> Any:
        # orjson writes what this returns, marks included, without asking again
        self._marks += 1
        if isinstance(value, (dict, list, tuple, set, frozenset, Mapping)) or is_model(value):
            raise TypeError("rebuild the whole record")
        return marked(value)


class Gathered:
    """Lines of records, gathered to be handed on together.

    They are one text that grows: to keep each line would cost more than to write it.
    """

    def __init__(self, encoder: LineEncoder) -> None:
        self.count = 0
        self.text = bytearray()
        self._encoder = encoder
        self._mended: list[bytes] = []
        self._is_plain = True

    def add(self, record: Any) -> None:
        """Write a record, at once: its source may use it for the next one.

        Raises:
            TypeError: A value is of a type that is not data.
        """
        line = self._encoder.encode_plainly(record) if self._is_plain else None
        if line is None:
            if self._is_plain:  # and others will hardly be plain
                self._mend()
                self._is_plain = False
            line = self._encoder.encode(record)
        self.text += line
        self.text += b"\n"
        self.count += 1

    def taken(self) -> tuple[bytes, int]:
        """Return the lines, a new line between two, and how many they are; begin anew."""
        if self._is_plain:
            self._mend()
        text, count = b"".join([*self._mended, self.text])[:-1], self.count
        self._mended, self.text, self.count, self._is_plain = [], bytearray(), 0, True
        return text, count

    def _mend(self) -> None:
        text = bytes(self.text)
        if text and not self._encoder.keeps(text):
            text = b"".join([self._encoder.line(line) + b"\n" for line in text[:-1].split(b"\n")])
        self._mended.append(text)
        self.text = bytearray()


def _may_hold_nan(record: Any) -> bool:
    try:
        written = marshal.dumps(record)
    except ValueError:  # holds what marshal does not know, such as a date
        return True
    return any(written.find(last) >= 0 for last in _LAST_BYTES) and _NOT_FINITE.search(written) is not None


def _edited(record: Any, path: RecordPath, edit: Callable[[Any], Any]) -> Any:
    """Return `record` with the value at `path` edited; the caller's dicts stay as they are."""
    if not path:
        return edit(record)
    step, rest = path[0], path[1:]
    if step is None:
        return [_edited(item, rest, edit) for item in record] if isinstance(record, list) else record
    if not isinstance(record, dict) or record.get(step) is None:
        return record
    return {**record, step: _edited(record[step], rest, edit)}


def _cleared(value: Any) -> Any:
    """Return a rebuilt record with a mark at every null and empty list outside of lists."""
    if value is None:
        return {f"{MARK}{CLEAR}": True}
    if value == []:
        return {f"{MARK}{EMPTY}": True}
    if not isinstance(value, dict) or read_mark(value) is not None:
        return value
    return {key: _cleared(item) for key, item in value.items()}


def _as_json(value: Any) -> Any:
    return value if value is None or isinstance(value, JsonText) else JsonText(json_text(value))


def _unpacked(value: Any) -> Any:
    """Return what a text holds as JSON; a text that is no JSON object or array stays itself."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        return exact_json(value.encode())
    except ValueError:
        return value
