"""Open a DuckDB file under a fixed name, give each thread a connection, and explain refusals."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors import HeadraceError, Shortage, UsageError, WarehouseLocked, WarehouseUnreadable
from headrace.loaders.database import lock
from headrace.loaders.database.forks import in_forked_children
from headrace.loaders.database.queries import number
from headrace.loaders.database.quoting import literal
from headrace.loaders.database.shortage import as_shortage

if TYPE_CHECKING:
    import duckdb

# Row groups of 16,384 let both threads of a load write ahead, also for tables of few and wide rows. Every
# opening says so: else the next checkpoint would join the small groups to DuckDB's usual ones of 122,880.
_FOR_WRITING = "ROW_GROUP_SIZE 16384"
CATALOG = "warehouse"
"""The name under which DuckDB has the file, whatever the file is called."""


def open_file(
    path: Path, *, read_only: bool = False, memory_limit: str | None = None
) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file under the name `warehouse`.

    Under its own name, a file called slack.duckdb would make every `slack.messages` ambiguous: DuckDB cannot
    tell the database from the schema. Connections of one process to one file share an instance.

    Raises:
        WarehouseLocked: The file is open elsewhere.
        UsageError: It is no DuckDB file, or `memory_limit` no size.
    """
    import duckdb  # here, so that `import headrace` stays light

    # The process is named, lest a fork go on with what it inherited. What does not fit into memory goes
    # beside the file, not where the process was started.
    connection = duckdb.connect(
        f":memory:headrace {os.getpid()} {path}",
        config={"temp_directory": f"{path}.tmp"},
    )
    options = f"TYPE duckdb, {'READ_ONLY' if read_only else _FOR_WRITING}"
    try:
        if not read_only:
            _create_if_missing(connection, path)
        connection.execute(f"ATTACH IF NOT EXISTS {literal(str(path))} AS {CATALOG} ({options})")
    except (duckdb.Error, OSError) as error:
        connection.close()
        told = None if "lock" in str(error).lower() else as_shortage(str(path), path, error)
        if read_only and not isinstance(told, Shortage):
            told = None  # a right to write is not what is missing
        reason = f"IO Error: {error}" if isinstance(error, OSError) else str(error).splitlines()[0]
        raise told or _refused(path, reason.replace(_unfinished(path).name, path.name)) from error
    if not read_only and _is_readonly(connection):
        connection.close()
        raise WarehouseLocked(f"{path} is open for reading in this process; close that connection first.")
    return _set_up(connection, memory_limit)


def open_memory(*, memory_limit: str | None = None) -> duckdb.DuckDBPyConnection:
    """Open a new database in memory under the name `warehouse`.

    Raises:
        UsageError: `memory_limit` is no size.
    """
    import duckdb  # here, so that `import headrace` stays light

    connection = duckdb.connect()
    connection.execute(f"ATTACH ':memory:' AS {CATALOG}")
    return _set_up(connection, memory_limit)


def _set_up(connection: duckdb.DuckDBPyConnection, memory_limit: str | None) -> duckdb.DuckDBPyConnection:
    import duckdb

    if memory_limit is not None:
        try:
            connection.execute(f"SET memory_limit = {literal(memory_limit)}")
        except duckdb.Error as error:
            connection.close()
            raise UsageError(f"memory_limit={memory_limit!r} is no size; write it as '500MB'.") from error
    # Row order has no meaning here (children have _hr_index), and keeping it costs memory and threads.
    # A Python variable must never stand in for a table that is missing.
    connection.execute(
        f"USE {CATALOG}; SET preserve_insertion_order = false; SET python_enable_replacements = false"
    )
    return connection


def _create_if_missing(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Create the file under another name first, so that a process killed half-way leaves no half of it.

    The warehouse's lock is held, so other processes wait; threads of this one take turns.
    """
    with _creating:
        if path.exists():
            return
        unfinished = _unfinished(path)
        # a log without its file is of one that was deleted: DuckDB would drop it too
        for left in (unfinished, _log_of(unfinished), _log_of(path)):
            left.unlink(missing_ok=True)
        options = "TYPE duckdb, STORAGE_VERSION 'latest'"
        connection.execute(f"ATTACH {literal(str(unfinished))} AS created ({options}); DETACH created")
        unfinished.rename(path)


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


@contextlib.contextmanager
def session(root: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of one's own to an open database, for one thread and one transaction."""
    with root.cursor() as connection:
        connection.execute(f"USE {CATALOG}")
        yield connection


def is_fatal(error: BaseException) -> bool:
    """Tell whether DuckDB will answer nothing more until the file is opened anew."""
    import duckdb

    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return isinstance(cause, duckdb.FatalException) or (
        isinstance(cause, duckdb.IOException) and "has been invalidated" in str(cause)
    )


@dataclass(frozen=True, slots=True)
class Locks:
    """What the threads of one process hold while they write a file.

    Attributes:
        committing: While a load or what else changes the catalogue is committed. The last to be taken.
        deriving: While a derived table is computed and put in its place.
    """

    committing: threading.Lock = field(default_factory=threading.Lock)
    deriving: threading.Lock = field(default_factory=threading.Lock)


def locks_of(path: Path) -> Locks:
    """Return the locks of a file, whichever warehouse object it is opened with."""
    with _locks_guard:
        return _locks.setdefault(path, Locks())


@in_forked_children
def _renew_locks() -> None:
    """Make all locks anew in a forked child: who held them is not there to release them."""
    global _locks_guard, _creating
    _locks.clear()
    _locks_guard, _creating = threading.Lock(), threading.Lock()


_locks: dict[Path, Locks] = {}
_locks_guard = threading.Lock()
_creating = threading.Lock()


def _is_readonly(connection: duckdb.DuckDBPyConnection) -> bool:
    found = f"FROM duckdb_databases() WHERE database_name = '{CATALOG}' AND readonly"
    return bool(number(connection, f"SELECT count(*) {found}"))


def _refused(path: Path, reason: str) -> HeadraceError:
    if "file handle conflict" in reason or "already attached" in reason:
        return WarehouseLocked(
            f"{path} is open in another library of this process; close it there. ({reason})"
        )
    if "lock on file" in reason or "used by another process" in reason:  # as it is told on Windows
        owner = lock.read_owner(path)
        detail = "" if owner and not owner.is_self else f" ({reason})"
        return WarehouseLocked(lock.message(path, None if detail else owner) + detail)
    if "not a valid DuckDB" in reason or not reason.startswith("IO Error"):
        return UsageError(f"{path} cannot be opened as a DuckDB file: {reason}")
    return WarehouseUnreadable(f"{path} cannot be opened: {reason}")
