r"""Find line starts, brackets and long numbers in a text of lines, before anything parses it.

Large texts are gone through by numpy, outside of Python's lock, so that other threads go on; small ones by
the methods of bytes, since a small load must not wait for the import of numpy. No text is empty here.
"""

from __future__ import annotations

from collections.abc import Iterator
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


class Lines:
    r"""Lines in one text, found by their place in it.

    >>> lines = Lines(b'{"a":1}\nnull\n{"a":2}', 3)
    >>> lines.line(1), lines.are_objects().tolist(), lines.at(iter([0, 9, 10]))
    (b'null', [True, False, True], {0, 1})
    """

    def __init__(self, text: bytes, count: int) -> None:
        self.text, self.count = text, count
        self._starts: np.ndarray | None = None

    @property
    def starts(self) -> np.ndarray:
        """Where each line begins; one more for the end."""
        if self._starts is None:
            self._starts = line_starts(self.text)
        return self._starts

    def at(self, places: np.ndarray | Iterator[int]) -> set[int]:
        """Return the numbers of the lines that hold these places of the text."""
        import numpy as np

        found = places if isinstance(places, np.ndarray) else np.fromiter(places, dtype=np.int64)
        return set((np.searchsorted(self.starts, found, "right") - 1).tolist()) if len(found) else set()

    def line(self, at: int) -> bytes:
        return self.text[self.starts[at] : self.starts[at + 1] - 1]

    def joined(self, kept: np.ndarray) -> bytes:
        """Return the text of some lines, given in order."""
        if len(kept) == self.count:
            return self.text
        import numpy as np

        breaks = np.flatnonzero(np.diff(kept) > 1)
        firsts = kept[np.concatenate(([0], breaks + 1))]
        lasts = kept[np.concatenate((breaks, [len(kept) - 1]))]
        runs = zip(self.starts[firsts], self.starts[lasts + 1] - 1, strict=True)
        return b"\n".join([self.text[start:end] for start, end in runs])

    def are_objects(self) -> np.ndarray:
        """Tell of each line whether it goes from brace to brace: others might be read with the next."""
        characters = _characters(self.text)
        starts, ends = self.starts[:-1], self.starts[1:] - 2
        objects: np.ndarray = (characters[starts] == ord("{")) & (characters[ends] == ord("}"))
        return objects


def _places(text: bytes, character: int, either: int = 0) -> np.ndarray:
    """Return where a character stands, or one that differs from it in the bits of `either`."""
    import numpy as np

    characters = _characters(text)
    pieces = [characters[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    found = [
        np.flatnonzero((piece | either if either else piece) == character) + number * _PIECE
        for number, piece in enumerate(pieces)
    ]
    return np.concatenate(found)


def _characters(text: bytes) -> np.ndarray:
    import numpy as np

    return np.frombuffer(text, dtype=np.uint8)
