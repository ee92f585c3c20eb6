"""One load by one engine, in a process of its own: `python -m benchmarks.engines headrace slack jsonl 25000`.

The clock runs from before the input is opened until the database is closed. The imports of dlt and pandas
are outside of it, those of headrace inside, since headrace imports what a load needs when it needs it; the
time of the whole process, which `run.py` takes, holds everyone's.

| engine | what it does |
|---|---|
| headrace | `headrace.load` into a file: sealed package, one transaction |
| headrace-500MB | the same with `memory_limit="500MB"`, for the curves of memory |
| dlt | dlt as it comes: `insert_values` loader, one normalise process |
| dlt-parquet | dlt tuned as its guide says: Parquet, 2 normalise processes, larger buffers, no compression |
| dlt-tuned | the same, and what it extracts cut into 8 files: else the second process has nothing to do |
| duckdb | `CREATE TABLE AS` over `read_json`, every row sniffed; nested types stay nested, one table |
| pandas | `json_normalize`, lists kept as JSON text, then a table of DuckDB; one table |

| form | what the engine is given |
|---|---|
| jsonl | the file: by its path; for dlt its own `read_jsonl`; pandas and dicts read it line by line |
| dicts | a generator of dicts (for dlt of pages of 1000), `orjson.loads` of each line inside the timing |
| arrow | an Arrow table that is in memory before the clock runs; dlt keeps it nested, so flat records only |
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import clock, generators
from benchmarks.clock import Phases

DATABASE = "warehouse.duckdb"
SCHEMA = "landed"
"""Not the name of the file too: DuckDB would then find `landed.messages` ambiguous."""

DLT_TUNING = {
    "NORMALIZE__WORKERS": "2",
    "SOURCES__DATA_WRITER__BUFFER_MAX_ITEMS": "20000",
    "NORMALIZE__DATA_WRITER__BUFFER_MAX_ITEMS": "20000",
    "DATA_WRITER__DISABLE_COMPRESSION": "true",
}
DLT_QUIET = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Job:
    """One load.

    Attributes:
        kind: The kind of records, a key of `generators.KINDS`.
        form: How the engine is given them.
        rows: How many.
        folder: Where its database is, or will be.
    """

    kind: str
    form: str
    rows: int
    folder: Path

    @property
    def table(self) -> str:
        return generators.KINDS[self.kind].table

    @property
    def database(self) -> Path:
        return self.folder / DATABASE


Work = Callable[[], "Phases | None"]


def headrace(job: Job, memory_limit: str | None = None) -> Work:
    import headrace

    source = _source(job)

    def work() -> Phases:
        extracted = begin = time.perf_counter()

        def report(table: str, records: int, committed: bool) -> None:
            nonlocal extracted
            if not committed:
                extracted = time.perf_counter()

        with headrace.connect(job.database, report=report, memory_limit=memory_limit) as warehouse:
            headrace.load(source(), f"{SCHEMA}.{job.table}", into=warehouse)
            committed = time.perf_counter()
        closed = time.perf_counter()
        return {
            "extract": extracted - begin,
            "seal and commit": committed - extracted,
            "close": closed - committed,
        }

    return work


def headrace_bounded(job: Job) -> Work:
    return headrace(job, "500MB")


def dlt(job: Job) -> Work:
    return _dlt(job, None)


def dlt_parquet(job: Job) -> Work:
    os.environ.update(DLT_TUNING)
    return _dlt(job, "parquet")


def dlt_tuned(job: Job) -> Work:
    os.environ["SOURCES__DATA_WRITER__FILE_MAX_ITEMS"] = str(max(_PAGE, job.rows // 8))
    return dlt_parquet(job)


def _dlt(job: Job, file_format: Any) -> Work:
    os.environ.update(DLT_QUIET)
    import dlt
    from dlt.sources.filesystem import filesystem, read_jsonl

    if job.form == "jsonl":
        path = generators.jsonl(job.kind, job.rows)
        files = filesystem(bucket_url=str(path.parent.resolve()), file_glob=path.name)
        source: Callable[[], Any] = lambda: (files | read_jsonl(chunksize=_PAGE)).with_name(job.table)  # noqa: E731
    elif job.form == "dicts":
        source = lambda: _pages(_dicts(job))  # noqa: E731
    else:
        source = _source(job)

    def work() -> Phases:
        pipeline = dlt.pipeline(
            pipeline_name="bench",
            pipelines_dir=str(job.folder / "pipelines"),
            destination=dlt.destinations.duckdb(str(job.database)),
            dataset_name=SCHEMA,
        )
        pipeline.run(source(), table_name=job.table, loader_file_format=file_format)
        steps = [step for step in pipeline.last_trace.steps if step.step in ("extract", "normalize", "load")]
        return {step.step: (step.finished_at - step.started_at).total_seconds() for step in steps}

    return work


def duckdb(job: Job) -> Work:
    import duckdb

    path = generators.jsonl(job.kind, job.rows)

    def work() -> None:
        with duckdb.connect(job.database) as connection:
            reader = f"read_json('{path}', format = 'newline_delimited', sample_size = -1)"
            connection.execute(f"CREATE TABLE {job.table} AS SELECT * FROM {reader}")

    return work


def pandas(job: Job) -> Work:
    import duckdb
    import orjson
    import pandas

    def work() -> Phases:
        begin = time.perf_counter()
        records = list(_dicts(job))
        read = time.perf_counter()
        frame = pandas.json_normalize(records, sep="__")
        for name in frame.columns[frame.map(lambda value: isinstance(value, list)).any()]:
            frame[name] = [orjson.dumps(v).decode() if isinstance(v, list) else None for v in frame[name]]
        normalised = time.perf_counter()
        mixed = [name for name in frame.columns if _is_mixed(frame[name])]
        frame = frame.astype(dict.fromkeys(mixed, str))
        with duckdb.connect(job.database) as connection:
            connection.execute(f"CREATE TABLE {job.table} AS SELECT * FROM frame")
        loaded = time.perf_counter()
        return {"read": read - begin, "normalise": normalised - read, "to DuckDB": loaded - normalised}

    return work


def _is_mixed(column: Any) -> bool:
    """Tell whether values are of several types, which DuckDB does not take from a frame."""
    return bool(column.dtype == object and column.dropna().map(type).nunique() > 1)


def _source(job: Job) -> Callable[[], Any]:
    """Return what gives an engine its records, made ready as far as its form says."""
    if job.form == "jsonl":
        path = generators.jsonl(job.kind, job.rows)
        return lambda: path
    if job.form == "dicts":
        return lambda: _dicts(job)
    import pyarrow.parquet as pq

    table = pq.read_table(generators.parquet(job.kind, job.rows))
    return lambda: table


def _dicts(job: Job) -> Iterator[Any]:
    import orjson

    with generators.jsonl(job.kind, job.rows).open("rb") as file:
        yield from map(orjson.loads, file)


def _pages(records: Iterator[Any]) -> Iterator[list[Any]]:
    while page := list(itertools.islice(records, _PAGE)):
        yield page


ENGINES: dict[str, Callable[[Job], Work]] = {
    "headrace": headrace,
    "headrace-500MB": headrace_bounded,
    "dlt": dlt,
    "dlt-parquet": dlt_parquet,
    "dlt-tuned": dlt_tuned,
    "duckdb": duckdb,
    "pandas": pandas,
}
FORMS = ("jsonl", "dicts", "arrow")


def takes_load(parser: argparse.ArgumentParser) -> None:
    """Give a command the arguments that say which load is meant."""
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("kind", choices=generators.KINDS)
    parser.add_argument("form", choices=FORMS)
    parser.add_argument("rows", type=int)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Load one file with one engine, and tell how long it took.")
    takes_load(parser)
    parser.add_argument("--into", type=Path, required=True, help="the folder of the database")
    given = parser.parse_args()
    clock.timed(ENGINES[given.engine](Job(given.kind, given.form, given.rows, given.into)))
