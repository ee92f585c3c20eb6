"""Write SQL that tells which stored values are the same values in another type (pure).

Stricter than what a hint does to a load (see `casts`), since there is no way back: text becomes a number
only if it is written as that number is.
"""

from __future__ import annotations

from headrace.loaders.values.casts import fits

_WRITTEN = {"BOOLEAN", "DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ", "UUID", "INTERVAL"}
"""Types whose text may be written in ways that mean the same: `2026-01-31T10:00Z`, `TRUE`."""

_CANONICAL = r"-?(0|[1-9]\d*)(\.\d+)?"


def survives(old: str, new: str, value: str) -> str:
    """Return SQL that is true where a value, not null, is the same value in another type.

    Args:
        old: The type that it has.
        new: The type that it is to get.
        value: SQL for it.

    >>> print(survives("UUID", "BLOB", "x"))
    (TRY_CAST(x AS BLOB) IS NOT NULL AND TRY_CAST(TRY_CAST(x AS BLOB) AS UUID) IS NOT DISTINCT FROM x)
    >>> print(survives("TIMESTAMPTZ", "DATE", '"at"'))
    false
    """
    if "TIMESTAMPTZ" in {old, new} and {old, new} & {"DATE", "TIME", "TIMETZ", "TIMESTAMP"}:
        return "false"  # it would take a zone that nobody has named
    if old == "VARCHAR" and new in _WRITTEN:
        return fits("text", new, value)
    if old == "VARCHAR" and new.startswith("DECIMAL("):
        return f"(regexp_full_match({value}, '{_CANONICAL}') AND {fits('text', new, value)})"
    cast = converted(old, new, value, "TRY_CAST")
    return f"({cast} IS NOT NULL AND TRY_CAST({cast} AS {old}) IS NOT DISTINCT FROM {value})"


def converted(old: str, new: str, value: str, cast: str = "CAST") -> str:
    """Return SQL for a value in another type; an instant as text is in UTC, whatever the session's zone."""
    if (old, new) == ("TIMESTAMPTZ", "VARCHAR"):
        return f"CAST(timezone('UTC', {value}) AS VARCHAR) || '+00'"
    return f"{cast}({value} AS {new})"
