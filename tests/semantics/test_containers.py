"""The same content gives the same tables, whatever container it comes in."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import gzip
import json
import math
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.loaders import extract
from headrace.loaders.packages import writer
from headrace.loaders.warehouse import Warehouse
from tests.loaders import landed

GOLDEN = Path(__file__).parents[2].parent / "shared" / "data" / "dlt_golden_small.json"
Records = list[Any]
Contain = Callable[[Records, Path], Any]
Landed = dict[str, dict[str, tuple[str, list[Any]]]]

ANY, JSON, ARROW, PLAIN, NAMED = "any", "json", "arrow", "plain", "named"
"""What a container asks of records: nothing; values of JSON; one type a path; no gaps; keys that are identifiers."""

GOLDEN_CASES = {
    "nested": (JSON, ARROW, NAMED),
    "list_of_list": (JSON, ARROW, PLAIN, NAMED),
    "mixed_list": (JSON, NAMED),
    "empties": (JSON, ARROW, PLAIN, NAMED),
    "variant": (JSON, NAMED),
    "iso": (JSON, ARROW, PLAIN, NAMED),
    "names": (JSON, ARROW, PLAIN),
    "scalars": (JSON,),
    "dict_or_list": (JSON, NAMED),
    "empty_key": (JSON, ARROW, PLAIN),
}
CASES: dict[str, tuple[Records, tuple[str, ...]]] = {
    "none": ([], (JSON,)),
    "gaps": ([{"a": 1}, {"b": "x"}, {"a": None, "b": None}, {}, {"a": 2, "c": [1]}], (JSON, ARROW, NAMED)),
    "only nulls": ([{"a": None, "b": {"c": None}}] * 3, (JSON, ARROW, PLAIN, NAMED)),
    "whole fractions": ([{"v": 1.0, "w": -0.0}, {"v": 2.5, "w": 3.0}], (JSON, ARROW, PLAIN, NAMED)),
    "long integers": ([{"v": 2**53 + 1, "w": 7}, {"v": -(2**63), "w": 2**63 - 1}], (JSON, ARROW, PLAIN, NAMED)),
    "longer integers": ([{"v": 10**30, "w": [2**64, 1]}, {"v": -(10**60), "w": []}], (JSON, NAMED)),
    "integers and fractions": ([{"v": 1}, {"v": 0.5}, {"v": 2**53 + 1}], (JSON, NAMED)),
    "times and text": (
        [
            {"a": "2026-01-31", "b": "2026-01-31T10:00:00", "c": "2026-01-31T10:00:00+02:00", "d": "2026-01-31"},
            {"a": "2024-02-29", "b": "2026-01-31 10:00", "c": "2026-01-31T10:00:00.5Z", "d": "2026-02-30"},
        ],
        (JSON, ARROW, PLAIN, NAMED),
    ),
    "hostile keys": (
        [{"'; DROP TABLE t; --": 1, 'a"b': {"\\": True, "é": "\U0001f40e"}, "_hr_id": 7, "A": 1, "a": 2, "\x01date": "x"}],
        (JSON, ARROW),
    ),
    "hostile texts": (
        [{"v": text} for text in ("", "null", "NaN", "a\0b", "'", '"', "\\u0000", "\r\n", "\u2028", "{}", "\ue000")],
        (JSON, ARROW, PLAIN, NAMED),
    ),
    "lists in lists": (
        [{"m": [[{"a": [1]}, {"a": []}], []], "n": [True, None, False]}, {"m": [], "n": None}],
        (JSON, ARROW, NAMED),
    ),
    "many": (
        [{"id": n, "user": {"name": f"u{n % 7}", "tags": ["a", "b"][: n % 3]}, "v": n / 4} for n in range(500)],
        (JSON, ARROW, PLAIN, NAMED),
    ),
    "python values": (
        [
            {
                "d": date(2026, 1, day), "at": datetime(2026, 1, day, 10, 30, 0, 1), "t": time(day, 30),
                "z": datetime(2026, 1, day, tzinfo=timezone(timedelta(hours=2))), "n": Decimal("1.50") * day,
                "b": bytes([0, day]), "l": [date(2026, 1, day)],
            }
            for day in (1, 2)
        ],
        (ARROW, NAMED),
    ),
    "spans": ([{"i": timedelta(days=1, seconds=1)}, {"i": timedelta(microseconds=-1)}], (ARROW, PLAIN, NAMED)),
    "not numbers": ([{"v": math.nan, "w": [math.inf]}, {"v": 1.5, "w": [-math.inf, 0.0]}], (ARROW, NAMED)),
}  # fmt: skip


def pages(records: Records, folder: Path) -> Any:
    return [records[:1], [], records[1:]]


def generators(records: Records, folder: Path) -> Any:
    def page(some: Records) -> Iterator[Any]:
        yield from some

    return (page(some) for some in (records[:2], records[2:]))


def asynchronous(records: Records, folder: Path) -> Any:
    async def stream() -> AsyncIterator[Any]:
        for record in records:
            await asyncio.sleep(0)
            yield record

    return stream()


def dataclass_objects(records: Records, folder: Path) -> Any:
    keys = dict.fromkeys(key for record in records for key in record)
    made = dataclasses.make_dataclass("Made", [(key, Any, dataclasses.field(default=None)) for key in keys])
    return [made(**record) for record in records]


def pydantic_models(records: Records, folder: Path) -> Any:
    pydantic = pytest.importorskip("pydantic")
    keys = dict.fromkeys(key for record in records for key in record)
    made = pydantic.create_model("Made", **dict.fromkeys(keys, (Any, None)))
    return [made(**record) for record in records]


def json_bytes(records: Records, folder: Path) -> Any:
    return json.dumps(records, indent=1).encode()


def jsonl_bytes(records: Records, folder: Path) -> Any:
    return b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)


def json_file(records: Records, folder: Path) -> Any:
    path = folder / "data.json"
    path.write_bytes(json_bytes(records, folder))
    return path


def jsonl_file(records: Records, folder: Path) -> Any:
    path = folder / "data.jsonl"
    path.write_bytes(jsonl_bytes(records, folder).replace(b"\n", b"\r\n"))
    return str(path)


def gzip_file(records: Records, folder: Path) -> Any:
    path = folder / "data.jsonl.gz"
    path.write_bytes(gzip.compress(jsonl_bytes(records, folder)))
    return path


def zstd_file(records: Records, folder: Path) -> Any:
    import pyarrow as pa

    path = folder / "data.jsonl.zst"
    with pa.CompressedOutputStream(str(path), "zstd") as file:
        file.write(jsonl_bytes(records, folder))
    return path


def glob_of_files(records: Records, folder: Path) -> Any:
    for at, some in enumerate((records[:1], records[1:2], records[2:])):
        (folder / f"part-{at}.jsonl").write_bytes(jsonl_bytes(some, folder))
    return folder / "part-*.jsonl"


def arrow_table(records: Records, folder: Path) -> Any:
    import pyarrow as pa

    return pa.Table.from_batches([pa.RecordBatch.from_struct_array(pa.array(records))])


def arrow_batches(records: Records, folder: Path) -> Any:
    return arrow_table(records, folder).to_batches(max_chunksize=1)


def arrow_reader(records: Records, folder: Path) -> Any:
    return arrow_table(records, folder).to_reader(max_chunksize=2)


def parquet_file(records: Records, folder: Path) -> Any:
    import pyarrow.parquet as pq

    path = folder / "data.parquet"
    pq.write_table(arrow_table(records, folder), path)
    return path


def pandas_frame(records: Records, folder: Path) -> Any:
    import pandas as pd

    return pd.DataFrame(records)


def pandas_over_arrow(records: Records, folder: Path) -> Any:
    import pandas as pd

    return arrow_table(records, folder).to_pandas(types_mapper=pd.ArrowDtype)


def polars_frame(records: Records, folder: Path) -> Any:
    return pytest.importorskip("polars").from_arrow(arrow_table(records, folder))


def polars_lazy_frame(records: Records, folder: Path) -> Any:
    return polars_frame(records, folder).lazy()


def duckdb_relation(records: Records, folder: Path) -> Any:
    import duckdb

    return duckdb.connect().from_arrow(arrow_table(records, folder))


def ibis_table(records: Records, folder: Path) -> Any:
    import ibis

    return ibis.memtable(arrow_table(records, folder))


CONTAINERS: dict[Contain, str] = {
    pages: ANY,
    generators: ANY,
    asynchronous: ANY,
    dataclass_objects: NAMED,
    pydantic_models: NAMED,
    json_bytes: JSON,
    jsonl_bytes: JSON,
    json_file: JSON,
    jsonl_file: JSON,
    gzip_file: JSON,
    zstd_file: JSON,
    glob_of_files: JSON,
    arrow_table: ARROW,
    arrow_batches: ARROW,
    arrow_reader: ARROW,
    parquet_file: ARROW,
    pandas_frame: PLAIN,
    pandas_over_arrow: ARROW,
    polars_frame: ARROW,
    polars_lazy_frame: ARROW,
    duckdb_relation: ARROW,
    ibis_table: ARROW,
}
CANNOT: set[tuple[Contain, str]] = {
    (polars_frame, "empty_key"),  # polars names it itself
    (polars_lazy_frame, "empty_key"),
    (parquet_file, "empties"),  # Parquet has no struct without fields
    (duckdb_relation, "empty_key"),  # so does DuckDB
    (duckdb_relation, "hostile keys"),  # for DuckDB, a and A are one name
    (duckdb_relation, "empties"),  # nor has DuckDB
    (duckdb_relation, "spans"),  # a duration becomes an INTERVAL, which knows months
    (ibis_table, "empty_key"),  # an Ibis table in memory is one of DuckDB
    (ibis_table, "hostile keys"),
    (ibis_table, "empties"),
    (ibis_table, "spans"),
    (ibis_table, "only nulls"),  # Ibis cannot hand out a column of nulls
}
"""What a library does not take or keep, although it is of the sort that its container holds."""


def cases() -> Iterator[Any]:
    held = {**{name: needs for name, (_, needs) in CASES.items()}, **GOLDEN_CASES}
    for contain, asks in CONTAINERS.items():
        for name, holds in held.items():
            if (asks == ANY or asks in holds) and (contain, name) not in CANNOT:
                yield pytest.param(contain, name, id=f"{contain.__name__} of {name}")


def records_of(name: str) -> Records:
    if name in CASES:
        return CASES[name][0]
    if not GOLDEN.is_file():
        pytest.skip(f"{GOLDEN} is not there")
    found: Records = json.loads(GOLDEN.read_text())[name]["input"]
    return found


def everything(warehouse: Warehouse) -> Landed:
    """Return every table with its columns, their types and their values in the order of the rows."""
    return {name: landed.contents(warehouse, name) for name in landed.tables(warehouse)}


def comparable(found: Landed) -> str:
    """Return what landed as text that tells 1 from 1.0 and 0.0 from -0.0, without the order of columns."""
    return "\n".join(
        f"{table}.{name} {found[table][name]}" for table in sorted(found) for name in sorted(found[table])
    )


@functools.cache
def as_dicts(name: str) -> str:
    """Return what a list of dicts makes of a case."""
    with Warehouse() as warehouse:
        headrace.load(records_of(name), "t", into=warehouse)
        return comparable(everything(warehouse))


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here has to survive a crash."""
    monkeypatch.setattr(writer, "_sync", lambda path: None)


