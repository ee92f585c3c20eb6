"""Share options between verbs: which warehouse, how it is opened, how rows are written."""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.errors import UsageError

if TYPE_CHECKING:
    import duckdb

    from headrace.loaders.warehouse import Warehouse

WAREHOUSE_VARIABLE = "HEADRACE_WAREHOUSE"
TABLE = "schema.table, or table in the schema main"
"""How a table is named, for the help of every verb."""
_UNITS = {"s": 1, "m": 60, "h": 3600}


def takes_warehouse(parser: argparse.ArgumentParser) -> None:
    """Give a verb the option that names the warehouse."""
    where = f"a path or URL (default: ${WAREHOUSE_VARIABLE}, else the only .duckdb file here)"
    parser.add_argument("-w", "--warehouse", metavar="WAREHOUSE", help=where)
    takes_wait(parser)


def takes_wait(parser: argparse.ArgumentParser) -> None:
    """Give a verb the option that says how long to wait for other processes."""
    parser.add_argument(
        "--wait", type=seconds, default=0, metavar="TIME",
        help="wait up to 60s, 5m or 1h while another process has the warehouse open (default: do not)",
    )  # fmt: skip


def seconds(text: str) -> float:
    """Return a time as people write it, in seconds.

    >>> seconds("90"), seconds("1.5m"), seconds("1h")
    (90.0, 90.0, 3600.0)
    """
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    found = float(number) * _UNITS[unit]
    if not 0 <= found < float("inf"):
        raise ValueError(text)
    return found


def reads(parser: argparse.ArgumentParser) -> None:
    """Give a verb the options of all that show rows of a warehouse."""
    takes_warehouse(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="CSV with a header")
    form.add_argument("--json", action="store_true", help="JSON lines")


def open_readonly(options: argparse.Namespace) -> duckdb.DuckDBPyConnection:
    """Open the warehouse that a call means, for reading, and tell of the records on their way into it."""
    from headrace.loaders.packages.folders import pending
    from headrace.loaders.warehouse import connect

    warehouse = connect(options.warehouse or default_warehouse(), wait=options.wait)
    connection = warehouse.open_readonly()
    with warehouse.database.place.store() as store:
        waiting = pending(store)
    if waiting:
        some = f"{len(waiting)} package is" if len(waiting) == 1 else f"{len(waiting)} packages are"
        sys.stderr.write(f"{some} not committed yet; the next run commits them (headrace packages list)\n")
    return connection


def open_catalogue(options: argparse.Namespace) -> duckdb.DuckDBPyConnection:
    """Open the warehouse that a call means, for reading; something must have been loaded into it.

    Raises:
        UsageError: It has no catalogue.
    """
    from headrace.loaders.catalogue import tables

    connection = open_readonly(options)
    tables.require(connection)
    return connection


def only_table(connection: duckdb.DuckDBPyConnection, name: str | None) -> str:
    """Return the condition that picks the rows of one table in the catalogue; true if none is named.

    Raises:
        UsageError: No load made such a table.
    """
    from headrace.loaders.catalogue import lookup
    from headrace.loaders.database.quoting import literal

    if name is None:
        return "true"
    schema, table = lookup.find_table(connection, name)
    return f"table_schema = {literal(schema)} AND table_name = {literal(table)}"


def open_writable(options: argparse.Namespace) -> Warehouse:
    """Return the warehouse that a call means, for writing; it must be there already."""
    from headrace.loaders.warehouse import connect

    warehouse = connect(options.warehouse or default_warehouse(), wait=options.wait)
    place = warehouse.database.place
    if not place.exists():
        raise UsageError(f"There is no warehouse {str(place)!r}; `headrace run` makes one.")
    return warehouse


def default_warehouse() -> str:
    """Return the warehouse that is meant when none is named."""
    if os.environ.get(WAREHOUSE_VARIABLE):
        return os.environ[WAREHOUSE_VARIABLE]
    here = sorted(Path().glob("*.duckdb"))
    if len(here) == 1:
        return str(here[0])
    found = f"there are {len(here)} .duckdb files here" if here else "there is no .duckdb file here"
    raise UsageError(f"Which warehouse? Give --warehouse PATH or set {WAREHOUSE_VARIABLE}; {found}.")


def show_result(options: argparse.Namespace, connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Write the rows of a query on an open warehouse in the form that was asked for."""
    import duckdb

    from headrace.cli import display
    from headrace.loaders.database.queries import ZONED, readable

    try:
        statements = len(connection.extract_statements(sql))
        if statements != 1:
            raise UsageError(
                f"These are {statements} statements; give one." if statements else "There is no query to run."
            )
        with _interruptible(connection) as beside:
            result = beside(connection.execute, readable(connection, sql, (*ZONED, "INTERVAL", "BLOB")))
            columns = [column[0] for column in result.description or ()]
            show_rows(options, columns, display.in_batches(functools.partial(beside, result.fetchmany)))
    except duckdb.Error as error:
        raise UsageError(str(error)) from error


@contextlib.contextmanager
def _interruptible(connection: duckdb.DuckDBPyConnection) -> Iterator[Callable[..., Any]]:
    """Give a way to call DuckDB beside the main thread, which so sees Ctrl-C at once."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as beside:
        try:
            yield lambda call, *given: beside.submit(call, *given).result()
        except KeyboardInterrupt:
            connection.interrupt()
            raise


def show_rows(options: argparse.Namespace, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """Write rows in the form that was asked for."""
    from headrace.cli import display

    write = display.write_csv if options.csv else display.write_json if options.json else display.write_table
    write(columns, rows, sys.stdout)
