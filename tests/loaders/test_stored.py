"""Stored warehouses and packages of every version: they open, show what they showed, and go on.

What is expected was written by the version that made them; see tests/stored/README.md.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pytest

import headrace
from headrace.cli import app
from headrace.errors import WarehouseUnreadable
from headrace.loaders.catalogue.upgrades import NEWEST, UPGRADES
from headrace.loaders.contracts.target import Target
from tests.stored import make_stored, story

STORED = Path(make_stored.__file__).parent
VERSIONS = sorted(path.name for path in STORED.glob("v*") if path.is_dir())
KINDS = ("full", "waiting", "alone", "refused")


@pytest.fixture(scope="session", params=VERSIONS)
def unpacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one version, unpacked; no test writes into it."""
    folder = tmp_path_factory.mktemp(request.param)
    for kind in (*KINDS, "expected"):
        with zipfile.ZipFile(STORED / request.param / f"{kind}.zip") as archive:
            archive.extractall(folder / kind)
    return folder


@pytest.fixture(scope="session")
def expected(unpacked: Path) -> dict[str, Any]:
    """What the version that made the folder saw."""
    return dict(json.loads((unpacked / "expected" / "expected.json").read_text(encoding="utf-8")))


def copied(unpacked: Path, kind: str, to: Path) -> Path:
    """Return the warehouse of a kind, copied with its packages."""
    shutil.copytree(unpacked / kind, to, dirs_exist_ok=True)
    return to / make_stored.NAME


def known(expected: Any, found: Any) -> Any:
    """Return `found` without the columns of answers that its maker did not have; a later version may add some."""
    answers = {
        words: [
            {name: row.get(name) for name in (rows[0] if rows else row)} for row in found["answers"][words]
        ]
        for words, rows in expected["answers"].items()
    }
    return {**found, "answers": answers}


def test_there_are_versions() -> None:
    """At least one version is kept, whole."""
    assert "v0" in VERSIONS
    for version in VERSIONS:
        names = [f"{kind}.zip" for kind in sorted((*KINDS, "expected"))]
        assert names == sorted(path.name for path in (STORED / version).iterdir())


