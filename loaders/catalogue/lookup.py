"""Look up what the catalogue knows: schemas, targets, loads, cursors."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from headrace.errors import UnknownColumn, UsageError, did_you_mean
from headrace.loaders.catalogue.tables import REPLAY, SCHEMA, exists, require, utc
from headrace.loaders.contracts.target import Target
from headrace.loaders.database.queries import number
from headrace.loaders.database.quoting import literal
from headrace.loaders.schema.known import Column, RootSchema, Table
from headrace.loaders.values.paths import RecordPath

if TYPE_CHECKING:
    import duckdb


def read_schema(connection: duckdb.DuckDBPyConnection, schema: str, root: str) -> RootSchema:
    """Return what is known of a root table and its children, and every table name in its schema."""
    names = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() "
        f"AND schema_name = {literal(schema)} UNION SELECT view_name FROM duckdb_views() "
        f"WHERE database_name = current_database() AND schema_name = {literal(schema)}"
    ).fetchall()
    taken = frozenset(str(name).lower() for (name,) in names)
    if not exists(connection):
        return RootSchema({}, taken)
    columns: dict[str, list[Column]] = {}
    for table, name, path, kinds, declared, variant in connection.execute(
        f"SELECT c.table_name, column_name, c.path, kinds, declared, variant FROM {SCHEMA}.columns c "
        f"JOIN {SCHEMA}.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name "
        f"WHERE c.table_schema = {literal(schema)} AND t.root = {literal(root)} ORDER BY position"
    ).fetchall():
        column = Column(name, _path(path), frozenset(orjson.loads(kinds)), declared, variant)
        columns.setdefault(table, []).append(column)
    tables = [
        Table(name, _path(path), parent, tuple(columns.get(name, ())))
        for name, path, parent in connection.execute(
            f"SELECT table_name, path, parent FROM {SCHEMA}.tables WHERE table_schema = {literal(schema)} "
            f"AND root = {literal(root)} ORDER BY load_id, length(path)"
        ).fetchall()
    ]
    return RootSchema({table.path: table for table in tables}, taken)


def read_target(connection: duckdb.DuckDBPyConnection, schema: str, root: str) -> Target | None:
    """Return where and how the newest load of a root table landed, replays aside; None where none is kept."""
    row = connection.execute(
        f"SELECT target FROM {SCHEMA}.loads WHERE table_schema = {literal(schema)} "
        f"AND table_name = {literal(root)} AND target IS NOT NULL "
        f"AND NOT starts_with(source, {literal(REPLAY)}) ORDER BY load_id DESC LIMIT 1"
    ).fetchone()
    return None if row is None else Target.from_json(orjson.loads(row[0]))


def find_table(connection: duckdb.DuckDBPyConnection, name: str) -> tuple[str, str]:
    """Return the schema and the name of the table that a user calls `schema.table`, or `table` in `main`.

    Raises:
        UsageError: No load made such a table.
    """
    require(connection)
    rows = connection.execute(f"SELECT table_schema, table_name FROM {SCHEMA}.tables ORDER BY ALL").fetchall()
    named = {f"{schema}.{table}": (schema, table) for schema, table in rows}
    found = named.get(name) or named.get(f"main.{name}")
    if found is not None:
        return found
    if _is_there(connection, name):
        raise UsageError(
            f"No load made a table {name!r}: it is a transform's or somebody else's, and the catalogue "
            "knows loads only."
        )
    raise UsageError(f"No load made a table {name!r}; {did_you_mean(name, named)}")


def find_column(connection: duckdb.DuckDBPyConnection, name: str) -> tuple[str, str, str]:
    """Return schema, table and column of `schema.table.column`, or of `table.column` in `main`.

    Raises:
        UsageError: No load made such a table, or the name is a table's.
        UnknownColumn: The table has no such column.
    """
    require(connection)
    wanted = connection.execute(
        f"SELECT table_schema, table_name, column_name FROM {SCHEMA}.columns "
        f"WHERE concat_ws('.', table_schema, table_name, column_name) = {literal(name)} "
        f"OR (table_schema = 'main' AND concat_ws('.', table_name, column_name) = {literal(name)}) "
        "ORDER BY table_schema = 'main' LIMIT 1"
    ).fetchone()
    if wanted is not None:
        return str(wanted[0]), str(wanted[1]), str(wanted[2])
    if _is_there(connection, name):
        find_table(connection, name)
        raise UsageError(f"{name!r} is a table; name a column of it: {name}.COLUMN.")
    table, _, column = name.rpartition(".")
    if not table:
        raise UsageError(f"{name!r} names no column; write TABLE.COLUMN or SCHEMA.TABLE.COLUMN.")
    schema, table = find_table(connection, table)
    known = connection.execute(
        f"SELECT column_name FROM {SCHEMA}.columns WHERE table_schema = {literal(schema)} "
        f"AND table_name = {literal(table)}"
    ).fetchall()
    raise UnknownColumn(f"{schema}.{table}", column, [str(known_name) for (known_name,) in known])


def _is_there(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Tell whether the warehouse has a table or view of this name, whoever made it."""
    found = number(
        connection,
        "SELECT count(*) FROM information_schema.tables WHERE table_catalog = current_database() "
        f"AND {literal(name)} IN (table_schema || '.' || table_name, "
        "CASE WHEN table_schema = 'main' THEN table_name END)",
    )
    return found > 0


def is_landed(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    """Tell whether loads write a table of this name; DuckDB's names ignore case."""
    if not exists(connection):
        return False
    found = number(
        connection,
        f"SELECT count(*) FROM {SCHEMA}.tables WHERE lower(table_schema) = {literal(schema.lower())} "
        f"AND lower(table_name) = {literal(table.lower())}",
    )
    return found > 0


def find_load(connection: duckdb.DuckDBPyConnection, package: str) -> int | None:
    """Return the number of the load that committed this package, if one did."""
    row = connection.execute(
        f"SELECT load_id FROM {SCHEMA}.loads WHERE package = {literal(package)}"
    ).fetchone()
    return None if row is None else int(row[0])


def next_load(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the number of the next load, from 1."""
    return number(connection, f"SELECT coalesce(max(load_id), 0) + 1 FROM {SCHEMA}.loads")


def check_load(connection: duckdb.DuckDBPyConnection, load: int) -> None:
    """Refuse the number of a load that has not been.

    Raises:
        UsageError: There is no such load.
    """
    newest = next_load(connection) - 1
    if not 0 < load <= newest:
        raise UsageError(f"There is no load {load}; the newest is {newest}.")


def loaded_since(connection: duckdb.DuckDBPyConnection, target: Target, moment: datetime) -> bool:
    """Tell whether a load of a root table began after this time."""
    if not exists(connection):
        return False
    found = number(
        connection,
        f"SELECT count(*) FROM {SCHEMA}.loads WHERE table_schema = {literal(target.schema)} "
        f"AND table_name = {literal(target.table)} AND started > {literal(utc(moment))}",
    )
    return found > 0


def read_cursor(connection: duckdb.DuckDBPyConnection, resource: str) -> Any:
    """Return the committed cursor of a resource, or None."""
    if not exists(connection):
        return None
    row = connection.execute(
        f"SELECT cursor FROM {SCHEMA}.state WHERE resource = {literal(resource)}"
    ).fetchone()
    return None if row is None else json.loads(row[0])


def _path(text: str) -> RecordPath:
    return tuple(orjson.loads(text))
