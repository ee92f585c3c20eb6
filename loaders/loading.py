"""Load one stream: read it part by part, seal each part as a package, and commit it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors import LoadError, LoadPending
from headrace.loaders.catalogue import lookup
from headrace.loaders.commit import LoadedTable, commit
from headrace.loaders.contracts.contract import Contract
from headrace.loaders.database.crash_points import crash_point
from headrace.loaders.database.instance import Database
from headrace.loaders.database.places import Place
from headrace.loaders.database.shortage import as_shortage
from headrace.loaders.extract import Extraction
from headrace.loaders.packages.folders import using
from headrace.loaders.packages.package import Package
from headrace.loaders.packages.writer import PackageWriter
from headrace.loaders.recovery import Waiting, commit_pending, recover, settle
from headrace.loaders.schema.known import RootSchema

if TYPE_CHECKING:
    import duckdb

Report = Callable[[str, int, bool], None]
"""Progress callback: `(table, records_read, is_committed)`."""

Subscriber = Callable[[LoadedTable], None]
"""Called with each load that changed a schema. `loaded.changes` has the changes."""


def no_report(table: str, records: int, committed: bool) -> None:
    """Report no progress."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How the loads of one run behave. Many runs share one open database, each with its own settings.

    Attributes:
        report: Called with the progress of each load.
        subscribers: Called with each load that changed a schema, after its commit.
        contract: The contract of every load, in the place of its own; None leaves each its own.
        wait: The seconds to wait while another process has the warehouse.
        full: Whether to read every source from its beginning, whatever its cursor.
    """

    report: Report = no_report
    subscribers: tuple[Subscriber, ...] = ()
    contract: Contract | None = None
    wait: float = 0
    full: bool = False


def load_stream(
    database: Database, settings: RunSettings, extraction: Extraction, source: str
) -> LoadedTable:
    """Read a stream to its end and commit its parts; return their sum under the number of the last.

    Raises:
        SourceError: The stream raised. The parts before are written.
        LoadError: The records cannot land as asked; likewise.
        LoadPending: They cannot land yet, and are kept until the warehouse is next used.
    """
    target, loaded = extraction.target, None
    settings.report(target.name, 0, False)
    with (
        database.session(settings.wait) as connection,
        _store(database.place) as store,
        contextlib.closing(extraction),
    ):
        recover_again(database, connection)
        while not extraction.ended:
            before = lookup.read_schema(connection, target.schema, target.table)
            writer = PackageWriter(store, target, source)
            part = _load_part(database, settings, extraction, writer, before)
            if part is None:
                break
            for subscriber in settings.subscribers if part.changes else ():
                subscriber(part)
            loaded = part.after(loaded)
            crash_point("load.part")
    assert loaded is not None, "the first part is committed, also where it is empty"
    settings.report(target.name, loaded.counts.rows_in, True)
    crash_point("load.finished")
    return loaded


def recover_again(database: Database, connection: duckdb.DuckDBPyConnection) -> Waiting:
    """Try once more to commit what could not be committed before; return what still waits.

    Raises:
        WarehouseLocked: Another machine took the file over.
    """
    with database.place.store() as store:
        if not database.place.keeps_packages or not store.is_dir():
            return {}
        with database.place.locks.committing:
            database.check()
            return recover(connection, store)


def refuse_waiting(table: str, waiting: Waiting) -> None:
    """Stop where an earlier package of a table waits, since packages are committed in order.

    Raises:
        LoadPending: One waits.
    """
    if table in waiting:
        raise LoadPending(
            f"{table}: an earlier package of this table waits, and they are committed in order: "
            f"{waiting[table]}"
        )


def _load_part(
    database: Database,
    settings: RunSettings,
    extraction: Extraction,
    writer: PackageWriter,
    before: RootSchema,
) -> LoadedTable | None:
    """Seal the next part and commit it; return None where the stream ended and there was no more."""
    package: Package | None = None
    try:
        with writer:
            package = extraction.read_part(writer, before=before)
        return None if package is None else _committed(database, settings, package, writer.store)
    finally:
        if package is not None:
            package.release()  # committed or not, recovery may take it from here on


def _committed(database: Database, settings: RunSettings, package: Package, store: Path) -> LoadedTable:
    """Commit a sealed package; where that fails, keep it, refuse it or drop it."""
    name, place = package.target.name, database.place
    try:
        with database.exclusive_session(settings.wait) as connection:
            if place.keeps_packages:
                refuse_waiting(name, commit_pending(connection, store, before=package.id))
            place.check_room(name, package.bytes)
            loaded = commit(connection, package)
    except BaseException as error:
        if place.keeps_packages:
            settle(package, store, error)
        else:
            package.drop()
        raise
    package.drop()
    return loaded


@contextlib.contextmanager
def _store(place: Place) -> Iterator[Path]:
    """Give the folder for packages, made; the last to use it removes it if it is empty."""
    with place.store() as store, contextlib.ExitStack() as stack:
        try:
            stack.enter_context(using(store))
        except OSError as error:
            refused = LoadError(f"No package can be written beside {place}: {error}.")
            raise as_shortage(store.name, store.parent, error) or refused from error
        yield store
