"""Stored warehouses and packages of every version: they open, show what they showed, and go on.

What is expected was written by the version that made them; see tests/stored/README.md.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

import headrace
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
