"""Write a load into the catalogue, as statements of its own transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import Any

import orjson

from headrace.loaders.catalogue.tables import QUARANTINE, REPLAY, SCHEMA, Counts, insert, utc
from headrace.loaders.database.quoting import Value, literal
from headrace.loaders.packages.package import Package
from headrace.loaders.schema.evolve import AddColumn, Change, CreateTable, Plan
from headrace.loaders.schema.known import Column, RootSchema, Table
from headrace.loaders.values.paths import RecordPath, show


def record_load(package: Package, plan: Plan, load_id: int, counts: Counts, discarded: int) -> list[str]:
    """Return the statements that write one load, its schema changes and its cursor into the catalogue."""
    target, now = package.target, datetime.now(timezone.utc)
    load: list[Value] = [
        load_id, package.id, target.schema, target.table, target.write_disposition, package.source,
        utc(package.started), utc(now), counts.rows_in, counts.loaded, counts.quarantined,
        counts.deduplicated, discarded, package.exact_records, package.bytes, _json(target.to_json()),
    ]  # fmt: skip
    statements = [insert("loads", [load])]
    if package.source.startswith(REPLAY):
        statements += _settle(package.source.removeprefix(REPLAY), load_id)
    if plan.changes:
        statements += _record_changes(package, plan, load_id, now)
    if package.cursor is not None:
        resource, cursor = target.name, package.cursor
        statements.append(f"DELETE FROM {SCHEMA}.state WHERE resource = {literal(resource)}")
        statements.append(insert("state", [[resource, cursor, load_id, utc(now)]]))
    return statements


def _settle(replay: str, load_id: int) -> list[str]:
    """Return the statements that mark what a replay landed; what failed again stays, with its new reason."""
    kept = f"SELECT record, path, rule, reason FROM {QUARANTINE} WHERE load_id = {load_id}"
    replayed = f"SELECT * FROM {SCHEMA}.replays WHERE replay = {literal(replay)}"
    same = "q.load_id = r.load_id AND q.record = r.record"
    return [
        f"SELECT error('these records were replayed already') FROM {QUARANTINE} q JOIN ({replayed}) r "
        f"ON {same} WHERE q.replayed_in IS NOT NULL LIMIT 1",
        f"UPDATE {QUARANTINE} q SET path = k.path, rule = k.rule, reason = k.reason "
        f"FROM ({replayed}) r JOIN ({kept}) k ON k.record = r.ordinal WHERE {same}",
        f"UPDATE {QUARANTINE} q SET replayed_in = {load_id} FROM ({replayed}) r "
        f"WHERE {same} AND r.ordinal NOT IN (SELECT record FROM ({kept}))",
        f"DELETE FROM {QUARANTINE} WHERE load_id = {load_id}",
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
    inserts = [insert(name, rows) for name, rows in (("tables", tables), ("columns", columns)) if rows]
    return [*inserts, *updates]


def _record_changes(package: Package, plan: Plan, load_id: int, now: datetime) -> list[str]:
    paths = {planned.table.name: planned.table.path for planned in plan.tables}
    rows = [
        [load_id, utc(now), *event[:1], package.target.schema, *event[1:], package.source]
        for change in plan.changes
        for event in _events(change, paths)
    ]
    return [insert("schema_changes", rows)]


def _events(change: Change, paths: dict[str, RecordPath]) -> Iterable[list[str | None]]:
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
