"""Inference: values in, a column's type and the same values out. The tables here are the specification."""

from __future__ import annotations

import enum
import math
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace
from headrace.errors import SourceError
from headrace.loaders.values.infer import integer, string_kind
from headrace.loaders.warehouse import Warehouse
from tests.loaders import landed

NEPAL = timezone(timedelta(hours=5, minutes=45))
_numbers = count()

Contents = dict[str, tuple[str, list[Any]]]
"""Types and values, by the name of the column."""


class Colour(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Size(enum.Enum):
    SMALL = "s"


class Shout(str):
    """A string that shows itself otherwise."""

    def __str__(self) -> str:
        return self.upper()


@dataclass
class Point:
    x: int
    tags: list[str] = field(default_factory=list)


VALUES: list[tuple[Any, str]] = [
    # read back as themselves
    (True, "BOOLEAN"),
    (0, "BIGINT"),
    (2**53, "BIGINT"),
    (2**53 + 1, "BIGINT"),
    (2**63 - 1, "BIGINT"),
    (-(2**63), "BIGINT"),
    (2**63, "HUGEINT"),  # one past BIGINT
    (-(2**63) - 1, "HUGEINT"),
    (2**70, "HUGEINT"),
    (2**127 - 1, "HUGEINT"),
    (-(2**127), "HUGEINT"),
    (1.5, "DOUBLE"),
    (1e308, "DOUBLE"),
    (5e-324, "DOUBLE"),
    (0.1 + 0.2, "DOUBLE"),
    (math.inf, "DOUBLE"),
    (-math.inf, "DOUBLE"),
    ("", "VARCHAR"),
    (" a ", "VARCHAR"),
    ("01234", "VARCHAR"),  # leading zero: never a number
    ("7", "VARCHAR"),
    ("true", "VARCHAR"),
    ("null", "VARCHAR"),
    ("a\0b", "VARCHAR"),
    ("\x01", "VARCHAR"),
    ("\x01date", "VARCHAR"),
    ("línea\nпо \U0001f40e", "VARCHAR"),
    ("\\ud800", "VARCHAR"),
    (Decimal("1.10"), "DECIMAL(3,2)"),  # trailing zeros are digits
    (Decimal("-0.001"), "DECIMAL(4,3)"),
    (Decimal("9" * 38), "DECIMAL(38,0)"),
    (Decimal("Infinity"), "DOUBLE"),
    (date(1, 1, 1), "DATE"),
    (date(9999, 12, 31), "DATE"),
    (datetime(2026, 1, 31, 10, 0, 0, 1), "TIMESTAMP"),
    (datetime.max, "TIMESTAMP"),
    (time(10, 30, 0, 1), "TIME"),
    (timedelta(days=-1, microseconds=1), "INTERVAL"),
    (timedelta.max, "INTERVAL"),
    (b"", "BLOB"),
    (b"\x00\xff'", "BLOB"),
]

KEPT_AS: list[tuple[Any, str, Any]] = [
    (10**60, "VARCHAR", "1" + "0" * 60),  # no SQL type holds it: its digits
    (2**127, "VARCHAR", str(2**127)),
    (Decimal("1e40"), "VARCHAR", "1" + "0" * 40),
    (Decimal("0." + "1" * 40), "VARCHAR", "0." + "1" * 40),
    (Decimal("1E+5"), "DECIMAL(6,0)", Decimal(100000)),
    (datetime(2026, 1, 31, 10, tzinfo=timezone.utc), "TIMESTAMPTZ", datetime(2026, 1, 31, 10)),
    (datetime(2026, 1, 31, 10, tzinfo=NEPAL), "TIMESTAMPTZ", datetime(2026, 1, 31, 4, 15)),
    (uuid.UUID(int=5), "VARCHAR", "00000000-0000-0000-0000-000000000005"),  # as JSON would have it
    (bytearray(b"ab"), "BLOB", b"ab"),
    (memoryview(b"ab"), "BLOB", b"ab"),
    (Colour.RED, "VARCHAR", "red"),
    (Level.HIGH, "BIGINT", 3),
    (Size.SMALL, "VARCHAR", "s"),
    (Shout("low"), "VARCHAR", "low"),
    ("\ud800!", "VARCHAR", "\\ud800!"),  # a lone surrogate is no text: kept escaped
]

TIMES: list[tuple[str, str, Any]] = [
    ("2026-01-31", "DATE", date(2026, 1, 31)),
    ("2024-02-29", "DATE", date(2024, 2, 29)),
    ("0001-01-01", "DATE", date(1, 1, 1)),
    ("9999-12-31", "DATE", date(9999, 12, 31)),
    ("2026-01-31T10:00", "TIMESTAMP", datetime(2026, 1, 31, 10)),
    ("2026-01-31 10:00:05", "TIMESTAMP", datetime(2026, 1, 31, 10, 0, 5)),
    ("2026-01-31T10:00:05.1", "TIMESTAMP", datetime(2026, 1, 31, 10, 0, 5, 100000)),
    ("2026-01-31T10:00:05.000001", "TIMESTAMP", datetime(2026, 1, 31, 10, 0, 5, 1)),
    ("2026-01-31T10:00:05Z", "TIMESTAMPTZ", datetime(2026, 1, 31, 10, 0, 5)),
    ("2026-01-31T10:00:05+00:00", "TIMESTAMPTZ", datetime(2026, 1, 31, 10, 0, 5)),
    ("2026-01-31 10:00:05.5+05:45", "TIMESTAMPTZ", datetime(2026, 1, 31, 4, 15, 5, 500000)),
    ("2026-01-31T00:00:00-14:00", "TIMESTAMPTZ", datetime(2026, 1, 31, 14)),
]

NO_TIMES = [
    "2026-02-30",  # no such day
    "2025-02-29",
    "2026-13-01",
    "0000-01-01",  # no such year
    "2026-01-31T24:00:00",  # the same moment as the next day's 00:00, and not the same text
    "2026-01-31T10:00:60",
    "2026-01-31T10:00:00.1234567",  # DuckDB keeps microseconds
    "2026-01-31T10",
    "2026-01-31Z",
    "2026-01-31T10:00:00+0100",
    "2026-01-31T10:00:00+15:00",
    "2026-01-31T10:00:00 Z",
    "2026-01-31\n",
    " 2026-01-31",
    "2026-1-31",
    "20260131",
    "2026-W05-6",
    "2026-031",
    "10:30:00",  # a time of day alone may be anything
    "P1D",
    "٢٠٢٦-٠١-٣١",
    "12345-01-01",
]

COLUMNS: list[tuple[list[Any], Contents]] = [
    ([None], {"v": ("VARCHAR", [None])}),
    ([1, None], {"v": ("BIGINT", [1, None])}),
    ([1, 2.5], {"v": ("DOUBLE", [1.0, 2.5])}),
    ([1, 2**70], {"v": ("HUGEINT", [1, 2**70])}),
    ([1, Decimal("2.50")], {"v": ("DECIMAL(18,2)", [Decimal(1), Decimal("2.50")])}),
    ([Decimal("1.5"), Decimal("10.25")], {"v": ("DECIMAL(4,2)", [Decimal("1.5"), Decimal("10.25")])}),
    (
        [2**53 + 1, 2.5],  # no DOUBLE, since that would change the first
        {"v": ("BIGINT", [2**53 + 1, None]), "v__v_double": ("DOUBLE", [None, 2.5])},
    ),
    ([1, True], {"v": ("BIGINT", [1, None]), "v__v_bool": ("BOOLEAN", [None, True])}),
    ([True, 1], {"v": ("BIGINT", [None, 1]), "v__v_bool": ("BOOLEAN", [True, None])}),
    ([1, "1"], {"v": ("BIGINT", [1, None]), "v__v_text": ("VARCHAR", [None, "1"])}),
    (
        [1, "a", True, 2.5],
        {
            "v": ("DOUBLE", [1.0, None, None, 2.5]),
            "v__v_bool": ("BOOLEAN", [None, None, True, None]),
            "v__v_text": ("VARCHAR", [None, "a", None, None]),
        },
    ),
    (
        [2**127, "a"],
        {"v": ("VARCHAR", [str(2**127), None]), "v__v_text": ("VARCHAR", [None, "a"])},
    ),
    (["2026-01-31", None], {"v": ("DATE", [date(2026, 1, 31), None])}),
    (["2026-01-31", "soon"], {"v": ("VARCHAR", ["2026-01-31", "soon"])}),  # one sort, or all text
    (["2026-01-31", "2026-01-31T10:00"], {"v": ("VARCHAR", ["2026-01-31", "2026-01-31T10:00"])}),
    (
        ["2026-01-31T10:00Z", "2026-01-31 10:00"],
        {"v": ("VARCHAR", ["2026-01-31T10:00Z", "2026-01-31 10:00"])},
    ),
    (
        [date(2026, 1, 31), "2026-02-01"],
        {"v": ("DATE", [date(2026, 1, 31), date(2026, 2, 1)])},
    ),
    (
        [datetime(2026, 1, 31), datetime(2026, 1, 31, tzinfo=timezone.utc)],
        {
            "v": ("TIMESTAMPTZ", [None, datetime(2026, 1, 31)]),
            "v__v_timestamp": ("TIMESTAMP", [datetime(2026, 1, 31), None]),
        },
    ),
]


@pytest.fixture(scope="module")
def together() -> Callable[[list[Any]], Contents]:
    """All the tables above in one load: each list of values is a column of its own, a record a value."""
    columns = [[row[0]] for row in (*VALUES, *KEPT_AS, *TIMES)] + [[text] for text in NO_TIMES]
    columns += [values for values, _ in COLUMNS]
    spans, stream = {}, list[dict[str, Any]]()
    for number, values in enumerate(columns):
        spans[repr(values)] = (f"v{number}", len(stream), len(stream) + len(values))
        stream += [{f"v{number}": value} for value in values]
    with Warehouse() as warehouse:
        headrace.load(stream, "t", into=warehouse)
        contents = landed.contents(warehouse, "t")

    def column(values: list[Any]) -> Contents:
        key, start, stop = spans[repr(values)]
        return {
            f"v{name.removeprefix(key)}": (type_, kept[start:stop])
            for name, (type_, kept) in contents.items()
            if name == key or name.startswith(f"{key}__v_")
        }

    return column


@pytest.fixture(scope="module")
def shared() -> Iterator[Warehouse]:
    """One warehouse for all tests here; each value gets a table of its own."""
    with Warehouse() as warehouse:
        yield warehouse


def land(warehouse: Warehouse, records: list[Any]) -> dict[str, tuple[str, list[Any]]]:
    """Load records into a new table and return its columns' types and values."""
    table = f"t{next(_numbers)}"
    headrace.load(records, table, into=warehouse)
    return landed.contents(warehouse, table)


@pytest.mark.parametrize(("value", "type_"), VALUES)
def test_value_and_type(together: Callable[[list[Any]], Contents], value: Any, type_: str) -> None:
    """A value lands in a column of its type and is read back as itself."""
    assert {"v": (type_, [value])} == together([value])


@pytest.mark.parametrize(("value", "type_", "kept"), KEPT_AS)
def test_value_kept_as(together: Callable[[list[Any]], Contents], value: Any, type_: str, kept: Any) -> None:
    """A value without a type of its own is kept as what says all of it."""
    assert {"v": (type_, [kept])} == together([value])


def test_an_integer_of_any_size(shared: Warehouse) -> None:
    """An integer with more digits than Python writes by itself is kept whole."""
    assert {"v": ("VARCHAR", ["-1" + "0" * 5000])} == land(shared, [{"v": -(10**5000)}])


def test_not_a_number(shared: Warehouse) -> None:
    """NaN is a number, not a null, beside other values too; a decimal NaN is one of them."""
    found = land(shared, [{"v": math.nan}, {"v": None}, {"v": 1}, {"v": Decimal("NaN")}, {"v": -0.0}])
    type_, values = found["v"]

    assert ["v"] == list(found)
    assert ("DOUBLE", ["nan", "None", "1.0", "nan", "-0.0"]) == (type_, [str(value) for value in values])


@pytest.mark.parametrize(("text", "type_", "value"), TIMES)
def test_text_that_is_a_time(
    together: Callable[[list[Any]], Contents], text: str, type_: str, value: Any
) -> None:
    """Whole ISO 8601 dates and time stamps are typed; a naive one stays naive."""
    assert {"v": (type_, [value])} == together([text])


@pytest.mark.parametrize("text", NO_TIMES)
def test_text_that_only_looks_like_a_time(together: Callable[[list[Any]], Contents], text: str) -> None:
    """What is not whole, not real or not exact stays the text that it is."""
    assert {"v": ("VARCHAR", [text])} == together([text])


@given(st.datetimes(), st.sampled_from(["T", " "]), st.sampled_from(["seconds", "microseconds"]))
def test_every_time_is_recognised(moment: datetime, separator: str, precision: str) -> None:
    """Whatever Python writes as an ISO time is one, and its day alone is a date."""
    text = moment.isoformat(separator, precision)

    assert ("iso_timestamp", "iso_timestamptz", "iso_date") == (
        string_kind(text),
        string_kind(f"{text}Z"),
        string_kind(text[:10]),
    )


@given(st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", fullmatch=True))
def test_a_date_is_one_that_the_calendar_has(text: str) -> None:
    """Ten characters are a date exactly if Python's calendar has that day."""
    try:
        date.fromisoformat(text)
        kind = "iso_date"
    except ValueError:
        kind = "text"

    assert kind == (string_kind(text) if text.isascii() else "text")


@pytest.mark.parametrize(("values", "expected"), COLUMNS)
def test_values_of_one_column(
    together: Callable[[list[Any]], Contents], values: list[Any], expected: dict[str, tuple[str, list[Any]]]
) -> None:
    """One type where it holds all values unchanged, else a variant column for what does not fit."""
    assert expected == together(values)


@pytest.mark.parametrize(
    "value",
    [
        uuid.UUID(int=5), Size.SMALL, Colour.RED, Shout("low"), Decimal("1.5"), date(2026, 1, 31), b"x",
        Point(1), "\x01", {"\x01date": "x"}, "plain", 2**53 + 1, (1, 2), {"n": uuid.UUID(int=5)},
    ],
    ids=repr,
)  # fmt: skip
def test_neighbours_do_not_matter(shared: Warehouse, value: Any) -> None:
    """What a value becomes does not depend on what else is in its record."""
    companions = [1, math.nan, 2**70, {"s": {1}}, "\ud800", Decimal(1)]
    alone = land(shared, [{"v": value}])
    beside = land(shared, [{"v": value, f"beside{n}": companion} for n, companion in enumerate(companions)])
    expected = {name: (type_, values * len(companions)) for name, (type_, values) in alone.items()}

    assert expected == {name: column for name, column in beside.items() if not name.startswith("beside")}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({1: "a", None: "b", False: "c"}, {"_1": "a", "null": "b", "false": "c"}),
        ({"\x01date": "2026"}, {"_date": "2026"}),  # looks like a mark, and is a key
        ({"\x01\x01date": "2026"}, {"_date": "2026"}),
        ({"\x01": 1}, {"x": 1}),
        ({"v": {"\x01date": "2026"}}, {"v___date": "2026"}),
        ({"a\0b": 1}, {"a_b": 1}),
        ({"\ud800": 1}, {"_ud800": 1}),
        ({"v": OrderedDict(a=1)}, {"v__a": 1}),
        ({"v": Point(7)}, {"v__x": 7}),
        ({date(2026, 1, 31): 1}, {"_2026_01_31": 1}),
    ],
)
def test_keys(shared: Warehouse, record: dict[Any, Any], expected: dict[str, Any]) -> None:
    """Keys of any kind become columns, and no key can pass for one of headrace's own marks."""
    found = land(shared, [record])

    assert expected == {name: values[0] for name, (_, values) in found.items()}


