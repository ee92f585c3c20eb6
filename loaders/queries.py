"""Queries as people write them, made fit for DuckDB's client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.loaders.sql import ident

if TYPE_CHECKING:
    import duckdb


def readable(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    """Return a query whose times with a zone come as text: DuckDB's client needs another library for them.

    Anything but one SELECT is returned as it is.
    """
    import duckdb

    statements = connection.extract_statements(query)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        return query
    select = statements[0].query.strip().rstrip(";")
    described = connection.execute(f"DESCRIBE (\n{select}\n)").fetchall()
    zoned = [name for name, type_, *_ in described if "WITH TIME ZONE" in type_]
    if not zoned:
        return query
    texts = ", ".join(f"CAST({ident(name)} AS VARCHAR) AS {ident(name)}" for name in zoned)
    return f"SELECT * REPLACE ({texts}) FROM (\n{select}\n)"
