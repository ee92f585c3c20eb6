"""What is readable from the warehouse after any loads is what the reference says, no more and no less."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, cast

import pytest

from headrace.loaders import extract
from headrace.loaders.contracts.target import Target
from headrace.loaders.database.quoting import ident, literal
from headrace.loaders.packages import writer
from headrace.loaders.warehouse import Warehouse
from tests.semantics.reference import Counts, Instant, Json, Load, Place, Row, Table, same
from tests.semantics.streams import Stream, random_stream, smaller

STREAMS = 150
CHUNKS, CHUNK = 20, 1000
FIRST_SEED = int(os.environ.get("HEADRACE_SEED", "0"))
FRESH_AFTER = 10
"""Streams that share one database; each has a schema of its own."""


Path = tuple["str | None", ...]


@dataclass(frozen=True)
class _Table:
    """A table as the catalogue and DuckDB have it.

    Attributes:
        name: Its name.
        path: Where its lists stand in a record.
        parent: The table that holds them; None for the root table.
        paths: Where the values of each data column stand, below the table's own path.
        types: The type of each column.
    """

    name: str
    path: Path
    parent: str | None
    paths: dict[str, Path]
    types: dict[str, str]

    @property
    def system(self) -> list[str]:
        return ["_hr_id", *([] if self.parent is None else ["_hr_parent_id", "_hr_root_id", "_hr_index"])]


def read_back(warehouse: Warehouse, schema: str = "main", root: str = "t") -> list[Row]:
    """Return every row of a root table with the values of all tables below it at their places.

    Only the catalogue says what a column or a table stands for; a value found twice at one place, a child
    without a parent and an index out of order are errors.
    """
    with warehouse.session() as connection:
        return _Reader(connection, schema, root).rows()


class _Reader:
    def __init__(self, connection: Any, schema: str, root: str) -> None:
        self._connection, self._schema = connection, schema
        self._tables = {table.name: table for table in self._catalogue(root)}
        self._rows: dict[int, Row] = {}
        self._places: dict[tuple[str, int], tuple[int, Place]] = {}

    def rows(self) -> list[Row]:
        for table in sorted(self._tables.values(), key=lambda table: len(table.path)):
            data = [name for name in table.types if name in table.paths]
            assert {*data, *table.system, "_hr_load_id"} == set(table.types), "the catalogue has every column"
            picked = [ident(name) for name in [*table.system, "_hr_load_id"]]
            picked += [_readable(name, table.types[name]) for name in data]
            order = "_hr_id" if table.parent is None else "_hr_parent_id, _hr_index"
            for found in self._query(
                f"SELECT {', '.join(picked)} FROM {ident(self._schema, table.name)} ORDER BY {order}"
            ):
                values = found[len(table.system) + 1 :]
                self._read(
                    table, found, {name: v for name, v in zip(data, values, strict=True) if v is not None}
                )
        return list(self._rows.values())

    def _catalogue(self, root: str) -> Iterator[_Table]:
        here = f"table_schema = {literal(self._schema)}"
        paths: dict[str, dict[str, Path]] = defaultdict(dict)
        for table, column, path in self._query(
            f"SELECT table_name, column_name, path FROM _headrace.columns WHERE {here} ORDER BY position"
        ):
            paths[table][column] = tuple(json.loads(path))
        types: dict[str, dict[str, str]] = defaultdict(dict)
        for table, column, type_ in self._query(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = "
            f"current_database() AND schema_name = {literal(self._schema)} ORDER BY column_index"
        ):
            types[table][column] = type_
        for name, path, parent in self._query(
            f"SELECT table_name, path, parent FROM _headrace.tables WHERE {here} AND root = {literal(root)}"
        ):
            yield _Table(name, tuple(json.loads(path)), parent, paths[name], types[name])

    def _read(self, table: _Table, found: tuple[Any, ...], values: dict[str, Any]) -> None:
        """Note a row of a table, in the row of the root table to which it belongs."""
        own = found[0]
        assert (table.name, own) not in self._places, "one row an id"
        root, place = own, cast("Place", ())
        if table.parent is None:
            self._rows[own] = Row(found[1], {}, {})
        else:
            root, place = self._child(table, self._tables[table.parent], *found[1:4])
        self._places[table.name, own] = root, place
        row = self._rows[root]
        for name, value in values.items():
            path = table.paths[name]
            if path[:1] == (None,):
                row.current = row.current and path[1] != "valid_to"
                continue
            at = (*place, *(key for key in path if key is not None))
            assert at not in row.facts, f"{at}: {row.facts.get(at)!r} and {value!r} in one place"
            row.facts[at] = _as_found(value, table.types[name])

    def _child(
        self, table: _Table, parent: _Table, parent_id: int, root_id: int, index: int
    ) -> tuple[int, Place]:
        root, above = self._places[parent.name, parent_id]
        step = table.path[len(parent.path) : -1]
        of_list = (*above, *(key for key in step if key is not None))
        lengths = self._rows[root].lengths
        assert root == root_id, "a row has the root of its parent"
        assert index == lengths.get(of_list, 0), "indexes count from 0"
        lengths[of_list] = index + 1
        return root, (*of_list, index)

    def _query(self, sql: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._connection.execute(sql).fetchall()
        return rows


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
        patched.setattr(writer, "_sync", lambda path: None)  # nothing here survives a crash
        base: int | None = None
        for number, load in enumerate(stream.loads, start=1):
            expected = table.load(load)
            try:
                loaded = warehouse.load(stream.data(load), target_of(load, schema))
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
                        f"seed {seed}: {first_difference(least)}\n  SMALL={least.small} BLOCK={least.block} JSON={least.as_json}\n{loads}"
                    )
    return reports


def test_streams() -> None:
    """Every value of random streams is readable, once, at its place; see the module `reference`."""
    found = mismatches(range(FIRST_SEED, FIRST_SEED + STREAMS))

    assert [] == found, "\n\n".join(found)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_streams_at_length(chunk: int) -> None:
    """The same, for many more: twenty thousand. HEADRACE_SEED sets the first seed."""
    start = FIRST_SEED + STREAMS + chunk * CHUNK
    found = mismatches(range(start, start + CHUNK))

    assert [] == found, "\n\n".join(found[:20])
