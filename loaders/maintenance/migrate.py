"""Plan declared changes of a schema, and apply them in one transaction.

Their rows in `schema_changes` are written in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import orjson

from headrace.errors import LoadError, UnknownColumn, UsageError
from headrace.loaders.catalogue import lookup, tables
from headrace.loaders.catalogue.tables import SCHEMA
from headrace.loaders.contracts.target import NO_TYPES, Target, known_type
from headrace.loaders.database.quoting import Value, ident, literal
from headrace.loaders.maintenance.migrations import (
    DropColumn,
    Migration,
    RenameColumn,
    RenameTable,
    RetypeColumn,
    Step,
)
from headrace.loaders.values.paths import NAMINGS, RESERVED, RecordPath, parse_hint
from headrace.loaders.values.retype import converted, survives
from headrace.loaders.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb


def migrate(warehouse: Warehouse, *changes: Migration, dry_run: bool = False) -> list[str]:
    """Change a schema as declared, in one transaction; return what was done, in lines.

    Args:
        warehouse: The warehouse.
        changes: What to do, in order; each sees the names that the ones before it leave.
        dry_run: Only say what would be done.

    Raises:
        UsageError: A change cannot be made; nothing was changed.
        LoadError: A stored value would be another one in its new type; nothing was changed.
    """
    with warehouse.transaction() as connection:
        steps = plan(connection, changes)
        if not dry_run:
            for step in steps:
                for statement in step.statements:
                    connection.execute(statement)
            if steps:
                connection.execute(_events(connection, steps))
    return [step.line for step in steps]


def plan(connection: duckdb.DuckDBPyConnection, changes: Iterable[Migration]) -> list[Step]:
    """Return the steps of declared changes; reads the warehouse and changes nothing.

    Raises:
        UsageError: A change cannot be made.
        LoadError: A stored value would be another one in its new type.
    """
    planner = _Planner(connection)
    return [step for change in changes for step in planner.steps(change)]


def find_migration(connection: duckdb.DuckDBPyConnection, name: str) -> tuple[str, str | None]:
    """Return table and column that a name means: `schema.table`, `table.column`…; the column may be None.

    Raises:
        UsageError: It means nothing, or both a table and a column.
    """
    try:
        table = ".".join(lookup.find_table(connection, name))
    except UsageError:
        if "." not in name:
            raise
        schema, table, column = lookup.find_column(connection, name)
        return f"{schema}.{table}", column
    try:
        schema, other, column = lookup.find_column(connection, name)
    except UsageError:
        return table, None
    raise UsageError(
        f"{name!r} is both the table {table} and the column {column!r} of {schema}.{other}; "
        f"write {schema}.{other}.{column} for the column."
    )


@dataclass(slots=True)
class _Column:
    """A column as the steps so far leave it; `stored` is what it is called before the first one."""

    name: str
    stored: str
    path: RecordPath
    type: str
    variant: bool
    source_path: str


@dataclass(slots=True)
class _Table:
    """A table as the steps so far leave it; `stored` is what it is called before the first one."""

    schema: str
    name: str
    stored: str
    root: str
    path: RecordPath
    source_path: str
    columns: dict[str, _Column] = field(default_factory=dict)

    @property
    def full(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def here(self) -> str:
        """The condition that picks the table's rows in the catalogue."""
        return f"table_schema = {literal(self.schema)} AND table_name = {literal(self.name)}"


