"""The semantics of loading as a second, naive program: what must be readable after any loads.

It shares no code with the loaders and knows nothing of names, columns or types. It says which rows there
are, in order; which value each holds at which place; how long each list is; and how the records of every
load add up. The rules are those of `docs/semantics.md`.
"""

from __future__ import annotations

import base64
import enum
import json
import math
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

Place = tuple["str | int", ...]
"""Where a value stands in a record: keys, and indexes into lists."""

DEEPEST = 64
"""Levels of dicts and lists that are taken apart at most."""


@dataclass(frozen=True)
class Load:
    """One load, as a caller gives it."""

    records: list[Any]
    disposition: str = "append"
    strategy: str = "delete-insert"
    primary_key: tuple[str, ...] = ()
    merge_key: tuple[str, ...] = ()
    dedup_sort: str | None = None
    hard_delete: str | None = None
    max_nesting: int | None = None


@dataclass
class Row:
    """What one row of the root table and its children say.

    Attributes:
        load: The load that wrote it, from 1.
        facts: Each value by its place.
        lengths: The length of each list that is not empty, by its place.
        current: False for a version that `scd2` has retired.
    """

    load: int
    facts: dict[Place, Any]
    lengths: dict[Place, int]
    current: bool = True


@dataclass(frozen=True)
class Counts:
    """How the records of a load add up: `rows_in == loaded + quarantined + deduplicated`."""

    rows_in: int
    loaded: int
    quarantined: int
    deduplicated: int


@dataclass(frozen=True)
class Json:
    """Nested data that is kept as JSON."""

    value: Any


@dataclass(frozen=True)
class Instant:
    """A moment in microseconds since 1970, UTC: what is left of a time with an offset."""

    micros: int


@dataclass
class _Kept:
    """A record in the table, under the place in time at which its row was made."""

    born: tuple[int, int]
    load: int
    record: Any
    current: bool = True


@dataclass
class Table:
    """A root table with its children, as plain records."""

    kept: list[_Kept] = field(default_factory=list)
    loads: int = 0

    def load(self, load: Load) -> Counts:
        """Take one load in and say what became of its records."""
        self.loads += 1
        deepest = DEEPEST if load.max_nesting is None else load.max_nesting
        given = [_cut_record(clean(record), deepest) for record in load.records]
        if load.disposition != "merge":
            if load.disposition == "replace":
                self.kept = []
            self._add(enumerate(given))
            return Counts(len(given), len(given), 0, 0)
        keyed = {at: one for at, one in enumerate(given) if _key(one, load.primary_key) is not None}
        if given and not keyed:  # nothing is known of what the source has
            return Counts(len(given), 0, len(given), 0)
        winners = _winners(keyed, load)
        unchanged = self._make_room(load, winners, list(keyed.values()))
        fresh = {at: one for at, one in winners.items() if at not in unchanged}
        if load.strategy == "upsert":
            fresh = self._update(load, fresh)
        self._add((at, one) for at, one in fresh.items() if not _is_gone(one, load))
        loaded = len(winners) - len(unchanged)
        return Counts(len(given), loaded, len(given) - len(keyed), len(keyed) - loaded)

    def rows(self) -> list[Row]:
        """Return every row, in the order in which the rows were made."""
        rows = []
        for kept in sorted(self.kept, key=lambda kept: kept.born):
            row = Row(kept.load, {}, {}, kept.current)
            _note(kept.record, (), row)
            rows.append(row)
        return rows

    def _add(self, records: Iterable[tuple[int, Any]]) -> None:
        self.kept += [_Kept((self.loads, at), self.loads, record) for at, record in records]

    def _make_room(self, load: Load, winners: dict[int, Any], given: list[Any]) -> set[int]:
        """Remove or retire what gives way; return the winners that give way themselves."""
        keys = {_key(one, load.primary_key): at for at, one in winners.items()} if load.primary_key else {}
        groups = {_group(one, load) for one in given} if load.merge_key else set()
        if load.strategy == "snapshot":
            self.kept = []
        if load.strategy == "delete-insert":
            self.kept = [
                kept
                for kept in self.kept
                if _key(kept.record, load.primary_key) not in keys and _group(kept.record, load) not in groups
            ]
        if load.strategy == "insert-only":
            there = {_key(kept.record, load.primary_key) for kept in self.kept}
            return {at for key, at in keys.items() if key in there}
        if load.strategy == "scd2":
            return self._retire(load, winners, keys, groups)
        return set()

    def _retire(
        self, load: Load, winners: dict[int, Any], keys: dict[Any, int], groups: set[Any]
    ) -> set[int]:
        unchanged = set()
        for kept in self.kept:
            at = keys.get(_key(kept.record, load.primary_key))
            if not kept.current:
                continue
            if at is None:
                kept.current = bool(load.merge_key) and _group(kept.record, load) not in groups
            elif _content(kept.record) == _content(winners[at]) and not _is_gone(winners[at], load):
                unchanged.add(at)
            else:
                kept.current = False
        return unchanged

    def _update(self, load: Load, winners: dict[int, Any]) -> dict[int, Any]:
        """Put what records mention into the rows with their key; return the records without such a row."""
        there = {_key(kept.record, load.primary_key): kept for kept in self.kept}
        fresh = {}
        for at, record in winners.items():
            kept = there.get(_key(record, load.primary_key))
            if kept is None:
                fresh[at] = record
            elif _is_gone(record, load):
                self.kept.remove(kept)
            else:
                kept.record, kept.load = _merged(kept.record, record), self.loads
        return fresh


