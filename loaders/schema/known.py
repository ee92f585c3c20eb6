"""Describe the tables that a root table and its children have in the warehouse."""

from __future__ import annotations

from dataclasses import dataclass, field

from headrace.loaders.values.kinds import sql_type
from headrace.loaders.values.paths import SYSTEM_COLUMNS, RecordPath

# Columns that a table has for its disposition. None as the first step: no record has such a path.
VALID_FROM: RecordPath = (None, "valid_from")
VALID_TO: RecordPath = (None, "valid_to")
HASH: RecordPath = (None, "hash")
VERSIONED: dict[RecordPath, str] = {VALID_FROM: "TIMESTAMP", VALID_TO: "TIMESTAMP", HASH: "BIGINT"}
"""The columns of a table that keeps versions, `scd2`, with their types."""

_WHOLE = ("BIGINT", "HUGEINT")
_CHILD_SYSTEM = dict.fromkeys(SYSTEM_COLUMNS, "BIGINT")
_ROOT_SYSTEM = dict.fromkeys(("_hr_id", "_hr_load_id"), "BIGINT")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the warehouse.

    Attributes:
        name: Its identifier.
        path: Where its values stand in a record, below the table's own path.
        kinds: The kinds of value it has held.
        declared: The type that a hint gave it, or None where the kinds decide.
        variant: False for the column with the path's plain name, True for one that took what did not fit.
    """

    name: str
    path: RecordPath
    kinds: frozenset[str]
    declared: str | None = None
    variant: bool = False

    @property
    def type(self) -> str:
        """The SQL type; None is impossible, since only kinds that go together come together."""
        return self.declared or sql_type(self.kinds) or "VARCHAR"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the warehouse.

    Attributes:
        name: Its identifier.
        path: Where its lists stand in a record; empty for the root.
        parent: The name of the table that holds the lists; None for the root.
        columns: Data columns, in order; the system columns come after them.
    """

    name: str
    path: RecordPath
    parent: str | None
    columns: tuple[Column, ...] = ()

    @property
    def system(self) -> dict[str, str]:
        """The system columns with their types."""
        return _ROOT_SYSTEM if self.parent is None else _CHILD_SYSTEM

    def column(self, name: str) -> Column:
        """Return the column of this identifier; it must be there."""
        return next(column for column in self.columns if column.name == name)

    def at(self, path: RecordPath) -> list[Column]:
        """Return the columns that hold the values at `path`, the one with the plain name first."""
        return sorted((column for column in self.columns if column.path == path), key=lambda c: c.variant)


@dataclass(frozen=True, slots=True)
class RootSchema:
    """A root table with its children, as the catalogue knows them.

    Attributes:
        tables: By path; empty before the first load.
        taken: Every table name in the schema of the warehouse, in lower case.
    """

    tables: dict[RecordPath, Table] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()

    def nested(self) -> set[RecordPath]:
        """Return the paths, from the record's root, at which there are dicts or lists."""
        lists = {table.path[:-1] for table in self.tables.values() if table.path}
        dicts = {
            (*table.path, *column.path[:at])
            for table in self.tables.values()
            for column in table.columns
            for at in range(1, len(column.path))
        }
        return lists | dicts

    def maps(self) -> set[RecordPath]:
        """Return the paths, from the record's root, whose dicts an earlier load came to keep as JSON."""
        return {
            (*table.path, *column.path)
            for table in self.tables.values()
            for column in table.columns
            if column.kinds == {"json"} and column.declared is None
        }

    def number_sensitive_paths(self, *, frozen: bool) -> set[RecordPath]:
        """Return the paths, from the record's root, where it matters whether JSON has 1 or 1.0.

        Args:
            frozen: Whether a contract keeps whole numbers from becoming fractions.
        """
        return {
            (*table.path, *column.path)
            for table in self.tables.values()
            for column in table.columns
            if column.declared == "VARCHAR" or (frozen and not column.declared and column.type in _WHOLE)
        }

    def times(self) -> set[tuple[RecordPath, RecordPath]]:
        """Return the paths (of a table, within it) that have a column of times."""
        return {
            (table.path, column.path)
            for table in self.tables.values()
            for column in table.columns
            if column.type in {"DATE", "TIMESTAMP", "TIMESTAMPTZ"}
        }
