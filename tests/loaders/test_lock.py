"""One writer: the lock on a warehouse, between processes, machines, threads and forks."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import orjson
import pytest

import headrace
from headrace.errors import LoadError, UsageError, WarehouseLocked
from headrace.loaders.contracts.target import Target
from headrace.loaders.database import lock

HOLD = """
import sys
import headrace
with headrace.connect(sys.argv[1]) as warehouse:
    warehouse.query("SELECT 1")
    print("open", flush=True)
    sys.stdin.read()
"""
READ = """
import sys
import headrace
with headrace.connect(sys.argv[1]).open_readonly() as connection:
    print("open", flush=True)
    sys.stdin.read()
"""
LOAD = """
import sys
import headrace
headrace.load([{"id": int(sys.argv[2])}], "t", into=sys.argv[1], wait=60)
"""
FLOW = '''
from __future__ import annotations
import os, pathlib, time
from collections.abc import Iterator
from headrace import Record, resource

@resource
def orders() -> Iterator[Record]:
    """Waits to be told, and leaves a trace of having been read."""
    pathlib.Path(f"read-by-{os.getpid()}").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
    yield {"id": 1}
'''


THERE: dict[str, Any] = {"machine": "another", "host": "there"}


@pytest.fixture
def into(tmp_path: Path) -> Path:
    (tmp_path / "locks").mkdir()  # a name that no message may be misread for
    return tmp_path / "locks" / "w.duckdb"


def lock_file(into: Path) -> Path:
    return into.with_name(f"{into.name}.lock")


def started(code: str, into: Path, *words: str) -> subprocess.Popen[str]:
    """Return a process that has printed `open`."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(into), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "open\n" == process.stdout.readline()
    return process


def owner(age: int = 0, **changed: Any) -> bytes:
    """Return a lock file's content as a process of this machine wrote it `age` seconds ago, but for changes."""
    now = datetime.now(timezone.utc) - timedelta(seconds=age)
    content = {
        "user": "ana", "pid": 7, "host": "here", "machine": lock._machine(), "command": "headrace run shop",
        "started": now.isoformat(), "heartbeat": now.isoformat(),
    }  # fmt: skip
    return orjson.dumps({**content, **changed})


@pytest.mark.parametrize("processes", [2, 8])
def test_those_that_wait_take_turns(into: Path, processes: int) -> None:
    """Of any number of processes that load at once, each lands its rows, once."""
    commands = [[sys.executable, "-c", LOAD, str(into), str(n)] for n in range(processes)]
    loading = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    errors = [process.communicate(timeout=120)[1] for process in loading]

    assert [0] * processes == [process.returncode for process in loading], errors
    with headrace.connect(into) as warehouse:
        assert [(n,) for n in range(processes)] == warehouse.query("SELECT id FROM t ORDER BY id")
        assert [(processes,)] == warehouse.query("SELECT count(DISTINCT load_id) FROM _headrace.loads")
    assert not lock_file(into).exists()


