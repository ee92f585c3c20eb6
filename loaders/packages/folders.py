"""Keep the folders of packages: which are sealed, which this process writes, which were refused."""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from headrace.loaders.database.crash_points import crash_point
from headrace.loaders.database.forks import in_forked_children

REASON = "reason.txt"
"""The file in which a package that could not be committed says why."""

PART = ".part"
"""The ending of a folder that is not sealed yet, or not wholly removed."""

REFUSED = "refused"

_ID = re.compile(r"\d{8}T\d+-[0-9a-f]+")

_open: set[Path] = set()
"""The folders, as they are called once sealed, of the packages that this process has not dropped yet."""

_users: Counter[Path] = Counter()

_guard = threading.Lock()


@in_forked_children
def _forget_users() -> None:
    """Begin anew in a forked child: its parent's threads are not there."""
    global _guard
    _users.clear()
    _open.clear()
    _guard = threading.Lock()


def pending(store: Path) -> list[Path]:
    """Return the folders of the sealed packages in `store`, oldest first."""
    return [path for path in _folders(store) if _ID.fullmatch(path.name)]


def unsealed(store: Path) -> list[Path]:
    """Return the folders in `store` that were never sealed, or not wholly removed."""
    return [path for path in _folders(store) if path.name.endswith(PART)]


def _folders(store: Path) -> list[Path]:
    try:
        return sorted(path for path in store.iterdir() if path.is_dir())
    except FileNotFoundError:  # the last to use it removes it, at any time
        return []


def is_open(folder: Path) -> bool:
    """Tell whether this process is at work on a package, sealed or not."""
    return folder.with_suffix("") in _open


def claim(folder: Path) -> None:
    """Mark a package as one that this process is at work on, so that recovery leaves it alone."""
    _open.add(folder)


def release(folder: Path) -> None:
    """Leave a package to recovery: this process is at work on it no longer."""
    _open.discard(folder)


def remove(folder: Path) -> None:
    """Remove a package's folder; if that ends half-way, what is left is swept up with the unsealed."""
    gone = folder.with_name(f"{folder.name}{PART}")
    with contextlib.suppress(OSError):
        folder.rename(gone)
    crash_point("package.forgotten")
    shutil.rmtree(gone, ignore_errors=True)


@contextlib.contextmanager
def using(store: Path) -> Iterator[None]:
    """Make the folder for packages, and keep it there; the last to use it removes it if it is empty.

    Raises:
        OSError: It cannot be made.
    """
    with _guard:
        store.mkdir(exist_ok=True)
        _users[store] += 1
    try:
        yield
    finally:
        with _guard:
            _users[store] -= 1
        tidy(store)


def tidy(store: Path) -> None:
    """Remove the folder for packages if it is empty and this process makes none there."""
    with _guard:
        for folder in (store / REFUSED, store) if not _users[store] else ():
            with contextlib.suppress(OSError):
                folder.rmdir()


def keep(folder: Path, reason: str) -> str:
    """Leave a package pending, with the reason beside it; return the reason."""
    with contextlib.suppress(OSError):  # the disk may be what failed
        (folder / REASON).write_text(f"{reason}\n", encoding="utf-8")
    return reason


def refuse(folder: Path, refused: Path, reason: str) -> Path:
    """Move a package out of the way, with the reason beside it; return where it is then."""
    kept = refused / folder.name
    try:
        with _guard:
            refused.mkdir(exist_ok=True)
            folder.rename(kept)
    except OSError as error:
        kept, reason = folder, f"{reason} It could not be moved to {refused}: {error}."
    keep(kept, reason)
    return kept
