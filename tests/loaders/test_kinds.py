"""Kinds: which SQL type holds a set of kinds, and the laws that keep every value as it is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.loaders.values.kinds import KINDS, accepts, decimal_kind, decode, rank, spec, sql_type

ANY_KIND = st.one_of(
    st.sampled_from([kind for kind in KINDS if kind != "decimal"]),
    st.integers(0, 38).flatmap(
        lambda scale: st.integers(max(scale, 1), 38).map(lambda digits: f"decimal({digits},{scale})")
    ),
)

EXTREMES: dict[str, list[str]] = {
    # the values of each kind that a wrong type would change first, as a package's files hold them
    "int": ["0", str(2**53), str(-(2**53))],
    "bigint": [str(2**53 + 1), str(2**63 - 1), str(-(2**63))],
    "hugeint": [str(2**63), str(2**127 - 1), str(-(2**127))],
    "double": ["0.1", "5e-324", "1.7976931348623157e308", "NaN", "Infinity"],
    "decimal(5,2)": ["999.99", "-0.01"],
    "decimal(38,0)": ["9" * 38],
    "decimal(20,20)": ["0.00000000000000000001"],
    "timestamptz": ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999+05:45"],
    "timestamp": ["0001-01-01T00:00:00", "2026-01-31T10:00:00.000001"],
    "date": ["0001-01-01", "9999-12-31"],
    "time": ["00:00:00.000001"],
    "interval": ["-1 days 5 microseconds"],
    "bool": ["true", "false"],
    "uuid": ["00000000-0000-0000-0000-000000000005"],
    "json": ['{"a":1}'],
    "bignum": [str(2**127)],
    "iso_timestamptz": ["2026-01-31T10:00:00-14:00"],
    "iso_timestamp": ["2026-01-31 10:00"],
    "iso_date": ["2026-01-31"],
    "text": ["", "true", "1"],
}


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.mark.parametrize(
    ("kinds", "type_"),
    [
        ([], "VARCHAR"),  # only ever null
        (["bool"], "BOOLEAN"),
        (["int"], "BIGINT"),
        (["int", "bigint"], "BIGINT"),
        (["int", "bigint", "hugeint"], "HUGEINT"),
        (["bignum"], "VARCHAR"),
        (["double"], "DOUBLE"),
        (["int", "double"], "DOUBLE"),  # up to 2**53 an integer is a double
        (["bigint", "double"], None),  # beyond, it is not
        (["hugeint", "double"], None),
        (["bool", "int"], None),  # true is not 1
        (["hugeint", "bignum"], None),
        (["bignum", "text"], None),
        (["decimal(5,2)"], "DECIMAL(5,2)"),
        (["decimal(5,2)", "decimal(3,3)"], "DECIMAL(6,3)"),
        (["decimal(5,2)", "int"], "DECIMAL(18,2)"),
        (["decimal(5,2)", "bigint"], "DECIMAL(21,2)"),
        (["decimal(5,2)", "hugeint"], None),  # 39 digits and 2 are more than 38
        (["decimal(38,0)", "decimal(1,1)"], None),
        (["decimal(5,2)", "double"], None),  # 0.1 is not a double
        (["decimal(5,2)", "text"], None),
        (["date", "iso_date"], "DATE"),
        (["timestamp", "iso_timestamp"], "TIMESTAMP"),
        (["timestamptz", "iso_timestamptz"], "TIMESTAMPTZ"),
        (["date", "timestamp"], None),  # a day is not its midnight
        (["timestamp", "timestamptz"], None),  # a naive time has no zone
        (["iso_date", "text"], None),
        (["uuid", "text"], None),
        (["blob", "text"], None),
        (["json", "text"], None),
        (["interval"], "INTERVAL"),
        (["time"], "TIME"),
    ],
)
def test_type_of_kinds(kinds: list[str], type_: str | None) -> None:
    """The type that holds every value of the kinds unchanged, or None where there is none."""
    assert type_ == sql_type(kinds)


@given(
    st.lists(ANY_KIND, max_size=4).flatmap(lambda kinds: st.tuples(st.just(kinds), st.permutations(kinds)))
)
def test_only_the_set_counts(case: tuple[list[str], list[str]]) -> None:
    """Neither the order in which kinds are met nor how often decides the type."""
    kinds, shuffled = case

    assert sql_type(kinds) == sql_type(shuffled * 2)


@given(st.frozensets(ANY_KIND, min_size=1, max_size=4), st.frozensets(ANY_KIND, min_size=1, max_size=2))
def test_what_fits_together_fits_apart(held: frozenset[str], more: frozenset[str]) -> None:
    """Where a set of kinds has a type, each part of it has one: growing never makes room."""
    if sql_type(held | more) is not None:
        assert None is not sql_type(held)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_value_is_changed_by_its_column(engine: duckdb.DuckDBPyConnection, size: int) -> None:
    """In the type of every set of kinds, the extreme values of each kind are still themselves.

    That a column never narrows follows: a wider set has a type that holds all that the smaller one held.
    """
    checks = []
    for kinds in combinations(EXTREMES, size):
        type_ = sql_type(kinds)
        if type_ is None:
            continue
        for kind in kinds:
            natural = sql_type([kind])
            for text in EXTREMES[kind]:
                exact = f"CAST('{text}' AS {natural})"
                checks.append(
                    f"(CAST(CAST({exact} AS {type_}) AS {natural}) = {exact}, '{text} of {kind} as {type_}')"
                )
    found = engine.execute(f"SELECT what FROM (VALUES {', '.join(checks)}) t(same, what) WHERE NOT same")

    assert [] == found.fetchall()


@pytest.mark.parametrize("kind", sorted(EXTREMES))
def test_files_give_back_what_they_keep(engine: duckdb.DuckDBPyConnection, kind: str) -> None:
    """A kind's text in a package's file decodes into a value of the kind's own type."""
    for text in EXTREMES[kind]:
        stored = f"CAST('{text}' AS {spec(kind).stored})"
        row = engine.execute(
            f"SELECT typeof(v), v = CAST('{text}' AS {sql_type([kind])}) "
            f"FROM (SELECT {decode(kind, 'f')} AS v FROM (SELECT {stored} AS f))"
        ).fetchone()
        type_ = (sql_type([kind]) or "").replace("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE")

        assert (type_, True) == row


