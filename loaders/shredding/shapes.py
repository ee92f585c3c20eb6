"""Find records that have objects where others have numbers: pyarrow refuses to read them together.

It names the path. The lines with the rarer of the two shapes are found by a search for the key with such a
value behind it, and those that were found are read, since the key may stand elsewhere too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

from headrace.loaders.reading.line_scan import Lines
from headrace.loaders.values.marks import exact_json

_CONFLICT = re.compile(r"Column\((?P<path>.*)\) changed from (?P<old>\w+) to (?P<new>\w+)")
_OPENINGS = {
    "string": rb'"', "number": rb"[-\d]", "boolean": rb"[tf]", "object": rb"\{", "array": rb"\[",
}  # fmt: skip
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "number": (int, float, Decimal), "boolean": bool, "object": dict, "array": list,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape that some values have at a place where others have another.

    Attributes:
        steps: The place: keys, and None for a step into a list.
        name: The shape in pyarrow's word: `string`, `number`, `boolean`, `object` or `array`.
    """

    steps: tuple[str | None, ...]
    name: str

    def candidates(self, lines: Lines) -> set[int]:
        """Return the numbers of the lines that may have it: the key may stand elsewhere too."""
        key = next(step for step in reversed(self.steps) if step is not None)
        opening = _OPENINGS["array" if self.steps[-1] is None else self.name]
        pattern = re.compile(re.escape(orjson.dumps(key)) + rb"\s*:\s*" + opening)
        return lines.at(match.start() for match in pattern.finditer(lines.text))

    def lines(self, lines: Lines, candidates: set[int]) -> set[int]:
        """Return those candidates that do have it, or are no JSON."""
        return {at for at in candidates if self._is_in(lines.line(at))}

    def _is_in(self, line: bytes) -> bool:
        try:
            return _has_shape(exact_json(line), self.steps, self.name)
        except ValueError:
            return True  # the exact lane says what is wrong


def conflicting(message: str, lines: Lines, kept: set[int]) -> tuple[Shape | None, set[int]]:
    """Return the rarer of the two shapes that pyarrow found at one path, and the lines that have it.

    Args:
        message: What pyarrow says of the path; of anything else there is no shape, and no line.
        lines: The lines of the block.
        kept: The numbers of those that were parsed.
    """
    conflict = _CONFLICT.search(message)
    if conflict is None:
        return None, set()
    steps = tuple(None if step == "[]" else step for step in conflict["path"].split("/") if step)
    if not any(steps):
        return None, set()
    shapes = [Shape(steps, name) for name in (conflict["old"], conflict["new"]) if name in _TYPES]
    found = {shape: shape.candidates(lines) & kept for shape in shapes}
    if steps[-1] is None:  # all lists of this key are candidates
        found = {shape: shape.lines(lines, candidates) for shape, candidates in found.items()}
    rarer = min((shape for shape in found if found[shape]), key=lambda one: len(found[one]), default=None)
    if rarer is None:
        return None, set()
    return rarer, rarer.lines(lines, found[rarer]) or found[rarer]  # the key may stand elsewhere, or twice


def _has_shape(value: Any, steps: Sequence[str | None], name: str) -> bool:
    for number, step in enumerate(steps):
        if step is None:
            rest = steps[number + 1 :]
            return isinstance(value, list) and any(_has_shape(item, rest, name) for item in value)
        if not isinstance(value, dict) or step not in value:
            return False
        value = value[step]
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))
