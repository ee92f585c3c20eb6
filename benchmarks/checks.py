"""Whether engines landed the same rows: counts by table, and sums that do not depend on their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.engines import DATABASE, SCHEMA
from benchmarks.generators import KINDS

Landed = Mapping[str, Mapping[str, Any]]
"""What was found: `tables` with their rows, and `sums` by what they are of."""

# Each of the root table; `{code}` is whichever columns hold the code, as text.
_SUMS = {
    "flat": {
        "rows": "count(*)",
        "sum(event_id)": "sum(event_id)",
        "sum(amount)": "round(sum(amount), 2)",
        "text codes": "count(*) FILTER (regexp_matches({code}, '[A-Z]'))",
        "sum of codes": "sum(try_cast({code} AS BIGINT))",
        "referrers": "count(referrer)",
        "first": "epoch_ms(min(ts::TIMESTAMPTZ))",
        "last": "epoch_ms(max(ts::TIMESTAMPTZ))",
    },
    "slack": {
        "rows": "count(*)",
        "letters": "sum(length(text))",
        "sum(reply_count)": "sum(reply_count)::BIGINT",
        "first": "min(ts)",
        "last": "max(ts)",
    },
    "wide": {
        "rows": "count(*)",
        "sum(id)": "sum(id::BIGINT)",
        "types": "count(DISTINCT type)",
        "sum(actor.id)": "sum({actor})",
        "pushed commits": "sum({size})::BIGINT",
        "first": "epoch_ms(min(created_at::TIMESTAMPTZ))",
        "last": "epoch_ms(max(created_at::TIMESTAMPTZ))",
    },
}


def landed(folder: Path, kind: str | None = None) -> dict[str, dict[str, Any]]:
    """Return the rows of each table in a folder's database, and the sums of a kind's root table.

    Raises:
        ValueError: The database, the root table or a column of it is missing.
    """
    import duckdb

    try:
        return _landed(folder, kind)
    except duckdb.Error as error:
        raise ValueError(f"What was loaded cannot be checked: {error}") from error


def _landed(folder: Path, kind: str | None) -> dict[str, dict[str, Any]]:
    import duckdb

    with duckdb.connect(folder / DATABASE, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(
            f"SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name IN ('main', '{SCHEMA}') "
            r"AND table_name NOT LIKE '\_%' ESCAPE '\' ORDER BY ALL"
        ).fetchall()
        tables = {
            name: _row(connection, f'SELECT count(*) FROM "{schema}"."{name}"')[0] for schema, name in found
        }
        if kind is None:
            return {"tables": tables, "sums": {}}
        root = KINDS[kind].table
        if root not in tables:
            raise ValueError(f"There is no table {root!r}, only {', '.join(tables) or 'nothing'}.")
        schema = next(schema for schema, name in found if name == root)
        columns = {row[0] for row in connection.execute(f'DESCRIBE "{schema}"."{root}"').fetchall()}
        codes = [f"{name}::VARCHAR" for name in sorted(columns) if name.startswith("code")]
        texts = {
            "code": f"coalesce({', '.join([*codes, 'NULL'])})",
            "actor": "actor__id" if "actor__id" in columns else "actor.id",
            "size": "payload__size" if "payload__size" in columns else "payload.size",
        }
        sums = {name: sql.format(**texts) for name, sql in _SUMS[kind].items()}
        values = _row(connection, f'SELECT {", ".join(sums.values())} FROM "{schema}"."{root}"')
    return {"tables": tables, "sums": {name: _plain(value) for name, value in zip(sums, values, strict=True)}}


def differences(found: Iterable[tuple[str, Landed]]) -> list[str]:
    """Return what some of those who loaded the same records have differently, each with their names.

    Tables that not all of them have are compared among those that have them: engines that keep nesting have
    the root only.

    >>> a = {"tables": {"t": 2, "t__x": 5}, "sums": {"sum(id)": 3}}
    >>> differences([("headrace", a), ("duckdb", {"tables": {"t": 2}, "sums": {"sum(id)": 4}})])
    ['sum(id): 3 in headrace; 4 in duckdb']
    """
    values: dict[str, dict[Any, list[str]]] = {}
    for name, one in found:
        for what, value in [*one["tables"].items(), *one["sums"].items()]:
            names = values.setdefault(what, {}).setdefault(value, [])
            if name not in names:
                names.append(name)
    return [
        f"{what}: " + "; ".join(f"{value} in {', '.join(names)}" for value, names in by_value.items())
        for what, by_value in values.items()
        if len(by_value) > 1
    ]


def _row(connection: Any, sql: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] = connection.execute(sql).fetchone()
    return row


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: the sums of engines differ in type, not in value."""
    if isinstance(value, (str, type(None))):
        return value
    return int(value) if int(value) == value else float(value)
