"""Quote identifiers and values as SQL text: whatever a name or a value holds, it stays data.

Values are written as literals, not bound as parameters: DuckDB's Python client imports pandas for those.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

Value = str | int | float | bool | None


def ident(*names: str) -> str:
    """Return a quoted identifier, qualified by all but the last name.

    >>> print(ident("slack", 'we"ird'))
    "slack"."we""ird"
    """
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(value: Value) -> str:
    """Return a value as SQL.

    >>> print(literal("it's"), literal(None), literal(True), literal(7))
    'it''s' NULL true 7
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return f"CAST('{value}' AS DOUBLE)"
    if isinstance(value, float):
        text = repr(value)
        # With an exponent DuckDB reads a DOUBLE; without one, a DECIMAL, whose cast may miss the last bit.
        return text if "e" in text else f"{text}e0"
    if isinstance(value, int):
        return repr(value)
    quoted = "'" + value.replace("'", "''") + "'"
    return quoted if "\0" not in quoted else "(" + quoted.replace("\0", "'||chr(0)||'") + ")"


def insert_values(table: str, columns: Iterable[str], rows: Iterable[Sequence[Value]]) -> str:
    """Return one INSERT of literal rows into columns of a quoted table name.

    Columns are always named: a table may have gained others since.

    >>> print(insert_values("t", ["id", "name"], [[1, "a"], [2, None]]))
    INSERT INTO t ("id", "name") VALUES
    (1, 'a'),
    (2, NULL)
    """
    values = ",\n".join("(" + ", ".join(map(literal, row)) + ")" for row in rows)
    return f"INSERT INTO {table} ({', '.join(map(ident, columns))}) VALUES\n{values}"
