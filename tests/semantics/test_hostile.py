"""Hostile inputs: endless keys, endless nesting, names and texts that look like code, and JSON that is none."""

from __future__ import annotations

import functools
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

import headrace
from headrace.errors import SourceError
from headrace.loaders import extract
from headrace.loaders.limits import EXTRA, MOST_KEYS, estimated_keys
from headrace.loaders.target import Target
from headrace.loaders.warehouse import Warehouse
from tests.loaders import landed
from tests.semantics.reference import Json, Load, Table
from tests.semantics.streams import KEYS
from tests.semantics.test_reference import differing_rows, read_back

KEYS_OF_A_MAP = 10_000


@pytest.fixture(params=["exact", "columnar"], autouse=True)
def lane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test runs through both lanes."""
    lane: str = request.param
    monkeypatch.setattr(extract, "SMALL", 1 << 40 if lane == "exact" else 0)
    return lane


def nested(levels: int, around: Callable[[Any], Any]) -> Any:
    """Return 1 inside of so many levels."""
    return functools.reduce(lambda inner, _: around(inner), range(levels), 1)


def test_a_map_in_one_record(warehouse: Warehouse) -> None:
    """A dict of 10,000 keys is a map: one JSON column with all of it."""
    hits = {f"page {n}": n for n in range(KEYS_OF_A_MAP)}
    headrace.load([{"id": 1, "hits": hits}], "t", into=warehouse)

    assert {"id": "BIGINT", "hits": "JSON"} == landed.types(warehouse, "t")
    assert hits == json.loads(landed.records(warehouse, "t")[0]["hits"])


def test_a_map_over_many_records(warehouse: Warehouse) -> None:
    """So is a dict that has one key in each record, and another in every next one."""
    headrace.load(({"id": n, "hits": {f"page {n}": n}} for n in range(KEYS_OF_A_MAP)), "t", into=warehouse)

    assert {"id": "BIGINT", "hits": "JSON"} == landed.types(warehouse, "t")
    assert [(KEYS_OF_A_MAP, '{"page 9999":9999}')] == warehouse.query(
        "SELECT count(*), max_by(hits, id) FROM t"
    )


def test_maps_in_a_list(warehouse: Warehouse) -> None:
    """So are the dicts of a list, each in its row of the child table."""
    headrace.load(({"hits": [{f"page {n}": n}]} for n in range(KEYS_OF_A_MAP)), "t", into=warehouse)

    assert {"value": "JSON"} == landed.types(warehouse, "t__hits")
    assert KEYS_OF_A_MAP == landed.count(warehouse, "t__hits")


def test_a_root_of_endless_keys(warehouse: Warehouse) -> None:
    """At the root, the first keys become columns, and the others are in one JSON column, `_extra`."""
    record = {f"k{n}": n for n in range(KEYS_OF_A_MAP)}
    headrace.load([record], "t", into=warehouse)
    (row,) = landed.records(warehouse, "t")
    extra = json.loads(row.pop(EXTRA))

    assert MOST_KEYS == len(row)
    assert record == row | extra


def test_a_key_called_extra(warehouse: Warehouse) -> None:
    """A key of that name is not lost: it is in the column of that name."""
    record = {EXTRA: "mine", **{f"k{n}": n for n in range(MOST_KEYS + 5)}}
    headrace.load([record], "t", into=warehouse)
    (row,) = landed.records(warehouse, "t")

    assert record == {**row, **json.loads(row.pop(EXTRA))}


@pytest.mark.parametrize("number", ["100000000000000000000", "0.12345678901234567890", "1e400", "-Infinity"])
def test_long_numbers_beside_a_map(warehouse: Warehouse, number: str) -> None:
    """Numbers that only the exact reader knows land in a column, and in the JSON of a map as text if need be."""
    hits = json.dumps({f"p{n}": n for n in range(MOST_KEYS + 1)})
    headrace.load(f'{{"v":{number},"hits":{{"x":{number},{hits[1:]}}}'.encode(), "t", into=warehouse)
    (row,) = landed.records(warehouse, "t")

    assert Decimal(number) == Decimal(row["v"]) == Decimal(json.loads(row["hits"])["x"])


_ENDLESS = """
import json, resource, sys
from headrace.loaders import extract
from headrace.loaders.target import Target
from headrace.loaders.warehouse import Warehouse

