"""Lock a warehouse: one process at a time writes, and every other process can see which.

Beside the database stands `<file>.lock` while a process has it open for writing: JSON with the owner, its
process, host and command, and a heartbeat. Two things say whether the owner lives:

* On one machine the operating system's lock on that file does. It ends with the process, so what a dead owner
  left is free at once, and what a living one holds is respected however long it has been silent.
* Between machines that share a file system, whose locks may not reach that far, the heartbeat does: one from
  another machine is respected for a minute. The machines' clocks have to agree that well.

Threads and warehouses of one process share its lock. The last to let go removes the file. DuckDB's own lock
on the database is the second line: it also keeps out programs that know nothing of this one.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TypeVar

import orjson

from headrace.errors import LoadError, WarehouseLocked
from headrace.loaders.database.forks import in_forked_children
from headrace.loaders.database.shortage import translating_errors

BEAT = 5.0
"""Seconds from one heartbeat to the next."""

STALE = timedelta(seconds=60)
"""The age from which the heartbeat of another machine no longer counts."""

GRACE = 0.5
"""Seconds for which a writer waits for readers in any case: most have read by then."""

_PAUSE = 0.1
_SILENT = 10
_BOOT = Path("/proc/sys/kernel/random/boot_id")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Owner:
    """Who has a warehouse open for writing.

    Attributes:
        user: The name of the user.
        pid: The process.
        host: The name of the machine or the container.
        machine: What containers on one machine share: while it is up they see each other's locks.
        command: The program and what it was asked for, without options: those may be secrets.
        started: When it took the lock, UTC.
        heartbeat: When it last said that it lives, UTC.
    """

    user: str
    pid: int
    host: str
    machine: str
    command: str
    started: str
    heartbeat: str

    def __str__(self) -> str:
        since = self.started[:19].replace("T", " ")
        return f"{self.user} (process {self.pid} on {self.host}), since {since} UTC: {self.command}"

    @property
    def is_foreign(self) -> bool:
        """Whether another machine wrote it, where this one's locks may not be seen."""
        return self.machine != _machine()

    @property
    def is_self(self) -> bool:
        """Whether it is this process."""
        return not self.is_foreign and self.pid == os.getpid()

    @property
    def is_fresh(self) -> bool:
        """Whether the heartbeat is recent."""
        return datetime.now(timezone.utc) - datetime.fromisoformat(self.heartbeat) < STALE


