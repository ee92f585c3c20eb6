"""What is measured, at which size: `python -m benchmarks.suites throughput --size small full`.

Every suite is a list of cases. All cases run once, then all again, and so on, so that what slows the
machine for a while slows everyone. Results go to `benchmarks/results/SUITE-SIZE.jsonl`, one line a
measurement; the first line tells the machine. `python -m benchmarks.report` makes the document of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import checks, growth, machine, merge
from benchmarks.run import Case, clear, load_case, measure

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything.

    Attributes:
        rows: Records by kind, for throughput.
        others: Engines besides headrace and dlt with Parquet: dlt as it comes takes 4 to 12 times as long,
            and pandas holds everything in memory.
        existing: Slack messages in the file that a small increment goes into; the largest are 5 GB of JSONL.
        growing: Records of the loads whose cost per row is compared.
        axes: Steps along each axis of `growth`.
        memory_mb: Size of the JSONL whose loading is followed in memory.
        merged: Rows of the table that is merged into.
        changes: Records merged into it.
        resources: Resources of the flows.
        endpoints: Resources that wait for a second each.
    """

    rows: Mapping[str, int]
    others: Sequence[str]
    existing: int
    growing: Sequence[int]
    axes: Mapping[str, Sequence[int]]
    memory_mb: int
    merged: int
    changes: Sequence[int]
    resources: Sequence[int] = (1, 50)
    endpoints: int = 8


_AXES = {
    "loads": (1, 10, 100),
    "columns": (10, 100, 1000),
    "new-columns": (1, 50, 500),
    "depth": (1, 10, 50),
    "lists": (1, 4, 8),
    "drift": (1, 10, 100),
}
_LONG_AXES = _AXES | {"loads": (1, 10, 100, 1000)}
SIZES = {
    "tiny": Size(
        {"slack": 2_000, "flat": 5_000, "wide": 500}, ("dlt", "duckdb", "pandas"), 10_000, (1_000, 10_000),
        {"loads": (1, 10), "columns": (10, 100), "new-columns": (1, 10), "depth": (1, 10), "lists": (1, 3),
         "drift": (1, 10)},
        20, 10_000, (1_000,), (1, 5), 2,
    ),
    "small": Size(
        {"slack": 25_000, "flat": 100_000, "wide": 5_000}, ("dlt", "duckdb", "pandas"), 250_000,
        (10_000, 100_000), _AXES, 200, 100_000, (1_000, 10_000),
    ),
    "full": Size(
        {"slack": 250_000, "flat": 1_000_000, "wide": 50_000}, ("duckdb", "pandas"), 1_500_000,
        (10_000, 100_000, 1_000_000), _LONG_AXES, 1_000, 1_000_000, (1_000, 100_000),
    ),
    "huge": Size(
        {"slack": 2_500_000, "flat": 10_000_000, "wide": 500_000}, ("duckdb",), 6_747_638,
        (10_000, 100_000, 1_000_000, 10_000_000), _LONG_AXES, 5_000, 10_000_000, (1_000, 100_000),
    ),
}  # fmt: skip


def throughput(size: Size) -> list[Case]:
    cases = []
    for kind, rows in size.rows.items():
        runs = [("headrace", form) for form in ("jsonl", "dicts", "arrow")]
        runs += [(engine, form) for engine in ("dlt-tuned", "dlt-parquet") for form in ("jsonl", "dicts")]
        runs += [("dlt-tuned", "arrow")] if kind == "flat" else []
        runs += [(engine, "jsonl") for engine in size.others]
        cases += [load_case("throughput", engine, kind, form, rows) for engine, form in runs]
    return cases


def startup(size: Size) -> list[Case]:
    engines = ("headrace", "dlt", "dlt-tuned")
    return [
        load_case("startup", engine, "slack", "dicts", 100, base_rows=base, existing=base)
        for base in (0, size.existing)
        for engine in engines
    ]


def growing(size: Size) -> list[Case]:
    cases = [
        load_case("growth", "headrace", kind, "jsonl", rows, axis=f"rows, {kind}", step=rows)
        for kind in ("slack", "flat")
        for rows in size.growing
    ]
    return cases + [
        Case("growth", {"axis": axis, "step": step}, ("growth", axis, str(step)))
        for axis in growth.AXES
        for step in size.axes[axis]
    ]


