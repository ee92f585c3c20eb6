"""Put descriptions and tags on tables and columns with COMMENT ON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from headrace.loaders.contracts.target import Target
from headrace.loaders.database.quoting import ident, literal
from headrace.loaders.schema.evolve import Plan
from headrace.loaders.values.paths import RecordPath, parse_hint

if TYPE_CHECKING:
    import duckdb

Comments = dict[tuple[str, str], str]
"""Texts by table and column; the column is empty for the table itself."""


def wanted(target: Target, planned: Plan) -> Comments:
    """Return the comments that a target has for the tables and columns of a plan."""
    texts = _texts(target)
    found: Comments = {}
    for one in planned.tables:
        if not one.table.path and target.description:
            found[one.table.name, ""] = target.description
        for column in one.table.columns:
            text = texts.get((*one.table.path, *column.path))
            if text is not None:
                found[one.table.name, column.name] = text
    return found


def present(connection: duckdb.DuckDBPyConnection, schema: str) -> Comments:
    """Return the comments on the tables and columns of a schema."""
    here = f"database_name = current_database() AND schema_name = {literal(schema)} AND comment IS NOT NULL"
    rows = connection.execute(
        f"SELECT table_name, '' AS column_name, comment FROM duckdb_tables() WHERE {here} "
        f"UNION ALL SELECT table_name, column_name, comment FROM duckdb_columns() WHERE {here}"
    ).fetchall()
    return {(str(table), str(column)): str(comment) for table, column, comment in rows}


def statements(schema: str, texts: Comments, have: Comments) -> list[str]:
    """Return the statements that put on what is not there yet.

    >>> print(*statements("shop", {("users", "email"): "Where to write [pii]"}, {}))
    COMMENT ON COLUMN "shop"."users"."email" IS 'Where to write [pii]'
    """
    return [
        f"COMMENT ON {'COLUMN' if column else 'TABLE'} "
        f"{ident(schema, table, *([column] if column else []))} IS {literal(text)}"
        for (table, column), text in texts.items()
        if have.get((table, column)) != text
    ]


def _texts(target: Target) -> Mapping[RecordPath, str]:
    """Return each path's description with its tags in brackets."""
    paths = dict.fromkeys([*target.descriptions, *target.tags])
    texts = {}
    for path in paths:
        tags = target.tags.get(path, ())
        parts = [target.descriptions.get(path, ""), f"[{', '.join(tags)}]" if tags else ""]
        texts[parse_hint(path)] = " ".join(part for part in parts if part)
    return texts
