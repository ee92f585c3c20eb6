"""Collect the tables, columns and kinds that a stream of records holds.

Both lanes of shredding write into one `ObservedSchema`; the manifest of a package is its sealed form. A
column of a package's file holds one kind of one path and is called `c0`, `c1`…, so that no name of the
source meets SQL before the plan has given it an identifier.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headrace.loaders.values.kinds import NESTED, NULL
from headrace.loaders.values.paths import RecordPath

POSITION = {"i": "BIGINT", "p": "BIGINT", "r": "BIGINT", "n": "BIGINT"}
"""Columns of every file: own ordinal, parent's, root record's, index in the list. Roots have `i` only."""


@dataclass(frozen=True, slots=True)
class ObservedColumn:
    """One column of a package's files.

    Attributes:
        id: Its name in the files; empty for a path that has only ever been null.
        path: Where the value stands, below the table's own path.
        kind: The kind of its values.
    """

    id: str
    path: RecordPath
    kind: str


@dataclass(slots=True)
class ObservedTable:
    """What is known of one table while records are read.

    Attributes:
        path: Where the table's lists stand in a record; empty for the root table.
        parent: The path of the table that holds the lists; None for the root table.
        rows: How many rows there are; the next ordinal of a child table.
        columns: How many columns the files have.
        facts: What was met at each path, in order.
        first: The place of the first value at each path: which of two came first.
    """

    path: RecordPath
    parent: RecordPath | None
    rows: int = 0
    columns: int = 0
    observed: dict[tuple[RecordPath, str], ObservedColumn] = field(default_factory=dict)
    first: dict[RecordPath, int] = field(default_factory=dict)

    def first_place(self, path: RecordPath) -> float:
        """Return the place of the first value at `path`; after all others if there is none."""
        return self.first.get(path, float("inf"))

    def column(self, path: RecordPath, kind: str, place: int | None = None) -> str:
        """Return the name in the files of the column for this path and kind, new if need be.

        Args:
            path: Where the value stands, below the table's own path.
            kind: Its kind.
            place: Where a value stands in the stream; see `place`.
        """
        key = (path, kind)
        if place is not None and place < self.first.get(path, place + 1):
            self.first[path] = place
        found = self.observed.get(key)
        if found is None:
            name = ""
            if kind not in (NULL, NESTED):
                name, self.columns = f"c{self.columns}", self.columns + 1
            found = self.observed[key] = ObservedColumn(name, path, kind)
        return found.id

    def file_columns(self) -> dict[str, str]:
        """Return the kind of each column that the files may have, by its name there."""
        return {fact.id: fact.kind for fact in self.observed.values() if fact.id}


def place(record: int, position: int) -> int:
    """Return where a value stands in a stream: the record's number, then its position in the record."""
    return (record << 32) + position


@dataclass(slots=True)
class ObservedSchema:
    """The tables of a stream, by path, parents first."""

    tables: dict[RecordPath, ObservedTable] = field(default_factory=lambda: {(): ObservedTable((), None)})

    @property
    def root(self) -> ObservedTable:
        return self.tables[()]

    def table(self, path: RecordPath, parent: RecordPath) -> ObservedTable:
        """Return the facts of the child table at `path`, new if need be."""
        found = self.tables.get(path)
        if found is None:
            found = self.tables[path] = ObservedTable(path, parent)
        return found

    def to_json(self) -> list[dict[str, Any]]:
        return [
            {
                "path": table.path,
                "parent": table.parent,
                "rows": table.rows,
                "columns": [[fact.id, fact.path, fact.kind] for fact in table.observed.values()],
                "first": list(table.first.items()),
            }
            for table in self.tables.values()
        ]

    @classmethod
    def from_json(cls, tables: list[dict[str, Any]]) -> ObservedSchema:
        observed = cls({})
        for entry in tables:
            parent = None if entry["parent"] is None else tuple(entry["parent"])
            table = ObservedTable(tuple(entry["path"]), parent, entry["rows"])
            table.first = {tuple(path): first for path, first in entry["first"]}
            for name, path, kind in entry["columns"]:
                table.observed[tuple(path), kind] = ObservedColumn(name, tuple(path), kind)
                table.columns += bool(name)
            observed.tables[table.path] = table
        return observed


Rows = dict[RecordPath, list[dict[str, Any]]]
"""Rows by table: each a dict from the file's column names, ready to be written as JSON lines."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot land.

    Attributes:
        ordinal: Its number in the load.
        line: The record, as JSON.
        path: Where it is at fault.
        rule: What it broke, in a word: `primary_key`.
        reason: The same in a sentence.
    """

    ordinal: int
    line: bytes
    path: RecordPath
    rule: str
    reason: str
