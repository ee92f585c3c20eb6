"""Infer the kind of one value, and the text under which a package keeps it."""

from __future__ import annotations

import base64
import enum
import math
import re
import uuid
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from headrace.loaders.values.kinds import SAFE_INT, decimal_kind

_YEAR = r"([1-9]\d{3}|0[1-9]\d\d|00[1-9]\d|000[1-9])"
_DAY = rf"{_YEAR}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_MINUTES, _SECONDS = r"[T ](?:[01]\d|2[0-3]):[0-5]\d", r":[0-5]\d(?:\.\d{1,6})?"
_CLOCK = rf"{_MINUTES}(?:{_SECONDS})?"
_ZONE = r"(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)"
ISO_PATTERNS = {
    "iso_date": rf"^{_DAY}$",
    "iso_timestamp": rf"^{_DAY}{_CLOCK}$",
    "iso_timestamptz": rf"^{_DAY}{_MINUTES}{_SECONDS}{_ZONE}$",  # DuckDB reads no offset after bare minutes
}
"""One pattern a kind, in a syntax that Python and RE2 share. A 30 February matches all the same."""

_ISO = re.compile(rf"{_DAY}({_CLOCK})?({_ZONE})?", re.ASCII)


def string_kind(value: str) -> str:
    """Return the kind of a string: `text`, or an `iso_` kind for a whole ISO 8601 date or time stamp.

    >>> string_kind("2026-01-31"), string_kind("2026-01-31T10:00:00Z"), string_kind("2026-02-30")
    ('iso_date', 'iso_timestamptz', 'text')
    """
    # Nearly every string fails the first test, which costs a tenth of the pattern.
    if len(value) < 10 or value[4] != "-" or (match := _ISO.fullmatch(value)) is None:
        return "text"
    year, month, day, clock, zone = match.groups()
    if not _is_day(int(year), int(month), int(day)) or (zone and (not clock or clock.count(":") == 1)):
        return "text"
    if zone:
        return "iso_timestamptz"
    return "iso_timestamp" if clock else "iso_date"


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def scalar(value: Any) -> tuple[str, Any]:
    """Return the kind of a value that is neither None, a dict nor a list, and what a package keeps of it.

    Raises:
        TypeError: The value is of a type that headrace does not know.

    >>> scalar(7), scalar(2**70), scalar("2026-01-31")
    (('int', 7), ('hugeint', '1180591620717411303424'), ('iso_date', '2026-01-31'))
    """
    if type(value) is str:
        return string_kind(value), value
    if type(value) is bool:
        return "bool", value
    if type(value) is int:
        return integer(value)
    if type(value) is float:
        # JSON has no NaN: DuckDB reads the text back into a DOUBLE
        return "double", value if math.isfinite(value) else str(value)
    for types, encode in _ENCODERS:
        if isinstance(value, types):
            kind, text = encode(value)
            return kind, text
    if is_calendar_interval(value):
        micros = value.nanoseconds // 1000
        return "interval", f"{value.months} months {value.days} days {micros} microseconds"
    if isinstance(value, enum.Enum):
        return scalar(value.value)
    if type(value).__module__ == "numpy":
        return scalar(value.item())
    raise TypeError(f"a value of type {type(value).__name__} is not data that headrace knows")


def is_calendar_interval(value: Any) -> bool:
    """Tell whether a value is an interval of months, days and nanoseconds, as Arrow gives them to Python."""
    return type(value).__name__ == "MonthDayNano"


def integer(value: int) -> tuple[str, int | str]:
    """Return the kind of an integer by its size, and the value, as text past 64 bits."""
    if -SAFE_INT <= value <= SAFE_INT:
        return "int", value
    if -(2**63) <= value < 2**63:
        return "bigint", value
    # Decimal writes any number of digits; str(int) stops at 4,300
    digits = format(Decimal(value), "f")
    return ("hugeint" if -(2**127) <= value < 2**127 else "bignum"), digits


def _decimal(value: Decimal) -> tuple[str, Any]:
    if not value.is_finite():
        return "double", str(float(value))
    text = format(value, "f")
    return decimal_kind(text), text


def _datetime(value: datetime) -> tuple[str, str]:
    text = value.isoformat()
    if getattr(value, "nanosecond", 0):  # pandas: finer than DuckDB's types keep
        return "text", text
    return ("timestamp" if value.tzinfo is None else "timestamptz"), text


def _interval(value: timedelta) -> tuple[str, str]:
    # days apart, since DuckDB keeps them apart
    micros = value.seconds * 1_000_000 + value.microseconds
    return "interval", f"{value.days} days {micros} microseconds"


_ENCODERS: tuple[tuple[type | tuple[type, ...], Callable[[Any], tuple[str, Any]]], ...] = (
    (bool, lambda value: ("bool", bool(value))),
    (int, lambda value: integer(int(value))),
    (float, lambda value: scalar(float(value))),
    (str, lambda value: scalar(str.__str__(value))),
    (datetime, _datetime),  # before date, which it is one of
    (date, lambda value: ("date", value.isoformat())),
    (time, lambda value: ("time" if value.tzinfo is None else "timetz", value.isoformat())),
    (timedelta, _interval),
    (Decimal, _decimal),
    (uuid.UUID, lambda value: ("text", str(value))),  # as orjson writes it, and as JSON would have it
    ((bytes, bytearray, memoryview), lambda value: ("blob", base64.b64encode(value).decode())),
)
