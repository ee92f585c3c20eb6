"""A process is killed without notice, at every named moment and at any other; the next one finishes.

Whatever the moment: what can be read at once is what was there before the load or what is there after it,
table by table of a run; and the same call made again ends where it would have ended with no kill at all.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import multiprocessing
import os
import random
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import headrace
from headrace.loaders.database import crash_points
from tests.reliability.contents import Contents, check_books, contents
from tests.reliability.killing import ROOT, Killer
from tests.reliability.streams import LOADS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes by SIGKILL, and forks them")

SIZE = 20
SINGLE = [how for how in LOADS if how != "run"]
UPGRADE = [
    point for point in crash_points.POINTS if point.startswith("upgrade.")
]  # tests/loaders/test_stored.py
TRANSFORM = [point for point in crash_points.POINTS if point.startswith("transform.")]
# the second file, table and column as well as the first
IN_A_LOAD = [
    *(point for point in crash_points.POINTS if point not in (*TRANSFORM, *UPGRADE)),
    "package.written:2", "commit.altered:2", "commit.rows:2",
]  # fmt: skip
AGAIN = [f"{point}:2" for point in crash_points.POINTS if re.match("package|commit|load", point)]

ONE_HOW_EACH = [
    *(
        (SINGLE[(at + turn) % len(SINGLE)], point, turn)
        for turn in (1, 2)
        for at, point in enumerate(IN_A_LOAD)
    ),
    *(("run", point, turn) for point in TRANSFORM for turn in (1, 2)),
    *(("run", point, 2) for point in AGAIN),
]
EVERY = [
    *itertools.product(SINGLE, IN_A_LOAD, (1, 2)),
    *itertools.product(["run"], [*IN_A_LOAD, *AGAIN, *TRANSFORM], (1, 2)),
]
KILLS = int(os.environ.get("HEADRACE_KILLS", "20"))
LARGEST = int(os.environ.get("HEADRACE_KILLS_RECORDS", "300"))
SEED = int(os.environ.get("HEADRACE_KILLS_SEED", "") or random.randrange(1 << 32))


@pytest.fixture(scope="module")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    with Killer(tmp_path_factory.mktemp("killer") / "log.txt") as started:
        yield started


class Undisturbed:
    """What loads make of a warehouse that nobody kills, each made once."""

    def __init__(self, killer: Killer, folder: Path) -> None:
        self._killer, self._folder = killer, folder
        self._known: dict[tuple[str, int, int], Contents] = {}
        self.seconds: dict[tuple[str, int, int], float] = {}

    def contents(self, how: str, size: int, turn: int) -> Contents:
        """Return the contents after turn 1, or after 1 and 2; after turn 0, nothing."""
        if not turn:
            return {"types": {}}
        key = (how, size, turn)
        if key not in self._known:
            into = self.warehouse(how, size, turn)
            self._known[key] = contents(into)
        return self._known[key]

    def warehouse(self, how: str, size: int, turn: int) -> Path:
        """Return the file after a turn."""
        into = self._folder / f"{how}-{size}-{turn}" / "w.duckdb"
        if not into.exists():
            into.parent.mkdir()
            if turn > 1:
                into.write_bytes(self.warehouse(how, size, turn - 1).read_bytes())
            started = time.perf_counter()
            assert not self._killer.load(how, into, size, turn)
            self.seconds[how, size, turn] = time.perf_counter() - started
        return into

    def forget(self, how: str, size: int) -> None:
        """Remove the files of a size that does not come again."""
        for turn in (1, 2):
            shutil.rmtree(self._folder / f"{how}-{size}-{turn}", ignore_errors=True)
            self._known.pop((how, size, turn), None)

    def begin(self, into: Path, how: str, size: int, turn: int) -> None:
        """Put a warehouse in place that is ready for a turn."""
        if turn > 1:
            into.write_bytes(self.warehouse(how, size, turn - 1).read_bytes())


@pytest.fixture(scope="module")
def undisturbed(killer: Killer, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(killer, tmp_path_factory.mktemp("undisturbed"))


def check_halves(found: Contents, before: Contents, after: Contents) -> None:
    """Check that each root table, its children included, is as it was or as it will be."""
    roots = {name.partition("__")[0] for name in (*found, *before, *after) if "." in name}
    for root in roots:
        now, then, soon = (
            {name: rows for name, rows in state.items() if is_of(root, name)}
            for state in (found, before, after)
        )
        assert now in (then, soon), root


def is_of(root: str, table: str) -> bool:
    """Tell whether a table is of a root; a transform's provisional one, `__new`, is nobody's."""
    return table.partition("__")[0] == root and not table.endswith("__new")


def kill_and_repeat(
    killer: Killer, undisturbed: Undisturbed, into: Path, how: str, point: str, turn: int
) -> None:
    """Kill a load at a point, look at what is there, and load again."""
    undisturbed.begin(into, how, SIZE, turn)
    before, after = (undisturbed.contents(how, SIZE, one) for one in (turn - 1, turn))
    if point.startswith("recovery."):
        assert killer.load(how, into, SIZE, turn, at="package.sealed")

    assert killer.load(how, into, SIZE, turn, at=point)
    if into.exists():
        check_halves(contents(into), before, after)

    assert not killer.load(how, into, SIZE, turn)
    assert after == contents(into)
    check_books(into)
    assert not into.with_name(f"{into.name}.packages").exists()


@pytest.mark.parametrize(("how", "point", "turn"), ONE_HOW_EACH)
def test_every_point(
    killer: Killer, undisturbed: Undisturbed, tmp_path: Path, how: str, point: str, turn: int
) -> None:
    """A kill at any step of a first or a later load leaves it whole or absent, and the next run completes it."""
    kill_and_repeat(killer, undisturbed, tmp_path / "w.duckdb", how, point, turn)


@pytest.mark.slow
@pytest.mark.parametrize(("how", "point", "turn"), EVERY)
def test_every_point_of_every_load(
    killer: Killer, undisturbed: Undisturbed, tmp_path: Path, how: str, point: str, turn: int
) -> None:
    """So for every kind of load: each has its own statements between the points."""
    kill_and_repeat(killer, undisturbed, tmp_path / "w.duckdb", how, point, turn)


def test_any_moment(killer: Killer, undisturbed: Undisturbed, tmp_path: Path) -> None:
    """A kill between any two instructions, also of the run that was to finish, does no more harm.

    `make soak` does this 500 times, with up to a million records. A failure names its seed:
    HEADRACE_KILLS_SEED=… makes the same choices again.
    """
    chance = random.Random(SEED)
    killed = 0
    for number in range(KILLS):
        how, turn = chance.choice(list(LOADS)), chance.choice((1, 2))
        size = round(math.exp(chance.uniform(math.log(10), math.log(LARGEST))))
        moments = [chance.random() for _ in range(chance.choice((1, 1, 2, 3)))]
        told = (
            f"HEADRACE_KILLS_SEED={SEED}: kill {number}, {how}, turn {turn} of {size} records, at {moments}"
        )
        print(told)  # noqa: T201
        into = tmp_path / str(number) / "w.duckdb"
        into.parent.mkdir()
        undisturbed.begin(into, how, size, turn)
        before, after = (undisturbed.contents(how, size, one) for one in (turn - 1, turn))
        for moment in moments:
            killed += killer.load(how, into, size, turn, after=moment * undisturbed.seconds[how, size, turn])
            if into.exists():
                with explained(told):
                    check_halves(contents(into), before, after)
        with explained(told):
            assert not killer.load(how, into, size, turn)
            assert after == contents(into)
            check_books(into)
        shutil.rmtree(into.parent)
        undisturbed.forget(how, size)
    print(f"HEADRACE_KILLS_SEED={SEED}: {killed} processes killed in {KILLS} loads")  # noqa: T201
    assert killed


@contextlib.contextmanager
def explained(told: str) -> Iterator[None]:
    """Say what was done when it fails."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{told}\n{str(error)[:2000]}") from None