def test_bytes_are_kept_as_base64(engine: duckdb.DuckDBPyConnection) -> None:
    """Bytes have no JSON form; a package keeps their base64."""
    row = engine.execute(f"SELECT {decode('blob', 'f')} FROM (SELECT 'AP8=' AS f)").fetchone()

    assert (b"\x00\xff",) == row


@pytest.mark.parametrize(
    ("declared", "kind", "expected"),
    [
        ("VARCHAR", "int", True),
        ("VARCHAR", "decimal(5,2)", True),
        ("VARCHAR", "iso_date", True),
        ("VARCHAR", "json", False),
        ("VARCHAR", "blob", False),
        ("DOUBLE", "int", True),
        ("DOUBLE", "bigint", False),
        ("BIGINT", "double", False),
        ("HUGEINT", "int", True),
        ("TIMESTAMP", "iso_timestamp", True),
        ("TIMESTAMP", "iso_timestamptz", False),
        ("DATE", "text", False),
        ("DECIMAL(5,2)", "decimal(5,2)", True),
        ("JSON", "text", False),
    ],
)
def test_declared_columns(declared: str, kind: str, expected: bool) -> None:
    """A declared type takes what it can hold unchanged, and nothing makes it another."""
    assert expected == accepts(declared, frozenset(), kind)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("7", "decimal(1,0)"),
        ("-12.340", "decimal(5,3)"),
        ("0.001", "decimal(4,3)"),
        ("9" * 38, "decimal(38,0)"),
        ("9" * 39, "bignum"),
        ("0." + "1" * 38, "bignum"),
    ],
)
def test_digits_of_a_decimal(text: str, kind: str) -> None:
    """A decimal keeps its digits, trailing zeros included; past 38 it is kept as text."""
    assert kind == decimal_kind(text)


@given(
    st.lists(ANY_KIND, unique=True, max_size=6).flatmap(
        lambda kinds: st.tuples(st.just(kinds), st.permutations(kinds))
    )
)
def test_one_order_of_kinds(case: tuple[list[str], list[str]]) -> None:
    """Kinds are looked at in one order, whichever came first."""
    kinds, shuffled = case

    assert sorted(kinds, key=rank) == sorted(shuffled, key=rank)
