"""Load quarantined records again.

They are loaded again as they were read, under the contract that holds now. In the transaction of that load,
those that land are marked `replayed_in` it, and those that fail again stay where they are, with the reason
they have now; so a second replay does nothing twice. Before it, the catalogue's `replays` says which record
of the replay is which in quarantine: that survives a process that dies in between.

What a later load has overtaken is not landed over it: a record of a table that each load replaces as a whole,
and a record whose key (or group, by `merge_key`) a later load has landed. They are marked as replayed in
that load.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from headrace.errors import ContractViolation, SourceError, UsageError
from headrace.loaders.catalogue import lookup, tables
from headrace.loaders.catalogue.tables import REPLAY, SCHEMA
from headrace.loaders.catalogue.upgrades import upgrade
from headrace.loaders.commit import LoadedTable
from headrace.loaders.contracts.contract import Contract
from headrace.loaders.contracts.keys import find_column
from headrace.loaders.contracts.target import Target
from headrace.loaders.database.queries import number
from headrace.loaders.database.quoting import Value, ident, insert_values, literal
from headrace.loaders.reading.containers import Whole
from headrace.loaders.schema.known import Column
from headrace.loaders.sql.staging import ORDINAL_BITS
from headrace.loaders.values.marks import JsonText, exact_json, read_mark, user_key
from headrace.loaders.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb

_KEYS = "temp.main._hr_replay_keys"
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did with the records of one table.

    Attributes:
        table: The table, as `schema.table`.
        load: The load, or None if there was nothing to load.
        landed: Records that left quarantine with it.
        failed: Records that stay.
        overtaken: Records that a later load has overtaken; they left quarantine without it.
    """

    table: str
    load: LoadedTable | None
    landed: int
    failed: int
    overtaken: int