@pytest.mark.parametrize(("contain", "name"), list(cases()))
def test_container(contain: Contain, name: str, tmp_path: Path, warehouse: Warehouse) -> None:
    """Tables, columns, types and values are those of a list of dicts."""
    loaded = headrace.load(contain(records_of(name), tmp_path), "t", into=warehouse)

    assert len(records_of(name)) == loaded.counts.loaded
    assert as_dicts(name) == comparable(everything(warehouse))


@pytest.mark.parametrize(
    "contain", [jsonl_bytes, glob_of_files, arrow_batches, asynchronous], ids=lambda c: c.__name__
)
def test_container_of_many_blocks(
    contain: Contain, tmp_path: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is where the stream is read in many blocks through the columnar lane."""
    monkeypatch.setattr(extract, "SMALL", 0)
    monkeypatch.setattr(extract, "BLOCK", 1000)
    test_container(contain, "many", tmp_path, warehouse)


def test_one_stream_of_many_containers(warehouse: Warehouse, tmp_path: Path) -> None:
    """A stream may hold records, pages, JSON, files and frames, in any order; the rows keep that order."""
    parts = [{"v": n, "l": [n]} for n in range(8)]
    headrace.load(
        [
            parts[0],
            arrow_table(parts[1:3], tmp_path),
            jsonl_bytes(parts[3:4], tmp_path),
            generators(parts[4:5], tmp_path),
            [[parts[5]], asynchronous(parts[6:7], tmp_path)],
            jsonl_file(parts[7:], tmp_path) and Path(jsonl_file(parts[7:], tmp_path)),
        ],
        "t",
        into=warehouse,
    )

    assert {"v": ("BIGINT", list(range(8)))} == landed.contents(warehouse, "t")
    assert [(n, n) for n in range(8)] == warehouse.query(
        "SELECT v, value FROM t JOIN t__l ON t._hr_id = _hr_parent_id ORDER BY t._hr_id"
    )
