"""The report says what the results hold: medians, spreads, ratios, and where engines differ."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import report, suites
from benchmarks.measurements import Results, read

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def results() -> list[Results]:
    """Results of every suite, with invented figures."""
    return read(RESULTS)


def test_every_suite_has_a_section(results: list[Results]) -> None:
    """What is measured is shown, and what is not measured is not promised."""
    sections = [line for line in report.render(results).splitlines() if line.startswith("## ")]

    assert [
        "## Machine and versions", "## What is compared", "## Loading", "## Start-up", "## Growth", "## Memory",
        "## Merging", "## The DAG",
    ] == sections  # fmt: skip
    assert "## Loading" not in report.render([])


@pytest.mark.parametrize(
    "line",
    [
        # median, least, greatest, n; 21 s of dlt tuned, 90 s of dlt and 1 s of DuckDB beside 2 s
        "| headrace | jsonl | **2.00** (1.00 to 9.00) | 3 | **3.00** (2.00 to 10.00) | 1,000 | 100 | 10x |  | 45x | 2x | `python -m benchmarks.run headrace slack jsonl 2000` |",
        "| a file of 500 messages | dlt | **5.00** (5.00 to 5.00) | 1 | **6.00** (6.00 to 6.00) | 4.0x | 100 | `python -m benchmarks.run dlt slack dicts 100` |",
        "| loads | 10 | **0.50** (0.50 to 0.50) | 1 | **1.50** (1.50 to 1.50) | 50.0 ms a load; first loads 60; last loads 40 | 100 | `python -m benchmarks.growth loads 10 --into FOLDER` |",
        "| 1,000 into 10,000 | upsert | dlt-tuned | **3.00** (3.00 to 3.00) | 1 | **4.00** (4.00 to 4.00) | 6x | 100 | `python -m benchmarks.merge dlt-tuned upsert 10000 1000 --into FOLDER` |",
        "| run | 5 | **0.62** (0.62 to 0.62) | 1 | **1.62** (1.62 to 1.62) | +125 ms | `python -m benchmarks.dag run 5 --into FOLDER` |",
        "| headrace | 20 MB, 2,700 messages | **3.90** (3.90 to 3.90) | 1 | **4.90** (4.90 to 4.90) | **100** (100 to 100) | 100 100 100 100 100 | **150** (150 to 150) | `python -m benchmarks.run headrace slack jsonl 2700` |",
        "* Failed: `python -m benchmarks.run pandas slack jsonl 2000`: MemoryError: no room",
    ],
)  # fmt: skip
def test_line(line: str, results: list[Results]) -> None:
    """A figure stands with its spread, its n, what it is beside others, and its command."""
    assert line in report.render(results).splitlines()


def test_machine_is_told_once(results: list[Results]) -> None:
    """What all runs have in common is not repeated; a run on another machine stands out."""
    other = replace(results[0], environment={**results[0].environment, "duckdb": "1.5.6"})

    assert 1 == report.render(results).count("An invented one")
    assert f"* {other.suite}, tiny: duckdb 1.5.6\n" in report.render([other, *results[1:]])


def test_other_rows_are_told(results: list[Results]) -> None:
    """Fast and wrong is no result: the document says who landed something else."""
    (loading,) = (one for one in results if one.suite == "throughput")
    rows = [
        {**row, "sums": {"letters": 6}} if row["labels"]["engine"] == "duckdb" else row
        for row in loading.rows
    ]
    wrong = replace(loading, rows=rows)

    assert [] == suites.disagreements(loading.rows)
    assert (
        "**Not the same rows**: slack, 2000: letters: 5 in headrace jsonl, dlt-tuned jsonl, dlt jsonl; "
        "6 in duckdb jsonl.\n"
    ) in report.render([wrong])


def test_document_and_charts_are_written(tmp_path: Path) -> None:
    """`python -m benchmarks.report` makes a document whose charts are beside it."""
    pytest.importorskip("matplotlib")
    shutil.copytree(RESULTS, tmp_path / "results")
    into = tmp_path / "benchmarks.md"
    subprocess.run(
        [sys.executable, "-m", "benchmarks.report", str(tmp_path / "results"), "--into", str(into)],
        cwd=ROOT, check=True,
    )  # fmt: skip
    text = into.read_text(encoding="utf-8")

    for suite in ("throughput", "growth", "memory"):
        assert f"](benchmarks/{suite}.svg)" in text
        assert "<svg" in (tmp_path / "benchmarks" / f"{suite}.svg").read_text(encoding="utf-8")
