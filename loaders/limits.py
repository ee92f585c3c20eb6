"""Limits: what keeps a stream with keys as data, or with endless nesting, from becoming endless columns.

A dict with more than `MOST_KEYS` different keys over a block of records is no record but a map: it is kept
as one JSON column, from the first block on. At the root, which cannot be folded whole, the keys beyond the
first `MOST_KEYS` go into the JSON column `_extra`.

Counting keys needs every record in Python. So a block is counted only where a sample says that it may be
worth it: Chao's estimate of how many kinds there are from those seen once and seen twice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import orjson

from headrace.loaders.lines import MARK, exact_json, is_mark, json_text, marked, user_key
from headrace.loaders.names import Path

MOST_KEYS = 1000
EXTRA = "_extra"

_SAMPLE = 1024
# Takes every string whole, key or not, so that no search begins inside of one; a run of plain characters
# is one step, since the engine keeps 130 bytes for each step that it may have to undo.
_STRING = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"(\s*:)?')


class KeyLimit:
    """Folds dicts that turned out to be maps; remembers them for the blocks that follow."""

    def __init__(self, folded: Iterable[Path] = ()) -> None:
        self.folded = set(folded)
        self._root_keys: dict[str, None] = {}
        self._root_is_full = False

    def apply(self, lines: list[bytes]) -> list[bytes]:
        r"""Return the block, its maps folded; the same list where there are none.

        >>> block = [b'{"id":%d,"hits":{"page%d":1}}' % (n, n) for n in range(2000)]
        >>> KeyLimit().apply(block)[7]
        b'{"id":7,"hits":{"\\u0001json":"{\\"page7\\":1}"}}'
        """
        if not self.folded and not self._root_is_full and estimated_keys(lines) <= MOST_KEYS:
            return lines
        records = [exact_json(line) for line in lines]
        keys: dict[Path, dict[str, None]] = {(): self._root_keys}
        for record in records:
            _count(record, (), keys)
        self.folded |= {path for path, found in keys.items() if path and len(found) > MOST_KEYS}
        self._root_is_full = len(self._root_keys) > MOST_KEYS
        if not self.folded and not self._root_is_full:
            return lines
        # a key of the user's with that name goes into the column, not under it
        kept = frozenset(list(self._root_keys)[:MOST_KEYS]) - {EXTRA} if self._root_is_full else None
        return [orjson.dumps(self._folded(record, (), kept)) for record in records]

    def _folded(self, value: Any, path: Path, kept: frozenset[str] | None) -> Any:
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


def estimated_keys(lines: Sequence[bytes]) -> float:
    """Return how many different keys a block probably has, from a sample of its lines.

    >>> estimated_keys([b'{"a":1,"b":2}'] * 100)
    2.0
    """
    step = max(1, len(lines) // _SAMPLE)
    seen = Counter(
        key for line in lines[::step] for key in {text for text, colon in _STRING.findall(line) if colon}
    )
    once, twice = (sum(count == times for count in seen.values()) for times in (1, 2))
    unseen = once * (once - 1) / (2 * (twice + 1)) if step > 1 else 0
    return float(len(seen)) + unseen


def _count(value: Any, path: Path, keys: dict[Path, dict[str, None]]) -> None:
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
