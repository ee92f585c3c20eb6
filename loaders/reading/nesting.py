"""Keep what is nested too deep as JSON text, however deep it goes.

Parsers and Python itself give up at some depth (orjson at 254 levels when it writes and 1,024 when it
reads), and no source may bring down a load with brackets. So depth is found without recursion: level by
level in records, bracket by bracket in text.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import orjson

from headrace.loaders.reading.json_scan import brackets
from headrace.loaders.reading.line_scan import most_openings
from headrace.loaders.values.marks import JsonText, exact_json, json_text

DEEPEST = 64
"""Levels of dicts and lists that are shredded at most, so that hostile nesting ends in a JSON column."""


def may_be_deep(lines: bytes) -> bool:
    r"""Tell whether one of several lines of JSON opens so many brackets that it may be too deep.

    >>> may_be_deep(b'{"a":1}\n' + b"[" * 99 + b"]" * 99), may_be_deep(b'{"a":[]}\n' * 99)
    (True, False)
    """
    return most_openings(lines) > DEEPEST


def read_line(text: bytes, max_nesting: int | None = None) -> Any:
    """Return the value of a line of JSON; what lies too deep in it is JSON text.

    Raises:
        ValueError: The line is no JSON.
    """
    if not may_be_deep(text):
        return exact_json(text)
    return _exact_deep(text, DEEPEST if max_nesting is None else min(DEEPEST, max_nesting))


def is_deeper(value: Any, levels: int) -> bool:
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


def shallow(record: Any, levels: int) -> Any:
    """Return a record with everything below so many levels as JSON text.

    >>> shallow({"a": {"b": {"c": 1}}}, 1)
    {'a': {'b': '{"c":1}'}}
    """
    if not isinstance(record, dict):
        return record
    return {key: _shallow_value(value, levels) for key, value in record.items()}


def _shallow_value(value: Any, levels: int) -> Any:
    if not isinstance(value, (dict, list, tuple)):
        return value
    if levels <= 0:
        return JsonText(_text(value))
    if isinstance(value, dict):
        return shallow(value, levels - 1)
    # a list and the dicts in it are one level
    return [
        shallow(item, levels - 1) if isinstance(item, dict) else _shallow_value(item, levels - 1)
        for item in value
    ]


def bounded(record: Any) -> Any:
    """Return a record with what lies below the `DEEPEST` level as JSON text; itself, if nothing does."""
    if not isinstance(record, (dict, list, tuple)) or not is_deeper(record, DEEPEST):
        return record
    return shallow(record, DEEPEST) if isinstance(record, dict) else _shallow_value(record, DEEPEST)


def _exact_deep(text: bytes, levels: int) -> Any:
    key = os.urandom(8).hex()  # none of the user's
    pieces: list[bytes] = []
    done = begun = depth = 0
    around: list[tuple[bool, int]] = []
    for at in brackets(text):
        opens = text[at] in b"{["
        if depth:
            depth += 1 if opens else -1
            if not depth:
                kept = orjson.dumps({key: text[begun : at + 1].decode()})
                pieces += [text[done:begun], kept]
                done = at + 1
        elif opens:
            is_list = text[at] in b"["
            in_list, level = around[-1] if around else (False, levels + (not is_list))
            is_item = in_list and not is_list
            if around and level <= 0 and not is_item:
                begun, depth = at, 1
            else:
                around.append((is_list, level if is_item else level - 1))
        elif around:
            around.pop()
    return _restored(exact_json(b"".join([*pieces, text[done:]])), key)


def _restored(value: Any, key: str) -> Any:
    if isinstance(value, list):
        return [_restored(item, key) for item in value]
    if not isinstance(value, dict):
        return value
    if key in value:
        return JsonText(value[key])
    return {name: _restored(item, key) for name, item in value.items()}


def _text(value: Any) -> str:
    try:
        return json_text(value)
    except RecursionError:
        return _deep_text(value)


def _deep_text(value: Any) -> str:
    """Return a value as JSON, its dicts and lists taken off a stack of our own."""
    pieces: list[str] = []
    within: set[int] = set()
    left: list[Any] = [value]
    while left:
        item = left.pop()
        if isinstance(item, _Piece):
            pieces.append(item.text)
            within.discard(item.closes)
        elif not isinstance(item, (Mapping, list, tuple)):
            pieces.append(json_text(item))
        elif id(item) in within:
            raise ValueError("a dict or list that holds itself")
        else:
            within.add(id(item))
            left += reversed(_pieces(item))
    return "".join(pieces)


class _Piece:
    """A piece of JSON that is written already; the last of a dict or list closes it."""

    __slots__ = ("closes", "text")

    def __init__(self, text: str, closes: int = 0) -> None:
        self.text, self.closes = text, closes


def _pieces(value: Any) -> list[Any]:
    is_dict = isinstance(value, Mapping)
    pieces: list[Any] = [_Piece("{" if is_dict else "[")]
    for number, item in enumerate(value):
        comma = "," if number else ""
        # a key is written as the only one of a dict, so that there is one rule for keys
        pieces += (
            [_Piece(comma + json_text({item: None})[1:-5]), value[item]] if is_dict else [_Piece(comma), item]
        )
    return [*pieces, _Piece("}" if is_dict else "]", id(value))]