def memory(size: Size) -> list[Case]:
    rows = size.memory_mb * 1_000_000 // 741  # bytes of a message
    return [
        load_case("memory", engine, "slack", "jsonl", rows, sampled=True, megabytes=size.memory_mb)
        for engine in ("headrace", "headrace-500MB")
    ]


def merging(size: Size) -> list[Case]:
    cases = []
    for strategy in merge.STRATEGIES:
        for changes in size.changes:
            for engine in merge.ENGINES:
                base = ("merge", engine, strategy, str(size.merged))
                labels = {"engine": engine, "strategy": strategy, "rows": size.merged, "changes": changes}
                cases.append(Case("merge", labels, (*base, str(changes)), base))
    return cases


def dag(size: Size) -> list[Case]:
    cases = [
        Case("dag", {"what": what, "resources": many}, ("dag", what, str(many)))
        for many in size.resources
        for what in ("load", "run")
    ]
    waiting = Case(
        "dag", {"what": "endpoints", "resources": size.endpoints}, ("dag", "endpoints", str(size.endpoints))
    )
    return [*cases, waiting]


SUITES: dict[str, Callable[[Size], list[Case]]] = {
    "throughput": throughput,
    "startup": startup,
    "growth": growing,
    "memory": memory,
    "merge": merging,
    "dag": dag,
}


def run(suite: str, size: str, rounds: int, timeout: float, engines: Sequence[str]) -> bool:
    """Measure a suite in rounds and keep the results; False where something failed or differed."""
    cases = SUITES[suite](SIZES[size])
    cases = [case for case in cases if not engines or case.labels.get("engine", "headrace") in engines]
    clear()
    for engine in dict.fromkeys(case.labels.get("engine", "headrace") for case in cases):
        measure(load_case("warming up", engine, "flat", "jsonl", 100), timeout)  # compiles what is imported
    RESULTS.mkdir(exist_ok=True)
    rows = []
    with (RESULTS / f"{suite}-{size}.jsonl").open("w", encoding="utf-8") as file:
        header = {"suite": suite, "size": size, "rounds": rounds, "environment": machine.environment()}
        file.write(json.dumps(header) + "\n")
        for round_ in range(1, rounds + 1):
            for case in cases:
                row = measure(case, timeout) | {"round": round_}
                rows.append(row)
                file.write(json.dumps(row) + "\n")
                file.flush()
                _say(row, rounds)
    problems = disagreements(rows) + [f"{row['command']}: {row['error']}" for row in rows if "error" in row]
    for problem in problems:
        print(f"PROBLEM {problem}", file=sys.stderr)
    return not problems


def disagreements(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return where cases that loaded the same records landed different rows."""
    alike = defaultdict(list)
    for row in rows:
        labels = dict(row["labels"])
        if "tables" in row and "engine" in labels:
            name = " ".join(str(labels.pop(label)) for label in ("engine", "form") if label in labels)
            alike[", ".join(map(str, labels.values()))].append((name, row))
    return [
        f"{what}: {difference}" for what, found in alike.items() for difference in checks.differences(found)
    ]


def _say(row: Mapping[str, Any], rounds: int) -> None:
    labels = " ".join(str(value) for value in row["labels"].values())
    figure = f"{row['seconds']:8.2f} s" if "error" not in row else "  FAILED"
    now = time.strftime("%H:%M:%S")
    print(f"{now} {row['suite']:10} {row['round']}/{rounds} {figure}  {labels}", file=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("suites", nargs="*", help="default: all of them")
    parser.add_argument("--size", choices=SIZES, nargs="+", default=["small"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for one measurement")
    parser.add_argument("--engines", nargs="*", default=[], help="only these; default: all")
    given = parser.parse_args()
    if unknown := set(given.suites) - set(SUITES):
        parser.error(f"no suite {', '.join(unknown)}; there are {', '.join(SUITES)}")
    done = [
        run(suite, size, given.rounds, given.timeout, given.engines)
        for suite in given.suites or SUITES
        for size in given.size
    ]
    sys.exit(0 if all(done) else 1)