def clean(value: Any) -> Any:
    """Return a value as plain dicts, lists and leaves; what is no data of its own kind becomes text."""
    if isinstance(value, Mapping):
        return {_text_of_key(key): clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [clean(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return clean(asdict(value))
    if isinstance(value, enum.Enum):
        return clean(value.value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Decimal) and not value.is_finite():
        return float(value)
    return bytes(value) if isinstance(value, (bytearray, memoryview)) else value


def same(expected: Any, found: Any) -> bool:
    """Tell whether a value that was read is the one that was given, type included.

    A small whole number may have become a fraction or a decimal, as JSON does not tell 3 from 3.0; a string
    that is a whole ISO date or time may have become that; numbers past 38 digits are their digits.
    """
    if isinstance(expected, Json):
        return isinstance(found, Json) and _content(_plain(expected.value)) == _content(found.value)
    if isinstance(expected, bool) or isinstance(found, bool):
        return type(expected) is type(found) and expected == found
    if isinstance(expected, int):
        small = abs(expected) <= 2**53 and not (
            isinstance(found, float) and math.copysign(1, found) < 0 == found
        )
        huge = not -(2**127) <= expected < 2**127
        types = (int, Decimal, *((float,) if small else ()), *((str,) if huge else ()))
        return isinstance(found, types) and Decimal(found) == expected
    if isinstance(expected, float):
        return isinstance(found, float) and repr(expected) == repr(found)
    if isinstance(expected, Decimal):
        long = len(format(expected, "f").strip("-").replace(".", "")) > 38
        return isinstance(found, str if long else Decimal) and Decimal(found) == expected
    if isinstance(expected, str) and not isinstance(found, str):
        return _time_of(expected) == (type(found), found)
    if isinstance(expected, datetime) and expected.tzinfo is not None:
        return bool(_instant(expected) == found)
    return type(expected) is type(found) and bool(expected == found)


_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII
)


def _time_of(text: str) -> tuple[type, Any] | None:
    """Return the day, the time or the instant that a string is, with its type; None if it is none."""
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    day, clock, seconds, fraction, zone = match.groups()
    try:
        if clock is None:
            return date, date.fromisoformat(day)
        moment = datetime.fromisoformat(f"{day}T{clock}:{seconds or '00'}.{(fraction or '').ljust(6, '0')}")
    except ValueError:
        return None
    if zone is None:
        return datetime, moment
    sign = -1 if zone[0] == "-" else 1
    offset = timedelta() if zone == "Z" else sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[4:]))
    return Instant, _instant(moment.replace(tzinfo=timezone(offset)))


