"""The reader of the columnar lane: lines of JSON to Arrow, through pyarrow, and never a value wrong.

What pyarrow would get wrong is found and left to the exact lane, line by line:

* a record that is null or a list, which crashes it, and a line that is no UTF-8, which it lets through;
* a path that holds two shapes (a number here, an object there): it refuses and names the path;
* a null inside a list, which pyarrow 26 turns into a zero when it comes first;
* integers past 64 bits, or past 2**53 beside fractions, and fractions of more digits than a double has,
  which it rounds;
* `Inf` and `-NaN`, which are no JSON even where NaN and Infinity are let through.

Strings that read as times are pinned to be strings: pyarrow would drop their offsets. Values that JSON
lacks come marked (see `marks`) and need no care: a mark is an object with one key.

Looking for all this costs little, since it is looked for in the whole text at once, by searches that run at
the speed of memory; a regular expression only sees the lines where one of them found something.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from headrace.loaders.kinds import SAFE_INT
from headrace.loaders.marks import exact_json

FindUnfit = Callable[[pa.Table], Sequence[int]]
"""Returns the positions of the rows of a parsed table that the exact lane has to take."""

_CONFLICT = re.compile(r"Column\((?P<path>.*)\) changed from (?P<old>\w+) to (?P<new>\w+)")
_LONG_INTEGER = re.compile(rb"[:\[,]\s*-?\d{16,}\s*[,}\]]|\d[eE]\+?\d{3}")
_LONG_FRACTION = re.compile(rb"[:\[,]\s*-?(?:(?=\d+\.)[\d.]{19}|\d{18,}[eE])")
_DIGITS = bytes(0x30 if chr(code) in "0123456789.eE" else 0x20 for code in range(256))
_LONG_RUN = b"0" * 19
_NULL = re.compile(b"null")
_NO_NUMBERS = {b"Inf": re.compile(b"Inf(?!inity)"), b"-NaN": re.compile(b"-NaN")}
"""Words that may be no JSON, by what to search for first: one pattern for all would be slow."""
_OPENINGS = {
    "string": rb'"', "number": rb"[-\d]", "boolean": rb"[tf]", "object": rb"\{", "array": rb"\[",
}  # fmt: skip
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "number": (int, float, Decimal), "boolean": bool, "object": dict, "array": list,
}  # fmt: skip
_MOST_RETRIES = 64
_SMALLEST_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape that some values have at a place where others have another.

    Attributes:
        steps: The place: keys, and None for a step into a list.
        name: The shape in pyarrow's word: `string`, `number`, `boolean`, `object` or `array`.
    """

    steps: tuple[str | None, ...]
    name: str

    def candidates(self, lines: _Lines) -> set[int]:
        """Return the numbers of the lines that may have it: the key may stand elsewhere too."""
        key = next(step for step in reversed(self.steps) if step is not None)
        opening = _OPENINGS["array" if self.steps[-1] is None else self.name]
        pattern = re.compile(re.escape(orjson.dumps(key)) + rb"\s*:\s*" + opening)
        return lines.at(match.start() for match in pattern.finditer(lines.text))

    def lines(self, lines: _Lines, candidates: set[int]) -> set[int]:
        """Return those candidates that do have it, or are no JSON."""
        return {at for at in candidates if self._is_in(lines.line(at))}

    def _is_in(self, line: bytes) -> bool:
        try:
            return _has_shape(exact_json(line), self.steps, self.name)
        except ValueError:
            return True  # the exact lane says what is wrong


def _has_shape(value: Any, steps: Sequence[str | None], name: str) -> bool:
    for number, step in enumerate(steps):
        if step is None:
            rest = steps[number + 1 :]
            return isinstance(value, list) and any(_has_shape(item, rest, name) for item in value)
        if not isinstance(value, dict) or step not in value:
            return False
        value = value[step]
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


@dataclass(slots=True)
class Known:
    """What blocks of one stream have taught about those that follow.

    Attributes:
        pins: The paths of times, as a tree: a dict below a struct, a one-item list below a list.
        shapes: Places with the rarer of two shapes that values have there.
    """

    pins: dict[str, Any] = field(default_factory=dict)
    shapes: frozenset[Shape] = frozenset()

    def copy(self) -> Known:
        """Return another that learns apart from this one."""
        return Known(copy.deepcopy(self.pins), self.shapes)

    def learn(self, more: Known) -> None:
        """Add what another block taught."""
        _merge_pins(self.pins, copy.deepcopy(more.pins))
        self.shapes |= more.shapes


