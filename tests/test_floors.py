"""The floors hold: imports go down only, and never by the bare name of a floor."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ("dataflows", "loaders", "transforms")
HIDDEN = shutil.ignore_patterns("__pycache__")


def lint_imports(checkout: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter over a checkout, whichever headrace is installed."""
    code = "import sys; from importlinter import cli; sys.exit(cli.lint_imports(no_cache=True, no_logo=True))"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=False
    )


def ruff_finds(code: str, rule: str) -> list[str]:
    """Return the rule's messages about `code`, as if it stood in a new module of transforms."""
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or "ruff"
    done = subprocess.run(
        [ruff, "check", "--select", rule, "--output-format", "json", "--stdin-filename", "transforms/new.py"],
        input=code,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return [finding["message"] for finding in json.loads(done.stdout)]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the code, links included, to break."""
    for folder in ("headrace", *FLOORS):
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True, ignore=HIDDEN)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_contracts_are_kept() -> None:
    """Every contract of import-linter holds."""
    done = lint_imports(ROOT)

    assert 0 == done.returncode, done.stdout


def test_every_module_is_looked_at() -> None:
    """The linter follows the links: it knows each module of each floor by its public name."""
    graph = grimp.build_graph("headrace", cache_dir=None)
    modules = {
        ".".join(("headrace", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        for floor in FLOORS
        for path in (ROOT / floor).rglob("*.py")
    }

    assert modules <= graph.modules
    assert set() == set(FLOORS) & graph.modules


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("loaders/violation.py", "from headrace import dataflows"),
        ("loaders/violation.py", "from headrace import transforms"),
        ("loaders/violation.py", "import ibis"),
        ("loaders/violation.py", "import pandas"),
        ("transforms/violation.py", "from headrace.loaders import records"),
        ("transforms/violation.py", "import hamilton"),
        ("dataflows/sources/violation.py", "import headrace.cli.app"),
        ("headrace/errors.py", "import headrace.loaders"),
    ],
)
def test_violation_is_found(copy: Path, module: str, line: str) -> None:
    """An import that goes up, sideways or around a floor fails the lint, wherever its module lies."""
    with (copy / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")

    done = lint_imports(copy)

    assert 1 == done.returncode
    assert "is not allowed to import" in done.stdout


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("statement", ["import {}", "import {}.records", "from {} import records"])
def test_bare_name_is_banned(floor: str, statement: str) -> None:
    """The bare name of a floor belongs to the user: ruff refuses it and says what to write."""
    (message,) = ruff_finds(statement.format(floor), "TID251")

    assert f"Import headrace.{floor}" in message
