"""One measurement: start a process, time it from outside, check what it loaded.

`python -m benchmarks.run headrace slack jsonl 25000` prints one line of JSON: wall seconds in the process
(by phase where the engine tells) and of the whole process, peak memory of it and of its largest child, the
rows of each table, and sums over the root table.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import checks, generators
from benchmarks.engines import takes_load

_SAMPLES_A_SECOND = 20
_POINTS = 300


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure.

    Attributes:
        suite: The suite it belongs to.
        labels: What it is, as the report names it: engine, kind, rows…
        command: A module of this folder and its arguments; `run` adds `--into FOLDER`.
        base: Such a command for the database that it starts from; none for an empty folder.
        kind: The kind of records that the root table's sums are of.
        inputs: The files it reads, as (kind, form, rows), made beforehand.
        sampled: Whether to follow its memory over time.
        shown: The command to show in the report, where it is another one.
    """

    suite: str
    labels: dict[str, Any]
    command: tuple[str, ...]
    base: tuple[str, ...] = ()
    kind: str | None = None
    inputs: tuple[tuple[str, str, int], ...] = ()
    sampled: bool = False
    shown: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The command as a person types it."""
        module, *arguments = self.shown or (*self.command, "--into", "FOLDER")
        return " ".join(["python -m", f"benchmarks.{module}", *arguments])


def load_case(
    suite: str, engine: str, kind: str, form: str, rows: int, *, base_rows: int = 0, sampled: bool = False,
    **labels: Any,
) -> Case:  # fmt: skip
    """Return the case of one load by one engine; `base_rows` are in its database before."""
    command = ("engines", engine, kind, form, str(rows))
    maker = "dlt-tuned" if engine == "dlt" else engine  # the same tables, sooner
    base = ("engines", maker, kind, "jsonl", str(base_rows)) if base_rows else ()
    inputs = [(kind, form, rows), *([(kind, "jsonl", base_rows)] if base_rows else [])]
    return Case(
        suite,
        {"engine": engine, "kind": kind, "form": form, "rows": rows, **labels},
        command,
        base,
        kind=None if base_rows else kind,
        inputs=tuple(inputs),
        sampled=sampled,
        shown=() if base_rows else ("run", *command[1:]),
    )


def measure(case: Case, timeout: float) -> dict[str, Any]:
    """Run a case in a process of its own and return its figures; under `error` why it has none."""
    for kind, form, rows in case.inputs:
        generators.jsonl(kind, rows) if form != "arrow" else generators.parquet(kind, rows)
    row: dict[str, Any] = {"suite": case.suite, "labels": case.labels, "command": case.text}
    try:
        with _folder(case.base, timeout) as folder:
            begin = time.perf_counter()
            figures, curve = _run([*case.command, "--into", str(folder)], timeout, case.sampled)
            whole = time.perf_counter() - begin
            row |= {"process_seconds": whole, **figures, **checks.landed(folder, case.kind)}
    except (subprocess.SubprocessError, ValueError) as error:
        return row | {"error": str(error)}
    if case.sampled:
        row["curve"] = [(round(at - figures["began"], 2), megabytes) for at, megabytes in _thinned(curve)]
    return row


def clear() -> None:
    """Remove the databases that were made to start from: another headrace may have made them."""
    for name in ("work", "bases"):
        shutil.rmtree(generators.FOLDER / name, ignore_errors=True)


@contextmanager
def _folder(base: Sequence[str], timeout: float) -> Iterator[Path]:
    """A folder of its own for a database: empty, or a copy of one that is made the first time."""
    work = generators.FOLDER / "work"
    work.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=work))
    try:
        if base:
            ready = generators.FOLDER / "bases" / "-".join(base)
            if not ready.exists():
                unfinished = ready.with_name(f"{ready.name}.unfinished")
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir(parents=True)
                _run([*base, "--into", str(unfinished)], timeout, False)
                unfinished.rename(ready)
            shutil.copytree(ready, folder, dirs_exist_ok=True)
        os.sync()  # else what is timed would wait for what was written before it, the copy too
        yield folder
    finally:
        shutil.rmtree(folder)


def _run(
    command: Sequence[str], timeout: float, sampled: bool
) -> tuple[dict[str, Any], list[tuple[float, float]]]:
    """Run a module of this folder; return the figures it prints last, and its memory over time.

    Raises:
        ValueError: It failed; the message is the end of what it said.
        subprocess.TimeoutExpired: It took too long.
    """
    module, *arguments = command
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{module}", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True,
        ) as process,
    ):  # fmt: skip
        curve = _watch(process.pid, timeout) if sampled else []
        try:
            printed, _ = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
        errors.seek(0)
        said = errors.read().strip()
    if process.returncode:
        raise ValueError(said[-600:] or f"ended with {process.returncode}")
    figures: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return figures, curve


def _watch(pid: int, timeout: float) -> list[tuple[float, float]]:
    """Return (time, MB) of a process and its children, some 20 times a second, to its end."""
    import psutil  # of the extra: only curves need it

    curve: list[tuple[float, float]] = []
    process, end = psutil.Process(pid), time.time() + timeout
    while time.time() < end:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                break
            family = [process, *process.children(recursive=True)]
            curve.append((time.time(), sum(one.memory_info().rss for one in family) / 2**20))
        except psutil.NoSuchProcess:
            if not process.is_running():
                break
        time.sleep(1 / _SAMPLES_A_SECOND)
    return curve


def _thinned(curve: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most some 300 points, each the greatest of those it stands for."""
    step = max(1, len(curve) // _POINTS)
    groups = (curve[at : at + step] for at in range(0, len(curve), step))
    return [(group[0][0], round(max(megabytes for _, megabytes in group), 1)) for group in groups]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure one load by one engine.")
    takes_load(parser)
    parser.add_argument("--timeout", type=float, default=3600)
    given = parser.parse_args()
    case = load_case("run", given.engine, given.kind, given.form, given.rows)
    print(json.dumps(measure(case, given.timeout)))
