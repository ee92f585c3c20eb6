"""Merging into a table that exists: `python -m benchmarks.merge headrace upsert 1000000 1000 --into FOLDER`.

Without the last number it makes the table. Of the changes, one half are records that it has, spread
over all of it, the other half are new. dlt is the tuned one.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from benchmarks import clock
from benchmarks.engines import DATABASE, DLT_QUIET, DLT_TUNING, SCHEMA, Work

Strategy = Literal["upsert", "delete-insert"]
STRATEGIES = get_args(Strategy)
_PAGE = 1000


def base(rows: int) -> Iterator[list[dict[str, Any]]]:
    """Yield pages of the records that the table begins with."""
    return _pages(iter(range(rows)), "2026-01-01T00:00:00Z")


def changes(rows: int, many: int) -> Iterator[list[dict[str, Any]]]:
    """Yield pages of changes: half of them to ids below `rows`, half with ids from there on."""
    known = many // 2
    ids = [at * rows // known for at in range(known)] + list(range(rows, rows + many - known))
    return _pages(iter(ids), "2026-02-01T00:00:00Z")


def headrace(strategy: Strategy, pages: Iterator[list[dict[str, Any]]], folder: Path) -> Work:
    import headrace

    def work() -> None:
        headrace.load(
            pages,
            f"{SCHEMA}.people",
            into=folder / DATABASE,
            primary_key="id",
            write_disposition="merge",
            merge_strategy=strategy,
        )

    return work


def dlt(strategy: str, pages: Iterator[list[dict[str, Any]]], folder: Path) -> Work:
    os.environ.update(DLT_TUNING | DLT_QUIET)
    import dlt

    def work() -> None:
        pipeline = dlt.pipeline(
            pipeline_name="merge",
            pipelines_dir=str(folder / "pipelines"),
            destination=dlt.destinations.duckdb(str(folder / DATABASE)),
            dataset_name=SCHEMA,
        )
        pipeline.run(
            pages,
            table_name="people",
            primary_key="id",
            write_disposition={"disposition": "merge", "strategy": strategy},
            loader_file_format="parquet",
        )

    return work


def _pages(ids: Iterator[int], at: str) -> Iterator[list[dict[str, Any]]]:
    page = []
    for number in ids:
        page.append(
            {
                "id": number,
                "name": f"Person {number}",
                "email": f"person-{number}@example.com",
                "country": ("DE", "FR", "US", "BR")[number % 4],
                "balance": number % 10_000 / 4,
                "updated_at": at,
            }
        )
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page


ENGINES = {"headrace": headrace, "dlt-tuned": dlt}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time a merge; without CHANGES, make its table.")
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("strategy", choices=STRATEGIES)
    parser.add_argument("rows", type=int, help="the rows of the table")
    parser.add_argument("changes", type=int, nargs="?", default=0, help="the records to merge into it")
    parser.add_argument("--into", type=Path, required=True, help="the folder of the database")
    given = parser.parse_args()
    pages = changes(given.rows, given.changes) if given.changes else base(given.rows)
    clock.timed(ENGINES[given.engine](given.strategy, pages, given.into))
