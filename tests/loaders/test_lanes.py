"""Two lanes, one semantics: what the columnar lane lands is what the exact lane lands.

Each law loads the same streams twice, once through each lane, and compares the whole warehouse: tables,
columns, types and every value at its place. Rows are known by their place (the record's number, then the
index in each list on the way), not by their ids.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import SourceError
from headrace.loaders import extract
from headrace.loaders.contracts.contract import Contract
from headrace.loaders.contracts.target import Target
from headrace.loaders.database.quoting import ident
from headrace.loaders.records import Record
from headrace.loaders.warehouse import Warehouse
from tests.loaders import landed

Batches = list[list[Record]]
Place = tuple[int, ...]
Landed = dict[str, tuple[dict[str, str], dict[Place, dict[str, Any]]]]
"""By the table's name: its columns' source paths and types, and the values of each row by its place."""

PLAIN: list[Any] = [
    None, True, False, 0, 1, -7, 2**53, 0.0, -0.0, 0.5, 1e300, float(2**53), 1e17,
    "", "a", "b", "null", "[null]", ",null", "1", '"', "é\U0001f40e", "a\0b",
]  # fmt: skip
LARGE: list[Any] = [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**63, 2**70, 2**127, -(10**40), 1e19]
TIMES: list[Any] = [
    "2026-01-31", "2026-02-30", "2026-01-31T10:00:00", "2026-01-31 10:00", "2026-01-31T10:00:00.5",
    "2026-01-31T10:00:00Z", "2026-01-31T10:00:00+02:00", "2026-01-31T24:00:00", "0000-01-01", "10:30:00",
    "2026-01-31T10:00:00.1234567", "2026-01-31\n",
]  # fmt: skip
MARKED: list[Any] = [
    math.nan, math.inf, Decimal("1.50"), Decimal("NaN"), Decimal("1e40"), date(2026, 1, 31), time(10, 30),
    datetime(2026, 1, 31, 10), datetime(2026, 1, 31, 10, tzinfo=timezone.utc), timedelta(days=-1), b"\x00'",
    "\ud800", {"\x01date": "2026"}, (1, 2),
]  # fmt: skip
KEYS = st.sampled_from(["a", "b", "c", "d e", "list", "value", "\x01date", ""])


def nested(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Batches]:
    """Return loads of records in which any value may stand at any path."""
    values = st.recursive(
        scalars,
        lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=3),
        max_leaves=6,
    )
    records = st.dictionaries(KEYS, values, max_size=4)
    return st.lists(st.lists(records, min_size=1, max_size=5), min_size=1, max_size=2)


def alike(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Batches]:
    """Return loads of records of one shape, so that columns hold many values of a few sorts."""
    record = st.fixed_dictionaries(
        {"id": st.integers(0, 9)},
        optional={
            "v": scalars,
            "n": st.fixed_dictionaries({}, optional={"v": scalars, "w": st.lists(scalars, max_size=3)}),
            "l": st.lists(st.fixed_dictionaries({}, optional={"v": scalars, "w": scalars}), max_size=3),
            "m": st.lists(st.lists(scalars, max_size=2), max_size=2),
        },
    )
    return st.lists(st.lists(record, min_size=1, max_size=6), min_size=1, max_size=2)


EVERYTHING = st.sampled_from(PLAIN + LARGE + TIMES + MARKED)
STRINGS = st.sampled_from([None, "a", *TIMES])
NUMBERS = st.sampled_from([None, 1, 0.5, True, *LARGE, Decimal("1.50"), math.nan])
BLOCKS = st.sampled_from([1, 60, extract.BLOCK])


def through(batches: Sequence[Any], *, small: int, block: int, **landing: Any) -> Landed:
    """Load each batch into one table, with the sizes that decide on a lane, and return what landed."""
    with pytest.MonkeyPatch.context() as sizes, Warehouse() as warehouse:
        sizes.setattr(extract, "SMALL", small)
        sizes.setattr(extract, "BLOCK", block)
        for batch in batches:
            warehouse.load(batch, Target("t", **landing))
        return {table: describe(warehouse, table) for table in by_depth(warehouse)}


def by_depth(warehouse: Warehouse) -> Iterator[str]:
    """Yield the tables, parents first."""
    return (
        name for (name,) in warehouse.query("SELECT table_name FROM _headrace.tables ORDER BY length(path)")
    )


def describe(warehouse: Warehouse, table: str) -> tuple[dict[str, str], dict[Place, dict[str, Any]]]:
    types = landed.types(warehouse, table)
    source = dict(
        warehouse.query(
            f"SELECT column_name, source_path FROM _headrace.columns WHERE table_name = '{table}'"
        )
    )
    places = all_places(warehouse)
    ids = warehouse.query(f"SELECT _hr_id FROM {ident('main', table)} ORDER BY _hr_id")
    rows = zip(ids, landed.records(warehouse, table), strict=True)
    columns = {name: f"{type_} {source[name]}" for name, type_ in types.items()}
    return columns, {places[table, row_id]: shown(row) for (row_id,), row in rows}


def all_places(warehouse: Warehouse) -> dict[tuple[str, int], Place]:
    """Return the place of every row: load, record, and the index in each list on the way."""
    places: dict[tuple[str, int], Place] = {}
    ids: dict[tuple[str, Place], int] = {}
    tables = warehouse.query("SELECT table_name, parent FROM _headrace.tables ORDER BY length(path)")
    for table, parent in tables:
        name = ident("main", table)
        if parent is None:
            for row_id, load in warehouse.query(f"SELECT _hr_id, _hr_load_id FROM {name}"):
                places[table, row_id] = (load, row_id)
            continue
        for row_id, above, root, index in warehouse.query(
            f"SELECT _hr_id, _hr_parent_id, _hr_root_id, _hr_index FROM {name}"
        ):
            place = (*places[parent, above], index)
            assert (place[1], row_id) == (root, ids.setdefault((table, place), row_id)), "one row a place"
            places[table, row_id] = place
    return places


def shown(row: dict[str, Any]) -> dict[str, str]:
    """Return values as text that tells 1 from 1.0, True from 1 and NaN from nothing; nulls left out."""
    return {name: f"{type(v).__name__} {v}" for name, v in row.items() if v is not None}


def assert_lanes_agree(batches: Sequence[Any], block: int, **landing: Any) -> None:
    exact = through(batches, small=1 << 40, block=extract.BLOCK, **landing)
    columnar = through(batches, small=0, block=block, **landing)

    assert exact == columnar


@settings(max_examples=25)
@given(nested(EVERYTHING), BLOCKS)
def test_any_records(batches: Batches, block: int) -> None:
    """Whatever the shapes, and however often they change, both lanes land the same."""
    assert_lanes_agree(batches, block)


@settings(max_examples=12)
@given(alike(EVERYTHING), BLOCKS)
def test_any_values(batches: Batches, block: int) -> None:
    """Records of one shape with values of every kind land the same."""
    assert_lanes_agree(batches, block)


@settings(max_examples=12)
@given(alike(STRINGS), BLOCKS)
def test_strings_that_are_times_or_not(batches: Batches, block: int) -> None:
    """Times beside text land the same, in columns that are times already as well."""
    assert_lanes_agree(batches, block)


@settings(max_examples=12)
@given(alike(NUMBERS), BLOCKS)
def test_numbers_that_widen(batches: Batches, block: int) -> None:
    """Integers of all sizes beside fractions, decimals and booleans land the same."""
    assert_lanes_agree(batches, block)


CRASHES: dict[str, str] = {
    # what ended the process inside of pyarrow's reader, as the source of a list of records
    "a record that is null": "[None, {'a': 1}]",
    "a record that is a list of null": "[[None], {'a': 1}]",
    "two shapes in a list, and a long line": (
        "[{'l': [{'v': 0}]}, {'l': [{'v': Decimal('1.50')}]}, {'v': -10**40}]"
    ),
}
LOAD_COLUMNAR = """
import sys
from decimal import Decimal
import headrace
from headrace.loaders import extract
extract.SMALL = 0
with headrace.connect() as warehouse:
    print(headrace.load([eval(sys.argv[1])], "t", into=warehouse).counts.loaded)
