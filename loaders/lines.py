r"""Lines: every record as one line of JSON, exactly.

JSON has no dates, decimals, bytes, NaN or integers past 64 bits. A value that it lacks is written as a dict
with one key, `{"\u0001timestamp": "2026-01-31T10:00:00"}`: the kind, marked with a control character, and
the text of the value. Both lanes of shredding read the mark back. A user's own key that begins with the
mark gets a second one, so no input can forge it.

Most records cost one call of `orjson.dumps`. The rest (NaN, huge integers, keys that are no strings…) are
rebuilt in Python first.
"""

from __future__ import annotations

import json
import marshal
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, is_dataclass
from decimal import Decimal
from typing import Any

import orjson

from headrace.loaders.infer import is_calendar_interval, scalar
from headrace.loaders.kinds import CLEAR, EMPTY, STRINGS
from headrace.loaders.names import Path

MARK = "\x01"
DEEPEST = 64
"""Levels of dicts and lists that are shredded at most, so that hostile nesting ends in a JSON column."""

_MARK_IN_JSON = rb"\u0001"
_OPTIONS = (
    orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS
)

# How marshal writes a float that is NaN or infinite: 'g' and eight bytes, all bits of the exponent set.
# Other bytes can look the same; then a record is rebuilt for nothing.
_NOT_FINITE = re.compile(rb"[g\xe7].{6}[\xf0-\xff][\x7f\xff]", re.DOTALL)


class JsonText(str):
    """Nested data already written as JSON, for a column that keeps it so."""

    __slots__ = ()


class LineEncoder:
    r"""Writes records as lines; knows which paths are kept as JSON text.

    >>> import datetime
    >>> LineEncoder().encode({"id": 1, "at": datetime.date(2026, 1, 31)})
    b'{"id":1,"at":{"\\u0001date":"2026-01-31"}}'
    """

    def __init__(
        self,
        json_paths: Iterable[Path] = (),
        nested_paths: Iterable[Path] = (),
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
        self._canonical = canonical
        self._clears = clears
        self._marks = 0

    @property
    def changes_records(self) -> bool:
        """Whether hints or limits may change how a record is written."""
        return bool(self._edits) or self._max_nesting is not None or self._canonical or self._clears

    def encode(self, record: Any) -> bytes:
        """Return `record` as one line of JSON, without the line's end.

        Raises:
            TypeError: A value is of a type that is not data.
        """
        for path, edit in self._edits:
            record = _edited(record, path, edit)
        if self._max_nesting is not None:
            record = _shallow(record, self._max_nesting)
        if self._clears:
            return orjson.dumps(_cleared(rebuilt(record)), option=self._options)
        line = self._dumps(record)
        if line.count(b"{") + line.count(b"[") > DEEPEST and _is_deeper(record, DEEPEST):
            return self._dumps(_shallow(record, DEEPEST))
        return line

    def line(self, text: bytes) -> bytes:
        """Return a record that is JSON already, as a line; it is parsed only where it may have to change."""
        if self.changes_records or _MARK_IN_JSON in text or text.count(b"{") + text.count(b"[") > DEEPEST:
            return self.encode(exact_json(text))
        return text.strip()

    def _dumps(self, record: Any) -> bytes:
        self._marks = 0
        try:
            line = orjson.dumps(record, self._mark, self._options)
        except (TypeError, ValueError):  # ValueError: not serialisable as it stands
            return self._rebuilt(record)
        if _MARK_IN_JSON in line and line.count(_MARK_IN_JSON) != self._marks:
            return self._rebuilt(record)
        if b"null" in line and _may_hold_nan(record):
            return self._rebuilt(record)
        return line

    def _rebuilt(self, record: Any) -> bytes:
        return orjson.dumps(rebuilt(record), option=self._options)

    def _mark(self, value: Any) -> Any:
        # orjson writes what this returns, marks included, without asking again
        self._marks += 1
        if isinstance(value, (dict, list, tuple, set, frozenset, Mapping)) or _is_model(value):
            raise TypeError("rebuild the whole record")
        return marked(value)


def marked(value: Any) -> Any:
    """Return what stands for a value that is no dict or list: itself where JSON has it, else its mark."""
    if isinstance(value, JsonText):
        return {f"{MARK}json": str.__str__(value)}
    kind, kept = scalar(value)
    if kind in STRINGS:
        return plain_text(kept)
    if kind in {"int", "bigint", "bool"} or (kind == "double" and not isinstance(kept, str)):
        return kept
    return {f"{MARK}{kind}": kept}


def plain_text(text: str) -> Any:
    r"""Return a string as JSON can hold it: one with a lone surrogate is kept escaped.

    >>> plain_text("caf\u00e9"), plain_text("\ud800")
    ('caf\xe9', '\\ud800')
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def rebuilt(value: Any) -> Any:
    """Return a copy of `value` that JSON holds exactly, with marks where JSON has no such type."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {_key(key): rebuilt(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)) and not is_calendar_interval(value):
        return [rebuilt(item) for item in value]
    if _is_model(value):
        return rebuilt(_as_dict(value))
    return marked(value)


def exact_json(text: bytes) -> Any:
    """Return the value of one line of JSON, numbers of any size and length intact.

    A fraction that no double holds (more than 17 digits, or past 1e308) is a Decimal. NaN and Infinity, which
    Python's own writer makes, are read; half of a surrogate pair becomes its escape.

    Raises:
        ValueError: The line is no JSON.

    >>> exact_json(b'[18446744073709551616, 0.12345678901234567890, 0.5]')
    [18446744073709551616, Decimal('0.12345678901234567890'), 0.5]
    """
    if _LONG_NUMBER.search(text) is None:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass  # the slower parser reads more, or says what is wrong
    value = json.loads(text, parse_float=_exact_fraction)
    return _plain_texts(value) if b"\\u" in text else value


def _plain_texts(value: Any) -> Any:
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, list):
        return [_plain_texts(item) for item in value]
    if isinstance(value, dict):
        return {plain_text(key): _plain_texts(item) for key, item in value.items()}
    return value


