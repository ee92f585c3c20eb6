"""Open a warehouse, and load streams of records into it."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.errors import LoadError, UsageError, WarehouseUnreadable
from headrace.loaders import derived
from headrace.loaders.catalogue import lookup
from headrace.loaders.catalogue.cache import Cache
from headrace.loaders.catalogue.upgrades import check_version
from headrace.loaders.commit import LoadedTable
from headrace.loaders.contracts.target import Landing, Target, make_target
from headrace.loaders.database.instance import Database
from headrace.loaders.database.places import DuckDBFile, Memory, Place
from headrace.loaders.database.queries import readable
from headrace.loaders.database.shortage import as_shortage
from headrace.loaders.database.transaction import transaction
from headrace.loaders.extract import Extraction
from headrace.loaders.loading import (
    Report,
    RunSettings,
    load_stream,
    no_report,
    recover_again,
    refuse_waiting,
)
from headrace.loaders.reading.parts import Pace
from headrace.loaders.recovery import recover

if TYPE_CHECKING:
    import duckdb
    from typing_extensions import Unpack

_NO_WAREHOUSE = {".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".zip", ".gz", ".zst", ".xlsx"}
_SCHEME = re.compile(r"^(?P<scheme>[a-z][a-z0-9+]+)://(?P<rest>.*)$")


class Warehouse:
    """A DuckDB database and the packages on their way into it.

    The file is opened at the first use and stays open until `close`; one process at a time writes (`lock`).
    Threads may share a warehouse: each gets its own cursor, and commits take turns.

    Attributes:
        database: The database, its lock and the connection.
        settings: How the loads behave; see `RunSettings`.

    >>> with Warehouse() as warehouse:
    ...     loaded = warehouse.load([{"id": 1, "tags": ["a", "b"]}], Target("items"))
    ...     warehouse.query("SELECT value FROM items__tags ORDER BY _hr_index")
    [('a',), ('b',)]
    """

    def __init__(
        self, path: Path | None = None, *, report: Report | None = None, wait: float = 0,
        memory_limit: str | None = None,
    ) -> None:  # fmt: skip
        """Name a warehouse; `path=None` is a database in memory."""
        place = Memory() if path is None else DuckDBFile(path)
        self.database = Database(place, memory_limit, _on_open)
        self.settings = RunSettings(report or no_report, wait=wait)

    def __repr__(self) -> str:
        return f"Warehouse({str(self.database.place)!r})"

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> Path | None:
        """The file, absolute and no link; None for a database in memory."""
        return self.database.place.path

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The DuckDB connection, opened if need be.

        Raises:
            WarehouseLocked: Another process has the file open, and had for as long as `wait`.
        """
        return self.database.connection(self.settings.wait)

    def session(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A connection of one's own to the open database, for one thread and one transaction."""
        return self.database.session(self.settings.wait)

    def exclusive_session(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A session during which no load commits; see `Database.exclusive_session`."""
        return self.database.exclusive_session(self.settings.wait)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A session in one transaction, which takes turns with the commits of loads: all of it, or nothing.

        Raises:
            LoadError: DuckDB refused; nothing was written.
        """
        import duckdb

        with self.exclusive_session() as connection:
            try:
                with transaction(connection):
                    yield connection
            except duckdb.Error as error:
                refused = LoadError(f"DuckDB refused, and nothing was written: {error}")
                raise as_shortage("the warehouse", self.path, error) or refused from error

    def open_readonly(self) -> duckdb.DuckDBPyConnection:
        """Open the file on its own for reading: nothing can be changed through this connection.

        Raises:
            UsageError: There is no such file, or it is no DuckDB file.
            WarehouseUnreadable: A newer headrace wrote it.
            WarehouseLocked: Another process has the file open for writing.
        """
        place = self.database.place
        if not place.exists():
            raise UsageError(f"There is no warehouse {str(place)!r}; `headrace run` makes one.")
        connection = place.open_readonly(self.settings.wait)
        try:
            check_version(connection, str(place))
        except WarehouseUnreadable:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close the file, so that other processes can open it; the next use opens it anew."""
        self.database.close()

    def with_settings(self, settings: RunSettings) -> Warehouse:
        """Return a warehouse that shares the open database and has other settings, as each run does."""
        other = copy.copy(self)
        other.settings = settings
        return other

    def load(
        self,
        stream: Any,
        target: Target,
        *,
        source: str = "",
        cursor: str | None = None,
        since: Any = None,
        pace: Pace | None = None,
    ) -> LoadedTable:
        """Read `stream` to its end, seal it as a package and commit it; a long one part by part.

        Args:
            stream: Records in any container, with marks between them.
            target: Where they land, and how.
            source: What made them, for the catalogue.
            cursor: The key whose greatest value the next `cursor()` returns.
            since: The cursor that the stream was asked to go on from.
            pace: Where parts end, and how long the source may be silent.

        Returns:
            The load; of several parts, their sum under the number of the last.

        Raises:
            SourceError: The stream raised; of a load in parts, those before are written, else nothing.
            LoadError: The records cannot land as asked; likewise.
            LoadPending: They cannot land yet, and are kept until the warehouse is next used.
        """
        settings = self.settings
        if settings.contract is not None:
            target = replace(target, contract=settings.contract)
        extraction = Extraction(
            stream, target, pace or Pace(), cursor_column=cursor, since=since,
            on_rows=lambda records: settings.report(target.name, records, False),
        )  # fmt: skip
        return load_stream(self.database, settings, extraction, source)

    def cursor(self, resource: str) -> Any:
        """Return the committed cursor of a resource (`schema.table`), or None before its first.

        Raises:
            LoadPending: A package of the resource waits for its commit; what comes after it is not known.
        """
        with self.session() as connection:
            refuse_waiting(resource, recover_again(self.database, connection))
            return None if self.settings.full else lookup.read_cursor(connection, resource)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement; times with a zone come as text."""
        with self.session() as connection:
            return connection.execute(readable(connection, sql)).fetchall()

    def cache(self, name: str) -> Cache:
        """Return a cache that is kept in the catalogue: text by key."""
        return Cache(self.session, self.transaction, name)

    def write_table(self, schema: str, table: str, write: Callable[[str], None]) -> None:
        """Put a derived table in the place of the one with its name, in one step.

        Args:
            schema: The schema of the warehouse.
            table: The table's name; one that a resource loads is refused.
            write: Creates a table under the temporary name it is given, in the same schema. Loads may commit
                meanwhile; other derived tables take their turn.
        """
        derived.write_table(self.database.place, self.transaction, schema, table, write)


def connect(
    into: str | Path = ":memory:", *, report: Report | None = None, wait: float = 0,
    memory_limit: str | None = None,
) -> Warehouse:  # fmt: skip
    """Return the warehouse that a path or URL names; nothing is opened yet.

    `duckdb:///x.duckdb` is relative and `duckdb:////x.duckdb` absolute, as SQLAlchemy has it.

    Args:
        into: The path or URL.
        report: Is told of the progress of each load.
        wait: For how many seconds to wait, at the first use, while another process has the file.
        memory_limit: How much memory DuckDB may take, as `500MB`; four fifths of the machine's if None.
            The process takes some 500 MB besides, whatever the size of a load.

    Raises:
        UsageError: The URL is of a kind that headrace does not know, or its folder does not exist.

    >>> connect("shop.duckdb").path == connect("duckdb:///shop.duckdb").path == Path.cwd() / "shop.duckdb"
    True
    """
    text = str(into)
    if text in {":memory:", "duckdb://", "duckdb:///:memory:"}:
        return Warehouse(report=report, wait=wait, memory_limit=memory_limit)
    match = _SCHEME.match(text)
    if match is not None:
        if match["scheme"] != "duckdb" or not match["rest"].startswith("/"):
            raise UsageError(f"{text!r} names no warehouse; use a path or duckdb:///a/path.duckdb.")
        text = match["rest"][1:]
    if "?" in text:
        raise UsageError(f"{text!r}: DuckDB takes a question mark for the end of the path; use another name.")
    path = Path(text).expanduser()
    if path.suffix.lower() in _NO_WAREHOUSE:
        raise UsageError(f"{text!r} is a file of data; a warehouse is a DuckDB file, as in 'shop.duckdb'.")
    if not path.parent.is_dir():
        raise UsageError(
            f"The folder {str(path.parent)!r} for the warehouse {text!r} does not exist; make it first."
        )
    return Warehouse(path, report=report, wait=wait, memory_limit=memory_limit)


def load(
    records: Any, table: str, *, into: str | Path | Warehouse, wait: float = 0,
    timeout: float | None = None, **landing: Unpack[Landing],
) -> LoadedTable:  # fmt: skip
    """Load records into a table and its child tables, in one transaction; at `Checkpoint`s it may be cut.

    Args:
        records: Dicts of any nesting, or any container of records: pages, generators, JSON as bytes, a path
            or a glob of files, Arrow, pandas, polars, a DuckDB relation, an Ibis table.
        table: The root table, `name` or `schema.name`.
        into: A path, a URL or an open warehouse, which stays open.
        wait: For how many seconds to wait while another process has the file that `into` names.
        timeout: Seconds that `records` may take for one record; None waits for ever.
        **landing: How they land: `primary_key`, `write_disposition`, `columns`… See `Target`.

    Raises:
        UsageError: The call cannot work; nothing was read.
        SourceError: `records` raised; nothing was written since the last part.
        LoadError: The records cannot land as asked; nothing was written since the last part.
        WarehouseLocked: Another process has the warehouse open; nothing was read.

    >>> load([{"id": 1}, {"id": 2}], "items", into=":memory:").counts.loaded
    2
    """
    schema, _, name = table.rpartition(".")
    target = make_target(name, schema or "main", landing)
    pace = Pace(timeout=timeout)
    if isinstance(into, Warehouse):
        return into.load(records, target, source="headrace.load", pace=pace)
    with connect(into, wait=wait) as warehouse:
        return warehouse.load(records, target, source="headrace.load", pace=pace)


def _on_open(connection: duckdb.DuckDBPyConnection, place: Place) -> None:
    """Refuse what a newer headrace wrote, and commit what an earlier process had sealed.

    Raises:
        WarehouseUnreadable: A newer headrace wrote the warehouse.
    """
    if place.keeps_packages:
        check_version(connection, str(place))
        with place.store() as store:
            recover(connection, store)
