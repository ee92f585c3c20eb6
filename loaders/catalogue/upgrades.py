"""Bring the catalogue of an older warehouse up to date, in the transaction that first writes to it.

`_headrace.meta` has the version. Warehouses that were made before this table existed have version 0. Reading
changes nothing: every version has what is read. A warehouse of a newer headrace is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.errors import WarehouseUnreadable
from headrace.loaders.catalogue.tables import CREATE, SCHEMA, exists, insert
from headrace.loaders.database.crash_points import crash_point
from headrace.loaders.database.quoting import literal

if TYPE_CHECKING:
    import duckdb

UPGRADES: tuple[tuple[str, ...], ...] = (
    (f"CREATE TABLE {SCHEMA}.meta (key VARCHAR, value VARCHAR)",),  # 0 to 1
)
"""The statements that lead from each version to the next. They never change: stored warehouses need them."""

NEWEST = len(UPGRADES)
"""The version that this headrace writes."""


def version(connection: duckdb.DuckDBPyConnection) -> int | None:
    """Return the version of the catalogue; None where there is no catalogue yet."""
    import duckdb

    try:
        row = connection.execute(f"SELECT value FROM {SCHEMA}.meta WHERE key = 'version'").fetchone()
    except duckdb.CatalogException:  # no such table, which ends no transaction
        return 0 if exists(connection) else None
    return 0 if row is None else int(row[0])


def check_version(connection: duckdb.DuckDBPyConnection, warehouse: str) -> int | None:
    """Return the version of the catalogue, if this headrace knows it.

    Args:
        connection: An open connection.
        warehouse: What messages call the warehouse.

    Raises:
        WarehouseUnreadable: A newer headrace wrote it.
    """
    found = version(connection)
    if found is not None and found > NEWEST:
        raise WarehouseUnreadable(
            f"{warehouse} was written by a newer headrace: its catalogue has version {found}, and this "
            f"headrace knows versions up to {NEWEST}. Install the newer one: pip install --upgrade headrace. "
            "Nothing was read or written."
        )
    return found


def upgrade(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the catalogue, or bring it to the newest version; call it inside a transaction.

    Raises:
        WarehouseUnreadable: A newer headrace wrote the warehouse.
    """
    found = check_version(connection, "The warehouse")
    if found == NEWEST:
        return
    if found is None:
        connection.execute(";".join([*CREATE, insert("meta", [["version", str(NEWEST)]])]))
        return
    crash_point("upgrade.begun")
    for number in range(found, NEWEST):
        for statement in UPGRADES[number]:
            connection.execute(statement)
    connection.execute(f"DELETE FROM {SCHEMA}.meta WHERE key = {literal('version')}")
    connection.execute(insert("meta", [["version", str(NEWEST)]]))
    crash_point("upgrade.made")