def test_reading(unpacked: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    """A stored warehouse shows the same rows, comments and answers, and reading leaves the file as it is."""
    path = copied(unpacked, "full", tmp_path)
    content = path.read_bytes()
    before = expected["full"]["before"]

    assert before == known(before, story.seen(path))
    assert content == path.read_bytes()


def test_going_on(unpacked: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    """Quarantine is replayed, cursors continue, each way of landing, new columns and wider types work."""
    path = copied(unpacked, "full", tmp_path)
    before, after = expected["full"]["before"], expected["full"]["after"]
    story.go_on(path)

    assert after == known(after, story.steady(story.seen(path), before))


def test_reading_after_writing(unpacked: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    """A warehouse that was opened for writing, and so perhaps upgraded, shows what it showed."""
    path = copied(unpacked, "full", tmp_path)
    headrace.load([{"id": 1}], "later.things", into=path)
    before = expected["full"]["before"]
    found = story.seen(path)

    assert {"columns", "rows"} == set(found["tables"].pop("later.things"))
    assert before["tables"] == found["tables"]
    assert before["briefs"] == found["briefs"]
    for words, rows in before["answers"].items():
        answer = known(before, found)["answers"][words]
        assert [] == [row for row in rows if row not in answer], words


def test_targets_are_read(unpacked: Path) -> None:
    """A stored target is read whole: every field it was stored with has the same value."""
    with headrace.connect(unpacked / "full" / make_stored.NAME).open_readonly() as connection:
        found = connection.execute("SELECT DISTINCT target FROM _headrace.loads").fetchall()
    targets = [json.loads(text) for (text,) in found]
    again = [json.loads(json.dumps(Target.from_json(target).to_json())) for target in targets]

    assert len(targets) > 20
    assert targets == [
        {name: value[name] for name in target} for target, value in zip(targets, again, strict=True)
    ]


def test_contracts_of_targets(unpacked: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    """How each table is loaded is found in the catalogue: every schema is exported as a contract."""
    path = copied(unpacked, "full", tmp_path)
    schemas = {row["table"].partition(".")[0] for row in expected["full"]["before"]["answers"]["schema show"]}

    for schema in sorted(schemas):
        assert "kind: DataContract" in story.tell(path, f"schema export {schema} --form odcs")


@pytest.mark.parametrize("kind", ["waiting", "alone"])
def test_packages_that_wait(unpacked: Path, expected: dict[str, Any], tmp_path: Path, kind: str) -> None:
    """Sealed packages of both forms are listed, and committed with their cursor at the next use."""
    path = copied(unpacked, kind, tmp_path)

    assert expected[kind]["packages"] == make_stored.packages(path)
    headrace.connect(path).query("SELECT 1")
    assert [] == make_stored.packages(path)
    assert expected[kind]["after"] == make_stored.tables(path)


def test_a_refused_package(unpacked: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    """A refused package is listed with its reason, refused again, and committed once nothing is in its way."""
    path = copied(unpacked, "refused", tmp_path)

    assert expected["refused"]["packages"] == make_stored.packages(path)
    with pytest.raises(RuntimeError, match="Duplicate key"):
        story.tell(path, "packages retry")
    make_stored.retry(path)
    assert [] == make_stored.packages(path)
    assert expected["refused"]["after"] == make_stored.tables(path)


def version_of(path: Path) -> int:
    """Return the version of a warehouse's catalogue; 0 where it has none."""
    with duckdb.connect(str(path), read_only=True) as connection:
        there = connection.execute(
            "SELECT count(*) FROM duckdb_tables() WHERE schema_name = '_headrace' AND table_name = 'meta'"
        ).fetchone()
        if there == (0,):
            return 0
        row = connection.execute("SELECT value FROM _headrace.meta WHERE key = 'version'").fetchone()
    return int(row[0]) if row else 0


def test_the_first_load_upgrades(unpacked: Path, tmp_path: Path) -> None:
    """Opening alone upgrades nothing; the first load does, in its own transaction."""
    path = copied(unpacked, "full", tmp_path)
    stored = version_of(path)
    with headrace.connect(path) as warehouse:
        warehouse.query("SELECT 1")
    opened = version_of(path)
    headrace.load([{"id": 1}], "later.things", into=path)

    assert (stored, NEWEST) == (opened, version_of(path))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills processes by SIGKILL")
@pytest.mark.parametrize("point", ["upgrade.begun", "upgrade.made", "commit.recorded", "commit.committed"])
def test_a_kill_in_the_middle_of_an_upgrade(unpacked: Path, tmp_path: Path, point: str) -> None:
    """Killed at any step, the catalogue has the old version or the new one whole, and the next load goes on."""
    path = copied(unpacked, "full", tmp_path)
    stored = version_of(path)
    if stored == NEWEST and point.startswith("upgrade."):
        pytest.skip("this version needs no upgrade")
    code = f"import headrace; headrace.load([{{'id': 1}}], 'later.things', into={str(path)!r})"
    killed = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "HEADRACE_CRASH_AT": point}, check=False
    )
    between = version_of(path)
    headrace.load([{"id": 2}], "later.things", into=path)
    with headrace.connect(path) as warehouse:
        landed = warehouse.query("SELECT id FROM later.things ORDER BY id")

    assert -signal.SIGKILL == killed.returncode
    assert (NEWEST if point == "commit.committed" else stored) == between
    assert ([(1,), (2,)], NEWEST) == (landed, version_of(path))


def test_an_upgraded_catalogue_is_as_a_new_one(unpacked: Path, tmp_path: Path) -> None:
    """After the upgrade the tables of the catalogue have the columns that a new warehouse has."""
    path = copied(unpacked, "full", tmp_path)
    headrace.load([{"id": 1}], "later.things", into=path)
    headrace.load([{"id": 1}], "things", into=tmp_path / "new.duckdb")
    columns = (
        "SELECT table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE schema_name = '_headrace' ORDER BY ALL"
    )
    found = []
    for one in (tmp_path / "new.duckdb", path):
        with duckdb.connect(str(one), read_only=True) as connection:
            found.append(connection.execute(columns).fetchall())

    assert found[0] == found[1]


def test_a_newer_warehouse_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a newer headrace wrote is neither read nor written, and the message says what to install."""
    path = tmp_path / "w.duckdb"
    headrace.load([{"id": 1}], "things", into=path)
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"UPDATE _headrace.meta SET value = '{NEWEST + 1}' WHERE key = 'version'")
    content = path.read_bytes()
    asked = []

    def records() -> Any:
        asked.append(1)
        yield {"id": 2}

    with pytest.raises(WarehouseUnreadable, match="pip install --upgrade headrace"):
        headrace.load(records(), "things", into=path)
    with pytest.raises(WarehouseUnreadable, match=f"versions up to {NEWEST}"):
        headrace.connect(path).open_readonly()
    code = app.main(["loads", "-w", str(path)])

    assert (1, []) == (code, asked)
    assert "newer headrace" in capsys.readouterr().err
    assert content == path.read_bytes()


def test_each_version_but_the_newest_has_its_upgrade() -> None:
    """The stored versions are those that the upgrades lead through, and the newest."""
    assert [f"v{number}" for number in range(len(UPGRADES) + 1)] == VERSIONS
