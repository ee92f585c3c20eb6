"""Share one open database, with its lock and its DuckDB instance, between threads and runs.

It is opened at the first use, and closed by whoever is done with it; after that the next use opens it anew.
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from headrace.errors import UsageError
from headrace.loaders.database import opening
from headrace.loaders.database.crash_points import crash_point
from headrace.loaders.database.places import Hold, Place
from headrace.masking import mask_error

if TYPE_CHECKING:
    import duckdb


OnOpen = Callable[["duckdb.DuckDBPyConnection", Place], object]
"""Called with a connection to a database that was just opened, and its place."""


class Database:
    """A database that threads share: each has its own session, and commits take turns.

    Attributes:
        place: Where it is.
        memory_limit: How much memory DuckDB may take, as `500MB`; four fifths of the machine's if None.
    """

    def __init__(self, place: Place, memory_limit: str | None, on_open: OnOpen) -> None:
        """Name a database; nothing is opened yet. `on_open` runs once it is open, before any session."""
        self.place = place
        self.memory_limit = memory_limit
        self._on_open = on_open
        self._root: duckdb.DuckDBPyConnection | None = None
        self._hold: Hold | None = None
        self._release: Callable[[], object] = lambda: None
        self._is_over = False
        self._opening = threading.Lock()

    def connection(self, wait: float) -> duckdb.DuckDBPyConnection:
        """Return the DuckDB connection, opened if need be.

        Raises:
            WarehouseLocked: Another process has the file open, and had for as long as `wait`.
            UsageError: It was closed for good, or opened before this process was forked.
        """
        with self._opening:
            if self._is_over:
                raise UsageError(f"{self.place} was closed when its run was given up.")
            if self._root is None:
                self._root = self._opened(wait)
            if self._hold is not None and not self._hold.is_ours:
                raise UsageError(f"{self.place} was opened before this process was forked; connect anew.")
            return self._root

    def _opened(self, wait: float) -> duckdb.DuckDBPyConnection:
        """Take the lock, open the database and call `on_open`."""
        place, until = self.place, time.monotonic() + wait
        hold = place.acquire(wait)
        try:
            root = place.open(self.memory_limit, wait, until)
            try:
                crash_point("warehouse.attached")
                with place.locks.committing, opening.session(root) as connection:
                    self._on_open(connection, place)
            except BaseException:
                root.close()  # at once: the traceback would keep it open
                raise
        except BaseException:
            hold.release()
            raise
        # A database that is forgotten without being closed lets go too.
        self._hold, self._release = hold, weakref.finalize(self, hold.release)
        return root

    def close(self, *, only: duckdb.DuckDBPyConnection | None = None, for_good: bool = False) -> None:
        """Close the file, so that other processes can open it.

        Args:
            only: The connection to close, if it is still the one; any if None.
            for_good: Whether nobody may open it again through this object.
        """
        with self._opening:
            self._is_over = self._is_over or for_good
            if self._root is None or (only is not None and only is not self._root):
                return
            if self._hold is None or self._hold.is_ours:
                self._root.close()
            self._root, self._hold = None, None
            self._release()

    @contextlib.contextmanager
    def session(self, wait: float) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of one's own to the open database, for one thread and one transaction."""
        root = None
        try:
            root = self.connection(wait)
            with opening.session(root) as connection:
                yield connection
        except Exception as error:
            mask_error(error)
            if root is not None and opening.is_fatal(error):
                self.close(only=root)  # DuckDB answers nothing more until the file is opened anew
            raise

    @contextlib.contextmanager
    def exclusive_session(self, wait: float) -> Iterator[duckdb.DuckDBPyConnection]:
        """A session during which no load commits: DuckDB refuses two that change the catalogue together.

        Raises:
            WarehouseLocked: Another machine took the file over; nothing was written.
        """
        with self.session(wait) as connection, self.place.locks.committing:
            self.check()
            yield connection

    def check(self) -> None:
        """Refuse to go on where another machine took the file over.

        Raises:
            WarehouseLocked: It did.
        """
        if self._hold is not None:
            self._hold.check()
