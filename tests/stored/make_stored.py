"""Make the stored warehouses and packages of one version.

    python -m tests.stored.make_stored v1

Run it once for each version of what is stored, in a checkout of that version; see README.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import headrace
from tests.stored import shop, story

ROOT = Path(__file__).parents[2]
NAME = "w.duckdb"
"""What the warehouse is called in each zip; its packages are in `w.duckdb.packages`."""

RUN_SHOP = """
import sys, headrace
from tests.stored import shop
headrace.run(shop, into=sys.argv[1], inputs={"turn": 2}, outputs=["orders"], workers=1, progress=False)
"""
LOAD_ARROW = """
import sys, headrace, pyarrow
numbers = pyarrow.table({"n": [1, 2, 3], "text": ["a", None, "c"], "lists": [[1, 2], [], None]})
headrace.load(numbers, "numbers", into=sys.argv[1])
"""


def make(folder: Path) -> None:
    """Write the zips of a version and what its code sees in them."""
    folder.mkdir()
    expected: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        full, waiting, alone, refused = (
            Path(scratch) / name for name in ("full", "waiting", "alone", "refused")
        )
        for place in (full, waiting, alone, refused):
            place.mkdir()
        story.begin(full / NAME)
        before = story.seen(full / NAME)
        _pack(full, folder)
        story.go_on(full / NAME)
        expected["full"] = {"before": before, "after": story.steady(story.seen(full / NAME), before)}

        headrace.run(
            shop, into=waiting / NAME, inputs={"turn": 1}, workers=1, progress=False
        ).warehouse.close()
        for place in (waiting, alone):
            _leave_packages(place)
            expected[place.name] = {"packages": packages(place / NAME)}
            _pack(place, folder)
            headrace.connect(place / NAME).query("SELECT 1")
            expected[place.name]["after"] = tables(place / NAME)

        _leave_refused(refused)
        expected["refused"] = {"packages": packages(refused / NAME)}
        _pack(refused, folder)
        retry(refused / NAME)
        expected["refused"]["after"] = tables(refused / NAME)
    text = json.dumps(expected, indent=1, ensure_ascii=False)
    with zipfile.ZipFile(folder / "expected.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("expected.json", text)


def packages(path: Path) -> list[dict[str, Any]]:
    """Return the packages beside a warehouse, but for their age."""
    listed = story.rows(path, "packages list")
    return [{name: value for name, value in row.items() if name != "age_seconds"} for row in listed]


def retry(path: Path) -> None:
    """Take away what a package was refused for, and commit it."""
    with headrace.connect(path) as warehouse:
        warehouse.query("DROP INDEX one")
    story.tell(path, "packages retry")


def tables(path: Path) -> dict[str, Any]:
    """Return the rows and the cursors of a small warehouse."""
    with headrace.connect(path) as warehouse:
        names = warehouse.query(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name <> '_headrace' ORDER BY ALL"
        )
        rows = {
            f"{schema}.{table}": warehouse.query(
                f'SELECT COLUMNS(*)::VARCHAR FROM "{schema}"."{table}" ORDER BY ALL'
            )
            for schema, table in names
        }
    cursors = {row["resource"]: row["cursor"] for row in story.rows(path, "state list")}
    return dict(json.loads(json.dumps({"rows": rows, "cursors": cursors})))


def _leave_packages(place: Path) -> None:
    """Leave two sealed packages beside a warehouse, of JSON lines with a cursor and of Parquet."""
    for code in (RUN_SHOP, LOAD_ARROW):
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / NAME
            if (place / NAME).exists():
                shutil.copy(place / NAME, copy)
            killed = subprocess.run(
                [sys.executable, "-c", code, str(copy)], cwd=ROOT, check=False,
                env={**os.environ, "PYTHONPATH": str(ROOT), "HEADRACE_CRASH_AT": "package.sealed"},
            )  # fmt: skip
            assert killed.returncode == -9, "it ends between sealing and commit"
            shutil.copytree(f"{copy}.packages", f"{place / NAME}.packages", dirs_exist_ok=True)


def _leave_refused(place: Path) -> None:
    """Leave a package that DuckDB refused, for a key that is there already."""
    with headrace.connect(place / NAME) as warehouse:
        headrace.load([{"id": 1, "tags": ["a"]}], "t", into=warehouse)
        warehouse.query("CREATE UNIQUE INDEX one ON t (id)")
        with contextlib.suppress(headrace.LoadError):
            headrace.load([{"id": 1, "tags": ["b"]}, {"id": 2}], "t", into=warehouse)


def _pack(place: Path, folder: Path) -> None:
    with zipfile.ZipFile(folder / f"{place.name}.zip", "w", zipfile.ZIP_LZMA) as archive:
        for path in sorted(place.rglob("*")):
            if path.is_file() and path.suffix != ".lock":
                archive.write(path, path.relative_to(place))


if __name__ == "__main__":
    make(Path(__file__).with_name(sys.argv[1]))
