"""Help with DuckDB's client: cast unsupported types to text; read a single number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headrace.loaders.database.quoting import ident

if TYPE_CHECKING:
    import duckdb


ZONED = ("WITH TIME ZONE",)
"""What marks the types for which DuckDB's client needs another library."""


def readable(connection: duckdb.DuckDBPyConnection, query: str, as_text: Sequence[str] = ZONED) -> str:
    """Return a query in which columns of some types, those whose names have one of these words, come as text.

    Anything but one SELECT is returned as it is.
    """
    import duckdb

    statements = connection.extract_statements(query)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        return query
    select = statements[0].query.strip().rstrip(";")
    described = connection.execute(f"DESCRIBE (\n{select}\n)").fetchall()
    if not any(word in type_ for _, type_, *_ in described for word in as_text):
        return query
    aliases = [f"c{at}" for at in range(len(described))]  # a query may give two columns one name
    columns = ", ".join(
        f"{f'CAST({alias} AS VARCHAR)' if any(word in type_ for word in as_text) else alias} AS {ident(name)}"
        for alias, (name, type_, *_) in zip(aliases, described, strict=True)
    )
    return f"SELECT {columns} FROM (\n{select}\n) AS q({', '.join(aliases)})"


def number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """Return the one number that a query gives, or that of the rows that a statement wrote; 0 if none."""
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