def _exact_fraction(text: str) -> float | Decimal:
    digits = sum(character.isdigit() for character in re.split("[eE]", text)[0].lstrip("-0."))
    number = float(text)
    return Decimal(text) if digits > _DOUBLE_DIGITS or math.isinf(number) else number


# May be more than orjson reads exactly; digits inside of strings only cost the slower parser.
_LONG_NUMBER = re.compile(rb"\d[\d.]{17}|\d[eE]\+?\d{3}")
_DOUBLE_DIGITS = 17


def read_mark(value: dict[str, Any]) -> tuple[str, Any] | None:
    r"""Return the kind and text of a marked value, or None for a dict of the user's.

    >>> read_mark({"\x01date": "2026-01-31"}), read_mark({"date": 1})
    (('date', '2026-01-31'), None)
    """
    if len(value) != 1:
        return None
    ((key, text),) = value.items()
    return (key[1:], text) if is_mark(key) else None


def is_mark(key: str) -> bool:
    """Tell whether a key is a mark; a user's key that begins with the mark has it twice."""
    return key[:1] == MARK and key[1:2] != MARK


def user_key(key: str) -> str:
    """Return a key as the user wrote it."""
    return key[1:] if key[:2] == MARK * 2 else key


def _key(key: Any) -> str:
    if key is None:
        return "null"
    if isinstance(key, bool):
        return "true" if key else "false"
    text = plain_text(key if isinstance(key, str) else str(key))
    return f"{MARK}{text}" if text.startswith(MARK) else text


def json_text(value: Any, *, marked: bool = False) -> str:
    """Return nested data as JSON for people: marks become plain text, NaN and infinities strings.

    Args:
        value: Anything that `rebuilt` takes; with `marked`, what it returns.
        marked: Whether `value` has its marks already.

    >>> import datetime
    >>> json_text({"at": datetime.date(2026, 1, 31), "n": [1, None]})
    '{"at":"2026-01-31","n":[1,null]}'
    """
    return json.dumps(
        _unmarked(value if marked else rebuilt(value)), ensure_ascii=False, separators=(",", ":")
    )


def _unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        mark = read_mark(value)
        if mark is not None:
            kind, text = mark
            if kind == "json":
                return json.loads(text)
            is_integer = kind in {"hugeint", "bignum"} and "." not in text and len(text) < 4300
            return int(text) if is_integer else text
        return {user_key(key): _unmarked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _may_hold_nan(record: Any) -> bool:
    try:
        return _NOT_FINITE.search(marshal.dumps(record)) is not None
    except ValueError:  # holds what marshal does not know, such as a date
        return True


def _is_model(value: Any) -> bool:
    return (is_dataclass(value) and not isinstance(value, type)) or hasattr(value, "model_dump")


def _as_dict(value: Any) -> dict[str, Any]:
    return value.model_dump(by_alias=True) if hasattr(value, "model_dump") else asdict(value)


def _edited(record: Any, path: Path, edit: Callable[[Any], Any]) -> Any:
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


def _shallow(record: Any, levels: int) -> Any:
    """Return a record with everything below so many levels as JSON text."""
    if not isinstance(record, dict):
        return record
    return {key: _shallow_value(value, levels) for key, value in record.items()}


def _shallow_value(value: Any, levels: int) -> Any:
    if not isinstance(value, (dict, list, tuple)):
        return value
    if levels <= 0:
        return JsonText(json_text(value))
    if isinstance(value, dict):
        return _shallow(value, levels - 1)
    # a list and the dicts in it are one level
    return [
        _shallow(item, levels - 1) if isinstance(item, dict) else _shallow_value(item, levels - 1)
        for item in value
    ]


def _is_deeper(value: Any, levels: int) -> bool:
    """Tell whether a value has more than so many levels of dicts and lists below the first."""
    level = [value]
    for _ in range(levels + 1):
        level = [
            item
            for outer in level
            for item in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(item, (dict, list, tuple))
        ]
        if not level:
            return False
    return True
