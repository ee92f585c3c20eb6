"""Translate errors of disk, memory and limits into one that says what to do.

A disk that is full, a quota, a limit on files or memory: nothing is wrong with the records, the warehouse
is as it was, and the same call works once there is room. A right that is missing is told apart: waiting does
not mend it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from headrace.errors import HeadraceError, LoadError, Shortage

ROOM = 2
"""Bytes that a commit needs on the disk for each byte of its package.

Measured: 0.1 to 2.7 times, and up to 8 where hundreds of columns hold few rows, DuckDB's log included. A
commit that needs more and does not find it is undone all the same; this spares the minutes until then.
"""

_SHORT = {
    errno.ENOSPC: "No space is left on the disk. Free some",
    errno.EDQUOT: "The disk quota is used up. Free some of it",
    errno.EFBIG: "A file may not grow further (ulimit -f). Raise the limit",
    errno.EMFILE: "Too many files are open in this process (ulimit -n). Raise the limit",
    errno.ENFILE: "Too many files are open on this machine. Close some",
    errno.ENOMEM: "The memory does not suffice. Free some, or raise the limit",
    errno.EAGAIN: "The memory does not suffice for a thread, or there are too many (ulimit -u). Free some",
}
_OF_LIBRARIES = (
    "ArrowException", "IOException", "TransactionException", "FatalException", "PermissionException",
)  # fmt: skip
"""Errors of Arrow and DuckDB that pass on what the system said; others may quote values."""

_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def check_room(name: str, size: int, folder: Path) -> None:
    """Refuse a commit whose package would not fit on the disk.

    Args:
        name: The table, for the message.
        size: The bytes of the package.
        folder: Where the warehouse's file is.

    Raises:
        Shortage: Less than `ROOM` times the package is free.
    """
    free, needed = shutil.disk_usage(folder).free, ROOM * size
    if free < needed:
        raise Shortage(
            f"{name}: the commit needs some {_size(needed)} in {folder.absolute()}, and {_size(free)} are "
            "free. Free some and run again."
        ) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextlib.contextmanager
def translating_errors(name: str, place: Path | None) -> Iterator[None]:
    """Raise what the machine, or DuckDB for it, refuses as an error that says what to do.

    Args:
        name: The table, or what else is written, for the message.
        place: The file or folder that is written to.

    Raises:
        Shortage: Space, memory or files did not suffice; the same call works once they do.
        LoadError: A right is missing.

    >>> with translating_errors("shop.orders", Path("shop.duckdb")):
    ...     raise OSError(errno.EMFILE, "Too many open files")
    Traceback (most recent call last):
    headrace.errors.Shortage: shop.orders: Too many files are open in this process (ulimit -n). Raise...
    """
    try:
        yield
    except HeadraceError:
        raise
    except Exception as error:
        told = as_shortage(name, place, error)
        if told is None:
            raise
        raise told from error


def as_shortage(name: str, place: Path | None, error: BaseException) -> LoadError | None:
    """Return what an error of the machine means for a load; None if it is none of the machine's."""
    number, where = _number(error), f" ({place.absolute()})" if place else ""
    if number in _SHORT:
        free = f", {_size(_free(place))} are free now" if number == errno.ENOSPC and place else ""
        return Shortage(f"{name}: {_SHORT[number]} and run again{where}{free}: {_first_line(error)}.")
    if number in _FORBIDDEN:
        return LoadError(f"{name}: {place} may not be written by this user: {_first_line(error)}")
    return None


def _number(error: BaseException) -> int | None:
    """Return the number that the operating system has for an error; libraries pass on only its text."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return errno.EAGAIN
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryException":
        return errno.ENOMEM
    if type(error).__name__ in _OF_LIBRARIES or isinstance(error, OSError):
        text = str(error)
        return next((one for one in (*_SHORT, *_FORBIDDEN) if os.strerror(one) in text), None)
    return None


def _free(place: Path) -> int:
    there = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0].rstrip(".")


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} KB"
