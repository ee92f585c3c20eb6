"""List every change of a schema, and what changed between two loads.

A load creates tables, adds columns and widens them. A migration (see `migrate`) renames, retypes and drops;
it is kept with the number of the newest load there was, and comes after that load.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from headrace.loaders.catalogue import lookup, tables
from headrace.loaders.catalogue.tables import SCHEMA

if TYPE_CHECKING:
    import duckdb

MIGRATIONS = ("rename column", "drop column", "retype column", "rename table", "drop table")
"""The changes that no load makes."""


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One change of a schema.

    Attributes:
        load_id: The load that made it; for a migration, the newest load there was.
        changed: When, in UTC.
        change: What was done, in two words: `add column`.
        table: The table as `schema.table`, under the name it had before.
        column: The column, under the name it had before; None where the whole table changed.
        old: The type or name before.
        new: The type or name after.
        source_path: Where the values stand in a record.
        source: What made the records of the load; `migration` for a migration.
    """

    load_id: int
    changed: datetime
    change: str
    table: str
    column: str | None
    old: str | None
    new: str | None
    source_path: str | None
    source: str

    @property
    def renamed_table(self) -> str:
        """The name of the table afterwards."""
        if self.change != "rename table":
            return self.table
        return f"{self.table.partition('.')[0]}.{self.new}"  # a schema's name has no dot


@dataclass(frozen=True, slots=True)
class Difference:
    """What two states of a schema differ by.

    Attributes:
        change: In two words, as in `SchemaChange`.
        table: The table as `schema.table`: as it is called afterwards, or was called if it is gone.
        column: The column, likewise; None where a whole table differs.
        old: The type or name before.
        new: The type or name after.
    """

    change: str
    table: str
    column: str | None
    old: str | None
    new: str | None


def history(connection: duckdb.DuckDBPyConnection, table: str | None = None) -> list[SchemaChange]:
    """Return the changes of every schema, or of one table (`schema.table`), newest first.

    A table is followed back through its renames; one that was dropped is found by the name it had.

    Raises:
        UsageError: Nothing was loaded yet, or nothing is known of the table.
    """
    changes = list(reversed(_changes(connection)))
    if table is None:
        return changes
    known = {name for change in changes for name in (change.table, change.renamed_table)}
    name = table if table in known else f"main.{table}"
    if name not in known:
        lookup.find_table(connection, table)  # says which tables there are
    return list(_of_table(changes, name))


def diff(connection: duckdb.DuckDBPyConnection, load_a: int, load_b: int | None = None) -> list[Difference]:
    """Return what became of the schema from one load to another, net, by table and column.

    Args:
        connection: The warehouse.
        load_a: The load to begin with, itself left out; 0 for an empty warehouse.
        load_b: The load to end with; None for the schema as it is now, migrations since included.

    Raises:
        UsageError: There is no such load.
    """
    changes = _changes(connection)
    for load in (load_a, load_b):
        if load:  # 0 and None are the ends of time
            lookup.check_load(connection, load)
    before = _state(change for change in changes if _is_by(change, load_a))
    after = _state(change for change in changes if load_b is None or _is_by(change, load_b))
    return sorted(_differences(before, after), key=_place)


def _changes(connection: duckdb.DuckDBPyConnection) -> list[SchemaChange]:
    """Return every change, oldest first."""
    tables.require(connection)
    names = ", ".join(f"'{name}'" for name in MIGRATIONS)
    rows = connection.execute(
        "SELECT load_id, changed, change, table_schema || '.' || table_name, column_name, old, new, "
        f"source_path, source FROM {SCHEMA}.schema_changes ORDER BY load_id, change IN ({names}), rowid"
    ).fetchall()
    return [SchemaChange(*row) for row in rows]


def _of_table(changes: Iterable[SchemaChange], name: str) -> Iterator[SchemaChange]:
    """Yield the changes of a table, given newest first, under every name that it has had."""
    for change in changes:
        if name in (change.table, change.renamed_table):
            yield change
            name = change.table


def _is_by(change: SchemaChange, load: int) -> bool:
    """Tell whether a change had been made when this load was committed."""
    return change.load_id < load or (change.load_id == load and change.change not in MIGRATIONS)


@dataclass(frozen=True, slots=True)
class _Known:
    """A table or a column at some time; `id` outlives renames, `retypes` counts migrations of type."""

    id: int
    table: str
    column: str | None
    type: str | None = None
    retypes: int = 0


_State = dict[tuple[str, "str | None"], _Known]


def _state(changes: Iterable[SchemaChange]) -> _State:
    """Return the tables and columns that there are after these changes."""
    state: _State = {}
    for number, change in enumerate(changes):
        table, column = change.table, change.column
        if change.change in ("create table", "add column"):
            state[table, column] = _Known(number, table, column, change.new)
        elif change.change in ("drop table", "rename table"):
            gone = [state.pop(key) for key in list(state) if key[0] == table]
            if change.change == "rename table":
                new = change.renamed_table
                state.update(((new, one.column), replace(one, table=new)) for one in gone)
        elif known := state.pop((table, column), None):
            if change.change == "rename column":
                state[table, change.new] = replace(known, column=change.new)
            elif change.change == "widen column":
                state[table, column] = replace(known, type=change.new)
            elif change.change == "retype column":
                state[table, column] = replace(known, type=change.new, retypes=known.retypes + 1)
    return state


def _differences(before: _State, after: _State) -> Iterator[Difference]:
    kept = {known.id: known for known in before.values()}
    still = {known.id for known in after.values()}
    met = set()
    for key, now in after.items():
        was = kept.get(now.id, before.get(key))
        if was is None or (was.id != now.id and was.id in still):
            change = "create table" if now.column is None else "add column"
            yield Difference(change, now.table, now.column, None, now.type)
            continue
        # one that was dropped and came back under its name is no other, as far as the schema goes
        met.add(was.id)
        if now.column is None and was.table != now.table:
            old, new = was.table.partition(".")[2], now.table.partition(".")[2]
            yield Difference("rename table", now.table, None, old, new)
        if was.column != now.column:
            yield Difference("rename column", now.table, now.column, was.column, now.column)
        if was.type != now.type:
            widened = (was.id, was.retypes) == (now.id, now.retypes)
            change = "widen column" if widened else "retype column"
            yield Difference(change, now.table, now.column, was.type, now.type)
    gone = [known for known in before.values() if known.id not in met]
    dropped = {known.table for known in gone if known.column is None}
    for was in gone:
        if was.column is None:
            yield Difference("drop table", was.table, None, None, None)
        elif was.table not in dropped:
            yield Difference("drop column", was.table, was.column, was.type, None)


def _place(difference: Difference) -> tuple[str, str, str]:
    return difference.table, difference.column or "", difference.change