def test_every_point_is_in_the_code() -> None:
    """The points that the tests go through are those of the code: each is named once more, in a `crash_point`."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("loaders/**/*.py")))
    code += "\n".join(path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("dataflows/**/*.py")))

    assert set(crash_points.POINTS) == set(re.findall(r'\bcrash_point\(\s*"([^"]*)"', code))
    assert (
        len(re.findall(r"\bcrash_point\(", code)) == len(re.findall(r'\bcrash_point\("', code)) + 1
    )  # its definition


def test_half_a_new_file_is_made_anew(tmp_path: Path) -> None:
    """A process that was killed while DuckDB made the file leaves nothing that the next one stumbles over."""
    unfinished = tmp_path / "w.duckdb.new"
    unfinished.write_bytes(b"\0" * 4096)

    headrace.load([{"id": 1}], "events", into=tmp_path / "w.duckdb")

    with headrace.connect(tmp_path / "w.duckdb") as warehouse:
        assert [(1,)] == warehouse.query("select id from events")
    assert not unfinished.exists()


def test_a_new_file_is_whole_as_soon_as_it_is_seen(tmp_path: Path) -> None:
    """Whoever finds the file of a first load, at any moment, can open it: it gets its name when it is one."""
    path, seen = tmp_path / "w.duckdb", []
    process = multiprocessing.get_context("spawn").Process(target=_loads_once, args=(path,))
    process.start()
    while process.is_alive():
        if path.exists():
            seen.append(path.read_bytes()[8:12])
    process.join()

    assert {b"DUCK"} == set(seen)
    assert all(seen)


def _loads_once(path: Path) -> None:
    headrace.load([{"id": 1}], "events", into=path)
