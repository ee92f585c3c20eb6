"""Serve the verbs of the catalogue: schema history and changes, lineage, quarantine.

Those that read take the options of all readers; those that write say what they did on standard error, or
what they would do on standard output, and leave with 75 while another process has the warehouse open.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import astuple
from typing import TYPE_CHECKING, Any

from headrace.cli.options import (
    TABLE,
    only_table,
    open_catalogue,
    open_readonly,
    open_writable,
    reads,
    show_result,
    show_rows,
    takes_warehouse,
)
from headrace.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import duckdb

    from headrace.loaders.maintenance.migrations import Migration

Subparsers = Any
"""What `add_subparsers` returns; argparse keeps the type to itself."""

FORMS = ("json", "odcs", "ddl", "mermaid")
_COLUMN = "schema.table.column, or table.column in the schema main"
_MODES = ("evolve", "freeze", "quarantine", "discard_value")


def add_schema_verbs(what: Subparsers) -> None:
    """Add what `headrace schema` can do beyond `show`."""
    history = what.add_parser("history", help="every change of the schema, newest first")
    history.add_argument("table", nargs="?", help=f"{TABLE}; default all")
    history.set_defaults(call=_history)

    diff = what.add_parser("diff", help="what became of the schema from one load to another")
    diff.add_argument("load_a", type=int, metavar="LOAD_A", help="the load to begin with; 0 for nothing")
    diff.add_argument(
        "load_b", type=int, metavar="LOAD_B", nargs="?", help="the one to end with; default now"
    )
    diff.set_defaults(call=_diff)
    for reader in (history, diff):
        reads(reader)

    export = what.add_parser("export", help="the schema as JSON, a data contract, DDL or a diagram")
    export.add_argument("table", nargs="?", help=f"{TABLE}, or a schema; default the only schema")
    export.add_argument("--form", choices=FORMS, default="json", help="default: json")
    export.set_defaults(call=_export)
    takes_warehouse(export)

    rename = what.add_parser("rename", help="give a column or a child table another name")
    rename.add_argument("name", metavar="TABLE[.COLUMN]", help=_COLUMN)
    rename.add_argument("new", metavar="NEW", help="the new name, alone")
    rename.add_argument("--below", action="store_true", help="the tables below it too, where it names them")
    rename.set_defaults(call=_rename)
    drop = what.add_parser("drop", help="drop a column, or a child table with all below it")
    drop.add_argument("name", metavar="TABLE[.COLUMN]", help=_COLUMN)
    drop.set_defaults(call=_drop)
    retype = what.add_parser("retype", help="give a column another type, if no stored value changes")
    retype.add_argument("name", metavar="TABLE.COLUMN", help=_COLUMN)
    retype.add_argument("type", metavar="TYPE", help="BIGINT, DECIMAL(18,2), TIMESTAMPTZ…")
    retype.set_defaults(call=_retype)
    for writer in (rename, drop, retype):
        writer.add_argument("--dry-run", action="store_true", help="only say what would be done")
        takes_warehouse(writer)


def add_lineage(verbs: Subparsers) -> None:
    """Add `headrace lineage`."""
    lineage = verbs.add_parser("lineage", help="where a column or a row came from")
    lineage.add_argument("name", metavar="TABLE[.COLUMN]", help=f"{_COLUMN}; a table with --row")
    lineage.add_argument("--row", type=int, metavar="HR_ID", help="the row with this _hr_id")
    lineage.set_defaults(call=_lineage)
    reads(lineage)


def add_quarantine(verbs: Subparsers) -> None:
    """Add `headrace quarantine`."""
    quarantine = verbs.add_parser("quarantine", help="list, show and replay the records that did not land")
    what = quarantine.add_subparsers(dest="what", required=True, metavar="WHAT")
    listed = what.add_parser("list", help="every record, with its rule, its reason and its replay")
    listed.add_argument("table", nargs="?", help=f"{TABLE}; default all")
    listed.add_argument("--pending", action="store_true", help="only those that were not replayed yet")
    listed.set_defaults(call=_quarantine_list)
    reads(listed)
    show = what.add_parser("show", help="a record as it came, as JSON")
    show.add_argument("load", type=int, metavar="LOAD")
    show.add_argument("record", type=int, metavar="RECORD", help="its number in that load, from 0")
    show.add_argument("--json", action="store_true", help="in one line")
    show.set_defaults(call=_quarantine_show)
    takes_warehouse(show)
    replay = what.add_parser("replay", help="load the records again, under the contract that holds now")
    replay.add_argument("table", nargs="?", help=f"{TABLE}; default all")
    replay.add_argument("--load", type=int, metavar="N", help="only those that this load kept aside")
    replay.add_argument("--contract", choices=_MODES, help="in the place of the one of the last load")
    replay.set_defaults(call=_quarantine_replay)
    takes_warehouse(replay)


def _history(options: argparse.Namespace) -> None:
    from headrace.loaders.catalogue.history import history

    with open_readonly(options) as connection:
        changes = history(connection, options.table)
    columns = ("load_id", "changed", "change", "table", "column", "old", "new", "source_path", "source")
    _show_values(options, columns, changes)


def _diff(options: argparse.Namespace) -> None:
    from headrace.loaders.catalogue.history import diff

    with open_readonly(options) as connection:
        differences = diff(connection, options.load_a, options.load_b)
    _show_values(options, ("change", "table", "column", "old", "new"), differences)


def _export(options: argparse.Namespace) -> None:
    from headrace.loaders.catalogue import lookup
    from headrace.loaders.catalogue.exports import export
    from headrace.loaders.contracts.odcs_writing import as_contract

    with open_catalogue(options) as connection:
        schema, roots = _roots(connection, options.table)
        schemas = {root: lookup.read_schema(connection, schema, root) for root in roots}
        targets = {root: lookup.read_target(connection, schema, root) for root in roots}
    contracts = {root: as_contract(target) for root, target in targets.items() if target is not None}
    sys.stdout.write(export(options.form, schemas, schema, contracts))


def _roots(connection: duckdb.DuckDBPyConnection, name: str | None) -> tuple[str, list[str]]:
    """Return the schema and the root tables that a name means: a schema, a table, or all there is."""
    from headrace.loaders.catalogue import lookup, tables

    schemas: dict[str, dict[str, str]] = {}
    for schema, table, root in connection.execute(
        f"SELECT table_schema, table_name, root FROM {tables.SCHEMA}.tables ORDER BY ALL"
    ).fetchall():
        schemas.setdefault(schema, {})[table] = root
    if name is None and len(schemas) == 1:
        (name,) = schemas
    if name is None:
        raise UsageError(f"Which schema? Name one, or a table of it. Schemas {did_you_mean('', schemas)}")
    if name in schemas:
        return name, sorted(set(schemas[name].values()))
    schema, table = lookup.find_table(connection, name)
    return schema, [schemas[schema][table]]


def _rename(options: argparse.Namespace) -> None:
    from headrace.loaders.maintenance.migrations import RenameColumn, RenameTable

    def migration(table: str, column: str | None) -> Migration:
        if column is None:
            return RenameTable(table, options.new, below=options.below)
        return RenameColumn(table, column, options.new)

    _migrate(options, migration)


def _drop(options: argparse.Namespace) -> None:
    from headrace.loaders.maintenance.migrations import DropColumn, DropTable

    _migrate(options, lambda table, column: DropTable(table) if column is None else DropColumn(table, column))


def _retype(options: argparse.Namespace) -> None:
    from headrace.loaders.maintenance.migrations import RetypeColumn

    def migration(table: str, column: str | None) -> Migration:
        if column is None:
            raise UsageError(f"{options.name!r} is a table; write TABLE.COLUMN.")
        return RetypeColumn(table, column, options.type)

    _migrate(options, migration)


def _migrate(options: argparse.Namespace, migration: Any) -> None:
    """Find what the name means, and migrate it, or only say how."""
    from headrace.loaders.maintenance.migrate import find_migration, migrate, plan

    if options.dry_run:
        with open_readonly(options) as connection:
            steps = plan(connection, [migration(*find_migration(connection, options.name))])
        sys.stdout.writelines(f"{step.line}\n" for step in steps)
        return
    with open_writable(options) as warehouse:
        with warehouse.session() as connection:
            change = migration(*find_migration(connection, options.name))
        sys.stderr.writelines(f"  {line}\n" for line in migrate(warehouse, change))


def _lineage(options: argparse.Namespace) -> None:
    from headrace.loaders.catalogue.lineage import lineage, row_lineage

    with open_readonly(options) as connection:
        if options.row is not None:
            rows = row_lineage(connection, options.name, options.row)
            columns = ("table", "hr_id", "load_id", "source", "package", "committed", "born", "record",
                       "replayed_from")  # fmt: skip
            _show_values(options, columns, rows)
            return
        found = lineage(connection, options.name)
    born = found.load_id
    show_rows(
        options,
        ("table", "column", "load_id", "changed", "change", "old", "new", "source_path", "source", "package"),
        [
            (found.table, found.column, change.load_id, str(change.changed), change.change, change.old,
             change.new, found.source_path, change.source, found.package if change.load_id == born else None)
            for change in found.changes
        ],
    )  # fmt: skip


def _quarantine_list(options: argparse.Namespace) -> None:
    with open_catalogue(options) as connection:
        only = only_table(connection, options.table)
        pending = "replayed_in IS NULL" if options.pending else "true"
        show_result(
            options,
            connection,
            "SELECT load_id, table_schema || '.' || table_name AS \"table\", record, path, rule, reason, "
            f"replayed_in AS replayed FROM _headrace.quarantine WHERE {only} AND {pending} "
            "ORDER BY load_id, record",
        )


def _quarantine_show(options: argparse.Namespace) -> None:
    import json

    from headrace.loaders.catalogue import tables
    from headrace.loaders.values.marks import exact_json, json_text

    with open_catalogue(options) as connection:
        row = connection.execute(
            f"SELECT raw FROM {tables.SCHEMA}.quarantine "
            f"WHERE load_id = {options.load} AND record = {options.record}"
        ).fetchone()
    if row is None:
        raise UsageError(
            f"There is no record {options.record} of load {options.load} in quarantine; "
            "`headrace quarantine list` tells which there are."
        )
    text = json_text(exact_json(row[0].encode()), marked=True)
    if not options.json:
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    sys.stdout.write(f"{text}\n")


def _quarantine_replay(options: argparse.Namespace) -> None:
    from headrace.loaders.catalogue import lookup, tables
    from headrace.loaders.contracts.contract import Contract
    from headrace.loaders.maintenance.replay import quarantined, replay

    mode = options.contract
    contract = Contract.of(mode) if mode else None
    with open_writable(options) as warehouse:
        with warehouse.session() as connection:
            tables.require(connection)
            if options.load is not None:
                lookup.check_load(connection, options.load)
            chosen = [options.table] if options.table else quarantined(connection)
        if not chosen:
            sys.stderr.write("There is nothing in quarantine to replay.\n")
        for table in chosen:
            done = replay(warehouse, table, contract=contract, load=options.load)
            landed = f"{done.landed} replayed" + (f" in load {done.load.load_id}" if done.load else "")
            later = f", {done.overtaken} overtaken by a later load" if done.overtaken else ""
            sys.stderr.write(f"{done.table}: {landed}, {done.failed} still in quarantine{later}\n")


def _show_values(options: argparse.Namespace, columns: tuple[str, ...], values: Iterable[Any]) -> None:
    """Write small values, a row each; times as people write them."""
    rows = ([str(cell) if hasattr(cell, "isoformat") else cell for cell in astuple(one)] for one in values)
    show_rows(options, columns, [tuple(row) for row in rows])
