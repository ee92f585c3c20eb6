"""The warehouse: a DuckDB file (or memory) into which streams of records are loaded."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.errors import LoadError, LoadPending, UsageError, WarehouseUnreadable
from headrace.loaders.catalogue import lookup
from headrace.loaders.catalogue.cache import Cache
from headrace.loaders.catalogue.upgrades import check_version
from headrace.loaders.commit import LoadedTable, commit
from headrace.loaders.contracts.contract import Contract
from headrace.loaders.contracts.target import Landing, Target, make_target
from headrace.loaders.database import lock, opening
from headrace.loaders.database.crash_points import crash_point
from headrace.loaders.database.instance import Database
from headrace.loaders.database.queries import readable
from headrace.loaders.database.quoting import ident
from headrace.loaders.database.shortage import as_shortage, check_room, translating_errors
from headrace.loaders.database.transaction import transaction
from headrace.loaders.extract import Extraction
from headrace.loaders.packages.folders import store_of, using
from headrace.loaders.packages.package import Package
from headrace.loaders.packages.writer import PackageWriter
from headrace.loaders.reading.parts import Pace
from headrace.loaders.recovery import Waiting, commit_pending, recover, settle
from headrace.loaders.schema.known import RootSchema

if TYPE_CHECKING:
    import duckdb
    from typing_extensions import Unpack

Report = Callable[[str, int, bool], None]
"""Is told of a table's progress: its name, the records read so far, and whether it is committed."""

Subscriber = Callable[[LoadedTable], None]
"""Is told of a load that changed a schema; the changes are `loaded.changes`, `evolve.describe` tells each."""