class _Planner:
    """Plans change after change on a copy of the catalogue, so that each sees what the last one left."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._tables: dict[str, _Table] = {}
        if tables.exists(connection):
            self._read()

    def steps(self, change: Migration) -> Iterator[Step]:
        table = self._table(change.table)
        if isinstance(change, RenameColumn):
            return self._rename_column(table, change.old, change.new)
        if isinstance(change, DropColumn):
            return self._drop_column(table, change.column)
        if isinstance(change, RetypeColumn):
            return self._retype_column(table, change)
        if isinstance(change, RenameTable):
            return self._rename_table(table, change)
        return self._drop_table(table)

    def _rename_column(self, table: _Table, old: str, new: str) -> Iterator[Step]:
        column = self._column(table, old)
        target = self._target(table)
        if any(key == old and parse_hint(key) != column.path for key in _keys(table, target)):
            raise UsageError(
                f"The resource of {table.full} names the column {old!r} as one of its keys; name it there as "
                f"the records do, load once, and rename it then."
            )
        for one in [column, *_variants(table, column)]:
            name = new + one.name[len(old) :]
            _check_name(name, target, [*table.columns, *RESERVED], f"Table {table.full!r} has a column")
            yield Step(
                f"rename column {table.full}.{one.name} to {name}",
                (
                    f"ALTER TABLE {ident(table.schema, table.name)} RENAME COLUMN {ident(one.name)} "
                    f"TO {ident(name)}",
                    f"UPDATE {SCHEMA}.columns SET column_name = {literal(name)} "
                    f"WHERE {table.here} AND column_name = {literal(one.name)}",
                ),
                ("rename column", table.schema, table.name, one.name, one.name, name, one.source_path),
            )
            table.columns[name] = table.columns.pop(one.name)
            one.name = name

    def _drop_column(self, table: _Table, name: str) -> Iterator[Step]:
        column = self._column(table, name)
        for key in _keys(table, self._target(table)):
            if not column.variant and (parse_hint(key) == column.path or key == name):
                raise UsageError(
                    f"{table.full}.{name} is one of the keys by which the resource merges; "
                    "without it the next load could not find the rows that are there."
                )
        doomed = [column] if column.variant else [column, *_variants_at(table, column.path)]
        for one in doomed:
            yield Step(
                f"drop column {table.full}.{one.name} {one.type}",
                (
                    f"ALTER TABLE {ident(table.schema, table.name)} DROP COLUMN {ident(one.name)}",
                    # loads count on positions without gaps
                    f"UPDATE {SCHEMA}.columns SET position = position - 1 WHERE {table.here} "
                    f"AND position > (SELECT position FROM {SCHEMA}.columns WHERE {table.here} "
                    f"AND column_name = {literal(one.name)})",
                    f"DELETE FROM {SCHEMA}.columns WHERE {table.here} AND column_name = {literal(one.name)}",
                ),
                ("drop column", table.schema, table.name, one.name, one.type, None, one.source_path),
            )
            del table.columns[one.name]

    def _retype_column(self, table: _Table, change: RetypeColumn) -> Iterator[Step]:
        column = self._column(table, change.column)
        type_ = _type(table, change)
        self._check_values(table, column, type_)
        name = literal(column.name)
        yield Step(
            f"retype column {table.full}.{column.name} from {column.type} to {type_}",
            (
                f"ALTER TABLE {ident(table.schema, table.name)} ALTER COLUMN {ident(column.name)} "
                f"TYPE {type_} USING {converted(column.type, type_, ident(column.name))}",
                f"UPDATE {SCHEMA}.columns SET data_type = {literal(type_)}, declared = {literal(type_)} "
                f"WHERE {table.here} AND column_name = {name}",
            ),
            ("retype column", table.schema, table.name, column.name, column.type, type_, column.source_path),
        )
        column.type = type_

    def _rename_table(self, table: _Table, change: RenameTable) -> Iterator[Step]:
        self._check_is_child(table, "rename", f"Give the resource table={change.new!r} instead.")
        taken = lookup.read_schema(self._connection, table.schema, table.root).taken
        renamed, old = [table], table.name
        if change.below:
            renamed += [one for one in self._below(table) if one.name.startswith(f"{old}__")]
        for one in renamed:
            name = change.new + one.name[len(old) :]
            _check_name(name, self._target(one), self._names(table.schema, taken), "There is a table")
            yield Step(
                f"rename table {one.full} to {name}",
                (
                    f"ALTER TABLE {ident(one.schema, one.name)} RENAME TO {ident(name)}",
                    *(f"UPDATE {SCHEMA}.{which} SET table_name = {literal(name)} WHERE {one.here}"
                      for which in ("tables", "columns")),
                    f"UPDATE {SCHEMA}.tables SET parent = {literal(name)} "
                    f"WHERE table_schema = {literal(one.schema)} AND parent = {literal(one.name)}",
                ),
                ("rename table", one.schema, one.name, None, one.name, name, one.source_path),
            )  # fmt: skip
            self._tables[f"{one.schema}.{name}"] = self._tables.pop(one.full)
            one.name = name

    def _drop_table(self, table: _Table) -> Iterator[Step]:
        self._check_is_child(table, "drop", "Drop its child tables or its columns instead.")
        for one in [*reversed(self._below(table)), table]:
            yield Step(
                f"drop table {one.full}",
                (
                    f"DROP TABLE {ident(one.schema, one.name)}",
                    *(f"DELETE FROM {SCHEMA}.{which} WHERE {one.here}" for which in ("tables", "columns")),
                ),
                ("drop table", one.schema, one.name, None, None, None, one.source_path),
            )
            del self._tables[one.full]

    def _check_values(self, table: _Table, column: _Column, type_: str) -> None:
        """Refuse a type in which a stored value would be another one."""
        if type_ == column.type:
            return
        value = ident(column.stored)
        where = f"{value} IS NOT NULL AND NOT COALESCE({survives(column.type, type_, value)}, false)"
        row = self._connection.execute(
            f"SELECT count(*), arg_min(CAST({value} AS VARCHAR), _hr_id) "
            f"FROM {ident(table.schema, table.stored)} WHERE {where}"
        ).fetchone()
        count, first = row or (0, None)
        if count:
            raise LoadError(
                f"{table.full}.{column.name} cannot become {type_}: {count} of its values would be others, "
                f"the first {str(first)[:80]!r}. Nothing was changed."
            )

    def _read(self) -> None:
        for schema, name, root, path, source_path in self._connection.execute(
            f"SELECT table_schema, table_name, root, path, source_path FROM {SCHEMA}.tables "
            "ORDER BY table_schema, root, length(path), table_name"
        ).fetchall():
            steps = tuple(orjson.loads(path))
            self._tables[f"{schema}.{name}"] = _Table(schema, name, name, root, steps, source_path)
        for schema, table, name, path, type_, variant, source_path in self._connection.execute(
            "SELECT table_schema, table_name, column_name, path, data_type, variant, source_path "
            f"FROM {SCHEMA}.columns ORDER BY position"
        ).fetchall():
            steps = tuple(orjson.loads(path))
            self._tables[f"{schema}.{table}"].columns[name] = _Column(
                name, name, steps, type_, variant, source_path
            )

    def _table(self, name: str) -> _Table:
        found = self._tables.get(name) or self._tables.get(f"main.{name}")
        if found is None:
            lookup.find_table(self._connection, name)  # says which tables there are
            raise UsageError(f"A change before this one has dropped or renamed the table {name!r}.")
        return found

    @staticmethod
    def _column(table: _Table, name: str) -> _Column:
        if name in RESERVED:
            raise UsageError(f"{table.full}.{name} is headrace's own column: loads need it as it is.")
        if name not in table.columns:
            raise UnknownColumn(table.full, name, table.columns)
        return table.columns[name]

    def _target(self, table: _Table) -> Target | None:
        return lookup.read_target(self._connection, table.schema, table.root)

    def _below(self, table: _Table) -> list[_Table]:
        """Return the tables below a child table, parents first."""
        same_root = (
            one for one in self._tables.values() if (one.schema, one.root) == (table.schema, table.root)
        )
        depth = len(table.path)
        return sorted(
            (one for one in same_root if one is not table and one.path[:depth] == table.path),
            key=lambda one: len(one.path),
        )

    def _names(self, schema: str, taken: Iterable[str]) -> list[str]:
        """Return every name that no table may get: those there are, and those that earlier steps gave."""
        return [*taken, *(table.name for table in self._tables.values() if table.schema == schema)]

    @staticmethod
    def _check_is_child(table: _Table, verb: str, instead: str) -> None:
        if not table.path:
            raise UsageError(
                f"{table.full} is a root table: a resource names it, so only child tables can be {verb}"
                f"{'ped' if verb == 'drop' else 'd'}. {instead}"
            )


def _variants_at(table: _Table, path: RecordPath) -> list[_Column]:
    """Return the variant columns of a path."""
    return [column for column in table.columns.values() if column.variant and column.path == path]


def _variants(table: _Table, column: _Column) -> list[_Column]:
    """Return the variant columns that are called after a column."""
    if column.variant:
        return []
    return [one for one in _variants_at(table, column.path) if one.name.startswith(f"{column.name}__v_")]


def _keys(table: _Table, target: Target | None) -> tuple[str, ...]:
    """Return the names by which a resource that merges knows columns of its root table."""
    if table.path or target is None or target.write_disposition != "merge":
        return ()
    single = (target.dedup_sort, target.hard_delete)
    return (*target.primary_key, *target.merge_key, *(name for name in single if name))


def _check_name(name: str, target: Target | None, taken: Iterable[str], there_is: str) -> None:
    naming = "snake_case" if target is None else target.naming
    if NAMINGS[naming](name) != name:
        raise UsageError(f"{name!r} is no name for a table or column; {NAMINGS[naming](name)!r} would be.")
    if name.lower() in {other.lower() for other in taken}:
        raise UsageError(f"{there_is} {name!r} already.")


def _type(table: _Table, change: RetypeColumn) -> str:
    type_ = known_type(table.full, change.column, change.type)
    if type_ in NO_TYPES:
        raise UsageError(f"Table {table.full!r}, column {change.column!r}: {change.type!r} is no type.")
    return type_


def _events(connection: duckdb.DuckDBPyConnection, steps: list[Step]) -> str:
    now, load = tables.utc(datetime.now(timezone.utc)), lookup.next_load(connection) - 1
    rows: list[list[Value]] = []
    for step in steps:
        change, *rest = step.event
        rows.append([load, now, change, *rest, "migration"])
    return tables.insert("schema_changes", rows)