"""


@pytest.mark.parametrize("name", CRASHES)
def test_the_reader_does_not_crash(name: str) -> None:
    """Records that pyarrow's reader cannot survive are kept from it: the load ends, and no row is lost."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD_COLUMNAR, CRASHES[name]], capture_output=True, text=True, check=False
    )

    assert (0, str(len(eval(CRASHES[name], {"Decimal": Decimal})))) == (done.returncode, done.stdout.strip())


@pytest.mark.parametrize(
    "batches",
    [
        [[{"v": None}, {"v": {"a": 1}}]],  # a key that is null, and a dict elsewhere
        [[{"v": None}, {"v": [1]}]],
        [[{"v": []}, {"v": None}]],
        [[{"n": {"v": None}}, {"n": {"v": {"a": 1}}}, {"n": None}]],
        [[{"a b": 1, "a_b": 2}, {"a_b": "2026-01-31", "a b": 3}]],  # two keys of one name
        [[{"v": 1}, {"v": 2.5}], [{"v": "2026-01-31"}], [{"v": "soon"}, {"v": "2026-02-01"}]],
    ],
)
def test_met_before(batches: Batches) -> None:
    """What once set the lanes apart."""
    assert_lanes_agree(batches, extract.BLOCK)


JSON_LINES: dict[str, list[str]] = {
    # texts that pyarrow reads otherwise than JSON is meant, one load each
    "a null in a list, after a carriage return": ['{"v":[\r null,1]}', '{"v":[2,\rnull]}'],
    "a long number with an exponent": ['{"v":123456789012345678e-5}', '{"v":0.5}'],
    "a rounded integer beside NaN": [
        '{"s":{"x":NaN,"y":0.5}}', '{"s":{"x":NaN,"y":9007199254740993}}',
    ],
    "a list that mixes, among many": ['{"v":[1,"a"]}', *['{"v":[1]}'] * 9],
    "keys that are hard to search for": [
        r'{"\u0061":1}', '{"a":"x"}', r'{"a\"b":1}', r'{"a\"b":"x"}', '{"a/b":1}', '{"a/b":[1]}',
        r'{"a\/b":true}', '{"[]":1}', '{"[]":{"b":1}}', r'{"a\\":1}', r'{"a\\":"x"}', '{"":1}', '{"":"x"}',
    ],
    "keys of one name, one a time": ['{"a b":1,"a_b":"2026-01-31"}'] * 3,
    "keys that come twice": ['{"v":1}', '{"v":1,"v":null}', '{"v":"a","v":1}', r'{"v":2,"\u0076":3}'],
}  # fmt: skip


