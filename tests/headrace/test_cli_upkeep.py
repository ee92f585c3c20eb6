"""The command line's verbs of upkeep: packages and cursors, waiting and full runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.cli.app import main
from headrace.cli.options import seconds
from headrace.loaders.contracts.target import Target
from headrace.loaders.extract import extract
from headrace.loaders.packages.package import Package
from headrace.loaders.packages.writer import PackageWriter
from headrace.loaders.records import Checkpoint

FLOW = '''
from __future__ import annotations
from collections.abc import Iterator
from headrace import Record, resource

@resource(cursor="n")
def events(last: int, since: int | None) -> Iterator[Record]:
    """Events after the last one."""
    yield from ({"n": n} for n in range((since or 0) + 1, last + 1))
'''
HOLD = """
import sys
import headrace
with headrace.connect("w.duckdb") as warehouse:
    warehouse.query("SELECT 1")
    print("open", flush=True)
    sys.stdin.read()
"""

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with a flow."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADRACE_WAREHOUSE", raising=False)
    (tmp_path / "shop.py").write_text(FLOW, encoding="utf-8")
    return tmp_path


@pytest.fixture
def packages(here: Path) -> tuple[Package, Package]:
    """A package that waits for its commit, and a damaged one."""
    headrace.load([{"id": 0}], "t", into="w.duckdb")
    made = []
    for n in (1, 2):
        with PackageWriter(here / "w.duckdb.packages", Target("t"), "test") as writer:
            made.append(extract([{"id": n}, Checkpoint(n)], writer))
        made[-1].release()
    (made[1].folder / "0-0.jsonl").write_bytes(b"{}")
    return made[0], made[1]


def rows(captured: Captured) -> list[Any]:
    """Return what was written as JSON lines."""
    return [json.loads(line) for line in captured.readouterr().out.splitlines()]


def test_packages(packages: tuple[Package, Package], capsys: Captured) -> None:
    """They are listed and shown as they lie there; a retry commits what can be, a drop says what is lost."""
    waits, damaged = packages
    assert 0 == main(["packages", "list", "--json"])
    assert [(waits.id, "pending", "main.t", 1, None), (damaged.id, "pending", "main.t", 1, None)] == [
        tuple(row[key] for key in ("id", "status", "table", "records", "reason")) for row in rows(capsys)
    ]
    assert 0 == main(["packages", "show", waits.id, "--json"])
    assert [("0-0.jsonl", "$")] == [(row["name"], row["table"]) for row in rows(capsys)]

    with pytest.warns(UserWarning, match="A package was refused"):
        assert 1 == main(["packages", "retry"])
    told = capsys.readouterr().err
    assert f"{waits.id}: 1 records of main.t in load 2" in told
    assert f"{damaged.id}: The package {damaged.id} was refused: " in told

    assert 0 == main(["packages", "list", "--json"])
    (row,) = rows(capsys)
    assert ("refused", True) == (row["status"], "0-0.jsonl is not the file that was sealed" in row["reason"])
    assert 1 == main(["packages", "retry", damaged.id])

    assert 2 == main(["packages", "drop", damaged.id])
    assert (
        f"This would lose 1 records of main.t, {row['bytes']:,} bytes. Add --yes" in capsys.readouterr().err
    )
    assert 0 == main(["packages", "drop", damaged.id, "--yes"])
    assert f"dropping {damaged.id}: 1 records of main.t" in capsys.readouterr().err
    assert 0 == main(["packages", "list", "--json"])
    assert [] == rows(capsys)
    assert 0 == main(["query", "SELECT id FROM t ORDER BY id", "--json"])
    assert [0, 1] == [row["id"] for row in rows(capsys)]


def test_no_packages(here: Path, capsys: Captured) -> None:
    """Nothing to retry is said, and a misspelt warehouse is no warehouse without packages."""
    headrace.load([{"id": 0}], "t", into="w.duckdb")

    assert 0 == main(["packages", "retry"])
    assert "There is no package to commit." in capsys.readouterr().err
    assert [2, 2, 2] == [
        main(["packages", "list", "-w", "v.duckdb"]),
        main(["packages", "drop", "2", "-w", "v.duckdb"]),
        main(["packages", "list", "-w", "."]),
    ]
    *misspelt, folder = capsys.readouterr().err.splitlines()
    assert misspelt == 2 * [
        f"headrace: There is no warehouse '{here / 'v.duckdb'}', and there are no packages beside it."
    ]
    assert folder == f"headrace: '{here}' is a folder; name the warehouse's file in it."


@pytest.mark.parametrize(
    "words",
    [
        ["query", "SELECT count(*) AS n FROM t"],
        ["preview", "t"],
        ["schema", "show"],
        ["loads"],
        ["state", "list"],
    ],
)
def test_readers_tell_of_what_waits(
    packages: tuple[Package, Package], capsys: Captured, words: list[str]
) -> None:
    """Who reads is told, beside the rows, that others are on their way; and no more once they are there."""
    packages[1].drop()
    assert 0 == main(words)
    before = capsys.readouterr()
    assert 0 == main(["packages", "retry"])
    capsys.readouterr()
    assert 0 == main(words)
    after = capsys.readouterr()

    assert "1 package is not committed yet" in before.err
    assert "wait" not in before.out + after.out + after.err


def test_packages_while_another_process_writes(
    packages: tuple[Package, Package], capsys: Captured, here: Path
) -> None:
    """The list is there all the same; nobody takes a package from under whoever may be at work on it."""
    damaged = packages[1]
    command = [sys.executable, "-W", "ignore", "-c", HOLD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=here) as other:
        assert other.stdout is not None
        assert b"open\n" == other.stdout.readline()
        codes = [
            main(["packages", "list"]),
            main(["packages", "drop", damaged.id, "--yes"]),
            main(["packages", "retry", damaged.id]),
            main(["query", "SELECT 1"]),
        ]
        other.communicate()

    assert [0, 75, 75, 75] == codes
    told = capsys.readouterr().err.splitlines()
    assert 3 == sum("Wait for it with --wait 60s (in Python wait=60), read through" in line for line in told)
    assert 3 == sum(f"(process {other.pid} on " in line for line in told)


def test_state(here: Path, capsys: Captured) -> None:
    """Cursors are listed, set and reset; a full run does without."""
    flow = ["run", "shop", "--into", "w.duckdb", "--last"]
    assert 0 == main([*flow, "3"])
    assert 0 == main(["state", "list", "--json"])
    (row,) = rows(capsys)
    assert ("shop.events", "3", 1) == (row["resource"], row["cursor"], row["load_id"])
    assert 0 == main(["state", "set", "shop.events", "5"])
    assert 0 == main([*flow, "6"])
    assert 0 == main(["state", "reset", "shop.events"])
    assert 0 == main([*flow, "1"])
    assert 0 == main([*flow, "2", "--full"])
    assert 2 == main(["state", "set", "shop.event", "1"])
    assert "did you mean 'shop.events'" in capsys.readouterr().err
    with headrace.connect("w.duckdb") as warehouse:
        assert [1, 1, 1, 2, 2, 3, 6] == [
            n for (n,) in warehouse.query("SELECT n FROM shop.events ORDER BY n")
        ]


@pytest.mark.parametrize(
    ("text", "expected"), [("60", 60), ("60s", 60), ("1.5m", 90), ("2h", 7200), ("0", 0)]
)
def test_times(text: str, expected: float) -> None:
    """A time is a number with a unit, seconds without."""
    assert expected == seconds(text)


@pytest.mark.parametrize("text", ["", "s", "soon", "-1", "1d", "inf", "nan"])
def test_times_that_are_none(here: Path, text: str, capsys: Captured) -> None:
    """Anything else is a mistake of the call."""
    with pytest.raises(SystemExit) as left:
        main(["run", "shop", f"--wait={text}"])

    assert 2 == left.value.code
    assert "--wait" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["packages"], ["packages", "list"], ["packages", "drop"], ["state"], ["state", "set"]]
)
def test_help(words: list[str], capsys: Captured) -> None:
    """Every verb explains itself."""
    with pytest.raises(SystemExit) as left:
        main([*words, "--help"])

    assert 0 == left.value.code
    assert "usage: headrace" in capsys.readouterr().out
