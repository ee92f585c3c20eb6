"""Say where a warehouse is: how it is locked and opened there, and where its packages and their room are.

Everything above asks the place and does not care which one it is. There are two: a DuckDB file and memory.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from headrace.errors import UsageError
from headrace.loaders.database import lock, opening
from headrace.loaders.database.opening import Locks
from headrace.loaders.database.shortage import check_room

if TYPE_CHECKING:
    import duckdb


class Hold(Protocol):
    """What an open warehouse holds so that no other process writes to it."""

    @property
    def is_ours(self) -> bool:
        """Whether this process still holds it."""

    def check(self) -> None:
        """Raise WarehouseLocked if another machine took the warehouse over."""

    def release(self) -> None:
        """Let other processes write."""


class Place(Protocol):
    """Where a warehouse is. `str(place)` is its name in messages.

    Attributes:
        path: The file, absolute and no link; None where there is none.
        keeps_packages: Whether a sealed package outlives the process here, so that recovery finds it.
        locks: What the threads of this process hold while they write.
    """

    @property
    def path(self) -> Path | None: ...
    @property
    def keeps_packages(self) -> bool: ...
    @property
    def locks(self) -> Locks: ...

    def exists(self) -> bool:
        """Tell whether something was written here."""

    def acquire(self, wait: float) -> Hold:
        """Keep other processes from writing; wait up to so many seconds for them."""

    def open(self, memory_limit: str | None, wait: float, until: float) -> duckdb.DuckDBPyConnection:
        """Open the database for writing, made if need be; wait for readers until this `time.monotonic()`."""

    def open_readonly(self, wait: float) -> duckdb.DuckDBPyConnection:
        """Open the database for reading."""

    def store(self) -> AbstractContextManager[Path]:
        """Give the folder into which packages go."""

    def check_room(self, table: str, size: int) -> None:
        """Raise Shortage where a package of so many bytes would not fit."""


@dataclass(frozen=True)
class DuckDBFile:
    """A DuckDB file; its lock and its packages stand beside it.

    One file has one name here, also as a link or after `chdir`: its lock and its packages go by it.
    """

    path: Path
    keeps_packages: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(os.path.realpath(self.path)))

    def __str__(self) -> str:
        return str(self.path)

    @property
    def locks(self) -> Locks:
        return opening.locks_of(self.path)

    def exists(self) -> bool:
        return self.path.exists()

    def acquire(self, wait: float) -> Hold:
        return lock.retrying(lambda: lock.acquire(self.path), wait)

    def open(self, memory_limit: str | None, wait: float, until: float) -> duckdb.DuckDBPyConnection:
        until = max(until, time.monotonic() + lock.GRACE)
        return lock.retrying(
            lambda: opening.open_file(self.path, memory_limit=memory_limit), wait, until=until
        )

    def open_readonly(self, wait: float) -> duckdb.DuckDBPyConnection:
        return lock.retrying(lambda: opening.open_file(self.path, read_only=True), wait)

    @contextlib.contextmanager
    def store(self) -> Iterator[Path]:
        yield store_of(self.path)

    def check_room(self, table: str, size: int) -> None:
        check_room(table, size, self.path.parent)


class Memory:
    """A database in memory, of one process alone; its packages live as long as their load."""

    path = None
    keeps_packages = False

    def __init__(self) -> None:
        self.locks = Locks()

    def __str__(self) -> str:
        return ":memory:"

    def exists(self) -> bool:
        return False

    def acquire(self, wait: float) -> Hold:
        return _Nobody()

    def open(self, memory_limit: str | None, wait: float, until: float) -> duckdb.DuckDBPyConnection:
        return opening.open_memory(memory_limit=memory_limit)

    def open_readonly(self, wait: float) -> duckdb.DuckDBPyConnection:
        raise UsageError("A database in memory cannot be opened a second time; query the warehouse itself.")

    @contextlib.contextmanager
    def store(self) -> Iterator[Path]:
        import tempfile  # here: no file needs it

        with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
            yield Path(folder)

    def check_room(self, table: str, size: int) -> None:
        pass


class _Nobody:
    """The hold on what no other process can see."""

    is_ours = True

    def check(self) -> None:
        pass

    def release(self) -> None:
        pass


def store_of(path: Path) -> Path:
    """Return the folder for the packages of a database.

    >>> store_of(Path("shop.duckdb")).name
    'shop.duckdb.packages'
    """
    return path.with_name(f"{path.name}.packages")