class WarehouseLock:
    """A lock that this process holds, for as many warehouses as share it."""

    def __init__(self, path: Path) -> None:
        """Take the lock of the database at `path`.

        Raises:
            WarehouseLocked: Another process has it.
            LoadError: No lock file can be written there.
        """
        self.path = path
        self.count = 0
        self._file: int | None = _locked_file(path)
        self._pid = os.getpid()
        self._stopped = threading.Event()
        self._owner = _this_process()
        with contextlib.suppress(OSError):  # a full disk: it is locked all the same
            _write(self._file, self._owner)
        try:
            with translating_errors(str(path), path):
                threading.Thread(target=self._beat, name=f"heartbeat of {path.name}", daemon=True).start()
        except BaseException:
            self._close()
            raise

    @property
    def is_ours(self) -> bool:
        """Whether it is held still, and by this process: what a fork inherits is not the lock."""
        return self._file is not None and self._pid == os.getpid()

    def check(self) -> None:
        """Make sure that nobody took over while this process slept, suspended or cut off.

        Raises:
            WarehouseLocked: Somebody did; what is written now would meet what they write.
        """
        owner = read_owner(self.path)
        if owner is not None and not self._is_me(owner):
            raise WarehouseLocked(f"{self.path} was taken over by {owner}; nothing was written.")

    def release(self) -> None:
        """Let go for one of the warehouses; the last one removes the file."""
        with _guard:
            if not self.is_ours:
                return
            self.count -= 1
            if self.count == 0:
                del _held[self.path]
                self._stopped.set()
                self._close()

    def forget(self) -> None:
        """Drop a parent's lock in a forked child: neither its end nor its life may touch it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _close(self) -> None:
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            owner = _read(self._file)
            if owner is None or self._is_me(owner):
                os.ftruncate(self._file, 0)
                # Under the lock: whoever waits for this very file sees that its name has gone, see below.
                _lock_path(self.path).unlink(missing_ok=True)
        os.close(self._file)
        self._file = None

    def _is_me(self, owner: Owner) -> bool:
        return replace(owner, heartbeat="") == replace(self._owner, heartbeat="")

    def _beat(self) -> None:
        while not self._stopped.wait(BEAT):
            with _guard, contextlib.suppress(OSError):
                if self._file is None:
                    return
                self.count += 1  # the collector may let go of the last warehouse in here, and close the file
                try:
                    owner = _read(self._file)
                    if owner is not None and not self._is_me(owner):
                        return  # taken over; `check` tells
                    _write(self._file, replace(self._owner, heartbeat=_now()))
                finally:
                    self.release()


_held: dict[Path, WarehouseLock] = {}
_guard = threading.RLock()  # reentrant: collecting a forgotten warehouse may let go in the middle of taking


def acquire(path: Path) -> WarehouseLock:
    """Take the lock of a database, or share it if this process has it; `release` it once.

    Raises:
        WarehouseLocked: Another process has it; the message says which.
        LoadError: No lock file can be written there.
    """
    with _guard:
        while True:
            held = _held.get(path)
            if held is None:
                held = _held[path] = WarehouseLock(path)
            held.count += 1
            if held.is_ours:
                return held


@contextlib.contextmanager
def holding(path: Path | None, wait: float = 0) -> Iterator[None]:
    """Hold the lock of a database that is not opened yet, or not at all; None is one in memory.

    Raises:
        WarehouseLocked: Another process has it, and had for as long as `wait`, in seconds.
    """
    held = retrying(lambda: acquire(path), wait) if path else None
    try:
        yield
    finally:
        if held is not None:
            held.release()


def read_owner(path: Path) -> Owner | None:
    """Return who last said that they write the database at `path`, if anybody did and has not left since."""
    try:
        file = os.open(_lock_path(path), os.O_RDONLY)
    except OSError:
        return None
    try:
        return _read(file)
    finally:
        os.close(file)


def retrying(attempt: Callable[[], T], wait: float, *, until: float | None = None) -> T:
    """Return what `attempt` returns; while it finds the warehouse locked, try again for `wait` seconds.

    Who has it is told once, on standard error.

    Args:
        attempt: Raises `WarehouseLocked` while it cannot be done.
        wait: How long the user is willing to wait, for the message; 0 says nothing.
        until: When to give up, by `time.monotonic()`; default `wait` seconds from now.

    >>> retrying(lambda: "at once", 60)
    'at once'
    """
    until = time.monotonic() + wait if until is None else until
    told = not wait
    while True:
        try:
            return attempt()
        except WarehouseLocked as error:
            left = until - time.monotonic()
            if left <= 0:
                raise
            if not told:
                sys.stderr.write(f"headrace: waiting up to {wait:g} s. {error}\n")
                sys.stderr.flush()
                told = True
            time.sleep(min(left, _PAUSE))


def _lock_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _locked_file(path: Path) -> int:
    """Return the lock file, opened and locked; nobody else has it."""
    name, silent = _lock_path(path), 0
    while True:
        try:
            file = os.open(name, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise LoadError(f"{path} cannot be opened for writing: {error}.") from error
        try:
            is_locked, owner = _try_lock(file), _read(file)
            if not is_locked and owner is None and silent < _SILENT:
                silent += 1  # it has just been taken, or let go
                time.sleep(_PAUSE / 10)
                continue
            if not is_locked or (owner is not None and owner.is_foreign and owner.is_fresh):
                raise WarehouseLocked(message(path, owner))
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), name.stat()):
                    file, locked = -1, file
                    return locked
            # the owner before us removed the file after we had opened it: what we have locked is nameless
        finally:
            if file >= 0:
                os.close(file)


def message(path: Path, owner: Owner | None) -> str:
    """Say who has a warehouse open, and what to do."""
    by = f" by {owner}" if owner else ""
    return (
        f"{path} is open in another process{by}. Wait for it with --wait 60s (in Python wait=60), read "
        "through the process that has it, or query a copy made while nobody writes."
    )


def _write(file: int, owner: Owner) -> None:
    text = orjson.dumps(asdict(owner), option=orjson.OPT_APPEND_NEWLINE)
    os.lseek(file, 0, os.SEEK_SET)
    os.write(file, text)
    os.ftruncate(file, len(text))


def _read(file: int) -> Owner | None:
    """Return what a lock file says; None if it says nothing, or is only half written."""
    os.lseek(file, 0, os.SEEK_SET)
    try:
        value = orjson.loads(os.read(file, 1 << 16))
        owner = Owner(**{field.name: value[field.name] for field in fields(Owner)})
        datetime.fromisoformat(owner.heartbeat)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
    return owner


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: int) -> bool:
        os.lseek(file, 1 << 20, os.SEEK_SET)  # beyond the content, which others have to be able to read
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _this_process() -> Owner:
    now = _now()
    return Owner(_user(), os.getpid(), _host(), _machine(), command(sys.argv), now, now)


def command(arguments: list[str]) -> str:
    """Return what a process was asked to do, with nothing in it that may be a secret.

    >>> command(["/usr/bin/headrace", "run", "slack", "--token", "not to be seen"])
    'headrace run slack'
    >>> command(["load.py", "postgres://me:not-to-be-seen@host/db"])
    'load.py'
    """
    program = Path(arguments[0]) if arguments and arguments[0] else Path("python")
    name = {"__main__.py": program.parent.name, "-c": "python -c"}.get(program.name, program.name)
    words = [name]
    for word in arguments[1:3]:
        if word.startswith("-") or "=" in word or "://" in word:
            break
        words.append(word)
    return " ".join(words)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "an unnamed user"


def _host() -> str:
    return os.uname().nodename if sys.platform != "win32" else os.environ.get("COMPUTERNAME", "")


def _machine() -> str:
    try:
        return _BOOT.read_text().strip()
    except OSError:  # no Linux
        return _host()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


@in_forked_children
def _forget_all() -> None:
    global _guard
    _guard = threading.RLock()  # another thread of the parent may have held it
    for held in _held.values():
        held.forget()
    _held.clear()
