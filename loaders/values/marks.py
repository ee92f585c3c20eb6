r"""Mark values that JSON has no type for.

JSON has no dates, decimals, bytes, NaN or integers past 64 bits. A value that it lacks is written as a dict
with one key, `{"\u0001timestamp": "2026-01-31T10:00:00"}`: the kind, marked with a control character, and
the text of the value. Both lanes of shredding read the mark back. A user's own key that begins with the
mark gets a second one, so no input can forge it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from decimal import Decimal
from typing import Any

import orjson

from headrace.loaders.values.infer import is_calendar_interval, scalar
from headrace.loaders.values.kinds import STRINGS

MARK = "\x01"
MARK_IN_JSON = rb"\u0001"


class JsonText(str):
    """Nested data already written as JSON, for a column that keeps it so."""

    __slots__ = ()


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
    if is_model(value):
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


def is_model(value: Any) -> bool:
    """Tell whether a value is a dataclass or a pydantic model: a record with a class."""
    return (is_dataclass(value) and not isinstance(value, type)) or hasattr(value, "model_dump")


def _as_dict(value: Any) -> dict[str, Any]:
    return value.model_dump(by_alias=True) if hasattr(value, "model_dump") else asdict(value)
