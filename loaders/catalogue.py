"""The catalogue: the schema `_headrace` in the warehouse, plain tables that anyone can read with SQL.

    loads           every committed load, and the equation its rows satisfy
    tables          every table, its source path and its parent
    columns         every column, its source path, the kinds it has held and the load it was born in
    schema_changes  every change of schema, old and new, with its load
    quarantine      records that did not land, whole, with the reason
    replays         which of them each record of a replay is
    state           the cursor of each resource, as JSON
    summaries       a cache of briefs, by content

It is written in the transaction of the load that it tells of. Times are UTC.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import orjson

from headrace.errors import UnknownColumn, UsageError, did_you_mean
from headrace.loaders import quarantine
from headrace.loaders.evolve import AddColumn, Change, CreateTable, Plan
from headrace.loaders.names import Path, show
from headrace.loaders.package import Package
from headrace.loaders.queries import number
from headrace.loaders.schema import Column, RootSchema, Table
from headrace.loaders.sql import Value, insert_values, literal
from headrace.loaders.target import Target

if TYPE_CHECKING:
    import duckdb

SCHEMA = "_headrace"
REPLAY = "headrace.replay@"
"""How the source of a load begins that replays quarantined records; what follows names it in `replays`."""

CREATE = (
    f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}",
    f"""CREATE TABLE IF NOT EXISTS {SCHEMA}.loads (
    load_id BIGINT, package VARCHAR, table_schema VARCHAR, table_name VARCHAR, write_disposition VARCHAR,
    source VARCHAR, started TIMESTAMP, committed TIMESTAMP, rows_in BIGINT, rows_loaded BIGINT,
    rows_quarantined BIGINT, rows_deduplicated BIGINT, values_discarded BIGINT, rows_exact_lane BIGINT,
    bytes BIGINT, target VARCHAR)""",
    f"""CREATE TABLE IF NOT EXISTS {SCHEMA}.tables (
    table_schema VARCHAR, table_name VARCHAR, root VARCHAR, parent VARCHAR, source_path VARCHAR, path VARCHAR,
    load_id BIGINT)""",
    f"""CREATE TABLE IF NOT EXISTS {SCHEMA}.columns (
    table_schema VARCHAR, table_name VARCHAR, column_name VARCHAR, data_type VARCHAR, source_path VARCHAR,
    path VARCHAR, kinds VARCHAR, declared VARCHAR, variant BOOLEAN, position BIGINT, load_id BIGINT)""",
    f"""CREATE TABLE IF NOT EXISTS {SCHEMA}.schema_changes (
    load_id BIGINT, changed TIMESTAMP, change VARCHAR, table_schema VARCHAR, table_name VARCHAR,
    column_name VARCHAR, old VARCHAR, new VARCHAR, source_path VARCHAR, source VARCHAR)""",
    f"""CREATE TABLE IF NOT EXISTS {SCHEMA}.state (
    resource VARCHAR, cursor VARCHAR, load_id BIGINT, updated TIMESTAMP)""",
    quarantine.CREATE,
    f"""CREATE TABLE IF NOT EXISTS {SCHEMA}.replays (
    replay VARCHAR, ordinal BIGINT, load_id BIGINT, record BIGINT)""",
    f"CREATE TABLE IF NOT EXISTS {SCHEMA}.summaries (key VARCHAR, value VARCHAR, created TIMESTAMP)",
)


@dataclass(frozen=True, slots=True)
class Counts:
    """The rows of one load's root table: `rows_in == loaded + quarantined + deduplicated`.

    Attributes:
        rows_in: Records read from the source.
        loaded: Rows put into the root table.
        quarantined: Records kept aside with their reason.
        deduplicated: Records that a later one with the same key replaced within the load.
    """

    rows_in: int
    loaded: int
    quarantined: int
    deduplicated: int

    @property
    def balanced(self) -> bool:
        return self.rows_in == self.loaded + self.quarantined + self.deduplicated


def exists(connection: duckdb.DuckDBPyConnection) -> bool:
    """Tell whether the warehouse has a catalogue: false before its first load."""
    found = number(
        connection,
        "SELECT count(*) FROM duckdb_schemas() "
        f"WHERE schema_name = '{SCHEMA}' AND database_name = current_database()",
    )
    return found > 0


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


def require(connection: duckdb.DuckDBPyConnection) -> None:
    """Refuse a warehouse without a catalogue.

    Raises:
        UsageError: It has none.
    """
    if not exists(connection):
        raise UsageError("Nothing was loaded into this warehouse yet: it has no catalogue (_headrace).")


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


def record_load(package: Package, plan: Plan, load_id: int, counts: Counts, discarded: int) -> list[str]:
    """Return the statements that write one load, its schema changes and its cursor into the catalogue."""
    target, now = package.target, datetime.now(timezone.utc)
    load: list[Value] = [
        load_id, package.id, target.schema, target.table, target.write_disposition, package.source,
        utc(package.started), utc(now), counts.rows_in, counts.loaded, counts.quarantined,
        counts.deduplicated, discarded, package.exact_records, package.bytes, _json(target.to_json()),
    ]  # fmt: skip
    statements = [insert_values(f"{SCHEMA}.loads", [load])]
    if package.source.startswith(REPLAY):
        statements += _settle(package.source.removeprefix(REPLAY), load_id)
    if plan.changes:
        statements += _record_changes(package, plan, load_id, now)
    if package.cursor is not None:
        resource, cursor = target.name, package.cursor
        statements.append(f"DELETE FROM {SCHEMA}.state WHERE resource = {literal(resource)}")
        statements.append(insert_values(f"{SCHEMA}.state", [[resource, cursor, load_id, utc(now)]]))
    return statements


def _settle(replay: str, load_id: int) -> list[str]:
    """Return the statements that mark what a replay landed; what failed again stays, with its new reason."""
    kept = f"SELECT record, path, rule, reason FROM {quarantine.TABLE} WHERE load_id = {load_id}"
    replayed = f"SELECT * FROM {SCHEMA}.replays WHERE replay = {literal(replay)}"
    same = "q.load_id = r.load_id AND q.record = r.record"
    return [
        f"SELECT error('these records were replayed already') FROM {quarantine.TABLE} q JOIN ({replayed}) r "
        f"ON {same} WHERE q.replayed_in IS NOT NULL LIMIT 1",
        f"UPDATE {quarantine.TABLE} q SET path = k.path, rule = k.rule, reason = k.reason "
        f"FROM ({replayed}) r JOIN ({kept}) k ON k.record = r.ordinal WHERE {same}",
        f"UPDATE {quarantine.TABLE} q SET replayed_in = {load_id} FROM ({replayed}) r "
        f"WHERE {same} AND r.ordinal NOT IN (SELECT record FROM ({kept}))",
        f"DELETE FROM {quarantine.TABLE} WHERE load_id = {load_id}",
    ]


def record_columns(schema: str, root: str, plan: Plan, before: RootSchema, load_id: int) -> list[str]:
    """Return the statements that bring `tables` and `columns` up to date for what this load touched."""
    tables: list[Sequence[Value]] = []
    columns: list[Sequence[Value]] = []
    updates: list[str] = []
    for planned in plan.tables:
        table = planned.table
        had = before.tables.get(table.path)
        if had is None:
            tables.append(
                [schema, table.name, root, table.parent, show(table.path), _json(table.path), load_id]
            )
        known = {column.name: column for column in had.columns} if had else {}
        for position, column in enumerate(table.columns):
            old = known.get(column.name)
            if old is None:
                columns.append([*_column(schema, table, column), position, load_id])
            elif old != column:
                updates.append(
                    f"UPDATE {SCHEMA}.columns SET data_type = {literal(column.type)}, "
                    f"kinds = {literal(_json(sorted(column.kinds)))} WHERE table_schema = {literal(schema)} "
                    f"AND table_name = {literal(table.name)} AND column_name = {literal(column.name)}"
                )
    inserts = [
        insert_values(f"{SCHEMA}.{name}", rows)
        for name, rows in (("tables", tables), ("columns", columns))
        if rows
    ]
    return [*inserts, *updates]


def _record_changes(package: Package, plan: Plan, load_id: int, now: datetime) -> list[str]:
    paths = {planned.table.name: planned.table.path for planned in plan.tables}
    rows = [
        [load_id, utc(now), *event[:1], package.target.schema, *event[1:], package.source]
        for change in plan.changes
        for event in _events(change, paths)
    ]
    return [insert_values(f"{SCHEMA}.schema_changes", rows)]


def _events(change: Change, paths: dict[str, Path]) -> Iterable[list[str | None]]:
    """Yield what, table, column, old, new and source path of everything that a change does."""
    if isinstance(change, CreateTable):
        table = change.table
        yield ["create table", table.name, None, None, None, show(table.path)]
        for column in table.columns:
            yield [
                "add column",
                table.name,
                column.name,
                None,
                column.type,
                show((*table.path, *column.path)),
            ]
        return
    what = "add column" if isinstance(change, AddColumn) else "widen column"
    old = None if isinstance(change, AddColumn) else change.old_type
    path = show((*paths[change.table], *change.column.path))
    yield [what, change.table, change.column.name, old, change.column.type, path]


def _column(schema: str, table: Table, column: Column) -> list[Value]:
    return [
        schema, table.name, column.name, column.type, show((*table.path, *column.path)), _json(column.path),
        _json(sorted(column.kinds)), column.declared, column.variant,
    ]  # fmt: skip


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _path(text: str) -> Path:
    return tuple(orjson.loads(text))


def utc(moment: datetime) -> str:
    """Return a time as SQL reads it into a TIMESTAMP, in UTC."""
    return moment.astimezone(timezone.utc).replace(tzinfo=None).isoformat()
