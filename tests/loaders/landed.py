"""What has landed: tables of a warehouse as plain Python, system columns aside."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from headrace.loaders.database.quoting import ident, literal
from headrace.loaders.values.paths import SYSTEM_COLUMNS
from headrace.loaders.warehouse import Warehouse


@contextlib.contextmanager
def in_the_way(warehouse: Warehouse, table: str = "t") -> Iterator[None]:
    """Hold a transaction of somebody else's that changes a table, so that DuckDB refuses commits."""
    with warehouse.session() as other:
        other.execute(f"BEGIN; ALTER TABLE {table} ADD COLUMN theirs INTEGER")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


def tables(warehouse: Warehouse, schema: str = "main") -> list[str]:
    """Return the names of the tables that DuckDB has in a schema, sorted."""
    found = warehouse.query(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() "
        f"AND schema_name = {literal(schema)} ORDER BY table_name"
    )
    return [name for (name,) in found]


def types(warehouse: Warehouse, table: str, schema: str = "main", *, system: bool = False) -> dict[str, str]:
    """Return the type of each data column as DuckDB has it, in order."""
    found = warehouse.query(
        "SELECT column_name, replace(data_type, 'TIMESTAMP WITH TIME ZONE', 'TIMESTAMPTZ') "
        "FROM duckdb_columns() WHERE database_name = current_database() "
        f"AND schema_name = {literal(schema)} AND table_name = {literal(table)} ORDER BY column_index"
    )
    return {name: type_ for name, type_ in found if system or name not in SYSTEM_COLUMNS}


def rows(warehouse: Warehouse, table: str, schema: str = "main") -> list[tuple[Any, ...]]:
    """Return the rows in the order in which they came; times with a zone are naive UTC."""
    columns = types(warehouse, table, schema)
    picked = ", ".join(_readable(name, type_) for name, type_ in columns.items()) or "NULL"
    found = warehouse.query(f"SELECT {picked} FROM {ident(schema, table)} ORDER BY _hr_id")
    return found if columns else [() for _ in found]


def records(warehouse: Warehouse, table: str, schema: str = "main") -> list[dict[str, Any]]:
    """Return the rows as dicts, in the order in which they came."""
    names = list(types(warehouse, table, schema))
    return [dict(zip(names, row, strict=True)) for row in rows(warehouse, table, schema)]


def contents(
    warehouse: Warehouse, table: str, schema: str = "main"
) -> dict[str, tuple[str, list[Any]]]:  # fmt: skip
    """Return each data column's type and values, in the order in which the rows came."""
    values = list(zip(*rows(warehouse, table, schema), strict=True))
    names = types(warehouse, table, schema).items()
    columns = values or [()] * len(names)
    return {name: (type_, list(column)) for (name, type_), column in zip(names, columns, strict=True)}


def count(warehouse: Warehouse, table: str) -> int:
    """Return the number of rows of a table or a relation, given as SQL."""
    return int(warehouse.query(f"SELECT count(*) FROM {table}")[0][0])


def _readable(name: str, type_: str) -> str:
    return f"make_timestamp(epoch_us({ident(name)}))" if type_ == "TIMESTAMPTZ" else ident(name)
