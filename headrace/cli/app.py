"""Parse the command line and run a verb: data on standard output, messages on standard error.

Exit codes: 0 done, 1 failed, 2 usage, 3 contract broken, 75 a retry may help (another process has the
warehouse open, the disk is full, or the source was silent, broke off or is down), 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from headrace import __version__
from headrace.cli import catalogue, maintenance
from headrace.cli.display import forgiving
from headrace.cli.options import (
    TABLE,
    WAREHOUSE_VARIABLE,
    only_table,
    open_catalogue,
    open_readonly,
    reads,
    show_result,
    takes_wait,
)
from headrace.errors import FlowError, HeadraceError, SourceError, UsageError

DEFAULT_WAREHOUSE = "warehouse.duckdb"
TRACEBACK_VARIABLE = "HEADRACE_TRACEBACK"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    parser = build_parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.verb != "run":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.rest = rest
    try:
        with forgiving(), _plain_warnings():
            options.call(options)
    except HeadraceError as error:
        _tell(error)
        return error.exit_code
    except OSError as error:
        _tell(error)
        return 1
    except KeyboardInterrupt:
        undone = "; what was not committed is not in the warehouse" if options.verb == "run" else ""
        print(f"headrace: interrupted{undone}", file=sys.stderr)
        return 130
    return 0


def _tell(error: Exception) -> None:
    """Say what went wrong in a message, with the traceback where that was asked for."""
    if os.environ.get(TRACEBACK_VARIABLE):
        traceback.print_exception(type(error), error, error.__traceback__)
    print(f"headrace: {error}", file=sys.stderr)
    is_of_code = isinstance(error, (FlowError, SourceError)) and error.__cause__ and not error.retryable
    if is_of_code and not os.environ.get(TRACEBACK_VARIABLE):
        print(f"headrace: {TRACEBACK_VARIABLE}=1 shows where it was raised", file=sys.stderr)


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """Tell headrace's own warnings as its other messages, without the line of code that they came from."""
    usual = warnings.formatwarning

    def formatted(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        if category is UserWarning and Path(filename).is_relative_to(Path(__file__).parent):
            return f"headrace: {message}\n"
        return usual(message, category, filename, lineno, line)

    warnings.formatwarning = formatted
    try:
        yield
    finally:
        warnings.formatwarning = usual


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of every verb."""
    parser = argparse.ArgumentParser(
        prog="headrace",
        description="Extract, land in DuckDB and transform, as one DAG.",
        epilog=f"With {TRACEBACK_VARIABLE}=1 an error comes with its traceback.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"headrace {__version__}")
    every = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    run = every.add_parser(
        "run", help="load every resource of a flow and write its transforms", allow_abbrev=False
    )
    run.add_argument("flow", help="a bundled flow (slack), a file (flow.py) or a module")
    run.add_argument(
        "--into",
        metavar="WAREHOUSE",
        help="a path or URL (default: $HEADRACE_WAREHOUSE, else warehouse.duckdb)",
    )
    run.add_argument("--outputs", metavar="NODE,…", help="only these nodes and what they need")
    run.add_argument(
        "--full",
        action="store_true",
        help="read every source from its beginning; an append lands its records again",
    )
    run.add_argument(
        "--workers", type=int, default=8, metavar="N", help="resources to read at a time (default: 8)"
    )
    takes_wait(run)
    run.epilog = "Every other option is an input of the flow: --export my-export.zip; a list is --names a,b."
    run.set_defaults(call=_run)

    preview = every.add_parser("preview", help="show the first rows of a table")
    preview.add_argument("table", help=TABLE)
    preview.add_argument("-n", type=int, default=10, metavar="ROWS", help="how many (default: 10)")
    preview.set_defaults(call=_preview)

    query = every.add_parser("query", help="run a SELECT; it reads the warehouse alone and changes nothing")
    query.add_argument("sql")
    query.set_defaults(call=_query)

    schema = every.add_parser("schema", help="show tables and columns, what became of them, and change them")
    what = schema.add_subparsers(dest="what", required=True, metavar="WHAT")
    show = what.add_parser("show", help="every column, with its type and its source path")
    show.add_argument("table", nargs="?", help=f"{TABLE}; default all")
    show.set_defaults(call=_schema_show)

    loads = every.add_parser("loads", help="list the loads, newest first")
    loads.add_argument("-n", type=int, default=20, metavar="LOADS", help="how many (default: 20)")
    loads.set_defaults(call=_loads)

    for reader in (preview, query, show, loads):
        reads(reader)
    catalogue.add_schema_verbs(what)
    catalogue.add_lineage(every)
    catalogue.add_quarantine(every)
    maintenance.add_packages(every)
    maintenance.add_state(every)
    return parser


def _run(options: argparse.Namespace) -> None:
    from headrace.loaders.database import lock
    from headrace.loaders.warehouse import connect

    into = options.into or os.environ.get(WAREHOUSE_VARIABLE) or DEFAULT_WAREHOUSE
    # before the libraries that a flow needs, so that who finds it locked leaves at once
    with lock.holding(connect(into).path, options.wait):
        _run_flow(options, into)
    print(f"done: {into}", file=sys.stderr)


def _run_flow(options: argparse.Namespace, into: str) -> None:
    from headrace.dataflows.flows import find_flow
    from headrace.dataflows.run import parse_inputs, run
    from headrace.loaders.schema.evolve import describe

    modules = find_flow(options.flow)
    inputs = parse_inputs(modules, _pairs(options.rest))
    outputs = options.outputs.split(",") if options.outputs else None
    with run(
        modules,
        into=into,
        inputs=inputs,
        outputs=outputs,
        wait=options.wait,
        full=options.full,
        workers=options.workers,
    ) as result:
        for loaded in result.loads.values():
            for change in loaded.changes:
                print(f"  {describe(change)}", file=sys.stderr)
            if loaded.counts.quarantined:
                aside = f"{loaded.counts.quarantined:,} records of {loaded.schema}.{loaded.table}"
                print(f"  {aside} are in quarantine: headrace quarantine list", file=sys.stderr)
        written = sorted(set(result.tables) - set(result.loads))
        if written:
            print(f"written: {', '.join(written)}", file=sys.stderr)


def _preview(options: argparse.Namespace) -> None:
    from headrace.loaders.database.quoting import ident

    schema, _, table = options.table.rpartition(".")
    with open_readonly(options) as connection:
        name = ident(schema or "main", table)
        show_result(options, connection, f"SELECT * FROM {name} LIMIT {max(0, options.n)}")


def _query(options: argparse.Namespace) -> None:
    with open_readonly(options) as connection:
        # read-only as the file is, a query could still write another one
        connection.execute("SET enable_external_access = false; SET lock_configuration = true")
        show_result(options, connection, options.sql)


def _schema_show(options: argparse.Namespace) -> None:
    with open_catalogue(options) as connection:
        show_result(
            options,
            connection,
            'SELECT table_schema || \'.\' || table_name AS "table", column_name AS "column", '
            "data_type AS type, source_path, load_id AS since_load FROM _headrace.columns "
            f"WHERE {only_table(connection, options.table)} ORDER BY table_schema, table_name, position",
        )


def _loads(options: argparse.Namespace) -> None:
    with open_catalogue(options) as connection:
        show_result(
            options,
            connection,
            "SELECT load_id, table_schema || '.' || table_name AS \"table\", write_disposition AS how, "
            "rows_in, rows_loaded AS loaded, rows_quarantined AS quarantined, rows_deduplicated AS "
            "deduplicated, strftime(committed, '%Y-%m-%d %H:%M:%S') AS committed FROM _headrace.loads "
            f"ORDER BY load_id DESC LIMIT {max(0, options.n)}",
        )


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