extract.SMALL = int(sys.argv[1])
with Warehouse() as warehouse:
    loaded = warehouse.load(({"id": n, f"k{n}": n} for n in range(10_000)), Target("t"))
    columns = warehouse.query("SELECT count(*) FROM _headrace.columns")[0][0]
    kept = warehouse.query("SELECT count(*) FROM t WHERE _extra->>('k' || id) = CAST(id AS VARCHAR)")[0][0]
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps([columns, kept, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no resource module")
def test_endless_keys_in_bounded_memory(lane: str) -> None:
    """10,000 records with a new key each at the root take bounded memory and time, and lose nothing."""
    small = str(extract.SMALL)
    done = subprocess.run(
        [sys.executable, "-c", _ENDLESS, small], capture_output=True, text=True, timeout=120, check=True
    )
    columns, kept, peak = json.loads(done.stdout)

    assert (MOST_KEYS + 1, KEYS_OF_A_MAP - (MOST_KEYS - 1)) == (columns, kept)
    assert peak < 1200 << 20


@pytest.mark.parametrize("levels", [65, 100, 240])
@pytest.mark.parametrize(
    "around",
    [lambda inner: {"k": inner}, lambda inner: [inner], lambda inner: [{"k": inner}]],
    ids=["dicts", "lists", "lists of dicts"],
)
def test_deep_nesting(warehouse: Warehouse, around: Callable[[Any], Any], levels: int) -> None:
    """Below 64 levels there is JSON, which holds the rest."""
    if levels == 240 and isinstance(around(1), list) and isinstance(around(1)[0], dict):
        levels = 120  # as deep as orjson writes: two levels of JSON each
    record = {"a": nested(levels, around)}
    headrace.load([record], "t", into=warehouse)
    table = Table()
    table.load(Load([record]))

    assert [] == list(differing_rows(table.rows(), read_back(warehouse)))
    assert [Json] == [type(value) for row in read_back(warehouse) for value in row.facts.values()]


@pytest.mark.parametrize(
    "data",
    [
        [{"id": 0}, {"a": nested(5000, lambda inner: {"k": inner})}],
        [{"id": 0}, {"a": nested(5000, lambda inner: [inner])}],
        b'{"id":0}\n{"a":' + b"[" * 5000 + b"]" * 5000 + b"}\n",
        b'{"id":0}\n' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"\n",
    ],
    ids=["dicts", "lists", "JSON lists", "JSON dicts"],
)
def test_5000_levels(warehouse: Warehouse, data: Any) -> None:
    """Deeper than JSON can be written, a record is refused by its number, and nothing is written."""
    headrace.load([{"id": 7}], "t", into=warehouse)
    with pytest.raises(SourceError, match=r"main\.t: record 1\b"):
        headrace.load(data, "t", into=warehouse)

    assert [(7,)] == landed.rows(warehouse, "t")


def test_long_keys(warehouse: Warehouse) -> None:
    """A key of 100 kB has a short name, its own though another begins alike, and its path in the catalogue."""
    one, other = "k" * 100_000, "k" * 99_999 + "l"
    headrace.load([{one: 1, other: 2, "a": {one: [3], other: [4]}}], "t", into=warehouse)
    names = [*landed.tables(warehouse), *landed.types(warehouse, "t")]

    assert 5 == len(names)
    assert all(len(name) <= 210 for name in names), names
    assert {(one,): 1, (other,): 2, ("a", one, 0): 3, ("a", other, 0): 4} == read_back(warehouse)[0].facts


def test_keys_and_texts_that_look_like_sql(warehouse: Warehouse) -> None:
    """Keys and texts are data: each lands under a name of its own, and nothing else happens."""
    headrace.load([{"id": 1}], "canary", into=warehouse)
    keys = [
        *(key for key in KEYS if "\ud800" not in key),
        't"; DROP TABLE canary; --',
        "'); DROP SCHEMA main; --",
    ]
    record = {key: {"v": key, "l": [key, {key: key}]} for key in keys}
    headrace.load([record], "t", into=warehouse)
    facts = {(key, "v"): key for key in keys} | {(key, "l", 0): key for key in keys}

    assert [(1,)] == landed.rows(warehouse, "canary")
    assert facts | {(key, "l", 1, key): key for key in keys} == read_back(warehouse)[0].facts


@pytest.mark.parametrize(
    "text", ["x" * (8 << 20), '"' * 300_000, "\\" * 300_000, '{"a":1},' * 50_000, "\0" * 100_000], ids=len
)
def test_huge_texts(warehouse: Warehouse, text: str) -> None:
    """A text of megabytes, and one that holds JSON or only quotes, lands as it is, and in seconds."""
    begun = monotonic()
    headrace.load([{"id": 1, "v": text}], "t", into=warehouse)

    assert [(1, text)] == landed.rows(warehouse, "t")
    assert monotonic() - begun < 20


def test_counting_keys_takes_linear_time() -> None:
    """Keys are counted without looking into texts, which may hold JSON themselves."""
    inner = json.dumps([{"a": n, "b": "x"} for n in range(20_000)])
    begun = monotonic()

    assert 2.0 == estimated_keys([json.dumps({"id": 1, "v": inner}).encode()])
    assert monotonic() - begun < 5


MALFORMED = {
    "cut off": b'{"a":3',
    "not closed": b'{"a":"x}',
    "a word": b"hello",
    "single quotes": b"{'a':1}",
    "trailing comma": b'{"a":1,}',
    "two records": b'{"a":1} {"a":2}',
    "leading zero": b'{"a":01}',
    "NUL": b'{"a":"x\x00y"}',
    "control character": b'{"a":"x\x01y"}',
    "no UTF-8": b'{"a":"\xff"}',
}


@pytest.mark.parametrize("line", MALFORMED.values(), ids=MALFORMED)
def test_malformed_lines(warehouse: Warehouse, line: bytes, tmp_path: Path) -> None:
    """A line that is no JSON is named by its record and its file, and nothing of the load is written."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"a":1}\n{"a":2}\n' + line + b'\n{"a":4}\n')
    headrace.load([{"a": 0}], "t", into=warehouse)
    with pytest.raises(SourceError, match=r"main\.t: record 2 \(events\.jsonl\) is no JSON"):
        headrace.load(path, "t", into=warehouse)

    assert [(0,)] == landed.rows(warehouse, "t")


def test_a_file_that_is_malformed_from_the_first_line(warehouse: Warehouse, tmp_path: Path) -> None:
    """Then it may be one document, and is refused as either."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"a":1\n{"a":2}\n')
    with pytest.raises(SourceError, match=r"events\.jsonl is neither JSON nor JSON lines.*line 2 column 1"):
        headrace.load(path, "t", into=warehouse)

    assert [] == landed.tables(warehouse)


ODD_JSON: dict[str, tuple[bytes, list[Any]]] = {
    "duplicate keys": (b'{"v":1,"v":"x"}\n{"v":2,"v":3}\n', ["x", 3]),
    "duplicate dicts": (b'{"v":{"a":1},"v":7}\n', [7]),
    "byte order mark": (b'\xef\xbb\xbf{"v":1}\n{"v":2}\n', [1, 2]),
    "CRLF": (b'{"v":1}\r\n{"v":2}\r\n', [1, 2]),
    "blank lines": (b'\n{"v":1}\n\n  \t\r\n{"v":2}', [1, 2]),
    "white space": (b'\t {"v" : 1 }  \n{"v":\t2}\n', [1, 2]),
    "1e400": (b'{"v":1e400}\n{"v":-1e400}\n', [str(10**400), str(-(10**400))]),
    "1e-400": (b'{"v":1e-400}\n{"v":1E2}\n', [0.0, 100.0]),
    "40 digits": (b'{"v":%d}\n{"v":1}\n' % 10**39, [str(10**39), 1]),
    "38 digits": (b'{"v":%d}\n{"v":1}\n' % 10**37, [10**37, 1]),
    "long fractions": (
        b'{"v":0.12345678901234567890}\n{"v":0.1}\n',
        [Decimal("0.12345678901234567890"), 0.1],
    ),
    "minus zero": (b'{"v":-0.0}\n{"v":1.5}\n', [-0.0, 1.5]),
    "infinities": (b'{"v":NaN}\n{"v":-Infinity}\n', [math.nan, -math.inf]),
    "half a surrogate pair": (b'{"v":"\\ud800"}\n', ["\\ud800"]),
    "escaped NUL": (b'{"v":"x\\u0000y"}\n', ["x\0y"]),
    "escapes": (b'{"v":"\\u00e9\\ud83d\\udc0e\\/\\b"}\n', ["é\U0001f40e/\b"]),
    "no line": (b"", []),
    "blank file": (b"\n \n", []),
    "one document": (b'\n{\n "v":\n1}\n', [1]),
    "one array": (b'[{"v":1},\n{"v":2}]', [1, 2]),
}


@pytest.mark.parametrize(("text", "values"), ODD_JSON.values(), ids=ODD_JSON)
def test_odd_json(warehouse: Warehouse, text: bytes, values: list[Any], tmp_path: Path) -> None:
    """Odd JSON is read exactly: the last of equal keys, numbers of any size, any line ends."""
    path = tmp_path / "odd.jsonl"
    path.write_bytes(text)
    headrace.load(path, "t", into=warehouse)
    found = [row.facts[("v",)] for row in read_back(warehouse)]

    assert [(type(value), repr(value)) for value in values] == [(type(value), repr(value)) for value in found]


def columns_of_tables(warehouse: Warehouse) -> Iterator[str]:
    for table in landed.tables(warehouse):
        for name, (type_, values) in landed.contents(warehouse, table).items():
            yield f"{table}.{name} {type_} {values}"


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (
            0,
            [
                't.a JSON [\'{"b":{"c":[1]}}\']',
                't.l JSON [\'[{"x":{"y":2}}]\']',
                "t.m JSON ['[[3]]']",
                "t.e JSON ['{}']",
            ],
        ),
        (1, ["t.a__b JSON ['{\"c\":[1]}']", "t__l.x JSON ['{\"y\":2}']", "t__m.value JSON ['[3]']"]),
        (2, ["t.a__b__c JSON ['[1]']", "t__l.x__y BIGINT [2]", "t__m__list.value BIGINT [3]"]),
        (3, ["t__a__b__c.value BIGINT [1]", "t__l.x__y BIGINT [2]", "t__m__list.value BIGINT [3]"]),
    ],
)
def test_max_nesting(warehouse: Warehouse, levels: int, expected: list[str]) -> None:
    """So many levels become columns and tables, a list with its dicts being one; what is deeper stays JSON."""
    record = {"a": {"b": {"c": [1]}}, "l": [{"x": {"y": 2}}], "m": [[3]], "e": {}}
    warehouse.load([record], Target("t", max_nesting=levels))

    assert expected == list(columns_of_tables(warehouse))


def test_infinities_from_python(warehouse: Warehouse) -> None:
    """NaN and the infinities are values, in a list as well."""
    headrace.load([{"v": math.inf, "l": [-math.inf, math.nan]}], "t", into=warehouse)

    assert "inf [-inf, nan]" == f"{landed.records(warehouse, 't')[0]['v']} " + str(
        [row["value"] for row in landed.records(warehouse, "t__l")]
    )
