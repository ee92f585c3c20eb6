"""The machine falls short: of disk, of memory, of files, of rights. The load says so, and works once it can.

Each case runs for real, in a process of its own: on a small file system that fills up, under limits of the
operating system, as a user without rights. What was there before is there after, and when the cause is gone
the same call leaves what it would have left at once.
"""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import headrace
from headrace.errors import LoadPending, Shortage, UsageError
from headrace.loaders.contracts.target import Target
from headrace.loaders.database import shortage
from headrace.loaders.warehouse import Warehouse
from tests.reliability.contents import Contents, contents
from tests.reliability.killing import ROOT
from tests.reliability.streams import LOADS, every

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and file systems as Linux has them")

MEGABYTE = 1 << 20
SMALL, LARGE = 50, 18_000
"""Records of a load that fits, and of one that does not."""

LOAD = """
import json, os, resource, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from headrace.errors import HeadraceError
from tests.reliability.streams import LOADS
{prepare}
try:
    LOADS[sys.argv[2]](Path(sys.argv[3]), int(sys.argv[4]), 1)
except HeadraceError as error:
    print(json.dumps([type(error).__name__, error.exit_code, str(error)]))
else:
    print(json.dumps(["", 0, ""]))
"""


# Loads until the database meets the limit, makes DuckDB give it up, and goes on once the limit is gone.
GOES_ON = """
import os, resource, sys
import headrace
from headrace.errors import LoadPending, Shortage, UsageError

def load(first):
    records = ({"id": id, "text": os.urandom(100).hex()} for id in range(first, first + 500))
    headrace.load(records, "t", into=warehouse, primary_key="id", write_disposition="merge")

limit = resource.RLIMIT_FSIZE
most = resource.getrlimit(limit)[1]
with headrace.connect(sys.argv[1]) as warehouse:
    load(0)
    warehouse.query("CHECKPOINT")
    resource.setrlimit(limit, (os.path.getsize(sys.argv[1]) + 300_000, most))
    first = 500
    try:
        while True:
            load(first)
            first += 500
    except (Shortage, LoadPending):
        pass
    if sys.argv[2:]:
        try:
            warehouse.query("CHECKPOINT")
        except Exception as error:
            assert "invalidated" in str(error)
    resource.setrlimit(limit, (most, most))
    load(first)
    print(warehouse.query("SELECT count(*), max(id) FROM t") == [(first + 500, first + 499)])
    print(warehouse.query("SELECT count(*) - count(DISTINCT package) FROM _headrace.loads"))
"""

SHORT_OF_MEMORY = """
import duckdb, pyarrow.parquet
have = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (have + ({room} << 20),) * 2)
"""


