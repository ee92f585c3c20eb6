"""Put a transform's table in the place of the older one, in one step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from headrace.errors import UsageError
from headrace.loaders.catalogue import lookup
from headrace.loaders.database.crash_points import crash_point
from headrace.loaders.database.places import Place
from headrace.loaders.database.quoting import ident
from headrace.loaders.database.shortage import translating_errors

if TYPE_CHECKING:
    import duckdb

Transaction = Callable[[], "AbstractContextManager[duckdb.DuckDBPyConnection]"]
"""Opens a session in one transaction that takes turns with the commits of loads."""


def write_table(
    place: Place, transaction: Transaction, schema: str, table: str, write: Callable[[str], None]
) -> None:
    """Put a derived table in the place of the one with its name.

    Args:
        place: Where the warehouse is.
        transaction: Opens a transaction on it.
        schema: The schema of the warehouse.
        table: The table's name.
        write: Creates a table under the temporary name that it gets, in the same schema. Loads may commit
            meanwhile; other derived tables take their turn.

    Raises:
        UsageError: A resource loads the table of this name.
    """
    fresh = f"{table}__new"
    with translating_errors(f"{schema}.{table}", place.path), place.locks.deriving:
        with transaction() as connection:
            if lookup.is_landed(connection, schema, table):
                raise UsageError(f"{schema}.{table} is a resource's table; give the transform another name.")
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {ident(schema)}")
            connection.execute(f"DROP TABLE IF EXISTS {ident(schema, fresh)}")
        write(fresh)
        crash_point("transform.written")
        with transaction() as connection:
            connection.execute(f"DROP TABLE IF EXISTS {ident(schema, table)}")
            connection.execute(f"ALTER TABLE {ident(schema, fresh)} RENAME TO {ident(table)}")
            crash_point("transform.swapped")
        crash_point("transform.committed")
