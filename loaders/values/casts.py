"""Write SQL that tells which values fit a declared type (pure).

A hint is a wish, not a licence: a value goes into the declared column only if it is the same value there
(`"12.50"` in DECIMAL(18,2), `3.0` in BIGINT). What is not, keeps its own type in a variant column.
"""

from __future__ import annotations

import re

_FRACTION = r"\.\d{7,}"
_ZONE = r"(Z|[+-]\d\d(:?\d\d)?)$"


def fits(kind: str, declared: str, value: str) -> str:
    """Return SQL that is true where a value of `kind`, not null, is the same value as `declared`.

    Args:
        kind: The kind of the value, not one that the type takes as it is.
        declared: The column's type.
        value: SQL for the value in the type of its kind.

    >>> print(fits("double", "BIGINT", '"c0"'))
    ("c0" = CAST(TRY_CAST("c0" AS BIGINT) AS DOUBLE))
    >>> print(fits("bool", "DATE", '"c0"'))
    false
    """
    cast = f"TRY_CAST({value} AS {declared})"
    if kind in _NUMBERS or kind.startswith("decimal("):
        return _number_fits(kind, declared, value, cast)
    if kind == "text" or kind.startswith("iso_"):
        return _text_fits(declared, value, cast)
    if (kind, declared) in {("date", "TIMESTAMP"), ("timestamp", "DATE"), ("timestamp", "TIME")}:
        back = {"date": "DATE", "timestamp": "TIMESTAMP"}[kind]
        return "false" if declared == "TIME" else f"(CAST({cast} AS {back}) = {value})"
    return "false"


_NUMBERS = frozenset({"int", "bigint", "hugeint", "double"})


def _number_fits(kind: str, declared: str, value: str, cast: str) -> str:
    if declared in {"BIGINT", "HUGEINT"} or declared.startswith("DECIMAL("):
        # a double stands for the decimal that it is written as: 0.1 is DECIMAL 0.1
        back = f"CAST({cast} AS DOUBLE)" if kind == "double" else cast
        return f"({value} = {back})"
    if declared == "DOUBLE" and kind in {"bigint", "hugeint"}:
        return f"(TRY_CAST({cast} AS HUGEINT) = {value})"
    return "false"


def _text_fits(declared: str, value: str, cast: str) -> str:
    text = f"trim({value})"
    if declared == "BOOLEAN":
        return f"(lower({text}) IN ('true', 'false'))"
    if declared in {"BIGINT", "HUGEINT"}:
        return f"(regexp_full_match({text}, '[+-]?\\d+') AND {cast} IS NOT NULL)"
    if match := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", declared):
        digits = f"[+-]?\\d+(\\.\\d{{0,{match[2]}}}0*)?"
        return f"(regexp_full_match({text}, '{digits}') AND {cast} IS NOT NULL)"
    if declared == "DOUBLE":
        return f"({cast} IS NOT NULL)"
    if declared in {"DATE", "TIME", "UUID"}:
        return f"(CAST({cast} AS VARCHAR) = lower({value}))"
    if declared in {"TIMESTAMP", "TIMESTAMPTZ"}:
        zoned = "" if declared == "TIMESTAMPTZ" else "NOT "
        return (
            f"({cast} IS NOT NULL AND NOT regexp_matches({value}, '{_FRACTION}') "
            f"AND {zoned}regexp_matches({text}, ':\\d\\d.*{_ZONE}'))"
        )
    return f"({cast} IS NOT NULL)" if declared == "INTERVAL" else "false"
