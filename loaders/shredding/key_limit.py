"""Limit the columns of a stream whose keys are data, or whose nesting has no end.

A dict that comes to have more than `MOST_KEYS` different keys, those of earlier loads counted, is no record
but a map: it is kept as one JSON column, from the block on that makes it one. At the root, which cannot be
folded whole, the keys beyond the first `MOST_KEYS` go into the JSON column `_extra`.

Counting keys needs every record in Python. So a block is counted only where a sample says that it may be
worth it: Chao's estimate of how many kinds there are from those seen once and seen twice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import orjson

from headrace.loaders.values.marks import MARK, exact_json, is_mark, json_text, marked, user_key
from headrace.loaders.values.paths import RecordPath

MOST_KEYS = 1000
EXTRA = "_extra"

_SAMPLE = 1 << 18
_PARTS = 16
"""Bytes of a block that are looked at, and in how many pieces."""

Keys = dict[RecordPath, dict[str, None]]
"""The keys of each dict, by the dict's path, in the order in which they came."""

# Takes every string whole, key or not, so that no search begins inside of one; a run of plain characters
# is one step, since the engine keeps 130 bytes for each step that it may have to undo.
_STRING = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"(\s*:)?')


class KeyLimit:
    """Folds dicts that turned out to be maps; remembers them for the blocks that follow."""

    def __init__(self, folded: Iterable[RecordPath] = ()) -> None:
        self.folded = set(folded)
        self._root_is_full = False
        self._seen: Counter[bytes] = Counter()

    def apply(self, text: bytes, known: Keys) -> bytes:
        r"""Return a block of lines, its maps folded; the same text where there are none.

        Args:
            text: The lines, a new line between two.
            known: The keys for which there are columns, or files, already.

        >>> block = b"\n".join(b'{"id":%d,"hits":{"page%d":1}}' % (n, n) for n in range(2000))
        >>> KeyLimit().apply(block, {}).split(b"\n")[7]
        b'{"id":7,"hits":{"\\u0001json":"{\\"page7\\":1}"}}'
        """
        if not self.folded and not self._root_is_full and not self._may_be_too_many(text, known):
            return text
        records = [exact_json(line) for line in text.split(b"\n")]
        for record in records:
            _count(record, (), known)
        self.folded |= {path for path, found in known.items() if path and len(found) > MOST_KEYS}
        root = known.get((), {})
        self._root_is_full = len(root) > MOST_KEYS
        if not self.folded and not self._root_is_full:
            return text
        # a key of the user's with that name goes into the column, not under it
        kept = frozenset(list(root)[:MOST_KEYS]) - {EXTRA} if self._root_is_full else None
        return b"\n".join([orjson.dumps(self._folded(record, (), kept)) for record in records])

    def _may_be_too_many(self, text: bytes, known: Keys) -> bool:
        """Tell whether a dict may have too many keys: its known ones, and all new ones of a sample."""
        lines, is_whole = _sample(text)
        self._seen.update(key for line in lines for key in _keys_in(line))
        new = self._seen.copy()
        for key in {key for keys in known.values() for key in keys}:
            new.pop(orjson.dumps(key)[1:-1], None)
        most = max(map(len, known.values()), default=0)
        return most + estimated(new, is_whole=is_whole) > MOST_KEYS

    def _folded(self, value: Any, path: RecordPath, kept: frozenset[str] | None) -> Any:
        if isinstance(value, list):
            return [self._folded(item, (*path, None), None) for item in value]
        if isinstance(value, (int, float, Decimal)):
            return marked(value)  # JSON text may hold longer numbers than orjson writes, and NaN
        if not isinstance(value, dict) or _is_marked(value):
            return value
        if path in self.folded:
            return {f"{MARK}json": json_text(value, marked=True)}
        whole = {
            key: self._folded(item, (*path, user_key(key)), None)
            for key, item in value.items()
            if kept is None or key in kept
        }
        if kept is not None and len(whole) < len(value):
            rest = {key: item for key, item in value.items() if key not in kept}
            whole[EXTRA] = {f"{MARK}json": json_text(rest, marked=True)}
        return whole


def keys_of(paths: Iterable[RecordPath]) -> Keys:
    """Return the keys of each dict on the way to some values.

    >>> keys_of([("user", "id"), ("items", None, "sku")])
    {(): {'user': None, 'items': None}, ('user',): {'id': None}, ('items', None): {'sku': None}}
    """
    keys: Keys = {}
    for path in paths:
        for at, step in enumerate(path):
            if step is not None:
                keys.setdefault(path[:at], {})[step] = None
    return keys


def estimated(seen: Counter[bytes], *, is_whole: bool) -> float:
    """Return how many different keys there probably are, by Chao's estimate of those that a sample missed.

    Args:
        seen: In how many lines of the sample each key was.
        is_whole: Whether the sample is all there is.

    >>> estimated(Counter(a=9, b=9), is_whole=False), estimated(Counter(a=1, b=1, c=2), is_whole=False)
    (2.0, 3.5)
    """
    once, twice = (sum(count == times for count in seen.values()) for times in (1, 2))
    return float(len(seen)) + (0 if is_whole else once * (once - 1) / (2 * (twice + 1)))


def _keys_in(line: bytes) -> set[bytes]:
    return {name for name, colon in _STRING.findall(line) if colon}


def _sample(text: bytes) -> tuple[list[bytes], bool]:
    """Return some lines from all over a text, and whether they are all of them."""
    if len(text) <= _SAMPLE:
        return text.split(b"\n"), True
    lines: list[bytes] = []
    end = 0
    for at in range(0, len(text), len(text) // _PARTS):
        start = text.find(b"\n", at) + 1 if at else 0
        if start >= end and (start or not at):
            end = text.find(b"\n", start + _SAMPLE // _PARTS)
            end = len(text) if end < 0 else end
            lines += text[start:end].split(b"\n")
    return lines, False


def _count(value: Any, path: RecordPath, keys: dict[RecordPath, dict[str, None]]) -> None:
    """Note every key of every dict, by the dict's path; stop counting below one that is a map already."""
    if isinstance(value, list):
        for item in value:
            _count(item, (*path, None), keys)
    elif isinstance(value, dict) and not _is_marked(value):
        found = keys.setdefault(path, {})
        if path and len(found) > MOST_KEYS:
            return
        for key, item in value.items():
            found[key] = None
            if isinstance(item, (dict, list)):
                _count(item, (*path, user_key(key)), keys)


def _is_marked(value: dict[str, Any]) -> bool:
    return len(value) == 1 and is_mark(next(iter(value)))
