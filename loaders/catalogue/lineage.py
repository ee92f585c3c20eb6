"""Trace a column and a row back to the source and to the version of its code."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from headrace.errors import UsageError
from headrace.loaders.catalogue import lookup
from headrace.loaders.catalogue.history import SchemaChange, history
from headrace.loaders.catalogue.tables import REPLAY, SCHEMA
from headrace.loaders.database.quoting import ident, literal
from headrace.loaders.sql.staging import ORDINAL_BITS

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class ColumnLineage:
    """Where a column came from.

    Attributes:
        table: The table, as `schema.table`.
        column: The column.
        type: Its type.
        source_path: Where its values stand in a record: `$.items[].sku`.
        source: What made the records it was born from: the resource and the hash of its code, `name@hash`.
        load_id: The load it was born in.
        package: That load's package.
        committed: When, in UTC.
        changes: What became of it, its birth first, through every name that it has had.
    """

    table: str
    column: str
    type: str
    source_path: str
    source: str
    load_id: int
    package: str
    committed: datetime
    changes: tuple[SchemaChange, ...]


@dataclass(frozen=True, slots=True)
class RowLineage:
    """Where a row came from.

    Attributes:
        table: The table, as `schema.table`.
        hr_id: The row.
        load_id: The load that wrote it last.
        source: What made its record: the resource and the hash of its code, `name@hash`.
        package: That load's package.
        committed: When, in UTC.
        born: The load that wrote it first; an upsert keeps a row's id.
        record: The number of its record in that load, from 0; None for a row of a child table.
        replayed_from: The load in which its record went to quarantine, if it was replayed from there.
    """

    table: str
    hr_id: int
    load_id: int
    source: str
    package: str
    committed: datetime
    born: int
    record: int | None
    replayed_from: int | None


def lineage(connection: duckdb.DuckDBPyConnection, column: str) -> ColumnLineage:
    """Return where a column, `schema.table.column`, came from.

    Raises:
        UsageError: No load made such a table.
        UnknownColumn: The table has no such column.
    """
    schema, table, name = lookup.find_column(connection, column)
    row = connection.execute(
        f"SELECT c.data_type, c.source_path, l.source, l.load_id, l.package, l.committed "
        f"FROM {SCHEMA}.columns c JOIN {SCHEMA}.loads l ON l.load_id = c.load_id "
        f"WHERE c.table_schema = {literal(schema)} AND c.table_name = {literal(table)} "
        f"AND c.column_name = {literal(name)}"
    ).fetchone()
    if row is None:
        raise UsageError(f"The catalogue no longer has the load that {column!r} was born in.")
    type_, source_path, source, load_id, package, committed = row
    changes = _of_column(history(connection, f"{schema}.{table}"), name)
    return ColumnLineage(
        f"{schema}.{table}", name, type_, source_path, source, load_id, package, committed, changes
    )


def row_lineage(connection: duckdb.DuckDBPyConnection, table: str, hr_id: int) -> tuple[RowLineage, ...]:
    """Return where a row came from: the row itself, then the rows it hangs on, its root row last.

    Args:
        connection: The warehouse.
        table: The table, as `schema.table`.
        hr_id: The row's `_hr_id`.

    Raises:
        UsageError: No load made such a table, or it has no such row.
    """
    schema, name = lookup.find_table(connection, table)
    rows: list[RowLineage] = []
    above: str | None = name
    at = hr_id
    while above is not None:
        parent = _parent(connection, schema, above)
        row, parent_id = _row(connection, schema, above, at, is_root=parent is None)
        rows.append(row)
        above, at = parent, parent_id
    return tuple(rows)


def _of_column(changes: list[SchemaChange], name: str) -> tuple[SchemaChange, ...]:
    """Return the changes of a column, oldest first, from those of its table, newest first."""
    found = []
    for change in changes:
        now = change.new if change.change == "rename column" else change.column
        if now == name and change.change != "drop column":
            found.append(change)
            name = change.column or name
            if change.change == "add column":
                break
    return tuple(reversed(found))


def _parent(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> str | None:
    row = connection.execute(
        f"SELECT parent FROM {SCHEMA}.tables WHERE table_schema = {literal(schema)} "
        f"AND table_name = {literal(table)}"
    ).fetchone()
    return None if row is None else row[0]


def _row(
    connection: duckdb.DuckDBPyConnection, schema: str, table: str, hr_id: int, *, is_root: bool
) -> tuple[RowLineage, int]:
    """Return one row's lineage and the id of the row that it hangs on."""
    parent = "_hr_id" if is_root else "_hr_parent_id"
    found = connection.execute(
        f"SELECT l.load_id, l.source, l.package, l.committed, t.{parent} FROM {ident(schema, table)} t "
        f"JOIN {SCHEMA}.loads l ON l.load_id = t._hr_load_id WHERE t._hr_id = {literal(int(hr_id))}"
    ).fetchone()
    if found is None:
        raise UsageError(f"{schema}.{table} has no row whose _hr_id is {hr_id}.")
    load_id, source, package, committed, parent_id = found
    born, record = hr_id >> ORDINAL_BITS, hr_id & ((1 << ORDINAL_BITS) - 1)
    row = RowLineage(
        f"{schema}.{table}", hr_id, load_id, source, package, committed, born,
        record if is_root else None, _replayed_from(connection, born, record) if is_root else None,
    )  # fmt: skip
    return row, parent_id


def _replayed_from(connection: duckdb.DuckDBPyConnection, load_id: int, record: int) -> int | None:
    """Return the load in which a record of a replay went to quarantine."""
    load = connection.execute(f"SELECT source FROM {SCHEMA}.loads WHERE load_id = {load_id}").fetchone()
    if load is None or not load[0].startswith(REPLAY):
        return None
    row = connection.execute(
        f"SELECT load_id FROM {SCHEMA}.replays WHERE replay = {literal(load[0].removeprefix(REPLAY))} "
        f"AND ordinal = {record}"
    ).fetchone()
    return None if row is None else row[0]
