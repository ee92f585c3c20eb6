"""Turn lines into rows, one value at a time, in plain Python: the exact lane.

Guarantees: this lane *is* the semantics. Whatever a record holds, each value becomes one cell of one row,
under the kind that `infer` gives it. Costs: some 10 to 25 MB/s, and no import beyond orjson; so it takes
small loads whole and, of large ones, the records that the columnar lane would get wrong.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from headrace.loaders.schema.observed import ObservedSchema, ObservedTable, Rejected, Rows, place
from headrace.loaders.values.infer import scalar
from headrace.loaders.values.kinds import MENTIONS, NESTED, NULL
from headrace.loaders.values.marks import exact_json, read_mark, user_key
from headrace.loaders.values.paths import RecordPath, find_key, parse_hint


class BadLine(ValueError):
    """A line that is no JSON, with the number of its record."""

    def __init__(self, record: int, reason: str) -> None:
        self.record = record
        super().__init__(record, reason)

    def __str__(self) -> str:
        return str(self.args[1])


def shred_lines(
    lines: Iterable[tuple[int, bytes]],
    observed: ObservedSchema,
    required: Sequence[str] = (),
    *,
    hashed: bool = False,
) -> tuple[Rows, list[Rejected]]:
    """Return the rows of every table for `lines`, and the records that cannot land.

    Args:
        lines: Pairs of a record's ordinal, counted from 0 over the load, and its JSON.
        observed: Learns the tables, columns and kinds that turn up.
        required: Keys, or columns by their names, in which every record needs a value.
        hashed: Whether the rows of the root table get the hash of their line, `h`.

    Raises:
        BadLine: A line is no JSON.

    >>> facts = ObservedSchema()
    >>> rows, rejected = shred_lines([(0, b'{"id":7,"tags":["a"]}')], facts)
    >>> rows[("tags", None)]
    [{'i': 0, 'p': 0, 'r': 0, 'n': 0, 'c0': 'a'}]
    """
    shredder = _Shredder(observed)
    rejected = []
    for ordinal, line in lines:
        try:
            record = exact_json(line)
        except ValueError as error:
            raise BadLine(ordinal, f"is no JSON: {error}: {line[:100]!r}") from error
        missing = next((name for name in required if not has_value(record, name)), None)
        if missing is None:
            shredder.record(ordinal, record, content_hash(line) if hashed else None)
        else:
            reason = f"the record has no {missing!r}, which is in the primary key"
            rejected.append(Rejected(ordinal, line, parse_hint(missing), "primary_key", reason))
    return shredder.rows, rejected


def content_hash(line: bytes) -> int:
    """Return 64 bits that tell one content from another; lines to compare have their keys sorted."""
    return int.from_bytes(hashlib.blake2b(line, digest_size=8).digest(), "little", signed=True)


def has_value(record: Any, name: str) -> bool:
    """Tell whether a record has a value at a key, `user.id`, that may be named by its column, `user__id`.

    >>> has_value({"userId": 1}, "user_id"), has_value({"user": {"id": None}}, "user.id")
    (True, False)
    """
    return any(_is_value(_at(record, path)) for path in (parse_hint(name), tuple(name.split("__"))))


def _at(record: Any, path: RecordPath) -> Any:
    for step in path:
        key = find_key(record, step) if isinstance(record, dict) and step is not None else None
        record = None if key is None else record[key]
    return record


def _is_value(value: Any) -> bool:
    if isinstance(value, dict):
        mark = read_mark(value)
        return mark is not None and mark[0] not in MENTIONS
    return value is not None and not isinstance(value, list)


class _Shredder:
    def __init__(self, observed: ObservedSchema) -> None:
        self.observed = observed
        self.rows: Rows = defaultdict(list)
        self._position = 0

    def record(self, ordinal: int, value: Any, content: int | None) -> None:
        self._position = 0
        row = {"i": ordinal} if content is None else {"i": ordinal, "h": content}
        self.rows[()].append(row)
        self._value(row, self.observed.root, (), value, ordinal)

    def _value(
        self, row: dict[str, Any], table: ObservedTable, path: RecordPath, value: Any, root: int
    ) -> None:
        """Put `value`, which stands at `path` of `table`, into `row` or into child tables."""
        if isinstance(value, dict):
            mark = read_mark(value)
            if mark is None:
                table.column(path, NESTED)
                for key, item in value.items():
                    self._value(row, table, (*path, user_key(key)), item, root)
                return
            kind, kept = mark
        elif isinstance(value, list):
            table.column(path, NESTED)
            self._children(row, table, path, value, root)
            return
        elif value is None:
            table.column(path, NULL)
            return
        else:
            kind, kept = scalar(value)
        self._position += 1
        row[table.column(path, kind, place(root, self._position))] = kept

    def _children(
        self, row: dict[str, Any], table: ObservedTable, path: RecordPath, items: list[Any], root: int
    ) -> None:
        if not items:
            return
        child = self.observed.table((*table.path, *path, None), table.path)
        rows = self.rows[child.path]
        for index, item in enumerate(items):
            child_row = {"i": child.rows, "p": row["i"], "r": root, "n": index}
            child.rows += 1
            rows.append(child_row)
            self._value(child_row, child, (), item, root)