@pytest.mark.parametrize("processes", [2, 8])
def test_those_that_do_not_wait_leave(into: Path, processes: int) -> None:
    """Exactly one wins; the others leave with 75 before they read anything, and say who has it."""
    here = into.parent
    (here / "shop.py").write_text(FLOW, encoding="utf-8")
    command = [sys.executable, "-m", "headrace", "run", "shop", "--into", into.name]
    running = [
        subprocess.Popen(command, cwd=here, stderr=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    while sum(process.poll() is None for process in running) > 1:
        time.sleep(0.01)
    (winner,) = (process for process in running if process.poll() is None)
    (here / "go").touch()
    errors = {process.pid: process.communicate(timeout=120)[1] for process in running}

    assert 0 == winner.returncode, errors
    assert [f"read-by-{winner.pid}"] == [path.name for path in here.glob("read-by-*")]
    for loser in running:
        if loser is not winner:
            assert 75 == loser.returncode, errors[loser.pid]
            assert f"(process {winner.pid} on {os.uname().nodename}), since " in errors[loser.pid]
            assert "UTC: headrace run shop. Wait for it with --wait" in errors[loser.pid]


def test_waiting_is_told_once(into: Path) -> None:
    """A run that waits says on standard error for whom, once, and then does its work."""
    here = into.parent
    (here / "shop.py").write_text(FLOW, encoding="utf-8")
    (here / "go").touch()
    holder = started(HOLD, into)
    command = [sys.executable, "-m", "headrace", "run", "shop", "--into", into.name, "--wait", "2m"]
    with subprocess.Popen(command, cwd=here, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stderr is not None
        line = waiting.stderr.readline()
        holder.communicate()
        rest = waiting.stderr.read()

    assert line.startswith("headrace: waiting up to 120 s. ")
    assert f"(process {holder.pid} on " in line
    assert "waiting" not in rest
    assert 0 == waiting.returncode


def test_the_lock_of_a_killed_process_is_free(into: Path) -> None:
    """A process that dies without notice leaves its lock file, and nobody waits for it."""
    holder = started(HOLD, into)
    with pytest.raises(WarehouseLocked, match=f"process {holder.pid} on "):
        headrace.load([{"id": 1}], "t", into=into)
    holder.kill()
    holder.communicate()

    assert lock_file(into).exists()
    assert 1 == headrace.load([{"id": 1}], "t", into=into).counts.loaded
    assert not lock_file(into).exists()


@pytest.mark.parametrize(
    ("left", "free"),
    [
        (lambda: owner(), True),  # this machine, whose own lock is not held: the process is dead
        (lambda: owner(**THERE), False),
        (lambda: owner(40, **THERE), False),
        (lambda: owner(70, **THERE), True),
        (lambda: owner(-3600, **THERE), False),  # its clock is ahead
        (lambda: owner(**THERE, heartbeat="yesterday"), True),
        (lambda: owner(**THERE)[:40], True),
        (lambda: b"", True),
        (lambda: b"\0" * 300, True),  # the machine went down before the disk had it
        (lambda: b"[1]", True),
    ],
)
def test_what_an_owner_left(into: Path, left: Callable[[], bytes], free: bool) -> None:
    """On one machine a dead owner's lock is free at once; another machine's, once its heart is still."""
    content = left()
    lock_file(into).write_bytes(content)
    if free:
        headrace.load([{"id": 1}], "t", into=into)
        assert not lock_file(into).exists()
    else:
        with pytest.raises(WarehouseLocked, match=r"by ana \(process 7 on there\)"):
            headrace.load([{"id": 1}], "t", into=into)
        assert content == lock_file(into).read_bytes()
        assert not into.exists()


def test_the_heart_beats(into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a warehouse is open, its lock file says so again and again."""
    monkeypatch.setattr(lock, "BEAT", 0.01)
    with headrace.connect(into) as warehouse:
        warehouse.query("SELECT 1")
        first = lock.read_owner(into)
        while lock.read_owner(into) in (first, None):
            time.sleep(0.01)
        later = lock.read_owner(into)

    assert first is not None and later is not None
    assert (first.pid, first.started) == (later.pid, later.started)
    assert first.heartbeat < later.heartbeat


def test_taken_over(into: Path) -> None:
    """Who slept too long, and lost the lock to another machine, writes nothing more and removes nothing."""
    taken = owner(**THERE)

    def asleep() -> Iterator[dict[str, int]]:
        yield {"id": 2}
        lock_file(into).write_bytes(taken)

    def unread() -> Iterator[dict[str, int]]:
        pytest.fail("there was no need to read")
        yield {"id": 3}

    with headrace.connect(into) as warehouse:
        warehouse.load([{"id": 1}], Target("t"))
        with pytest.raises(WarehouseLocked, match=r"was taken over by ana.* do not load them again"):
            warehouse.load(asleep(), Target("t"))
        with pytest.raises(WarehouseLocked, match=r"was taken over by ana.*; nothing was written\.$"):
            warehouse.load(unread(), Target("t"))

        assert [(1,)] == warehouse.query("SELECT id FROM t")
    assert taken == lock_file(into).read_bytes()


def test_one_process_shares_its_lock(into: Path) -> None:
    """Warehouses and threads of one process share it, and the last one to close removes it."""
    first, second = headrace.connect(into), headrace.connect(str(into))
    threads = [
        threading.Thread(target=warehouse.load, args=([{"id": 1}], Target(f"t{n}")))
        for n, warehouse in enumerate([first, second] * 4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [(8,)] == first.query("SELECT count(*) FROM _headrace.loads")
    first.close()
    first.close()
    assert lock_file(into).exists()
    second.close()
    assert not lock_file(into).exists()


def test_a_forgotten_warehouse_lets_go(into: Path) -> None:
    """A warehouse that nobody has any more, and nobody closed, keeps nobody out."""
    headrace.connect(into).query("SELECT 1")
    gc.collect()

    assert not lock_file(into).exists()


def test_a_file_that_is_no_database(into: Path) -> None:
    """What cannot be opened is not locked either."""
    into.write_text("this is a letter")
    with pytest.raises(UsageError, match="cannot be opened as a DuckDB file"):
        headrace.load([{"id": 1}], "t", into=into)

    assert not lock_file(into).exists()


def in_a_fork(work: Callable[[], object]) -> str:
    """Return the name of the error that `work` raises in a forked child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover: it is another process
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is sent to the parent
            os.write(writing, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_has_no_part_in_it(into: Path) -> None:
    """A child neither holds nor ends its parent's lock, and cannot use its parent's warehouse."""
    with headrace.connect(into) as warehouse:
        warehouse.load([{"id": 1}], Target("t"))

        assert "WarehouseLocked" == in_a_fork(lambda: headrace.connect(into).connection)
        assert "UsageError" == in_a_fork(lambda: warehouse.query("SELECT 1"))
        assert "" == in_a_fork(warehouse.close)
        before = lock.read_owner(into)
        assert before is not None and os.getpid() == before.pid
        done = subprocess.run(
            [sys.executable, "-m", "headrace", "loads", "-w", str(into)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (75, True) == (done.returncode, f"process {os.getpid()} on" in done.stderr)
        assert 1 == warehouse.load([{"id": 2}], Target("t")).counts.loaded
    assert not lock_file(into).exists()


FORK = """
import os, sys
import headrace
from headrace.loaders.contracts.target import Target
warehouse = headrace.connect(sys.argv[1])
warehouse.load([{"id": 1}], Target("t"))
if os.fork() == 0:
    print("open", os.getpid(), flush=True)
    sys.stdin.read()
    os._exit(0)
os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_outlives_its_parent(into: Path) -> None:
    """The lock ends with the process that took it, though a child of it lives on."""
    parent = subprocess.Popen(
        [sys.executable, "-c", FORK, str(into)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline().split()[1])
    try:
        parent.kill()
        parent.wait()
        assert 1 == headrace.load([{"id": 2}], "t", into=into).counts.loaded
    finally:
        os.kill(child, signal.SIGKILL)
        parent.communicate()


def test_a_writer_waits_for_readers(into: Path) -> None:
    """DuckDB lets nobody write while another process reads: a writer that may wait gets in when it has read."""
    headrace.load([{"id": 1}], "t", into=into)
    reader = started(READ, into)
    with pytest.raises(WarehouseLocked, match=f"PID {reader.pid}"):
        headrace.load([{"id": 2}], "t", into=into)
    with subprocess.Popen(
        [sys.executable, "-c", LOAD, str(into), "2"], stderr=subprocess.PIPE, text=True
    ) as waiting:
        assert waiting.stderr is not None
        assert "waiting up to 60 s" in waiting.stderr.readline()
        reader.communicate()
    assert 0 == waiting.returncode
    with headrace.connect(into) as warehouse:
        assert [(1,), (2,)] == warehouse.query("SELECT id FROM t ORDER BY id")


def test_readers_of_one_process_block_nobody(into: Path) -> None:
    """A read that is under way sees what it began with, while loads of all kinds commit beside it."""
    with headrace.connect(into) as warehouse:
        target = Target("t", primary_key=("id",), write_disposition="merge")
        warehouse.load([{"id": n} for n in range(10_000)], target)
        with warehouse.session() as reading:
            reading.execute("BEGIN")
            reading.execute("SELECT id FROM t")
            assert reading.fetchone() is not None
            writers = [
                threading.Thread(target=warehouse.load, args=([{"id": n, f"new_{n}": n}], target))
                for n in range(4)
            ]
            for writer in writers:
                writer.start()
            for writer in writers:
                writer.join()
            assert 9_999 == len(reading.fetchall())
            assert (10_000, 1) == (
                len(reading.execute("SELECT * FROM t").fetchall()),
                reading.execute("SELECT max(_hr_load_id) FROM t").fetchall()[0][0],
            )
        assert [(5,)] == warehouse.query("SELECT max(_hr_load_id) FROM t")


def test_open_for_reading_here(into: Path) -> None:
    """DuckDB has a file open in one way in one process: a load beside a read-only connection is told so."""
    headrace.load([{"id": 1}], "t", into=into)
    with (
        headrace.connect(into).open_readonly(),
        pytest.raises(WarehouseLocked, match="open for reading in this process"),
    ):
        headrace.load([{"id": 2}], "t", into=into)
    assert 1 == headrace.load([{"id": 2}], "t", into=into).counts.loaded


def test_where_no_lock_can_be(into: Path) -> None:
    """What keeps a lock file from being written is told of before anything is read."""
    lock_file(into).mkdir()
    with pytest.raises(LoadError, match=r"w\.duckdb cannot be opened for writing: .*w\.duckdb\.lock"):
        headrace.load([{"id": 1}], "t", into=into)
