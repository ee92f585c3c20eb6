"""What is readable from the warehouse after any loads is what the reference says, no more and no less."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pytest

from headrace.loaders import extract, package
from headrace.loaders.sql import ident, literal
from headrace.loaders.target import Target
from headrace.loaders.warehouse import Warehouse
from tests.semantics.reference import Counts, Instant, Json, Load, Place, Row, Table, same
from tests.semantics.streams import Stream, random_stream, smaller

STREAMS = 400
LONG_RUN = 20_000
FIRST_SEED = int(os.environ.get("HEADRACE_SEED", "0"))
FRESH_AFTER = 50
"""Streams that share one database; each has a schema of its own."""


@dataclass(frozen=True)
class _Table:
    """A table as the catalogue has it: its path from the record's root, and its parent's name."""

    name: str
    path: tuple[str | None, ...]
    parent: str | None


def read_back(warehouse: Warehouse, schema: str = "main", root: str = "t") -> list[Row]:
    """Return every row of a root table with the values of all tables below it at their places.

    Only the catalogue says what a column or a table stands for; a value found twice at one place, a child
    without a parent and an index out of order are errors.
    """
    with warehouse.session() as connection:

        def query(sql: str) -> list[tuple[Any, ...]]:
            return connection.execute(sql).fetchall()

        of_root = f"table_schema = {literal(schema)} AND root = {literal(root)}"
        tables = [
            _Table(name, tuple(json.loads(path)), parent)
            for name, path, parent in query(
                f"SELECT table_name, path, parent FROM _headrace.tables WHERE {of_root}"
            )
        ]
        paths: dict[tuple[str, str], tuple[str | None, ...]] = {
            (table, column): tuple(json.loads(path))
            for table, column, path in query(
                "SELECT table_name, column_name, path FROM _headrace.columns "
                f"WHERE table_schema = {literal(schema)} ORDER BY table_name, position"
            )
        }
        types: dict[str, dict[str, str]] = defaultdict(dict)
        for table, column, type_ in query(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() "
            f"WHERE database_name = current_database() AND schema_name = {literal(schema)} ORDER BY column_index"
        ):
            types[table][column] = type_
        rows: dict[int, Row] = {}
        places: dict[str, dict[int, tuple[int, Place]]] = {}
        for one in sorted(tables, key=lambda table: len(table.path)):
            data = [name for name in types[one.name] if (one.name, name) in paths]
            system = (
                ["_hr_id", "_hr_load_id"]
                if one.parent is None
                else ["_hr_id", "_hr_parent_id", "_hr_root_id", "_hr_index"]
            )
            assert {*data, *system, "_hr_load_id"} == set(types[one.name]), "the catalogue has every column"
            picked = ", ".join(map(ident, system)) + "".join(
                f", {_readable(c, types[one.name][c])}" for c in data
            )
            order = "_hr_id" if one.parent is None else "_hr_parent_id, _hr_index"
            found = query(f"SELECT {picked} FROM {ident(schema, one.name)} ORDER BY {order}")
            places[one.name] = {}
            for values in found:
                if one.parent is None:
                    row_id, load = values[:2]
                    place: Place = ()
                    assert row_id not in rows, "one row an id"
                    row = rows[row_id] = Row(load, {}, {})
                else:
                    own, parent_id, row_id, index = values[:4]
                    root_id, above = places[one.parent][parent_id]
                    parent_path = next(table.path for table in tables if table.name == one.parent)
                    row, step = rows[root_id], one.path[len(parent_path) : -1]
                    list_place = (*above, *(key for key in step if key is not None))
                    assert root_id == row_id, "a row has the root of its parent"
                    assert index == row.lengths.get(list_place, 0), "indexes count from 0"
                    row.lengths[list_place] = index + 1
                    place = (*list_place, index)
                    row_id = own
                assert row_id not in places[one.name], "one row an id"
                places[one.name][row_id] = (row_id if one.parent is None else root_id, place)
                for name, value in zip(data, values[len(system) :], strict=True):
                    path = paths[one.name, name]
                    if path[:1] == (None,):
                        row.current = row.current and not (path[1] == "valid_to" and value is not None)
                    elif value is not None:
                        full = (*place, *(key for key in path if key is not None))
                        assert full not in row.facts, (
                            f"{full}: {row.facts.get(full)!r} and {value!r} in one place"
                        )
                        row.facts[full] = _as_found(value, types[one.name][name])
    return list(rows.values())


def _readable(column: str, type_: str) -> str:
    # the client would want pytz, and Python has no year 10000
    return f"epoch_us({ident(column)})" if type_ == "TIMESTAMP WITH TIME ZONE" else ident(column)


def _as_found(value: Any, type_: str) -> Any:
    if type_ == "TIMESTAMP WITH TIME ZONE":
        return Instant(value)
    return Json(json.loads(value)) if type_ == "JSON" else value


def target_of(load: Load, schema: str = "main") -> Target:
    options = asdict(load)
    options["write_disposition"] = options.pop("disposition")
    options["merge_strategy"] = options.pop("strategy")
    del options["records"]
    return Target("t", schema, **options)


def differences(stream: Stream, warehouse: Warehouse, schema: str) -> Iterator[str]:
    """Load a stream and yield in what the warehouse and the reference differ: counts, and rows at the end."""
    table = Table()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(extract, "SMALL", stream.small)
        patched.setattr(extract, "BLOCK", stream.block)
        patched.setattr(package, "_sync", lambda path: None)  # nothing here survives a crash
        base: int | None = None
        for number, load in enumerate(stream.loads, start=1):
            expected = table.load(load)
            try:
                loaded = warehouse.load(load.records, target_of(load, schema))
            except Exception as error:  # noqa: BLE001  whatever it is, it is a difference
                yield f"load {number}: {type(error).__name__}: {error}"
                return
            base = loaded.load_id - 1 if base is None else base
            counts = Counts(**asdict(loaded.counts))
            if expected != counts:
                yield f"load {number}: expected {expected}, found {counts}"
        try:
            found = read_back(warehouse, schema)
        except AssertionError as error:
            yield str(error)
            return
        yield from differing_rows(table.rows(), found, base or 0)


def differing_rows(expected: list[Row], found: list[Row], base: int = 0) -> Iterator[str]:
    """Yield in what rows differ, one by one in their order."""
    if len(expected) != len(found):
        yield f"{len(expected)} rows expected, {len(found)} found"
        return
    for at, (one, other) in enumerate(zip(expected, found, strict=True)):
        for place in sorted({*one.facts, *other.facts}, key=repr):
            given, read = one.facts.get(place), other.facts.get(place)
            if (place in one.facts) != (place in other.facts) or not same(given, read):
                yield f"row {at}: at {place}: expected {given!r}, found {read!r}"
        if one.lengths != other.lengths:
            yield f"row {at}: lists {one.lengths} expected, {other.lengths} found"
        if (one.load, one.current) != (other.load - base, other.current):
            yield f"row {at}: load {one.load}, current {one.current} expected; {other.load - base}, {other.current} found"


def first_difference(stream: Stream) -> str:
    with Warehouse() as warehouse:
        return next(differences(stream, warehouse, "main"), "")


def shrunk(stream: Stream, budget: int = 400) -> Stream:
    """Return a smaller stream that differs in the same way, by dropping whatever can be dropped."""
    way = _way(first_difference(stream))
    while budget > 0:
        for candidate in smaller(stream):
            budget -= 1
            if budget <= 0 or _way(first_difference(candidate)) == way:
                break
        else:
            return stream
        if budget > 0:
            stream = candidate
    return stream


def _way(difference: str) -> str:
    """Return what is left of a difference without its values: the words that begin it."""
    return " ".join(re.findall("[A-Za-z]{2,}", re.sub(r"'[^']*'|\"[^\"]*\"", "", difference))[:4])


def mismatches(seeds: range) -> list[str]:
    """Return a report on each of the seeds whose stream the warehouse and the reference see differently."""
    reports = []
    for start in range(seeds.start, seeds.stop, FRESH_AFTER):
        with Warehouse() as warehouse:
            warehouse.query("SET threads = 1")  # loads of a few rows gain nothing from more
            for seed in range(start, min(start + FRESH_AFTER, seeds.stop)):
                stream = random_stream(seed)
                if next(differences(stream, warehouse, f"s{seed}"), ""):
                    least = shrunk(stream)
                    loads = "\n".join(f"    {load}" for load in least.loads)
                    reports.append(
                        f"seed {seed}: {first_difference(least)}\n  SMALL={least.small} BLOCK={least.block}\n{loads}"
                    )
    return reports


def test_streams() -> None:
    """Every value of random streams is readable, once, at its place; see the module `reference`."""
    found = mismatches(range(FIRST_SEED, FIRST_SEED + STREAMS))

    assert [] == found, "\n\n".join(found)


@pytest.mark.slow
def test_streams_at_length() -> None:
    """The same, for many more; HEADRACE_SEED sets the first seed."""
    found = mismatches(range(FIRST_SEED + STREAMS, FIRST_SEED + STREAMS + LONG_RUN))

    assert [] == found, "\n\n".join(found[:20])
