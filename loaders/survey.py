r"""Surveys: what can be told of a text of lines at the speed of memory, before anything parses it.

Large texts are gone through by numpy, outside of Python's lock, so that other threads go on; small ones by
the methods of bytes, since a small load must not wait for the import of numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

LARGE = 1 << 20
"""Bytes from which a text is large."""

_PIECE = 1 << 17
"""Bytes that are looked at together: what is noted of them stays in the processor's cache."""

_NO_OPENINGS = bytes(set(range(256)) - set(b"{[\n"))
_OTHER_CASE = 0x20
"""The one bit in which `[` differs from `{`, and no other character does."""


def count_objects(text: bytes) -> int:
    r"""Return how many lines a text has, if each begins with a brace; else 0.

    >>> count_objects(b'{"a":1}\n{"a":2}'), count_objects(b'{"a":1}\n\n{"a":2}')
    (2, 0)
    """
    if text[:1] != b"{":
        return 0
    if len(text) < LARGE:
        ends = text.count(b"\n")
        return ends + 1 if text.count(b"\n{") == ends else 0
    starts = line_starts(text)[:-1]
    if starts[-1] == len(text):
        return 0  # the last line is empty
    return len(starts) if bool((_characters(text)[starts] == ord("{")).all()) else 0


def most_openings(text: bytes) -> int:
    r"""Return the number of opening brackets in the line that has most of them, those in strings counted.

    >>> most_openings(b'{"a":[[]]}\n{"b":"]["}')
    3
    """
    if len(text) < LARGE:
        return max(map(len, text.translate(None, _NO_OPENINGS).split(b"\n")))
    import numpy as np

    openings = _places(text, ord("{"), _OTHER_CASE)
    return int(np.diff(np.searchsorted(openings, line_starts(text))).max())


def line_starts(text: bytes) -> np.ndarray:
    r"""Return where each line begins, and where one after the last would.

    >>> line_starts(b"ab\nc").tolist()
    [0, 3, 5]
    """
    import numpy as np

    return np.concatenate(([0], _places(text, ord("\n")) + 1, [len(text) + 1]))


def long_numbers(text: bytes) -> np.ndarray:
    r"""Return places in every run of at least 18 digits, dots and slashes: it may be a number past a double.

    >>> long_numbers(b'{"a":0.1234567890123456789}').tolist()
    [5, 6, 7, 8]
    """
    import numpy as np

    characters = _characters(text)
    found = []
    for start in range(0, len(text), _PIECE):
        piece = characters[start : start + _PIECE + 17]
        one = (piece - ord(".")) <= ord("9") - ord(".")
        two = one[:-1] & one[1:]
        four = two[:-2] & two[2:]
        eight = four[:-4] & four[4:]
        sixteen = eight[:-8] & eight[8:]
        found.append(np.flatnonzero(sixteen[:-2] & two[16:]) + start)
    return np.concatenate(found)


def _places(text: bytes, character: int, either: int = 0) -> np.ndarray:
    """Return where a character stands, or one that differs from it in the bits of `either`."""
    import numpy as np

    characters = _characters(text)
    pieces = [characters[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    found = [
        np.flatnonzero((piece | either if either else piece) == character) + number * _PIECE
        for number, piece in enumerate(pieces)
    ]
    return np.concatenate(found, dtype=np.int64) if found else np.zeros(0, dtype=np.int64)


def _characters(text: bytes) -> np.ndarray:
    import numpy as np

    return np.frombuffer(text, dtype=np.uint8)
