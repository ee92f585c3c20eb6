"""List, retry and drop packages that are not committed: pending ones and refused ones.

Listing them reads files only: it works while another process writes, and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from headrace.errors import LoadError, LoadPending, PackageDamaged, UsageError, did_you_mean
from headrace.loaders.catalogue import lookup, tables
from headrace.loaders.database import lock
from headrace.loaders.database.places import store_of
from headrace.loaders.packages.folders import REASON, REFUSED, is_open, keep, pending, remove, tidy
from headrace.loaders.packages.package import read_package
from headrace.loaders.recovery import commit_late
from headrace.loaders.values.paths import show
from headrace.loaders.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Stored:
    """A package in the folder beside a database.

    Attributes:
        id: The name of its folder, which begins with the time of its extraction.
        status: `pending` or `refused`.
        table: Where it lands, as `schema.table`; None if its manifest cannot be read.
        records: The records in it; None likewise.
        bytes: The size of all its files.
        age: Seconds since its extraction began; since its folder was last changed, likewise.
        reason: Why it is not committed; None for one whose process died, or is at work on it.
        folder: Where it is.
    """

    id: str
    status: str
    table: str | None
    records: int | None
    bytes: int
    age: int
    reason: str | None
    folder: Path

    @property
    def loss(self) -> str:
        """What is lost if it is dropped."""
        if self.records is None:
            return f"what {self.bytes:,} bytes hold; its manifest cannot be read"
        return f"{self.records:,} records of {self.table}, {self.bytes:,} bytes"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a package: the table whose rows it holds, by its path in a record, its size and its hash."""

    name: str
    table: str
    bytes: int
    sha256: str


def stored(path: Path) -> list[Stored]:
    """Return the packages beside the database at `path`, oldest first."""
    store = store_of(path)
    found = [
        *(_stored(folder, "pending") for folder in pending(store)),
        *(_stored(folder, "refused") for folder in pending(store / REFUSED)),
    ]
    return sorted((one for one in found if one is not None), key=lambda one: one.id)


def find(path: Path, name: str) -> Stored:
    """Return the package of this id; the beginning of one will do.

    Raises:
        UsageError: There is none, or more than one.
    """
    every = stored(path)
    found = [one for one in every if one.id == name] or [one for one in every if one.id.startswith(name)]
    if len(found) != 1:
        what = "more than one package" if found else "no package"
        raise UsageError(f"There is {what} {name!r}; {did_you_mean(name, [one.id for one in every])}")
    return found[0]


def files(package: Stored) -> list[File]:
    """Return the files of a package, in the order in which they were sealed.

    Raises:
        PackageDamaged: Its manifest cannot be read.
    """
    return [
        File(file.path.name, show(file.table), file.bytes, file.sha256)
        for file in read_package(package.folder).files
    ]


def retry(warehouse: Warehouse, package: Stored, *, stale: bool = False) -> int:
    """Commit a package, also one that was refused; return the number of its load.

    Opening the warehouse commits what is pending, so that comes first, in order. If the table of a refused
    package was loaded since, the cursor stays where that load put it.

    Args:
        warehouse: The warehouse.
        package: The package.
        stale: Whether the rows of later loads may give way to the older ones of a package that merges or
            replaces.

    Raises:
        LoadError: It cannot be committed, or must not; it stays where it was.
        LoadPending: It waits still.
    """
    with warehouse.exclusive_session() as connection:
        if package.status == "pending" and not package.folder.is_dir():
            load = lookup.find_load(connection, package.id) if tables.exists(connection) else None
            if load is None:
                reason = _reason(package.folder.parent / REFUSED / package.id)
                raise LoadError(f"The package {package.id} was refused: {reason}")
            return load
        if package.status == "pending":
            raise LoadPending(
                f"The package {package.id} still waits: {_reason(package.folder) or 'it is being loaded'}"
            )
        try:
            sealed = read_package(package.folder)
            loaded = commit_late(connection, sealed, stale=stale)
        except (LoadError, UsageError) as error:
            keep(package.folder, str(error))
            raise LoadError(str(error)) from error
        sealed.drop()
        tidy(package.folder.parent.parent)
    return loaded.load_id


def drop(path: Path, package: Stored, *, wait: float = 0) -> None:
    """Remove a package for good, without committing any.

    Raises:
        WarehouseLocked: Another process is at work on the warehouse, and perhaps on the package.
    """
    with lock.holding(path, wait):
        if is_open(package.folder):
            raise UsageError(f"The package {package.id} is being loaded by this process.")
        remove(package.folder)
        tidy(store_of(path))


def _stored(folder: Path, status: str) -> Stored | None:
    """Describe a package; None if it was committed or dropped meanwhile."""
    why = _reason(folder)
    now = datetime.now(timezone.utc)
    try:
        size = sum(file.stat().st_size for file in folder.iterdir() if file.name != REASON)
        changed = folder.stat().st_mtime
        package = read_package(folder)
    except FileNotFoundError:
        return None
    except (PackageDamaged, UsageError) as error:
        if not folder.is_dir():
            return None
        age = int(now.timestamp() - changed)
        return Stored(folder.name, status, None, None, size, age, why or str(error), folder)
    age = int((now - package.started).total_seconds())
    return Stored(folder.name, status, package.target.name, package.records, size, age, why, folder)


def _reason(folder: Path) -> str | None:
    try:
        return (folder / REASON).read_text(encoding="utf-8").strip()
    except OSError:
        return None