def test_times_of_day_keep_their_zone(shared: Warehouse) -> None:
    """A time of day with a zone does not lose it: 10:00 here and 10:00 there are two values."""
    found = land(
        shared, [{"v": time(10)}, {"v": time(10, tzinfo=timezone.utc)}, {"v": time(10, tzinfo=NEPAL)}]
    )
    values = [str(value) for _, column in found.values() for value in column if value is not None]

    assert 3 == len(set(values))


@pytest.mark.parametrize("value", [object(), 1j, range(3), len, iter([1])], ids=lambda v: type(v).__name__)
def test_what_is_no_data_is_refused(warehouse: Warehouse, value: Any) -> None:
    """An object that is not data stops the load, by its type and its record's number."""
    with pytest.raises(SourceError) as raised:
        headrace.load([{"v": 1}, {"v": value}], "t", into=warehouse)

    assert f"record 1: TypeError: a value of type {type(value).__name__}" in str(raised.value)
    assert [] == landed.tables(warehouse)


JSON_SCALARS = (
    st.integers(-(2**200), 2**200)
    | st.floats()
    | st.booleans()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)


@settings(max_examples=40)
@given(st.lists(JSON_SCALARS, min_size=1, max_size=30))
def test_every_value_comes_back(shared: Warehouse, values: list[Any]) -> None:
    """Each value stands in exactly one column of its row, equal to what was given."""
    found = land(shared, [{"v": value} for value in values])
    by_row = zip(*(column for _, column in found.values()), strict=True)
    kept = [[value for value in row if value is not None] for row in by_row]

    assert [[_comparable(value)] for value in values] == [[_comparable(v) for v in row] for row in kept]


def _comparable(value: Any) -> Any:
    """Return a value so that NaN equals itself, a bool no number, and a huge integer its digits."""
    if isinstance(value, float):
        return float(value).hex()
    if type(value) is int:
        return float(value).hex() if abs(value) <= 2**53 else str(value)
    return (type(value).__name__, value) if isinstance(value, bool) else value


@given(st.integers())
def test_integers_by_size(value: int) -> None:
    """An integer's kind follows from its size, and its digits are all kept."""
    kind, kept = integer(value)
    expected = (
        "int" if abs(value) <= 2**53
        else "bigint" if -(2**63) <= value < 2**63
        else "hugeint" if -(2**127) <= value < 2**127
        else "bignum"
    )  # fmt: skip

    assert (expected, value) == (kind, int(kept))