def load(how: str, into: Path, size: int, prepare: str = "", **environment: str) -> tuple[str, int, str]:
    """Load in a process of its own; return the error's name, its exit code and its message.

    Of a process that dies, `killed`, minus the signal, and no message.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD.format(prepare=prepare), str(ROOT), how, str(into), str(size)],
        capture_output=True, text=True, check=False, cwd=into.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip
    if done.returncode < 0:
        return "killed", done.returncode, ""
    if "cannot allocate memory for thread-local data" in done.stderr:  # the C library's way to abort
        return "killed", -signal.SIGABRT, ""
    assert done.stdout, done.stderr
    name, code, message = json.loads(done.stdout.splitlines()[-1])
    return name, code, message


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave: int) -> Path:
    """Fill a disk but for some bytes; return the file that does it."""
    ballast = folder / "ballast"
    status = os.statvfs(folder)
    with ballast.open("wb") as file:
        file.write(bytes(status.f_bavail * status.f_bsize - leave))
    return ballast


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Contents]:
    """Returns what a small load and then a large one make where there is room for everything."""
    known: dict[str, Contents] = {}

    def made(how: str) -> Contents:
        if how not in known:
            into = tmp_path_factory.mktemp("undisturbed") / "w.duckdb"
            for size in (SMALL, LARGE):
                LOADS[how](into, size, 1)
            known[how] = contents(into)
        return known[how]

    return made


def check_works_again(how: str, into: Path, beside: Path, expected: Contents) -> None:
    """Check that the same call works now, and leaves what it would have left at once."""
    assert ("", 0, "") == load(how, into, LARGE)
    assert expected == contents(into, beside)
    packages = into.with_name(f"{into.name}.packages")
    assert not packages.is_dir() or [] == list(packages.iterdir())


def test_the_memory_suffices_for_one_thread(tmp_path: Path) -> None:
    """A wide load that two threads cannot commit within the limit is committed by one."""
    rows = ({f"c{key}": f"text {row * key % 977}" for key in range(300)} for row in range(10_000))
    with headrace.connect(tmp_path / "w.duckdb", memory_limit="160MB") as warehouse:
        threads = warehouse.query("SELECT current_setting('threads')")
        loaded = headrace.load(rows, "t", into=warehouse)

        assert 10_000 == loaded.counts.loaded
        assert threads == warehouse.query("SELECT current_setting('threads')")


def test_a_limit_that_is_no_size() -> None:
    """A limit that DuckDB does not understand is refused at the first use, with an example of one."""
    with (
        headrace.connect(memory_limit="much") as warehouse,
        pytest.raises(UsageError, match="memory_limit='much' is no size; write it as '500MB'"),
    ):
        warehouse.query("SELECT 1")


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        pytest.param("", r"main\.t: the commit needs some .* MB in /.*, and .* [MK]B are free", id="foreseen"),
        pytest.param("from headrace.loaders.database import shortage; shortage.ROOM = 0",
                     r"main\.t: No space is left on the disk\. Free some and run again", id="met"),
    ],
)  # fmt: skip
def test_the_disk_of_the_warehouse_is_full(
    small_disk: Path, tmp_path: Path, undisturbed: Callable[[str], Contents], prepare: str, told: str
) -> None:
    """The commit fails with 75, what was there stays, and so does the package: the next run commits it."""
    into, packages = small_disk / "w.duckdb", tmp_path / "packages"
    packages.mkdir()
    into.with_name("w.duckdb.packages").symlink_to(packages)  # there is room for the package
    assert ("", 0, "") == load("append", into, SMALL)
    before = contents(into, tmp_path)
    ballast = fill(small_disk, leave=MEGABYTE)
    name, code, message = load("append", into, LARGE, prepare)

    assert ("LoadPending", 75) == (name, code)
    assert re.search(told, message)
    assert before == contents(into, tmp_path)
    assert 1 == len(list(packages.iterdir()))

    ballast.unlink()
    check_works_again("append", into, tmp_path, undisturbed("append"))


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["exact lane", "columnar lane"])
def test_the_disk_of_the_packages_is_full(
    small_disk: Path, tmp_path: Path, undisturbed: Callable[[str], Contents], size: int
) -> None:
    """Nothing is left of a package that does not fit, and the warehouse is not touched."""
    into, packages = tmp_path / "w.duckdb", small_disk / "packages"
    packages.mkdir()
    assert ("", 0, "") == load("merge", into, SMALL)
    before = contents(into)
    into.with_name("w.duckdb.packages").symlink_to(packages)
    ballast = fill(small_disk, leave=4096)
    name, code, message = load("merge", into, size)

    assert ("Shortage", 75) == (name, code)
    assert re.search(r"main\.t: No space is left on the disk.*w\.duckdb\.packages.*free now", message)
    assert before == contents(into)
    assert [] == list(packages.iterdir())

    ballast.unlink()
    check_works_again("merge", into, tmp_path, undisturbed("merge"))


def test_the_disk_for_what_memory_does_not_hold_is_full(
    small_disk: Path, tmp_path: Path, undisturbed: Callable[[str], Contents]
) -> None:
    """A merge that has to spill beside the file, where there is no room, is undone; the warehouse works on."""
    into, spilled = tmp_path / "w.duckdb", small_disk / "spilled"
    spilled.mkdir()
    into.with_name("w.duckdb.tmp").symlink_to(spilled)
    fill(small_disk, leave=4096)
    with headrace.connect(into) as warehouse:
        LOADS["merge"](into, SMALL, 1)
        warehouse.query("SET memory_limit = '24MB'")
        target = Target("t", primary_key=("id",), write_disposition="merge")
        with pytest.raises(LoadPending, match=r"main\.t: The memory does not suffice"):
            warehouse.load(every(LARGE, 1), target)

        assert [(SMALL,)] == warehouse.query("SELECT count(*) FROM t")
        warehouse.query("SET memory_limit = '2GB'")
        LOADS["merge"](into, LARGE, 1)
    assert undisturbed("merge") == contents(into)


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        pytest.param("resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))",
                     r"A file may not grow further \(ulimit -f\)", id="file size"),
        pytest.param("resource.setrlimit(resource.RLIMIT_NOFILE, (6, 6))",
                     r"Too many files are open", id="open files"),
    ],
)  # fmt: skip
def test_a_limit_of_the_system(
    tmp_path: Path, undisturbed: Callable[[str], Contents], prepare: str, told: str
) -> None:
    """Under a limit that is too low the load fails with 75 and says which; without it, it works."""
    into = tmp_path / "w.duckdb"
    assert ("", 0, "") == load("merge", into, SMALL)
    before = contents(into)
    name, code, message = load("merge", into, LARGE, prepare)

    assert 75 == code, message  # which file meets it first decides whether a package was sealed
    assert name in ("Shortage", "LoadPending")
    assert re.search(told, message)
    assert before == contents(into)
    check_works_again("merge", into, tmp_path, undisturbed("merge"))


@pytest.mark.parametrize("room", [64, 300])
def test_the_address_space_is_short(
    tmp_path: Path, undisturbed: Callable[[str], Contents], room: int
) -> None:
    """A process that gets no more memory says so, or dies in a library that does not; nothing is lost by it."""
    into = tmp_path / "w.duckdb"
    assert ("", 0, "") == load("merge", into, SMALL)
    before = contents(into)
    name, code, message = load("merge", into, LARGE, SHORT_OF_MEMORY.format(room=room))

    assert (name, code) in (
        ("Shortage", 75),
        ("LoadPending", 75),
        ("killed", -signal.SIGSEGV),
        ("killed", -signal.SIGABRT),
    )
    assert name == "killed" or "The memory does not suffice" in message
    assert before == contents(into)
    check_works_again("merge", into, tmp_path, undisturbed("merge"))


@pytest.mark.parametrize("invalidated", [[], ["checkpoint"]], ids=["undone", "given up by DuckDB"])
def test_an_open_warehouse_works_on(tmp_path: Path, invalidated: list[str]) -> None:
    """In one process too: where DuckDB has given the database up, headrace opens it anew."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", GOES_ON, str(tmp_path / "w.duckdb"), *invalidated],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ("True\n[(0,)]\n", "") == (done.stdout, done.stderr)


