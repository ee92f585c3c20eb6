"""Hostile inputs: endless keys, endless nesting, names and texts that look like code, and JSON that is none."""

from __future__ import annotations

import functools
import json
import math
import re
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
from headrace.loaders.contracts.target import Target
from headrace.loaders.shredding.key_limit import EXTRA, MOST_KEYS
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


def test_a_map_that_grows_from_load_to_load(warehouse: Warehouse) -> None:
    """The keys of all loads count: the load that makes them too many keeps its dicts as JSON."""
    for load in range(4):
        hits = {f"page {load * 400 + n}": n for n in range(400)}
        headrace.load([{"id": load, "hits": hits}], "t", into=warehouse)
    columns = landed.types(warehouse, "t")

    assert 1 + 800 + 1 == len(columns)
    assert "JSON" == columns["hits"]
    assert [(None,), (None,), (400,), (400,)] == warehouse.query(
        "SELECT len(json_keys(hits)) FROM t ORDER BY id"
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
from headrace.loaders.contracts.target import Target
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


@pytest.mark.parametrize("levels", [300, 20_000])
@pytest.mark.parametrize(("opening", "closing"), [('{"k":', "}"), ("[", "]"), ('[{"k":', "}]")])
@pytest.mark.parametrize("as_text", [True, False], ids=["JSON", "records"])
def test_deeper_than_parsers_go(
    warehouse: Warehouse, levels: int, opening: str, closing: str, as_text: bool
) -> None:
    """No depth brings a load down: below 64 levels there is JSON, which holds the rest to the last bracket."""
    deep = opening * levels + "1" + closing * levels
    if as_text:
        headrace.load(f'{{"id":0}}\n{{"id":7,"a":{deep}}}\n'.encode(), "t", into=warehouse)
    else:
        inner: Any = 1
        for _ in range(levels):
            inner = [{"k": inner}] if "[{" in opening else [inner] if opening == "[" else {"k": inner}
        headrace.load([{"id": 0}, {"id": 7, "a": inner}], "t", into=warehouse)
        while isinstance(inner, (dict, list)):  # Python itself would free so many levels by recursion
            inner = inner.popitem()[1] if isinstance(inner, dict) else inner.pop()
    kept = [
        value
        for table in landed.tables(warehouse)
        for type_, values in landed.contents(warehouse, table).values()
        for value in values
        if type_ == "JSON" and value is not None
    ]

    assert [0, 7] == landed.contents(warehouse, "t")["id"][1]
    assert 1 == len(kept)
    assert deep.endswith(kept[0][: kept[0].index("1")] + "1" + closing * levels)
    assert levels * len(opening) - 64 * 6 <= len(kept[0].partition("1")[0]) < levels * len(opening)


def test_a_record_that_holds_itself(warehouse: Warehouse) -> None:
    """It has no end, so it is refused, by its number."""
    record: dict[str, Any] = {"id": 1}
    record["self"] = record
    with pytest.raises(SourceError, match=r"main\.t: record 1\b.*holds itself"):
        headrace.load([{"id": 0}, record], "t", into=warehouse)

    assert [] == landed.tables(warehouse)


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


def test_keys_in_texts_do_not_count(warehouse: Warehouse) -> None:
    """Keys are counted without looking into texts, which may hold JSON themselves."""
    inner = json.dumps([{f"a{n}": n, "b": "x"} for n in range(20_000)])
    headrace.load([{"id": 1, "v": inner}] * 20, "t", into=warehouse)

    assert {"id": "BIGINT", "v": "VARCHAR"} == landed.types(warehouse, "t")


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
    with pytest.raises(SourceError, match=r"main\.t: record 2 \(events\.jsonl:3\) is no JSON"):
        headrace.load(path, "t", into=warehouse)

    assert [(0,)] == landed.rows(warehouse, "t")


NO_DOCUMENTS = {
    "no end of an object": (b'{"a":1\n{"a":2}\n', "line 1: the value that begins here has no end"),
    "no end of an array": (b'\n[{"a":1},\n{"a":2}', "line 2: the array that begins here has no end"),
    "no end of an item": (b'[{"a":1},\n{"a":[2', "line 2: the value that begins here has no end"),
    "no end of a text": (b'[{"a":1},\n{"a":"x}]\n]', "line 2: a string does not end on its line"),
    "no comma": (b'[{"a":1}\n{"a":2}]', "line 2: '{' where a comma should stand"),
    "more than an array": (b'[{"a":1}]\n;', "line 2: the array has ended, and more follows"),
    "two on a line": (b'{"a":1} {"a":2}\n', "line 1: a second value on one line"),
}


@pytest.mark.parametrize(("text", "reason"), NO_DOCUMENTS.values(), ids=NO_DOCUMENTS)
def test_a_malformed_document(warehouse: Warehouse, text: bytes, reason: str, tmp_path: Path) -> None:
    """A file that is neither JSON lines nor a document of JSON is refused, with the line at fault."""
    path = tmp_path / "events.json"
    path.write_bytes(text)
    with pytest.raises(SourceError, match=re.escape(f"events.json is neither JSON nor JSON lines: {reason}")):
        headrace.load(path, "t", into=warehouse)

    assert [] == landed.tables(warehouse)


def test_documents_larger_than_what_is_read_at_a_time(warehouse: Warehouse, tmp_path: Path) -> None:
    """An array is read item by item, whatever its items hold and wherever a read ends."""
    items = [{"id": n, "text": '"]}, {[\\' * (n % 7), "list": [[n], {"n": n}]} for n in range(20_000)]
    path = tmp_path / "events.json"
    path.write_text(json.dumps([*items, {"id": -1, "text": "x" * (9 << 20)}], indent=1))
    headrace.load(path, "t", into=warehouse)
    headrace.load(items, "other", into=warehouse)

    assert [(20_001, 9 << 20)] == warehouse.query("SELECT count(*), max(length(text)) FROM t")
    assert [] == warehouse.query("SELECT id, text FROM other EXCEPT ALL SELECT id, text FROM t")
    assert [(20_000, 20_000)] == warehouse.query(
        "SELECT (SELECT count(n) FROM t__list), (SELECT count(value) FROM t__list__list)"
    )


def test_objects_one_below_the_other(warehouse: Warehouse) -> None:
    """JSON that is laid out over several lines, as tools print it, is one record for each value."""
    headrace.load(b'{\n "id": 1\n}\n{\n "id": 2\n}\n', "t", into=warehouse)

    assert [(1,), (2,)] == landed.rows(warehouse, "t")


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


def test_a_carriage_return_in_a_string(warehouse: Warehouse) -> None:
    """JSON has no bare carriage return in strings: in an array of many lines it is refused as in one line."""
    with pytest.raises(SourceError, match=r"record 0 .* is no JSON"):
        headrace.load(b'[{"v":"a\rb"},\r\n{"v":"c"}\r]', "t", into=warehouse)
