"""Results as they are kept, and the figures that a report shows of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Results:
    """One run of one suite.

    Attributes:
        suite: Its name.
        size: The size it ran at.
        environment: The machine and the versions.
        rows: The measurements, in the order they were made.
    """

    suite: str
    size: str
    environment: Mapping[str, str]
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Figures:
    """All measurements of one case.

    Attributes:
        labels: What the case is.
        command: What to type to measure it again.
        seconds: Wall time of the work itself, of each round.
        process: Wall time of the whole process, of each round.
        rss_mb: Peak memory of the process, the median.
        child_rss_mb: Peak memory of its largest child, the median.
        phases: Seconds by phase, medians.
        curves: Memory over time, of each round that has it: (seconds, MB).
        errors: Why rounds failed.
    """

    labels: Mapping[str, Any]
    command: str
    seconds: Sequence[float]
    process: Sequence[float]
    rss_mb: float
    child_rss_mb: float
    phases: Mapping[str, float]
    curves: Sequence[Sequence[tuple[float, float]]]
    errors: Sequence[str]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def read(folder: Path) -> list[Results]:
    """Return the results that a folder holds, in the order of their files' names."""
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        header, *rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        found.append(Results(header["suite"], header["size"], header["environment"], rows))
    return found


def figures(rows: Iterable[Row]) -> list[Figures]:
    """Return the figures of each case, in the order of the first round."""
    cases: dict[str, list[Row]] = {}
    for row in rows:
        cases.setdefault(json.dumps(row["labels"]), []).append(row)
    return [_of_one(measured) for measured in cases.values()]


def _of_one(rows: Sequence[Row]) -> Figures:
    done = [row for row in rows if "error" not in row]
    names = done[0]["phases"] if done else ()
    return Figures(
        rows[0]["labels"],
        rows[0]["command"],
        [row["seconds"] for row in done],
        [row["process_seconds"] for row in done],
        _median(row["rss_mb"] for row in done),
        _median(row["child_rss_mb"] for row in done),
        {name: _median(row["phases"][name] for row in done) for name in names},
        [row["curve"] for row in done if "curve" in row],
        [row["error"] for row in rows if "error" in row],
    )


def _median(values: Iterable[float]) -> float:
    found = list(values)
    return statistics.median(found) if found else 0.0
