"""The commit: one package, one transaction. Either all of a load is in the warehouse, or none of it.

The transaction holds the changes of schema, the rows of every table, the cursor and the catalogue. A
package that was committed already is recognised by its id and counts once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headrace.errors import LoadError, MergeKeyMissing, UnknownColumn
from headrace.loaders import catalogue, sql
from headrace.loaders.catalogue import Counts
from headrace.loaders.evolve import Change, Plan, TablePlan, plan
from headrace.loaders.names import parse_hint, snake_case
from headrace.loaders.package import Package
from headrace.loaders.schema import RootSchema, Table

if TYPE_CHECKING:
    import duckdb

_WINNERS = "temp.main._hr_winners"


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """A load that is in the warehouse.

    Attributes:
        load_id: Its number, as every row it wrote has it in `_hr_load_id`; 0 for a load without records.
        schema: The schema of the warehouse.
        table: The root table.
        counts: The rows of the root table; children are not counted.
        rows: Rows written, by table name.
        changes: What changed in the schema.
        bytes: The size of the package's files.
    """

    load_id: int
    schema: str
    table: str
    counts: Counts
    rows: dict[str, int] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    bytes: int = 0


def commit(connection: duckdb.DuckDBPyConnection, package: Package) -> LoadedTable:
    """Put a sealed package into the warehouse, in one transaction.

    Raises:
        PackageDamaged: A file is not the one that was sealed.
        UnknownColumn: The primary key names a column that neither the package nor the table has.
        MergeKeyMissing: A record has no value for a column of its key.
        LoadError: The rows do not add up; a bug, and nothing was written.
    """
    import duckdb

    package.verify()
    connection.execute("BEGIN")
    try:
        loaded = _commit(connection, package)
        connection.execute("COMMIT")
    except BaseException as error:
        with contextlib.suppress(duckdb.Error):  # a commit that failed has rolled back already
            connection.execute("ROLLBACK")
        if isinstance(error, duckdb.Error):
            raise LoadError(
                f"{package.target.name}: DuckDB refused, and nothing was written: {error}"
            ) from error
        raise
    return loaded


def _commit(connection: duckdb.DuckDBPyConnection, package: Package) -> LoadedTable:
    target = package.target
    for statement in catalogue.CREATE:
        connection.execute(statement)
    done = catalogue.find_load(connection, package.id)
    if done is not None:
        return LoadedTable(done, target.schema, target.table, Counts(package.records, 0, 0, package.records))
    before = catalogue.read_schema(connection, target.schema, target.table)
    planned = plan(target.table, before, package.facts, target.hints())
    key = _key_columns(package, planned) if package.records or before.tables else []
    load_id = catalogue.next_load(connection)

    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {sql.ident(target.schema)}")
    for change in planned.changes:
        connection.execute(sql.change_schema(target.schema, change))
    tables = _tables(before, planned)
    for rekey in package.rekeys:
        if before.tables and rekey.column in target.primary_key:
            column = key[target.primary_key.index(rekey.column)]
            _run(connection, sql.rekey(target.schema, tables, key, column, rekey.old, rekey.new))
    winners = _make_room(connection, package, planned.root, tables, key)
    rows = {
        one.table.name: _count(
            connection,
            sql.insert_rows(target.schema, one, package.files_of(one.table.path), load_id, winners),
        )
        for one in planned.tables
    }
    if winners is not None:
        connection.execute(f"DROP TABLE {winners}")

    loaded = rows[planned.root.table.name]
    deduplicated = package.records - loaded if winners is not None else 0
    counts = Counts(package.records, loaded, 0, deduplicated)
    if not counts.balanced:
        raise LoadError(f"{target.name}: {counts} does not add up; nothing was written. Please report this.")
    _run(connection, catalogue.record_columns(target.schema, target.table, planned, before, load_id))
    _run(connection, catalogue.record_load(package, planned, load_id, counts))
    return LoadedTable(load_id, target.schema, target.table, counts, rows, planned.changes, package.bytes)


def _make_room(
    connection: duckdb.DuckDBPyConnection,
    package: Package,
    root: TablePlan,
    tables: Sequence[Table],
    key: Sequence[str],
) -> str | None:
    """Remove the rows that the load replaces; return the table of the records to insert, None for all."""
    target = package.target
    if target.write_disposition == "replace":
        for table in tables:
            connection.execute(f"DELETE FROM {sql.ident(target.schema, table.name)}")
    if target.write_disposition != "merge" or package.records == 0:
        return None
    connection.execute(sql.choose_winners(_WINNERS, root, package.files_of(()), key))
    for at, column in enumerate(key):
        lost = connection.execute(f"SELECT min(i) FROM {_WINNERS} WHERE k{at} IS NULL").fetchone()
        if lost and lost[0] is not None:
            raise MergeKeyMissing(
                f"{target.name}: a record has no {column!r}, which is in its primary key "
                f"- at `$[{lost[0]}]`. Give it one in the resource, or choose another key."
            )
    _run(connection, sql.delete_replaced(target.schema, tables, _WINNERS, key))
    return _WINNERS


def _key_columns(package: Package, planned: Plan) -> list[str]:
    """Return the identifiers of the key's columns, checked against the table."""
    columns = {column.path: column for column in planned.root.table.columns if not column.variant}
    by_name = {column.name: column for column in columns.values()}
    found = []
    for name in package.target.primary_key:
        column = columns.get(parse_hint(name)) or by_name.get(name) or by_name.get(snake_case(name))
        if column is None:
            raise UnknownColumn(package.target.name, name, [column.name for column in columns.values()])
        spread = [
            other.name for other in planned.root.table.at(column.path) if other.name in planned.root.sources
        ]
        if any(other != column.name for other in spread):
            raise LoadError(
                f"{package.target.name}: the key column {column.name!r} is {column.type}, and the "
                f"records hold values that need {', '.join(spread)} as well. Make them one type in the "
                f"resource, or declare it: columns={{{name!r}: 'VARCHAR'}}."
            )
        found.append(column.name)
    return found


def _tables(before: RootSchema, planned: Plan) -> list[Table]:
    """Return every table of the root, the root first: those of this load and those it does not touch."""
    touched = {one.table.path: one.table for one in planned.tables}
    every = {**before.tables, **touched}
    return [every[()], *(table for path, table in every.items() if path)]


def _run(connection: duckdb.DuckDBPyConnection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.execute(statement)


def _count(connection: duckdb.DuckDBPyConnection, statement: str) -> int:
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0
