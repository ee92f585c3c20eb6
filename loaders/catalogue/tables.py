"""Create the tables of the catalogue: the schema `_headrace`, which anyone can read with SQL.

    loads           every committed load, and the equation its rows satisfy
    tables          every table, its source path and its parent
    columns         every column, its source path, the kinds it has held and the load it was born in
    schema_changes  every change of schema, old and new, with its load
    quarantine      records that did not land, whole, with the reason
    replays         which of them each record of a replay is
    state           the cursor of each resource, as JSON
    summaries       a cache of briefs, by content
    meta            the version of these tables

Each is written in the transaction of the load that it describes. Times are UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from headrace.errors import UsageError
from headrace.loaders.database.queries import number
from headrace.loaders.database.quoting import Value, insert_values

if TYPE_CHECKING:
    import duckdb

SCHEMA = "_headrace"
REPLAY = "headrace.replay@"
"""How the source of a load begins that replays quarantined records; what follows names it in `replays`."""

QUARANTINE = f"{SCHEMA}.quarantine"

TABLES: dict[str, dict[str, str]] = {
    "loads": {
        "load_id": "BIGINT", "package": "VARCHAR", "table_schema": "VARCHAR", "table_name": "VARCHAR",
        "write_disposition": "VARCHAR", "source": "VARCHAR", "started": "TIMESTAMP",
        "committed": "TIMESTAMP", "rows_in": "BIGINT", "rows_loaded": "BIGINT",
        "rows_quarantined": "BIGINT", "rows_deduplicated": "BIGINT", "values_discarded": "BIGINT",
        "rows_exact_lane": "BIGINT", "bytes": "BIGINT", "target": "VARCHAR",
    },
    "tables": {
        "table_schema": "VARCHAR", "table_name": "VARCHAR", "root": "VARCHAR", "parent": "VARCHAR",
        "source_path": "VARCHAR", "path": "VARCHAR", "load_id": "BIGINT",
    },
    "columns": {
        "table_schema": "VARCHAR", "table_name": "VARCHAR", "column_name": "VARCHAR",
        "data_type": "VARCHAR", "source_path": "VARCHAR", "path": "VARCHAR", "kinds": "VARCHAR",
        "declared": "VARCHAR", "variant": "BOOLEAN", "position": "BIGINT", "load_id": "BIGINT",
    },
    "schema_changes": {
        "load_id": "BIGINT", "changed": "TIMESTAMP", "change": "VARCHAR", "table_schema": "VARCHAR",
        "table_name": "VARCHAR", "column_name": "VARCHAR", "old": "VARCHAR", "new": "VARCHAR",
        "source_path": "VARCHAR", "source": "VARCHAR",
    },
    "quarantine": {
        "load_id": "BIGINT", "table_schema": "VARCHAR", "table_name": "VARCHAR", "record": "BIGINT",
        "path": "VARCHAR", "rule": "VARCHAR", "reason": "VARCHAR", "raw": "VARCHAR",
        "replayed_in": "BIGINT",
    },
    "replays": {
        "replay": "VARCHAR", "ordinal": "BIGINT", "load_id": "BIGINT", "record": "BIGINT",
    },
    "state": {
        "resource": "VARCHAR", "cursor": "VARCHAR", "load_id": "BIGINT", "updated": "TIMESTAMP",
    },
    "summaries": {
        "key": "VARCHAR", "value": "VARCHAR", "created": "TIMESTAMP",
    },
    "meta": {"key": "VARCHAR", "value": "VARCHAR"},
}  # fmt: skip
"""The columns of every table, with their types, as the newest version has them; see `upgrades`."""


def _create(table: str, columns: dict[str, str]) -> str:
    typed = ", ".join(f"{column} {type_}" for column, type_ in columns.items())
    return f"CREATE TABLE IF NOT EXISTS {SCHEMA}.{table} ({typed})"


CREATE = (f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}", *(_create(*table) for table in TABLES.items()))
"""The statements that make the catalogue of a new warehouse."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The rows of one load's root table: `rows_in == loaded + quarantined + deduplicated`.

    Attributes:
        rows_in: Records read from the source.
        loaded: Rows put into the root table.
        quarantined: Records kept aside with their reason.
        deduplicated: Records that a later one with the same key replaced within the load.
    """

    rows_in: int
    loaded: int
    quarantined: int
    deduplicated: int

    @property
    def balanced(self) -> bool:
        return self.rows_in == self.loaded + self.quarantined + self.deduplicated


def insert(table: str, rows: Iterable[Sequence[Value]]) -> str:
    """Return one INSERT of literal rows into a table of the catalogue; a row has every column, in order."""
    return insert_values(f"{SCHEMA}.{table}", TABLES[table], rows)


def exists(connection: duckdb.DuckDBPyConnection) -> bool:
    """Tell whether the warehouse has a catalogue: false before its first load."""
    found = number(
        connection,
        "SELECT count(*) FROM duckdb_schemas() "
        f"WHERE schema_name = '{SCHEMA}' AND database_name = current_database()",
    )
    return found > 0


def require(connection: duckdb.DuckDBPyConnection) -> None:
    """Refuse a warehouse without a catalogue.

    Raises:
        UsageError: It has none.
    """
    if not exists(connection):
        raise UsageError("Nothing was loaded into this warehouse yet: it has no catalogue (_headrace).")


def utc(moment: datetime) -> str:
    """Return a time as SQL reads it into a TIMESTAMP, in UTC."""
    return moment.astimezone(timezone.utc).replace(tzinfo=None).isoformat()
