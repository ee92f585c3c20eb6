"""Give the tables of a warehouse as Ibis expressions: the one place where DuckDB meets Ibis."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend
from ibis.common.exceptions import TableNotFound

from headrace.errors import UsageError
from headrace.loaders.database.instance import Database
from headrace.loaders.values.paths import snake_case
from headrace.loaders.warehouse import Warehouse

_backends: WeakKeyDictionary[Database, tuple[object, Backend]] = WeakKeyDictionary()


def backend(warehouse: Warehouse) -> Backend:
    """Return the Ibis backend over the warehouse's own connection, one a connection."""
    connection = warehouse.connection
    known = _backends.get(warehouse.database)
    if known is None or known[0] is not connection:
        known = _backends[warehouse.database] = (connection, ibis.duckdb.from_connection(connection))
    return known[1]


def table(warehouse: Warehouse, schema: str, name: str) -> ir.Table:
    """Return a table of the warehouse."""
    return backend(warehouse).table(name, database=schema)


def child(warehouse: Warehouse, schema: str, root: str, of: str) -> ir.Table:
    """Return the table of a list that the records of a root table hold.

    Raises:
        UsageError: No record has had the list yet.
    """
    name = f"{root}__{snake_case(of)}"
    try:
        return table(warehouse, schema, name)
    except TableNotFound:
        raise UsageError(
            f"There is no table {schema}.{name}: no record has had {of!r} yet. Declare a column of it, "
            f"columns={{'{of}[].…': …}}, and it is there from the first load on."
        ) from None


def write(warehouse: Warehouse, schema: str, name: str, expression: ir.Table) -> None:
    """Compute an expression into a table, which takes the place of an older one at once.

    Raises:
        UsageError: A resource loads the table of this name.
    """
    engine = backend(warehouse)
    warehouse.write_table(
        schema, name, lambda fresh: engine.create_table(fresh, expression, database=schema, overwrite=False)
    )
