"""Parse blocks of JSON lines into Arrow with pyarrow, and never change a value.

What pyarrow would get wrong is found and left to the exact lane, line by line:

* a record that is null or a list, which crashes it;
* a path that holds two shapes (a number here, an object there): it refuses and names the path;
* a line that is no UTF-8, which it lets through;
* a null inside a list, which pyarrow 26 leaves out when it comes first, so that the list is longer than
  what it holds;
* integers past 64 bits, or past 2**53 beside fractions, and fractions of more digits than a double has,
  which it rounds;
* `Inf` and `-NaN`, which are no JSON even where NaN and Infinity are let through.

Strings that read as times are pinned to be strings: pyarrow would drop their offsets. Values that JSON
lacks come marked (see `marks`) and need no care: a mark is an object with one key.

Looking for all this costs a tenth to a third of the parsing, since nothing is looked for that the parsed
table does not hint at: text that is not valid, lists too long, fractions, fractions that are not finite.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from headrace.loaders.reading.line_scan import Lines, long_numbers
from headrace.loaders.shredding.shapes import Shape, conflicting
from headrace.loaders.values.kinds import SAFE_INT

FindUnfit = Callable[[pa.Table], Sequence[int]]
"""Returns the positions of the rows of a parsed table that the exact lane has to take."""

_LONG_INTEGER = re.compile(rb"[:\[,]\s*-?\d{16,}\s*[,}\]]|\d[eE]\+?\d{3}")
_LONG_FRACTION = re.compile(rb"[:\[,]\s*-?(?:(?=\d+\.)[\d.]{19}|\d{18,}[eE])")
_NULL_ITEM = re.compile(rb"[\[,]\s*null")
_NO_NUMBERS = (re.compile(b"Inf(?!inity)"), re.compile(b"-NaN"))
_MOST_RETRIES = 64
_SMALLEST_BLOCK = 256


@dataclass(slots=True)
class Known:
    """What blocks of one stream have taught about those that follow.

    Attributes:
        pins: The paths of times, as a tree: a dict below a struct, a one-item list below a list.
        shapes: Places with the rarer of two shapes that values have there.
        is_damaged: Whether pyarrow let through what it should not: nulls in lists, or what is no UTF-8.
    """

    pins: dict[str, Any] = field(default_factory=dict)
    shapes: frozenset[Shape] = frozenset()
    is_damaged: bool = False

    def copy(self) -> Known:
        """Return another that learns apart from this one."""
        return Known(copy.deepcopy(self.pins), self.shapes, self.is_damaged)

    def learn(self, more: Known) -> None:
        """Add what another block taught."""
        _merge_pins(self.pins, copy.deepcopy(more.pins))
        self.shapes |= more.shapes
        self.is_damaged |= more.is_damaged


@dataclass(slots=True)
class Parsed:
    """A block of lines, parsed.

    Attributes:
        parts: Arrow tables, with the positions in the block of the lines that are their rows.
        odd: The lines that are left to the exact lane, with their positions.
        known: What was learned.
    """

    parts: list[tuple[np.ndarray, pa.Table]] = field(default_factory=list)
    odd: list[tuple[int, bytes]] = field(default_factory=list)
    known: Known = field(default_factory=Known)


def parse(text: bytes, count: int, known: Known, unfit: FindUnfit) -> Parsed:
    r"""Parse a block of lines, as far as that is exact. Threads may parse different blocks at once.

    Args:
        text: The lines, a new line between two.
        count: How many there are.
        known: What earlier blocks taught; this one adds to it.
        unfit: Finds rows that are to be left to the exact lane as well.

    >>> parsed = parse(b'{"a":1}\n{"a":[null]}\n{"a":2}', 3, Known(), lambda table: [])
    >>> parsed.odd, parsed.parts[0][1].to_pylist()
    ([(1, b'{"a":[null]}')], [{'a': 1}, {'a': 2}])
    """
    parsed = Parsed(known=known)
    lines = Lines(text, count)
    odd = set(np.flatnonzero(~lines.are_objects()).tolist())
    if known.is_damaged:
        odd |= _damaged(lines)
    for shape in known.shapes:
        candidates = shape.candidates(lines)
        if len(candidates) < count // 2:  # else the tide has turned, and the others are the odd ones
            odd |= shape.lines(lines, candidates)
    left = _parse(lines, _without(np.arange(count), odd), parsed, unfit)
    parsed.odd = [(at, lines.line(at)) for at in sorted(odd | left)]
    return parsed


def _damaged(lines: Lines) -> set[int]:
    """Return the lines that are no UTF-8, or have a null in a list."""
    damaged = lines.at(match.start() for match in _NULL_ITEM.finditer(lines.text))
    if not _is_text(lines.text):
        damaged.update(at for at in range(lines.count) if not _is_text(lines.line(at)))
    return damaged


def _rounded(lines: Lines, table: pa.Table) -> set[int]:
    """Return the lines with numbers that became other ones in the parsed table, or were none."""
    largest, are_finite = _extent(table)
    if largest is None:  # no fractions
        return set()
    rounded = {at for at in lines.at(long_numbers(lines.text)) if _LONG_FRACTION.search(lines.line(at))}
    if largest >= SAFE_INT:  # it may have been an integer
        rounded |= {at for at in range(lines.count) if _LONG_INTEGER.search(lines.line(at))}
    if not are_finite:
        for word in _NO_NUMBERS:
            found = (match.start() for match in word.finditer(lines.text))
            rounded |= lines.at(place for place in found if _follows(b":[,-", lines.text, place))
    return rounded


def _without(numbers: np.ndarray, left_out: Collection[int]) -> np.ndarray:
    if not left_out:
        return numbers
    return np.setdiff1d(numbers, np.fromiter(left_out, dtype=np.int64), assume_unique=True)


def _follows(marks: bytes, text: bytes, place: int) -> bool:
    """Tell whether one of some marks stands before a place; white space does not count."""
    before = place - 1
    while text[before] in b" \t\r":
        before -= 1
    return text[before] in marks


def _is_text(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parse(lines: Lines, kept: np.ndarray, parsed: Parsed, unfit: FindUnfit) -> set[int]:
    """Parse some lines; return those that are left to the exact lane."""
    odd: set[int] = set()
    for _ in range(_MOST_RETRIES):
        if not len(kept):
            return odd
        table, offenders = _attempt(lines, kept, parsed.known, unfit)
        if table is not None:
            parsed.parts.append((kept, table))
            return odd
        if not offenders:
            break
        odd |= offenders
        kept = _without(kept, offenders)
    if len(kept) <= _SMALLEST_BLOCK:
        return odd.union(kept.tolist())
    # refused without a reason: halved until what is at fault is found
    half = len(kept) // 2
    return odd | _parse(lines, kept[:half], parsed, unfit) | _parse(lines, kept[half:], parsed, unfit)


def _attempt(
    lines: Lines, kept: np.ndarray, known: Known, unfit: FindUnfit
) -> tuple[pa.Table | None, set[int]]:
    """Return the parsed lines, or None and the numbers of those that stand in the way."""
    text = lines.joined(kept)
    try:
        table = _read(text, _schema(known.pins))
        if any(pa.types.is_temporal(field.type) for field in _fields(table.schema)):
            _merge_pins(known.pins, _string_pins(table.schema))
            table = _read(text, _text_for_times(table.schema))
    except pa.ArrowInvalid as error:
        shape, offenders = conflicting(str(error), lines, set(kept.tolist()))
        known.shapes |= {shape} if shape else set()
        return None, offenders
    if table.num_rows != len(kept) and table.num_columns:
        return None, set()  # a line holds two records, or half of one
    if not _is_valid(table):
        known.is_damaged = True
        return None, _damaged(lines).intersection(kept.tolist())
    table = table.combine_chunks()
    if rounded := _rounded(lines, table).intersection(kept.tolist()):
        return None, rounded
    left = unfit(table)
    return (None, set(kept[left].tolist())) if left else (table, set())


def _is_valid(table: pa.Table) -> bool:
    """Tell whether all text is UTF-8, names included, and no list is longer than what it holds."""
    try:
        table.validate(full=True)
        return all(field.name is not None for field in _fields(table.schema))  # no text raises
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return False


def _read(text: bytes, schema: pa.Schema | None) -> pa.Table:
    # One block and one thread: with several, the reader of pyarrow 26 now and then crashes the process when
    # it refuses a block, and it refuses blocks that disagree where one block would do.
    return pj.read_json(
        pa.BufferReader(text),
        read_options=pj.ReadOptions(block_size=len(text) + 1, use_threads=False),
        parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer"),
    )


def _extent(table: pa.Table) -> tuple[float | None, bool]:
    """Return the largest of all fractions, None if there are none, and whether all are finite."""
    arrays = [array for column in table.columns for chunk in column.chunks for array in _fractions(chunk)]
    if not arrays:
        return None, True
    bounds = [pc.min_max(array) for array in arrays]
    ends = [abs(end) for bound in bounds for end in (bound["min"].as_py(), bound["max"].as_py())]
    # what is no number is greater than none
    return max((end for end in ends if end > 0), default=0.0), all(
        math.isfinite(pc.sum(array).as_py()) for array in arrays
    )


def _fractions(array: pa.Array) -> Iterator[pa.Array]:
    """Yield the arrays of fractions in an array."""
    if pa.types.is_struct(array.type) or pa.types.is_list(array.type):
        for below in array.flatten() if pa.types.is_struct(array.type) else [array.flatten()]:
            yield from _fractions(below)
    elif pa.types.is_floating(array.type) and array.null_count < len(array):
        yield array


def _fields(fields: Iterable[pa.Field]) -> Iterator[pa.Field]:
    """Yield fields and all that are below them."""
    for one in fields:
        yield one
        if pa.types.is_struct(one.type):
            yield from _fields(one.type)
        elif pa.types.is_list(one.type):
            yield from _fields([one.type.value_field])


def _text_for_times(schema: pa.Schema) -> pa.Schema:
    """Return the schema with a string wherever the reader guessed a time."""
    return pa.schema([pa.field(field.name, _text_for_time(field.type)) for field in schema])


def _text_for_time(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(type_):
        return pa.struct([pa.field(field.name, _text_for_time(field.type)) for field in type_])
    if pa.types.is_list(type_):
        return pa.list_(_text_for_time(type_.value_type))
    return pa.string() if pa.types.is_temporal(type_) else type_


def _string_pins(schema: Any) -> dict[str, Any]:
    """Return the paths of times as a tree: a dict below a struct, a one-item list below a list."""
    pins = {field.name: _pin(field.type) for field in schema}
    return {name: pin for name, pin in pins.items() if pin}


def _pin(type_: pa.DataType) -> Any:
    if pa.types.is_struct(type_):
        return _string_pins(type_)
    if pa.types.is_list(type_):
        below = _pin(type_.value_type)
        return [below] if below else None
    return pa.types.is_temporal(type_)


def _merge_pins(pins: dict[str, Any], more: dict[str, Any]) -> None:
    for name, pin in more.items():
        known = pins.get(name)
        if isinstance(known, dict) and isinstance(pin, dict):
            _merge_pins(known, pin)
        elif (
            isinstance(known, list)
            and isinstance(pin, list)
            and isinstance(known[0], dict)
            and isinstance(pin[0], dict)
        ):
            _merge_pins(known[0], pin[0])
        elif known is None:
            pins[name] = pin


def _schema(pins: dict[str, Any]) -> pa.Schema | None:
    return pa.schema([pa.field(name, _pinned(pin)) for name, pin in pins.items()]) if pins else None


def _pinned(pin: Any) -> pa.DataType:
    if isinstance(pin, dict):
        return pa.struct([pa.field(name, _pinned(below)) for name, below in pin.items()])
    return pa.list_(_pinned(pin[0])) if isinstance(pin, list) else pa.string()
