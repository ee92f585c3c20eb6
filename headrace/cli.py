"""The command line: the library's verbs, data on standard output, messages on standard error.

Exit codes: 0 done, 1 failed, 2 usage, 75 the warehouse is locked by another process.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors import HeadraceError, UsageError

if TYPE_CHECKING:
    import duckdb

_DESCRIBABLE = re.compile(r"\s*(?:--.*\n\s*)*\(*\s*(?:SELECT|WITH|FROM|VALUES|TABLE)\b", re.IGNORECASE)

WAREHOUSE_VARIABLE = "HEADRACE_WAREHOUSE"
DEFAULT_WAREHOUSE = "warehouse.duckdb"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    parser = build_parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.verb != "run":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.rest = rest
    try:
        options.call(options)
    except HeadraceError as error:
        print(f"headrace: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of every verb."""
    parser = argparse.ArgumentParser(
        prog="headrace", description="Extract, land in DuckDB and transform, as one DAG."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    run = verbs.add_parser("run", help="load every resource of a flow and write its transforms")
    run.add_argument("flow", help="a bundled flow (slack), a file (flow.py) or a module")
    run.add_argument("--into", metavar="WAREHOUSE", help="a path or URL (default: warehouse.duckdb)")
    run.add_argument("--outputs", metavar="NODE,…", help="only these nodes and what they need")
    run.epilog = "Every other option is an input of the flow: --export my-export.zip."
    run.set_defaults(call=_run)

    preview = verbs.add_parser("preview", help="show the first rows of a table")
    preview.add_argument("table", help="schema.table")
    preview.add_argument("-n", type=int, default=10, metavar="ROWS", help="how many (default: 10)")
    preview.set_defaults(call=_preview)

    query = verbs.add_parser("query", help="run a SELECT on the warehouse, read-only")
    query.add_argument("sql")
    query.set_defaults(call=_query)

    schema = verbs.add_parser("schema", help="show tables, columns and where each came from")
    what = schema.add_subparsers(dest="what", required=True, metavar="WHAT")
    show = what.add_parser("show", help="every column, with its type and its source path")
    show.add_argument("table", nargs="?", help="schema.table; default all")
    show.set_defaults(call=_schema_show)

    loads = verbs.add_parser("loads", help="list the loads, newest first")
    loads.add_argument("-n", type=int, default=20, metavar="LOADS", help="how many (default: 20)")
    loads.set_defaults(call=_loads)

    for reader in (preview, query, show, loads):
        where = f"a path or URL (default: ${WAREHOUSE_VARIABLE}, else the only .duckdb file here)"
        reader.add_argument("-w", "--warehouse", metavar="WAREHOUSE", help=where)
        form = reader.add_mutually_exclusive_group()
        form.add_argument("--csv", action="store_true", help="CSV with a header")
        form.add_argument("--json", action="store_true", help="JSON lines")
    return parser


def _run(options: argparse.Namespace) -> None:
    from headrace.dataflows.flows import find_flow
    from headrace.dataflows.run import parse_inputs, run
    from headrace.loaders.evolve import describe

    modules = find_flow(options.flow)
    inputs = parse_inputs(modules, _pairs(options.rest))
    into = options.into or DEFAULT_WAREHOUSE
    outputs = options.outputs.split(",") if options.outputs else None
    with run(modules, into=into, inputs=inputs, outputs=outputs) as result:
        for loaded in result.loads.values():
            for change in loaded.changes:
                print(f"  {describe(change)}", file=sys.stderr)
        written = sorted(set(result.tables) - set(result.loads))
        if written:
            print(f"written: {', '.join(written)}", file=sys.stderr)
    print(f"done: {into}", file=sys.stderr)


def _preview(options: argparse.Namespace) -> None:
    from headrace.loaders.sql import ident

    schema, _, table = options.table.rpartition(".")
    _show(options, f"SELECT * FROM {ident(schema or 'main', table)} LIMIT {max(0, options.n)}")


def _query(options: argparse.Namespace) -> None:
    _show(options, options.sql)


def _schema_show(options: argparse.Namespace) -> None:
    from headrace.loaders.sql import literal

    schema, _, table = (options.table or "").rpartition(".")
    only = (
        f"WHERE table_schema = {literal(schema or 'main')} AND table_name = {literal(table)}" if table else ""
    )
    _show(
        options,
        'SELECT table_schema || \'.\' || table_name AS "table", column_name AS "column", data_type AS type, '
        f"source_path, load_id AS since_load FROM _headrace.columns {only} "
        "ORDER BY table_schema, table_name, position",
    )


def _loads(options: argparse.Namespace) -> None:
    _show(
        options,
        "SELECT load_id, table_schema || '.' || table_name AS \"table\", write_disposition AS how, "
        "rows_in, rows_loaded AS loaded, rows_quarantined AS quarantined, rows_deduplicated AS deduplicated, "
        f"strftime(committed, '%Y-%m-%d %H:%M:%S') AS committed FROM _headrace.loads "
        f"ORDER BY load_id DESC LIMIT {max(0, options.n)}",
    )


def _show(options: argparse.Namespace, sql: str) -> None:
    """Run a query and write its rows in the form that was asked for."""
    import duckdb

    from headrace import display

    with _open_readonly(options.warehouse) as connection:
        if not sql.strip(" \n\t;"):
            raise UsageError("There is no query to run.")
        try:
            result = connection.execute(_readable(connection, sql))
        except duckdb.Error as error:
            raise UsageError(str(error)) from error
        columns = [column[0] for column in result.description or ()]
        write = (
            display.write_csv if options.csv else display.write_json if options.json else display.write_table
        )
        write(columns, display.in_batches(result.fetchmany), sys.stdout)


def _readable(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Return a query whose times with a zone come as text: DuckDB's client needs another library for them."""
    query = sql.strip().rstrip(";")
    if _DESCRIBABLE.match(query) is None:
        return query
    described = connection.execute(f"DESCRIBE {query}").fetchall()
    zoned = [name for name, type_, *_ in described if "WITH TIME ZONE" in type_]
    if not zoned:
        return query
    from headrace.loaders.sql import ident

    texts = ", ".join(f"CAST({ident(name)} AS VARCHAR) AS {ident(name)}" for name in zoned)
    return f"SELECT * REPLACE ({texts}) FROM ({query})"


def _open_readonly(where: str | None) -> duckdb.DuckDBPyConnection:
    from headrace.loaders.warehouse import connect

    return connect(where or _default_warehouse()).open_readonly()


def _default_warehouse() -> str:
    if os.environ.get(WAREHOUSE_VARIABLE):
        return os.environ[WAREHOUSE_VARIABLE]
    here = sorted(Path().glob("*.duckdb"))
    if len(here) == 1:
        return str(here[0])
    found = f"there are {len(here)} .duckdb files here" if here else "there is no .duckdb file here"
    raise UsageError(f"Which warehouse? Give --warehouse PATH or set {WAREHOUSE_VARIABLE}; {found}.")


def _pairs(rest: Sequence[str]) -> dict[str, str]:
    """Return `--name value` and `--name=value` as a dict; names get underscores for hyphens."""
    pairs: dict[str, str] = {}
    words = iter(rest)
    for word in words:
        if not word.startswith("--") or word == "--":
            raise UsageError(f"{word!r} stands alone; inputs of the flow are given as --name value.")
        name, equals, value = word[2:].partition("=")
        if not equals:
            try:
                value = next(words)
            except StopIteration:
                raise UsageError(f"--{name} needs a value: --{name} VALUE.") from None
        pairs[name.replace("-", "_")] = value
    return pairs


if __name__ == "__main__":
    sys.exit(main())