_NO_WAREHOUSE = {".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".zip", ".gz", ".zst", ".xlsx"}
_SCHEME = re.compile(r"^(?P<scheme>[a-z][a-z0-9+]+)://(?P<rest>.*)$")


class Warehouse:
    """A DuckDB database and the packages on their way into it.

    The file is opened at the first use and stays open until `close`; one process at a time writes (`lock`).
    Threads may share a warehouse: each gets its own cursor, and commits take turns.

    Attributes:
        database: The file, its lock and the connection.
        report: Is told of the progress of each load.
        subscribers: Are told of each load that changed a schema, after its commit.
        contract: Holds for every load in the place of its own, if it is set.
        wait: For how many seconds to wait while another process has the file.
        full: Whether to read every source from its beginning, whatever its cursor.

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
        self.database = Database(path, memory_limit, _commit_sealed)
        self.report: Report = report or (lambda table, records, committed: None)
        self.subscribers: tuple[Subscriber, ...] = ()
        self.contract: Contract | None = None
        self.wait = wait
        self.full = False

    def __repr__(self) -> str:
        return f"Warehouse({str(self.path) if self.path else ':memory:'!r})"

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> Path | None:
        """The file, absolute and no link; None for a database in memory."""
        return self.database.path

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The DuckDB connection, opened if need be.

        Raises:
            WarehouseLocked: Another process has the file open, and had for as long as `wait`.
        """
        return self.database.connection(self.wait)

    def session(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A connection of one's own to the open database, for one thread and one transaction."""
        return self.database.session(self.wait)

    def exclusive_session(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A session during which no load commits; see `Database.exclusive_session`."""
        return self.database.exclusive_session(self.wait)

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
        if self.path is None or not self.path.exists():
            raise UsageError(
                f"There is no warehouse {str(self.path or ':memory:')!r}; `headrace run` makes one."
            )
        path = self.path
        connection = lock.retrying(lambda: opening.open_database(path, read_only=True), self.wait)
        try:
            check_version(connection, str(path))
        except WarehouseUnreadable:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close the file, so that other processes can open it; the next use opens it anew."""
        self.database.close()

    def with_settings(
        self, *, report: Report, subscribers: Sequence[Subscriber] = (), contract: Contract | None = None,
        wait: float = 0, full: bool = False,
    ) -> Warehouse:  # fmt: skip
        """Return this warehouse as one run uses it: the same open database, and settings of the run's own.

        Args:
            report: Is told of the progress of each load.
            subscribers: Are told of schema changes, beside those that are told already.
            contract: Holds in the place of this warehouse's, if it is given.
            wait: Likewise.
            full: Whether every source is read from its beginning, in any case or by this warehouse's setting.
        """
        other = copy.copy(self)
        other.report = report
        other.subscribers = (*self.subscribers, *subscribers)
        other.contract, other.wait = contract or self.contract, wait or self.wait
        other.full = full or self.full
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
        if self.contract is not None:
            target = replace(target, contract=self.contract)
        self.report(target.name, 0, False)
        extraction = Extraction(
            stream, target, pace or Pace(), cursor_column=cursor, since=since,
            on_rows=lambda records: self.report(target.name, records, False),
        )  # fmt: skip
        loaded: LoadedTable | None = None
        with self.session() as connection, self._store() as store, contextlib.closing(extraction):
            self._recover(connection)
            while not extraction.ended:
                before = lookup.read_schema(connection, target.schema, target.table)
                part = self._load_part(extraction, PackageWriter(store, target, source), before)
                if part is None:
                    break
                for subscriber in self.subscribers if part.changes else ():
                    subscriber(part)
                loaded = part.after(loaded)
                crash_point("load.part")
        assert loaded is not None, "the first part is committed, also where it is empty"
        self.report(target.name, loaded.counts.rows_in, True)
        crash_point("load.finished")
        return loaded

    def _load_part(
        self, extraction: Extraction, writer: PackageWriter, before: RootSchema
    ) -> LoadedTable | None:
        """Seal the next part and commit it; None where the stream ended and there was no more."""
        package: Package | None = None
        try:
            with writer:
                package = extraction.read_part(writer, before=before)
            return None if package is None else self._committed(package, writer.store)
        finally:
            if package is not None:
                package.release()  # committed or not, it is nobody's or recovery's from here on

    def _committed(self, package: Package, store: Path) -> LoadedTable:
        """Commit a sealed package; where that cannot be now, see to what becomes of it."""
        name = package.target.name
        try:
            with self.exclusive_session() as turn:
                if self.path is not None:
                    waiting = commit_pending(turn, store, before=package.id)
                    if name in waiting:
                        raise _behind(name, waiting[name])
                    check_room(name, package.bytes, self.path.parent)
                loaded = commit(turn, package)
        except BaseException as error:
            if self.path is None:
                package.drop()
            else:
                settle(package, store, error)
            raise
        package.drop()
        return loaded

    def cursor(self, resource: str) -> Any:
        """Return the committed cursor of a resource (`schema.table`), or None before its first.

        Raises:
            LoadPending: A package of the resource waits for its commit; what comes after it is not known.
        """
        with self.session() as connection:
            waiting = self._recover(connection)
            if resource in waiting:
                raise _behind(resource, waiting[resource])
            return None if self.full else lookup.read_cursor(connection, resource)

    def _recover(self, connection: duckdb.DuckDBPyConnection) -> Waiting:
        """Try what could not be committed before once more; return what still cannot.

        Raises:
            WarehouseLocked: Another machine took the file over.
        """
        if self.path is None or not store_of(self.path).is_dir():
            return {}
        with self.database.locks.committing:
            self.database.check()
            return recover(connection, store_of(self.path))

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
        fresh = f"{table}__new"
        with translating_errors(f"{schema}.{table}", self.path), self.database.locks.deriving:
            with self.transaction() as connection:
                if lookup.is_landed(connection, schema, table):
                    raise UsageError(
                        f"{schema}.{table} is a resource's table; give the transform another name."
                    )
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {ident(schema)}")
                connection.execute(f"DROP TABLE IF EXISTS {ident(schema, fresh)}")
            write(fresh)
            crash_point("transform.written")
            with self.transaction() as connection:
                connection.execute(f"DROP TABLE IF EXISTS {ident(schema, table)}")
                connection.execute(f"ALTER TABLE {ident(schema, fresh)} RENAME TO {ident(table)}")
                crash_point("transform.swapped")
            crash_point("transform.committed")

    @contextlib.contextmanager
    def _store(self) -> Iterator[Path]:
        """The folder for packages: beside the file, or a temporary one for a database in memory."""
        store = store_of(self.path) if self.path else None
        if store is None:
            import tempfile  # here: no file needs it

            with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
                yield Path(folder)
            return
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(using(store))
            except OSError as error:
                refused = LoadError(f"No package can be written beside {self.path}: {error}.")
                raise as_shortage(store.name, store.parent, error) or refused from error
            yield store


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


def _commit_sealed(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Commit what an earlier process had sealed, as soon as the file is open.

    Raises:
        WarehouseUnreadable: A newer headrace wrote the file.
    """
    check_version(connection, str(path))
    recover(connection, store_of(path))


def _behind(table: str, reason: str) -> LoadPending:
    return LoadPending(
        f"{table}: an earlier package of this table waits, and they are committed in order: {reason}"
    )
