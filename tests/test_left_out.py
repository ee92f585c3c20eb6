"""A run that leaves tests out says which, and how many."""

from __future__ import annotations

import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.left_out import lines

ROOT = Path(__file__).parent.parent

TESTS = """
import pytest

@pytest.mark.slow
@pytest.mark.parametrize("n", range(3))
def test_slow(n): pass

@pytest.mark.parametrize("n", range(2))
def test_skipped(n): pytest.skip("no such tool")

def test_that_runs(): pass
"""


def test_one_line_for_each_reason() -> None:
    """Reasons are counted; the most frequent comes first, and equal counts follow the alphabet."""
    assert [
        "   12 slow (make test-slow)",
        "    2 skipped: no dot",
        "    1 skipped: a",
        "    1 skipped: b",
        f"      other Pythons than {platform.python_version()} (make test-all)",
    ] == lines(12, ["Skipped: b", "Skipped: no dot", "a", "Skipped: no dot"])


def test_a_run_that_is_not_quick() -> None:
    """Whoever runs some tests by name reads of those that were skipped only."""
    assert ["    1 skipped: no dot"] == lines(None, ["Skipped: no dot"])


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_end_of_a_run(tmp_path: Path, workers: str) -> None:
    """The counts are the same whether one process ran the tests or several did."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n", encoding="utf-8")
    (tmp_path / "test_some.py").write_text(TESTS, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "not slow",
        "-n",
        workers,
        "-p",
        "no:cacheprovider",
    ]
    options = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=False)
    printed = done.stdout.splitlines()

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "    3 slow (make test-slow)" in printed
    assert "    2 skipped: no such tool" in printed


def test_sigint_has_its_usual_effect() -> None:
    """Tests that interrupt work in a run that a script started in the background, too."""
    assert signal.SIG_IGN is not signal.getsignal(signal.SIGINT)