@pytest.mark.parametrize("records", [1, 150], ids=["exact lane", "columnar lane"])
def test_many_tables_need_few_files(tmp_path: Path, records: int) -> None:
    """Records of 518 lists make 519 tables while no more than 128 files may be open."""
    code = """
import resource, sys
import headrace
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
record = {"id": 1, "text": "x" * 20_000} | {f"list_{n}": [{"n": n}] for n in range(518)}
loaded = headrace.load([record] * int(sys.argv[2]), "t", into=sys.argv[1])
print(len(loaded.rows), sum(loaded.rows.values()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "w.duckdb"), str(records)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (f"519 {519 * records}\n", "") == (done.stdout, done.stderr)


AS_NOBODY = """
import headrace
headrace.load([{"id": 1}], "t", into=":memory:", primary_key="id", write_disposition="merge")  # imports
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
"""


@pytest.fixture
def others() -> Iterator[Path]:
    """A folder that every user can enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize(
    ("lock", "code", "told"),
    [
        pytest.param(
            "folder", 1, r"w\.duckdb cannot be opened for writing: .*Permission denied", id="folder"
        ),
        pytest.param("file", 1, r"w\.duckdb.*may not be written by this user", id="file"),
    ],
)
def test_a_right_is_missing(others: Path, lock: str, code: int, told: str) -> None:
    """Where nothing may be written the error says so, names the place, and leaves with 1: no time mends it."""
    into = others / "w.duckdb"
    assert ("", 0, "") == load("merge", into, SMALL)
    before = contents(into)
    others.chmod(0o777 if lock == "file" else 0o555)
    into.chmod(0o444 if lock == "file" else 0o666)
    name, left, message = load("merge", into, SMALL, AS_NOBODY)

    assert ("LoadError", code) == (name, left), message
    assert re.search(told, message)
    others.chmod(0o755)
    into.chmod(0o644)
    assert before == contents(into)
    assert ("", 0, "") == load("merge", into, SMALL)


def test_a_right_to_read_is_missing(others: Path) -> None:
    """Who only reads is not told of writing."""
    into = others / "w.duckdb"
    assert ("", 0, "") == load("merge", into, SMALL)
    into.chmod(0)
    code = f"import os\n{AS_NOBODY}\nheadrace.connect({str(into)!r}).open_readonly()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip

    last = done.stderr.splitlines()[-1]
    assert re.fullmatch(
        r"headrace\.errors\.WarehouseUnreadable: .*w\.duckdb cannot be opened: .*denied", last
    )


def test_a_new_warehouse_where_nothing_may_be_written(others: Path) -> None:
    """The first load into such a folder says so too, and leaves nothing."""
    others.chmod(0o555)
    name, left, message = load("merge", others / "w.duckdb", SMALL, AS_NOBODY)

    assert ("LoadError", 1) == (name, left), message
    assert re.search(r"w\.duckdb cannot be opened for writing: .*Permission denied", message)
    assert [] == list(others.iterdir())


def test_only_the_machine_is_blamed_for_what_it_said(warehouse: Warehouse) -> None:
    """A value that reads like an error of the system is a value."""
    assert None is shortage.as_shortage("t", None, ValueError(os.strerror(errno.ENOSPC)))
    assert isinstance(shortage.as_shortage("t", None, OSError(errno.ENOSPC, "")), Shortage)


def test_the_command_line_leaves_with_75(tmp_path: Path) -> None:
    """A script that calls headrace can tell what to try again from what to mend."""
    flow = tmp_path / "flow.py"
    flow.write_text(
        "from headrace import resource\n"
        "@resource\ndef t() -> list[dict]:\n"
        "    return [{'id': n, 'text': 'x' * 1000} for n in range(2000)]\n"
    )
    code = (
        "import resource, sys; from headrace.cli.app import main\n"
        "import headrace.dataflows.run\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)); sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", str(flow), "--into", str(tmp_path / "w.duckdb")],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip

    assert (75, "") == (done.returncode, done.stdout)
    assert "headrace: flow.t: A file may not grow further" in done.stderr
    assert "Traceback" not in done.stderr