@pytest.mark.parametrize("block", [1, extract.BLOCK])
@pytest.mark.parametrize("name", JSON_LINES)
def test_json_as_text(name: str, block: int) -> None:
    """What JSON can say in more than one way lands the same."""
    assert_lanes_agree(["\n".join(JSON_LINES[name]).encode()], block)


@pytest.mark.parametrize("block", [1, 40, extract.BLOCK])
@pytest.mark.parametrize(
    "landing",
    [
        {"columns": {"v": "VARCHAR", "l[].v": "VARCHAR", "m[][]": "VARCHAR"}},
        {"contract": Contract(types="quarantine")},
        {"contract": Contract(types="discard_value")},
    ],
)
def test_whole_numbers_beside_fractions(landing: dict[str, Any], block: int) -> None:
    """A 1 beside a 0.5 stays a whole number where that shows: as text, and before a contract."""
    whole = [{"v": 1, "l": [{"v": 2}], "m": [[3]]}, {"v": None, "l": []}]
    mixed = [*whole, {"v": 0.5, "l": [{}, {"v": 1.0}, {"v": 4}], "m": [[], [0.5, 6]]}, *whole]

    assert_lanes_agree([whole, mixed], block, **landing)


@pytest.mark.parametrize("number", ["Inf", "-Inf", "-NaN"])
def test_numbers_that_are_no_json(number: str) -> None:
    """What JSON has no word for is refused with its place, and words like it in texts are let be."""
    lines = ['{"v":0.5,"w":"Info: -NaN"}', f'{{"v": {number}}}']
    with pytest.raises(SourceError, match=r"record 1 \(bytes:2\) is no JSON"):
        through(["\n".join(lines).encode()], small=0, block=extract.BLOCK)


def test_no_json_beside_two_shapes() -> None:
    """A broken line is named although another line stands in the reader's way first."""
    lines = b'{"v":1}\n{"v":1}\n{"v":1}\n{"v":"a"}\n{"v":"b" x}'
    with pytest.raises(SourceError, match=r"record 4 \(bytes:5\) is no JSON"):
        through([lines], small=0, block=extract.BLOCK)


def test_items_that_a_null_hides() -> None:
    """A list that is null in an Arrow table may still cover items: they are no rows."""
    offsets = pa.array([0, 2, 4, 5], pa.int32())
    lists = pa.ListArray.from_arrays(offsets, pa.array([1, 2, 3, 4, 5]), mask=pa.array([False, True, False]))
    table = pa.table({"k": [1, 2, 3], "l": lists})

    assert_lanes_agree([table.to_pylist()], extract.BLOCK)
    assert through([table], small=0, block=1) == through([table.to_pylist()], small=1 << 40, block=1)


@pytest.mark.slow
@settings(max_examples=1500)
@given(nested(EVERYTHING) | alike(EVERYTHING) | alike(STRINGS) | alike(NUMBERS), BLOCKS)
def test_any_records_at_length(batches: Batches, block: int) -> None:
    """The same laws, with many more examples."""
    assert_lanes_agree(batches, block)