@dataclass(slots=True)
class Parsed:
    """A block of lines, parsed.

    Attributes:
        parts: Arrow tables, with the positions in the block of the lines that are their rows.
        odd: The positions of the lines that are left to the exact lane.
        known: What was learned.
    """

    parts: list[tuple[np.ndarray, pa.Table]] = field(default_factory=list)
    odd: list[int] = field(default_factory=list)
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
    ([1], [{'a': 1}, {'a': 2}])
    """
    parsed = Parsed(known=known)
    lines = _Lines(text, count)
    odd = lines.at(_odd_places(text, lines))
    for shape in known.shapes:
        candidates = shape.candidates(lines)
        if len(candidates) < count // 2:  # else the tide has turned, and the others are the odd ones
            odd |= shape.lines(lines, candidates)
    kept = [at for at in range(count) if at not in odd] if odd else range(count)
    _parse(lines, kept, odd, parsed, unfit)
    parsed.odd.sort()
    return parsed


class _Lines:
    """Lines in one text, found by their place in it."""

    def __init__(self, text: bytes, count: int) -> None:
        self.text, self.count = text, count
        self._starts: np.ndarray | None = None

    @property
    def starts(self) -> np.ndarray:
        """Where each line begins; one more for the end."""
        if self._starts is None:
            ends = np.flatnonzero(np.frombuffer(self.text, dtype=np.uint8) == ord("\n"))
            self._starts = np.concatenate(([0], ends + 1, [len(self.text) + 1])).astype(np.int64)
        return self._starts

    def at(self, places: Collection[int] | Iterator[int]) -> set[int]:
        """Return the numbers of the lines that hold these places of the text."""
        found = np.fromiter(places, dtype=np.int64)
        return set((np.searchsorted(self.starts, found, "right") - 1).tolist()) if len(found) else set()

    def line(self, at: int) -> bytes:
        return self.text[self.starts[at] : self.starts[at + 1] - 1]

    def joined(self, kept: Sequence[int]) -> bytes:
        """Return the text of some lines, given in order."""
        if len(kept) == self.count:
            return self.text
        numbers = np.asarray(kept)
        breaks = np.flatnonzero(np.diff(numbers) > 1)
        firsts = numbers[np.concatenate(([0], breaks + 1))]
        lasts = numbers[np.concatenate((breaks, [len(numbers) - 1]))]
        runs = zip(self.starts[firsts], self.starts[lasts + 1] - 1, strict=True)
        return b"\n".join([self.text[start:end] for start, end in runs])


def _odd_places(text: bytes, lines: _Lines) -> Iterator[int]:
    """Yield a place in each line that pyarrow must not see."""
    # a line is one object, from its brace to its brace: what is not might be read together with the next
    starts, ends = lines.starts[:-1], lines.starts[1:] - 2
    characters = np.frombuffer(text, dtype=np.uint8)
    is_object = (characters[starts] == ord("{")) & (characters[ends] == ord("}"))
    yield from starts[~is_object].tolist()
    if not text.isascii() and not _is_text(text):
        yield from (int(lines.starts[at]) for at in range(lines.count) if not _is_text(lines.line(at)))
    nulls = text.count(b"null")
    if nulls and nulls != text.count(b":null") + text.count(b": null"):
        yield from (place for match in _NULL.finditer(text) if _follows(b"[,", text, place := match.start()))
    for word, pattern in _NO_NUMBERS.items():
        if word in text:
            found = (match.start() for match in pattern.finditer(text))
            yield from (place for place in found if _follows(b":[,-", text, place))


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


def _parse(lines: _Lines, kept: Sequence[int], odd: set[int], parsed: Parsed, unfit: FindUnfit) -> None:
    for _ in range(_MOST_RETRIES):
        if not kept:
            break
        table, offenders = _attempt(lines, kept, parsed.known, unfit)
        if table is not None:
            parsed.parts.append((np.asarray(kept, dtype=np.int64), table))
            parsed.odd.extend(odd)
            return
        if not offenders:
            break
        odd = odd | offenders
        kept = [at for at in kept if at not in offenders]
    if len(kept) <= _SMALLEST_BLOCK:
        parsed.odd.extend(odd.union(kept))
        return
    # refused without a reason: halved until what is at fault is found
    half = len(kept) // 2
    _parse(lines, kept[:half], odd, parsed, unfit)
    _parse(lines, kept[half:], set(), parsed, unfit)


def _attempt(
    lines: _Lines, kept: Sequence[int], known: Known, unfit: FindUnfit
) -> tuple[pa.Table | None, set[int]]:
    """Return the parsed lines, or None and the numbers of those that stand in the way."""
    text = lines.joined(kept)
    try:
        table = _read(text, _schema(known.pins))
        if _has_type(table.schema, pa.types.is_temporal):
            _merge_pins(known.pins, _string_pins(table.schema))
            table = _read(text, _text_for_times(table.schema))
    except pa.ArrowInvalid as error:
        return None, _offenders(str(error), lines, set(kept), known)
    if table.num_rows != len(kept) and table.num_columns:
        return None, set()  # a line holds two records, or half of one
    if _has_type(table.schema, pa.types.is_floating):
        rounded = {at for at in lines.at(_long_runs(lines.text)) if _LONG_FRACTION.search(lines.line(at))}
        if _holds_rounded(table):
            rounded |= {at for at in kept if _LONG_INTEGER.search(lines.line(at))}
        if rounded := rounded.intersection(kept):
            return None, rounded
    left = unfit(table)
    return (None, {kept[at] for at in left}) if left else (table, set())


def _long_runs(text: bytes) -> Iterator[int]:
    """Yield a place in every run of digits that may be a number too long for a double."""
    digits = text.translate(_DIGITS)
    place = digits.find(_LONG_RUN)
    while place >= 0:
        yield place
        place = digits.find(_LONG_RUN, place + len(_LONG_RUN))


def _read(text: bytes, schema: pa.Schema | None) -> pa.Table:
    # One block and one thread: with several, the reader of pyarrow 26 now and then crashes the process when
    # it refuses a block, and it refuses blocks that disagree where one block would do.
    return pj.read_json(
        pa.BufferReader(text),
        read_options=pj.ReadOptions(block_size=len(text) + 1, use_threads=False),
        parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer"),
    ).combine_chunks()


def _offenders(message: str, lines: _Lines, kept: set[int], known: Known) -> set[int]:
    """Return the lines that hold the rarer of the two shapes that pyarrow found at one path."""
    conflict = _CONFLICT.search(message)
    if conflict is None:
        return set()
    steps = tuple(None if step == "[]" else step for step in conflict["path"].split("/") if step)
    if not any(steps):
        return set()
    shapes = [Shape(steps, name) for name in (conflict["old"], conflict["new"]) if name in _TYPES]
    found = {shape: shape.candidates(lines) & kept for shape in shapes}
    if steps[-1] is None:  # all lists of this key are candidates
        found = {shape: shape.lines(lines, candidates) for shape, candidates in found.items()}
    rarer = min((shape for shape in found if found[shape]), key=lambda one: len(found[one]), default=None)
    if rarer is None:
        return set()
    known.shapes |= {rarer}
    return rarer.lines(lines, found[rarer]) or found[rarer]  # the key may stand elsewhere, or twice


def _holds_rounded(table: pa.Table) -> bool:
    """Tell whether a column of fractions holds a number so large that it may have been an integer."""
    return any(_largest(chunk) >= SAFE_INT for column in table.columns for chunk in column.chunks)


def _largest(array: pa.Array) -> float:
    if pa.types.is_struct(array.type):
        return max(map(_largest, array.flatten()), default=0.0)
    if pa.types.is_list(array.type):
        return _largest(array.flatten())
    if not pa.types.is_floating(array.type) or array.null_count == len(array):
        return 0.0
    bounds = pc.min_max(array)
    largest = float(max(abs(bounds["min"].as_py()), abs(bounds["max"].as_py())))
    return 0.0 if math.isnan(largest) else largest  # nothing but NaN


def _has_type(schema: Any, wanted: Any) -> bool:
    return any(_type_has(field.type, wanted) for field in schema)


def _type_has(type_: pa.DataType, wanted: Any) -> bool:
    if pa.types.is_struct(type_):
        return _has_type(type_, wanted)
    if pa.types.is_list(type_):
        return _type_has(type_.value_type, wanted)
    return bool(wanted(type_))


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
