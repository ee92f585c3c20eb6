"""What the DAG costs: `python -m benchmarks.dag run 50 --into FOLDER`.

| what | what is timed |
|---|---|
| load | so many calls of `headrace.load` of 100 rows each, into one new file |
| run | the same as so many resources of one flow, by `headrace.run` |
| endpoints | a flow of so many resources that each wait a second for their rows, once |

`load` and `run` are done some times over; the figure is the median, the first time (with imports) apart.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import clock
from benchmarks.engines import DATABASE

_REPEATS = 5
_ROWS = [{"id": at, "name": f"row {at}", "amount": at / 4} for at in range(100)]
_HEADER = """
from __future__ import annotations
import time
from collections.abc import Iterator
from headrace import resource
"""
_RESOURCE = """
@resource
def rows_{at}() -> Iterator[dict]:
    time.sleep({wait})
    for at in range(100):
        yield {{"id": at, "name": f"row {{at}}", "amount": at / 4}}
"""


def flow_file(folder: Path, resources: int, wait: float = 0) -> Path:
    """Write a flow of resources that are alike, and return its file."""
    path = folder / "landed.py"
    path.write_text(_HEADER + "".join(_RESOURCE.format(at=at, wait=wait) for at in range(resources)))
    return path


def load(many: int, path: Path) -> None:
    import headrace

    with headrace.connect(path) as warehouse:
        for at in range(many):
            headrace.load(_ROWS, f"landed.rows_{at}", into=warehouse)


def run(flow: Any, path: Path) -> None:
    import headrace

    headrace.run(flow, into=path, progress=False).warehouse.close()


def repeated(work: Callable[[Path], None], folder: Path) -> None:
    """Time work on a new file, some times over; print the median."""
    seconds = []
    for _ in range(_REPEATS + 1):
        path = folder / DATABASE
        path.unlink(missing_ok=True)
        begin = time.perf_counter()
        work(path)
        seconds.append(time.perf_counter() - begin)
    first, *rest = seconds
    clock.tell(statistics.median(rest), {"first": first, "least": min(rest), "most": max(rest)})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time a flow beside plain loads.")
    parser.add_argument("what", choices=("load", "run", "endpoints"))
    parser.add_argument("many", type=int)
    parser.add_argument("--into", type=Path, required=True, help="the folder of the database")
    given = parser.parse_args()
    if given.what == "load":
        repeated(lambda path: load(given.many, path), given.into)
    elif given.what == "run":
        flow = flow_file(given.into, given.many)
        repeated(lambda path: run(str(flow), path), given.into)
    else:
        flow = flow_file(given.into, given.many, wait=1)
        importlib.import_module("headrace.dataflows.run")  # Hamilton's import is no part of the wait
        clock.timed(lambda: run(str(flow), given.into / DATABASE))
