"""Recovery: what a process that died left beside the warehouse, finished or put aside when it is next opened.

A package that was sealed holds a whole load, cursor included, and is committed before anything else: so the
next extraction goes on from where the dead one had got to. One that is refused (damaged, or against a
contract) is moved to the folder `refused` with the reason, and blocks nothing. What was never sealed goes.
"""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from headrace.errors import LoadError, UsageError
from headrace.loaders.commit import commit
from headrace.loaders.package import PART, is_open, pending, read_package

if TYPE_CHECKING:
    import duckdb

REFUSED = "refused"


def recover(connection: duckdb.DuckDBPyConnection, store: FilePath) -> None:
    """Commit the sealed packages in `store`, oldest first, and remove what was never sealed.

    Call it with the file open and no other commit under way: no other process can then be at work on the
    store, and packages of this process are left alone.
    """
    for folder in pending(store):
        if is_open(folder):
            continue
        try:
            package = read_package(folder)
            commit(connection, package)
        except (LoadError, UsageError) as error:
            _set_aside(folder, store / REFUSED, str(error))
        else:
            package.drop()
    for folder in store.glob(f"*{PART}") if store.is_dir() else ():
        if not is_open(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _set_aside(folder: FilePath, refused: FilePath, reason: str) -> None:
    refused.mkdir(exist_ok=True)
    target = refused / folder.name
    folder.rename(target)
    (target / "reason.txt").write_text(reason + "\n", encoding="utf-8")
    warnings.warn(
        f"The package {folder.name}, sealed by an earlier run, was refused and is kept in {target}: {reason}",
        stacklevel=2,
    )
