"""Recover packages that were sealed and not committed.

It holds a whole load, cursor included, so it is kept and committed before anything else is read: the next
extraction then goes on from where that one had got to. Why it was not committed decides:

* The process died, or something outside of the package failed (disk, memory, another transaction): it stays
  pending, those of its table in their order, until a later try succeeds.
* The package itself cannot be committed (damaged, against a contract): it is moved to the folder `refused`
  with the reason, and blocks nothing. `headrace packages` shows, retries and drops it.

What was never sealed goes.
"""

from __future__ import annotations

import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors import ContractViolation, LoadError, LoadPending, UsageError, WarehouseLocked
from headrace.loaders.catalogue import lookup
from headrace.loaders.commit import LoadedTable, commit
from headrace.loaders.database.crash_points import crash_point
from headrace.loaders.database.shortage import check_room
from headrace.loaders.packages.folders import REFUSED, is_open, keep, pending, refuse, unsealed
from headrace.loaders.packages.package import Package, read_package

if TYPE_CHECKING:
    import duckdb


Waiting = dict[str, str]
"""The tables whose packages could not be committed yet, with the reason."""


def recover(connection: duckdb.DuckDBPyConnection, store: Path) -> Waiting:
    """Commit the sealed packages in `store`, oldest first, and remove what was never sealed.

    See `commit_pending`, which says when to call it.
    """
    waiting = commit_pending(connection, store)
    for folder in (*unsealed(store), *unsealed(store / REFUSED)):
        if not is_open(folder):
            shutil.rmtree(folder, ignore_errors=True)
    crash_point("recovery.finished")
    return waiting


def commit_pending(
    connection: duckdb.DuckDBPyConnection, store: Path, *, before: str | None = None
) -> Waiting:
    """Commit the sealed packages in `store`, oldest first; return what cannot be committed yet.

    Call it with the warehouse's lock held and no other commit under way: no other process can then be at work
    on the store, and packages of this process are left alone.

    Args:
        connection: An open connection.
        store: The folder for packages.
        before: The id of a package: only older ones are committed; all if None.
    """
    waiting: Waiting = {}
    for folder in pending(store):
        if before is not None and folder.name >= before:
            break
        if is_open(folder) or not folder.is_dir():
            continue  # this process is at work on it, or has just dropped it
        crash_point("recovery.found")
        table = folder.name
        try:
            package = read_package(folder)
            table = package.target.name
            if table in waiting:
                continue  # in their order: the later one may replace what the earlier one brings
            check_room(table, package.bytes, store.parent)
            commit_late(connection, package)
        except (LoadError, UsageError, OSError) as error:
            if is_outside(error):
                waiting[table] = keep(folder, str(error))
            else:
                kept = refuse(folder, store / REFUSED, str(error))
                warnings.warn(
                    f"A package was refused and is kept in {kept}: {error} See `headrace packages list`.",
                    stacklevel=2,
                )
        else:
            crash_point("recovery.committed")
            package.drop()
            crash_point("recovery.dropped")
    return waiting


def commit_late(
    connection: duckdb.DuckDBPyConnection, package: Package, *, stale: bool = False
) -> LoadedTable:
    """Commit a package that waited; if its table was loaded since, the cursor stays as it is.

    Raises:
        LoadError: Its rows would put older ones in the place of newer ones, and `stale` does not allow that.
    """
    target = package.target
    if lookup.loaded_since(connection, target, package.started):
        if target.write_disposition != "append" and not stale:
            raise LoadError(
                f"The package {package.id} is older than what {target.name} holds, and its "
                f"{target.strategy} would put its rows in the place of newer ones. Load its records anew "
                "and drop it, or retry it with --stale."
            )
        package = replace(package, cursor=None)
    return commit(connection, package)


def settle(package: Package, store: Path, error: BaseException) -> None:
    """Decide what becomes of a package whose commit has just failed.

    A contract and a definition are the caller's to mend, and the source can be read again, its cursor not
    having moved: nothing is kept then.

    Raises:
        LoadPending: It waits for a later try.
    """
    if isinstance(error, (ContractViolation, UsageError)):
        package.drop()
        return
    if not is_outside(error):
        kept = refuse(package.folder, store / REFUSED, str(error))
        if isinstance(error, LoadError):
            error.args = (f"{error} The package is kept in {kept}: see `headrace packages list`.",)
        return
    keep(package.folder, str(error))
    note = (
        f"The {package.records:,} records are kept in the package {package.id} and committed when the "
        "warehouse is next used: do not load them again. See `headrace packages list`."
    )
    if isinstance(error, (LoadError, OSError)):
        raise LoadPending(f"{error} {note}") from error
    if isinstance(error, WarehouseLocked):
        error.args = (f"{error} {note}",)
    else:
        warnings.warn(note, stacklevel=2)


def is_outside(error: BaseException) -> bool:
    """Tell whether a commit failed for a reason outside of its package, so that a later one may succeed."""
    import duckdb

    cause = error.__cause__ or error
    if not isinstance(cause, Exception) or isinstance(cause, (LoadPending, WarehouseLocked, MemoryError)):
        return True  # interrupted, behind another package, taken over, or short of memory
    if isinstance(cause, OSError):
        return not isinstance(cause, FileNotFoundError)
    if isinstance(cause, duckdb.TransactionException):
        return "constraint" not in str(cause).lower()  # unique keys are checked as late as at the commit
    return isinstance(
        cause,
        (
            duckdb.IOException, duckdb.OutOfMemoryException, duckdb.InterruptException,
            duckdb.PermissionException, duckdb.FatalException, duckdb.ConnectionException,
        ),
    )  # fmt: skip
