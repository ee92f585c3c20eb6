"""List, set and reset the cursors of resources by hand.

A cursor is moved by the load that it belongs to, in its transaction. Here a person moves it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from headrace.errors import UsageError, did_you_mean
from headrace.loaders.catalogue import tables
from headrace.loaders.catalogue.tables import SCHEMA
from headrace.loaders.catalogue.upgrades import upgrade
from headrace.loaders.database.quoting import literal
from headrace.loaders.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a resource has got to.

    Attributes:
        resource: Its table, as `schema.table`.
        cursor: What it gets as `since`, as JSON text.
        load_id: The load that moved it there; None where a person did.
        updated: When, UTC.
    """

    resource: str
    cursor: str
    load_id: int | None
    updated: datetime


def cursors(connection: duckdb.DuckDBPyConnection) -> list[Cursor]:
    """Return the cursors of all resources that have one, by name."""
    if not tables.exists(connection):
        return []
    rows = connection.execute(
        f"SELECT resource, cursor, load_id, updated FROM {SCHEMA}.state ORDER BY resource"
    ).fetchall()
    return [Cursor(*row) for row in rows]


def set_cursor(warehouse: Warehouse, resource: str, value: str, *, new: bool = False) -> None:
    """Make `value`, JSON text, the `since` of the resource's next run.

    Args:
        warehouse: The warehouse.
        resource: The table, `schema.table` or `table`.
        value: The cursor, as JSON.
        new: Whether the resource may be one that was never loaded.

    Raises:
        UsageError: The value is no JSON, or not of the kind that the resource's cursor is now; or nothing is
            known of such a resource.
    """
    try:
        kind = _kind(json.loads(value, parse_constant=_refuse_constant))
    except ValueError:
        raise UsageError(f"{value!r} is no JSON; a text needs its quotes: '\"2026-01-31\"'.") from None
    with warehouse.transaction() as connection:
        upgrade(connection)
        name = _full(resource) if new else _known(connection, resource)
        have = next((one.cursor for one in cursors(connection) if one.resource == name), value)
        had = _kind(json.loads(have))
        if kind != had:
            raise UsageError(
                f"{name} goes on from {have}, {had}, and {value} is {kind}. "
                f"If its source counts otherwise now, `headrace state reset {name}` first."
            )
        now = tables.utc(datetime.now(timezone.utc))
        connection.execute(f"DELETE FROM {SCHEMA}.state WHERE resource = {literal(name)}")
        connection.execute(tables.insert("state", [[name, value, None, now]]))


def reset_cursor(warehouse: Warehouse, resource: str) -> None:
    """Forget where a resource has got to: its next run reads from the beginning.

    Raises:
        UsageError: It has no cursor.
    """
    with warehouse.transaction() as connection:
        known = [one.resource for one in cursors(connection)]
        name = _full(resource)
        if name not in known:
            raise UsageError(f"{name} has no cursor; {did_you_mean(name, known)}")
        connection.execute(f"DELETE FROM {SCHEMA}.state WHERE resource = {literal(name)}")


def _known(connection: duckdb.DuckDBPyConnection, resource: str) -> str:
    name = _full(resource)
    rows = connection.execute(
        f"SELECT table_schema || '.' || table_name FROM {SCHEMA}.loads "
        f"UNION SELECT resource FROM {SCHEMA}.state"
    ).fetchall()
    known = [str(one) for (one,) in rows]
    if name not in known:
        hint = did_you_mean(name, known)
        raise UsageError(f"{name} was never loaded; {hint} To set its cursor all the same, add --new.")
    return name


def _full(resource: str) -> str:
    return resource if "." in resource else f"main.{resource}"


def _kind(value: Any) -> str:
    """Return what a value from JSON is.

    >>> _kind(json.loads("1.5"))
    'a number'
    """
    kinds = {bool: "a truth value", int: "a number", float: "a number", str: "a text", list: "a list"}
    return "null" if value is None else kinds.get(type(value), "an object")


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity, which JSON has not
