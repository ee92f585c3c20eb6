"""A measurement is of a real load, in a process of its own, and says what it landed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import generators, suites
from benchmarks.run import Case, load_case, measure


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the generated files, which processes inherit."""
    monkeypatch.setattr(generators, "FOLDER", tmp_path)
    monkeypatch.setenv("BENCH_FOLDER", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    return tmp_path


@pytest.mark.parametrize("kind", generators.KINDS)
def test_headrace_and_duckdb_land_the_same_rows(kind: str) -> None:
    """A lane of headrace and DuckDB's own reader agree on counts and sums; memory and times are there."""
    rows = [
        measure(load_case("throughput", engine, kind, form, 300), 100)
        for engine, form in (("headrace", "jsonl"), ("headrace", "arrow"), ("duckdb", "jsonl"))
    ]

    assert [] == [row["error"] for row in rows if "error" in row]
    assert [] == suites.disagreements(rows)
    assert 300 == rows[0]["sums"]["rows"] == rows[0]["tables"][generators.KINDS[kind].table]
    assert all(0 < row["seconds"] < row["process_seconds"] and row["rss_mb"] > 10 for row in rows)


def test_merge_starts_from_its_base(folder: Path) -> None:
    """A case with a base gets a copy of it, made once: half of the changes are new rows."""
    base = ("merge", "headrace", "upsert", "200")
    case = Case("merge", {"engine": "headrace"}, (*base, "100"), base)

    assert [{"people": 250}, {"people": 250}] == [measure(case, 100)["tables"] for _ in range(2)]
    assert ["merge-headrace-upsert-200"] == [path.name for path in (folder / "bases").iterdir()]
    assert [] == list((folder / "work").iterdir())


def test_failure_is_a_result() -> None:
    """A case that fails says why, and the others go on."""
    row = measure(Case("growth", {}, ("growth", "depth", "none")), 100)

    assert "invalid int value: 'none'" in row["error"]


@pytest.mark.parametrize("suite", suites.SUITES)
def test_cases_are_distinct(suite: str) -> None:
    """No two cases of a suite have the same labels: their figures would be mixed."""
    for size in suites.SIZES.values():
        cases = suites.SUITES[suite](size)

        assert len(cases) == len({tuple(case.labels.items()) for case in cases})