def quarantined(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the tables, as `schema.table`, that have records in quarantine which were not replayed."""
    if not tables.exists(connection):
        return []
    rows = connection.execute(
        f"SELECT DISTINCT table_schema || '.' || table_name AS name FROM {tables.QUARANTINE} "
        "WHERE replayed_in IS NULL ORDER BY name"
    ).fetchall()
    return [str(name) for (name,) in rows]


def replay(
    warehouse: Warehouse, table: str, *, contract: Contract | None = None, load: int | None = None,
    target: Target | None = None,
) -> Replayed:  # fmt: skip
    """Load the quarantined records of a table again.

    Args:
        warehouse: The warehouse.
        table: The root table, `schema.table` or `table`.
        contract: Holds in the place of the target's.
        load: Only the records that this load put into quarantine.
        target: Where the records land, and how; None for what the newest load of the table was given.

    Raises:
        UsageError: Nothing is known of the table, or of how it is loaded.
        ContractViolation: The contract freezes what the records would change; nothing was written.
        LoadError: The records cannot land; nothing was written.
    """
    schema, _, name = table.rpartition(".")
    schema = schema or "main"
    token = os.urandom(6).hex()
    with warehouse.transaction() as connection:
        target = _target(connection, schema, name, target, contract)
        overtaken = _mark_overtaken(warehouse, connection, target, _pending(target, load))
        records = _claim(connection, token, _pending(target, load))
    if not records:
        return Replayed(target.name, None, 0, 0, overtaken)
    try:
        stream: Any = _records(warehouse, token)  # records of any shape, which no user's stream is
        loaded = warehouse.load(stream, _beside(target), source=REPLAY + token)
    except (SourceError, ContractViolation, UsageError):  # else its package is kept, and may be committed yet
        warehouse.query(f"DELETE FROM {SCHEMA}.replays WHERE replay = {literal(token)}")
        raise
    failed = loaded.counts.quarantined
    return Replayed(target.name, loaded, records - failed, failed, overtaken)


def restored(line: bytes) -> Any:
    r"""Return the record that a line of headrace's was made of: marks become the values they stand for.

    >>> restored(b'{"id":1,"at":{"\\u0001date":"2026-01-31"}}')
    {'id': 1, 'at': datetime.date(2026, 1, 31)}
    """
    return _restored(exact_json(line))


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return [_restored(item) for item in value]
    if not isinstance(value, dict):
        return value
    mark = read_mark(value)
    if mark is None:
        return {user_key(key): _restored(item) for key, item in value.items()}
    kind, kept = mark
    return _DECODERS[kind.partition("(")[0]](kept)


def _interval(text: str) -> timedelta:
    days, micros = map(int, re.findall(r"-?\d+", text))
    return timedelta(days=days, microseconds=micros)


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "double": float,
    "hugeint": int,
    "bignum": Decimal,  # any number of digits, and a fraction
    "decimal": Decimal,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timetz": time.fromisoformat,
    "timestamp": datetime.fromisoformat,
    "timestamptz": datetime.fromisoformat,
    "interval": _interval,
    "blob": base64.b64decode,
    "json": JsonText,
    "clear": lambda _: None,
}
"""How to read what `infer.scalar` has written."""


def _target(
    connection: duckdb.DuckDBPyConnection, schema: str, table: str, given: Target | None,
    contract: Contract | None,
) -> Target:  # fmt: skip
    if not tables.exists(connection):
        lookup.find_table(connection, table)
    upgrade(connection)
    if given is not None and (given.schema, given.table) != (schema, table):
        raise UsageError(f"The target is {given.name}, and the records to replay are of {schema}.{table}.")
    found = given or lookup.read_target(connection, schema, table)
    if found is None:
        lookup.find_table(connection, f"{schema}.{table}")
        raise UsageError(
            f"The catalogue does not know how {schema}.{table} is loaded; if it is a child table, name its "
            "root; else give target=Target(...)."
        )
    return found if contract is None else replace(found, contract=contract)


def _beside(target: Target) -> Target:
    """Return how records land beside those that are there: nothing that a replay leaves out is removed."""
    if target.strategy == "replace":
        return replace(target, write_disposition="append")
    if target.strategy == "scd2":
        return replace(target, merge_key=target.primary_key)  # no other group is looked at for absent records
    if target.strategy == "snapshot":
        return replace(target, merge_strategy="delete-insert", merge_key=())
    if target.merge_key and not target.primary_key:
        return replace(target, write_disposition="append", merge_key=())
    return replace(target, merge_key=())


def _pending(target: Target, load: int | None) -> str:
    """Return a relation of the records to replay."""
    only = "" if load is None else f" AND load_id = {literal(int(load))}"
    return (
        f"(SELECT load_id, record, raw FROM {tables.QUARANTINE} WHERE replayed_in IS NULL "
        f"AND table_schema = {literal(target.schema)} AND table_name = {literal(target.table)}{only})"
    )


def _claim(connection: duckdb.DuckDBPyConnection, token: str, pending: str) -> int:
    """Number the records to replay, as the replay will count them."""
    return number(
        connection,
        f"INSERT INTO {SCHEMA}.replays SELECT {literal(token)}, "
        f"row_number() OVER (ORDER BY load_id, record) - 1, load_id, record FROM {pending}",
    )


def _records(warehouse: Warehouse, token: str) -> Iterator[Whole]:
    with warehouse.session() as connection:
        connection.execute(
            f"SELECT q.raw FROM {SCHEMA}.replays r JOIN {tables.QUARANTINE} q "
            f"ON q.load_id = r.load_id AND q.record = r.record WHERE r.replay = {literal(token)} "
            "ORDER BY r.ordinal"
        )
        while rows := connection.fetchmany(_BATCH):
            for (raw,) in rows:
                yield Whole(restored(raw.encode()))


def _mark_overtaken(
    warehouse: Warehouse, connection: duckdb.DuckDBPyConnection, target: Target, pending: str
) -> int:
    """Mark the records that must not land over what came later; return how many they are."""
    if target.compares_whole:
        newest = (
            f"(SELECT max(load_id) FROM {SCHEMA}.loads WHERE table_schema = {literal(target.schema)} "
            f"AND table_name = {literal(target.table)} AND NOT starts_with(source, {literal(REPLAY)}))"
        )
        return _mark(connection, f"SELECT load_id, record, {newest} AS later FROM {pending}")
    columns = _key_columns(connection, target) if target.write_disposition == "merge" else []
    if not columns:
        return 0
    names = ["load_id", "record", *(f"k{at}" for at in range(len(columns)))]
    keys = ", ".join(f"{name} VARCHAR" for name in names[2:])
    connection.execute(f"CREATE TEMP TABLE {_KEYS} (load_id BIGINT, record BIGINT, {keys})")
    for rows in _keys(warehouse, pending, columns):
        connection.execute(insert_values(_KEYS, names, rows))
    same = " AND ".join(
        f"t.{ident(column.name)} = TRY_CAST(k.k{at} AS {column.type})" for at, column in enumerate(columns)
    )
    # a row that an earlier replay landed is as old as the load that had put its record into quarantine
    age = f"CASE WHEN starts_with(l.source, {literal(REPLAY)}) THEN coalesce(r.load_id, 0) ELSE l.load_id END"
    marked = _mark(
        connection,
        f"SELECT k.load_id, k.record, max(t._hr_load_id) AS later FROM {_KEYS} k "
        f"JOIN {ident(target.schema, target.table)} t ON {same} "
        f"JOIN {SCHEMA}.loads l ON l.load_id = t._hr_load_id "
        f"LEFT JOIN {SCHEMA}.replays r ON l.source = {literal(REPLAY)} || r.replay "
        f"AND t._hr_id = (l.load_id << {ORDINAL_BITS}) + r.ordinal "
        f"WHERE {age} > k.load_id GROUP BY ALL",
    )
    connection.execute(f"DROP TABLE {_KEYS}")
    return marked


def _mark(connection: duckdb.DuckDBPyConnection, later: str) -> int:
    return number(
        connection,
        f"UPDATE {tables.QUARANTINE} q SET replayed_in = o.later FROM ({later}) o "
        "WHERE q.load_id = o.load_id AND q.record = o.record AND o.later > q.load_id",
    )


def _key_columns(connection: duckdb.DuckDBPyConnection, target: Target) -> list[Column]:
    """Return the columns by which a later row overtakes a record; none where the table lacks one of them."""
    table = lookup.read_schema(connection, target.schema, target.table).tables.get(())
    names = target.merge_key or target.primary_key
    found = [find_column(table, name) for name in names] if table else []
    known = [column for column in found if column is not None]
    return known if len(known) == len(names) else []


def _keys(warehouse: Warehouse, pending: str, columns: Sequence[Column]) -> Iterator[list[list[Value]]]:
    """Yield load, record and key of the records to replay, the key as text."""
    with warehouse.session() as connection:
        connection.execute(f"SELECT load_id, record, raw FROM {pending}")
        while rows := connection.fetchmany(_BATCH):
            yield [
                [load, record, *(_text_at(exact_json(raw.encode()), column) for column in columns)]
                for load, record, raw in rows
            ]


def _text_at(record: Any, column: Column) -> str | None:
    value = record
    for step in column.path:
        value = value.get(step) if isinstance(value, dict) else None
    mark = read_mark(value) if isinstance(value, dict) else None
    value = value if mark is None else mark[1]
    return None if value is None or isinstance(value, (dict, list)) else str(value)
