"""The exact lane: lines to rows, one value at a time, in plain Python.

Guarantees: this lane *is* the semantics. Whatever a record holds, each value becomes one cell of one row,
under the kind that `infer` gives it. Costs: some 5 to 15 MB/s, and no import beyond orjson; so it takes
small loads whole and, of large ones, the records that the columnar lane would get wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from headrace.loaders.facts import Facts, TableFacts
from headrace.loaders.infer import scalar
from headrace.loaders.kinds import NULL
from headrace.loaders.lines import exact_json, read_mark, user_key
from headrace.loaders.names import Path

Rows = dict[Path, list[dict[str, Any]]]
"""Rows by table: each a dict from the file's column names, ready to be written as JSON lines."""


def shred_lines(lines: Iterable[tuple[int, bytes]], facts: Facts) -> Rows:
    """Return the rows of every table for `lines`: pairs of a record's ordinal and its JSON.

    Args:
        lines: Ordinals count the records of the load from 0.
        facts: Learns the tables, columns and kinds that turn up.

    Raises:
        ValueError: A line is no JSON.

    >>> facts = Facts()
    >>> shred_lines([(0, b'{"id":7,"tags":["a"]}')], facts)[("tags", None)]
    [{'i': 0, 'p': 0, 'r': 0, 'n': 0, 'c0': 'a'}]
    """
    shredder = _Shredder(facts)
    for ordinal, line in lines:
        try:
            record = exact_json(line)
        except ValueError as error:
            raise ValueError(f"record {ordinal} is no JSON: {error}: {line[:100]!r}") from error
        shredder.record(ordinal, record)
    return shredder.rows


class _Shredder:
    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.rows: Rows = defaultdict(list)

    def record(self, ordinal: int, value: Any) -> None:
        row = {"i": ordinal}
        self.rows[()].append(row)
        self._value(row, self.facts.root, (), value, ordinal)

    def _value(self, row: dict[str, Any], table: TableFacts, path: Path, value: Any, root: int) -> None:
        """Put `value`, which stands at `path` of `table`, into `row` or into child tables."""
        if isinstance(value, dict):
            mark = read_mark(value)
            if mark is None:
                for key, item in value.items():
                    self._value(row, table, (*path, user_key(key)), item, root)
                return
            kind, kept = mark
        elif isinstance(value, list):
            self._children(row, table, path, value, root)
            return
        elif value is None:
            table.column(path, NULL)
            return
        else:
            kind, kept = scalar(value)
        row[table.column(path, kind)] = kept

    def _children(
        self, row: dict[str, Any], table: TableFacts, path: Path, items: list[Any], root: int
    ) -> None:
        if not items:
            return
        child = self.facts.table((*table.path, *path, None), table.path)
        rows = self.rows[child.path]
        for index, item in enumerate(items):
            child_row = {"i": child.rows, "p": row["i"], "r": root, "n": index}
            child.rows += 1
            rows.append(child_row)
            self._value(child_row, child, (), item, root)
