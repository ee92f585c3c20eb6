"""Keep text by key in a table of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from headrace.loaders.catalogue import tables
from headrace.loaders.catalogue.upgrades import upgrade
from headrace.loaders.database.quoting import ident, insert_values, literal

if TYPE_CHECKING:
    import duckdb

Session = Callable[[], "AbstractContextManager[duckdb.DuckDBPyConnection]"]
"""Opens a connection for one thread."""


class Cache:
    """Text by key, kept in a table of the catalogue; one read or write a batch, not a key."""

    def __init__(self, session: Session, transaction: Session, name: str) -> None:
        """Say who opens connections to read and to write, and which table of the catalogue it is."""
        self._session, self._transaction = session, transaction
        self._table = ident(tables.SCHEMA, name)
        with transaction() as connection:
            upgrade(connection)

    def get_many(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the values of those keys that are there."""
        wanted = set(keys)
        if not wanted:
            return {}
        with self._session() as connection:
            rows = connection.execute(
                f"SELECT key, value FROM {self._table} WHERE key IN ({', '.join(map(literal, wanted))})"
            ).fetchall()
        return dict(rows)

    def put_many(self, values: Mapping[str, str]) -> None:
        """Keep values under their keys, in the place of older ones."""
        if not values:
            return
        now = datetime.now(timezone.utc).replace(tzinfo=None).isoformat()
        keys = ", ".join(map(literal, values))
        with self._transaction() as connection:
            connection.execute(f"DELETE FROM {self._table} WHERE key IN ({keys})")
            connection.execute(
                insert_values(
                    self._table,
                    ("key", "value", "created"),
                    [[key, value, now] for key, value in values.items()],
                )
            )
