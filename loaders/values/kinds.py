"""Define the kinds of values, and which SQL type holds a set of kinds unchanged.

A column is the set of kinds it has held; its SQL type follows from that set. So the laws of widening are
the laws of set union, and a type rule has one home: the two tables below and `sql_type`.

Kinds that begin with `iso_` are strings that read as a time: they may become a typed column, or stay text
where other strings stand beside them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

SAFE_INT = 2**53
"""Integers up to here are exact as DOUBLE: kind `int`; beyond, `bigint`, and past 64 bits `hugeint`."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table of kinds.

    Attributes:
        type: The SQL type of a column that holds this kind alone.
        stored: The type in a package's files; VARCHAR where the text is exact and the type has no JSON form.
        suffix: What a variant column of this kind is called: `name__v_<suffix>`.
    """

    type: str
    stored: str
    suffix: str


KINDS: dict[str, Kind] = {
    # in the order in which they claim the plain name of a column that holds several
    "int": Kind("BIGINT", "BIGINT", "bigint"),
    "bigint": Kind("BIGINT", "BIGINT", "bigint"),
    "hugeint": Kind("HUGEINT", "VARCHAR", "hugeint"),
    "double": Kind("DOUBLE", "DOUBLE", "double"),
    "decimal": Kind("DECIMAL", "VARCHAR", "decimal"),  # with its digits: "decimal(18,2)"
    "timestamptz": Kind("TIMESTAMPTZ", "VARCHAR", "timestamptz"),
    "timestamp": Kind("TIMESTAMP", "VARCHAR", "timestamp"),
    "date": Kind("DATE", "VARCHAR", "date"),
    "time": Kind("TIME", "VARCHAR", "time"),
    "timetz": Kind("TIMETZ", "VARCHAR", "timetz"),
    "interval": Kind("INTERVAL", "VARCHAR", "interval"),
    "bool": Kind("BOOLEAN", "BOOLEAN", "bool"),
    "uuid": Kind("UUID", "VARCHAR", "uuid"),
    "blob": Kind("BLOB", "VARCHAR", "blob"),
    "json": Kind("JSON", "VARCHAR", "json"),
    "bignum": Kind("VARCHAR", "VARCHAR", "bignum"),  # an integer past 128 bits, as its digits
    "iso_timestamptz": Kind("TIMESTAMPTZ", "VARCHAR", "timestamptz"),
    "iso_timestamp": Kind("TIMESTAMP", "VARCHAR", "timestamp"),
    "iso_date": Kind("DATE", "VARCHAR", "date"),
    "text": Kind("VARCHAR", "VARCHAR", "text"),
    "clear": Kind("BOOLEAN", "BOOLEAN", "clear"),  # no value: says that a null was given
    "empty": Kind("BOOLEAN", "BOOLEAN", "empty"),  # likewise, an empty list
}

CLEAR = "clear"
EMPTY = "empty"
MENTIONS = frozenset({CLEAR, EMPTY})
"""Kinds that hold no value: they tell what a record gives from what it leaves out."""

NESTED = "nested"
"""Stands at a path that held a dict or a list, empty or not: a null beside it asks for no column."""
NULL = "null"
"""The kind of a value that is not there. A column that has held nothing else is a VARCHAR of nulls."""

STRINGS = frozenset({"text", "iso_timestamptz", "iso_timestamp", "iso_date"})
TYPED_BY_NAME: dict[str, frozenset[str]] = {
    # what a column declared with this type takes as it is
    "BOOLEAN": frozenset({"bool"}),
    "BIGINT": frozenset({"int", "bigint"}),
    "HUGEINT": frozenset({"int", "bigint", "hugeint"}),
    "DOUBLE": frozenset({"int", "double"}),
    "VARCHAR": frozenset(KINDS) - {"json", "blob"},
    "DATE": frozenset({"date", "iso_date"}),
    "TIME": frozenset({"time"}),
    "TIMETZ": frozenset({"timetz"}),
    "TIMESTAMP": frozenset({"timestamp", "iso_timestamp"}),
    "TIMESTAMPTZ": frozenset({"timestamptz", "iso_timestamptz"}),
    "INTERVAL": frozenset({"interval"}),
    "UUID": frozenset({"uuid"}),
    "BLOB": frozenset({"blob"}),
    "JSON": frozenset({"json"}),
}
_RANK = {name: rank for rank, name in enumerate(KINDS)}
_INTEGER_DIGITS = {"int": 16, "bigint": 19, "hugeint": 39}


def spec(kind: str) -> Kind:
    """Return the row of the table for `kind`; the digits of a decimal do not matter."""
    return KINDS[kind.partition("(")[0]]


def rank(kind: str) -> tuple[int, str]:
    """Return the sort key of the one order in which kinds are looked at, whatever order they came in."""
    return _RANK[kind.partition("(")[0]], kind


def sql_type(kinds: Iterable[str]) -> str | None:
    """Return the type that holds every value of `kinds` unchanged, or None where there is none.

    >>> sql_type({"int", "double"})
    'DOUBLE'
    >>> sql_type({"bigint", "double"}) is None  # 2**53 + 1 is not a double
    True
    >>> sql_type({"decimal(5,2)", "int"})
    'DECIMAL(18,2)'
    >>> sql_type(set())
    'VARCHAR'
    """
    held = {kind.removeprefix("iso_") for kind in kinds}
    if not held:
        return "VARCHAR"
    if any(kind.startswith("decimal(") for kind in held):
        return _decimal_type(held)
    if len(held) == 1:
        return spec(next(iter(held))).type
    if held <= {"int", "bigint", "hugeint"}:
        return "HUGEINT" if "hugeint" in held else "BIGINT"
    return "DOUBLE" if held == {"int", "double"} else None


def accepts(declared: str | None, held: frozenset[str], kind: str) -> bool:
    """Tell whether a column that holds `held`, or is declared with a type, can hold `kind` as well."""
    if declared is None:
        return sql_type(held | {kind}) is not None
    if kind.startswith("decimal("):
        return declared == "VARCHAR" or sql_type({kind}) == declared
    return kind in TYPED_BY_NAME.get(declared, frozenset())


def decode(kind: str, column: str) -> str:
    """Return SQL that turns a column of a package's file into the type of its kind."""
    if kind == "blob":
        return f"from_base64({column})"
    natural, stored = sql_type({kind}), spec(kind).stored
    return column if natural == stored else f"CAST({column} AS {natural})"


def decimal_kind(text: str) -> str:
    """Return the kind of a decimal written out in digits, or `bignum` for one that no DECIMAL holds.

    >>> decimal_kind("-12.340"), decimal_kind("0.5"), decimal_kind("7")
    ('decimal(5,3)', 'decimal(2,1)', 'decimal(1,0)')
    """
    whole, _, fraction = text.lstrip("-").partition(".")
    precision = len(whole) + len(fraction)
    return f"decimal({precision},{len(fraction)})" if precision <= 38 else "bignum"


def _decimal_type(held: set[str]) -> str | None:
    whole = scale = 0
    for kind in held:
        if match := re.fullmatch(r"decimal\((\d+),(\d+)\)", kind):
            digits, fraction = int(match[1]), int(match[2])
            whole, scale = max(whole, digits - fraction), max(scale, fraction)
        elif kind in _INTEGER_DIGITS:
            whole = max(whole, _INTEGER_DIGITS[kind])
        else:
            return None
    return f"DECIMAL({whole + scale},{scale})" if whole + scale <= 38 else None