def _instant(moment: datetime) -> Instant:
    local = moment.replace(tzinfo=None) - datetime(1970, 1, 1)
    return Instant((local - (moment.utcoffset() or timedelta())) // timedelta(microseconds=1))


def _text_of_key(key: Any) -> str:
    if key is None or isinstance(key, bool):
        return json.dumps(key)
    return str(clean(str(key)))


def _note(value: Any, place: Place, row: Row) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _note(item, (*place, key), row)
    elif isinstance(value, list):
        if value:
            row.lengths[place] = len(value)
        for at, item in enumerate(value):
            _note(item, (*place, at), row)
    elif value is not None:
        row.facts[place] = value


def _cut_record(record: Any, levels: int) -> Any:
    if not isinstance(record, dict):
        return record
    return {key: _cut(value, levels) for key, value in record.items()}


def _cut(value: Any, levels: int) -> Any:
    """Return a value with everything below so many levels as JSON; a list and its dicts are one level."""
    if not isinstance(value, (dict, list)):
        return value
    if levels <= 0:
        return Json(value)
    if isinstance(value, dict):
        return _cut_record(value, levels - 1)
    return [
        _cut_record(item, levels - 1) if isinstance(item, dict) else _cut(item, levels - 1) for item in value
    ]


def _plain(value: Any) -> Any:
    """Return what JSON has in the place of a value: text for times, decimals, bytes and NaN."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    writers: list[tuple[type, Callable[[Any], Any]]] = [
        (float, lambda number: number if math.isfinite(number) else str(number)),
        (Decimal, lambda number: int(number) if _is_long_whole(number) else format(number, "f")),
        (timedelta, lambda span: f"{span.days} days {span.seconds * 10**6 + span.microseconds} microseconds"),
        (bytes, lambda data: base64.b64encode(data).decode()),
    ]
    for type_, write in writers:
        if isinstance(value, type_):
            return write(value)
    return value.isoformat() if isinstance(value, (date, time)) else value


def _is_long_whole(number: Decimal) -> bool:
    text = format(number, "f").lstrip("-")
    return "." not in text and len(text) > 38


def _content(value: Any) -> str:
    """Return a text that is equal for equal contents, whatever the order of keys."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{_content(value[key])}" for key in sorted(value)) + "}"
    return "[" + ",".join(map(_content, value)) + "]" if isinstance(value, list) else repr(value)


def _at(record: Any, name: str) -> Any:
    for step in name.split("."):
        record = record.get(step) if isinstance(record, dict) else None
    return record


def _key(record: Any, names: Sequence[str]) -> tuple[Any, ...] | None:
    """Return the values of a key, or None if one is no value."""
    values = tuple(_at(record, name) for name in names)
    return None if any(value is None or isinstance(value, (dict, list)) for value in values) else values


def _group(record: Any, load: Load) -> tuple[Any, ...]:
    return tuple(_at(record, name) for name in load.merge_key)


def _is_gone(record: Any, load: Load) -> bool:
    """Tell whether a record says that it was deleted: its mark is true, or not null where it is no boolean."""
    mark = _at(record, load.hard_delete) if load.hard_delete else None
    return mark is not None and mark is not False


def _winners(keyed: dict[int, Any], load: Load) -> dict[int, Any]:
    """Return, for each key, the record that counts: the last, or the last with the greatest `dedup_sort`."""
    if not load.primary_key:
        return keyed
    winners: dict[Any, int] = {}
    for at, record in keyed.items():
        key = _key(record, load.primary_key)
        old = winners.get(key)
        if old is None or _order(keyed[old], load) <= _order(record, load):
            winners[key] = at
    return {at: keyed[at] for at in winners.values()}


def _order(record: Any, load: Load) -> tuple[Any, ...]:
    value = _at(record, load.dedup_sort) if load.dedup_sort else None
    return (0,) if value is None else (1, value)


def _merged(old: Any, new: Any) -> Any:
    """Return `old` with what `new` mentions: dicts key by key, all else whole."""
    if _mentions_nothing(new):
        return old
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}


def _mentions_nothing(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_mentions_nothing, value.values()))
