"""What a warehouse holds, told so that two that went different ways can be compared."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import headrace
from headrace.loaders.database.quoting import ident
from headrace.loaders.values.paths import RESERVED
from headrace.loaders.warehouse import Warehouse

Contents = dict[str, Any]

_COMPARED_BY_HASH = 5_000
"""Rows above which a table is told by the sum of their hashes."""

_OF_ONE_LOAD = ("load_id", "changed", "updated", "source")


def contents(into: Path, beside: Path | None = None) -> Contents:
    """Return every table of a warehouse as it is on the disk, without opening what is there in its place.

    Keys and load numbers are left out; a child row is told by the `id` of its root. What a crash may change
    is left out too: how many loads there were, and when. `beside` is the folder to do this in, if there is no
    room for it where the file is.
    """
    copy = (beside or into.parent) / "copy" / into.name
    shutil.rmtree(copy.parent, ignore_errors=True)
    copy.parent.mkdir(parents=True)
    for path in into.parent.glob(f"{into.name}*"):
        if path.is_file():  # the file and its log, not the packages: nothing is recovered
            shutil.copy(path, copy.parent / path.name)
    with headrace.connect(copy) as warehouse:
        return _contents(warehouse)


def _contents(warehouse: Warehouse) -> Contents:
    columns: dict[tuple[str, str], list[str]] = {}
    types = {}
    for schema, table, column, type_ in warehouse.query(
        "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE database_name = current_database() AND NOT internal ORDER BY ALL"
    ):
        columns.setdefault((schema, table), []).append(column)
        types[schema, table, column] = type_
    found: Contents = {"types": {key: type_ for key, type_ in types.items() if key[0] != "_headrace"}}
    for (schema, table), names in columns.items():
        if schema != "_headrace":
            found[f"{schema}.{table}"] = _rows(warehouse, schema, table, names)
    if ("_headrace", "loads") in columns:
        found |= _catalogue(warehouse, columns)
    return found


def _rows(warehouse: Warehouse, schema: str, table: str, names: list[str]) -> list[tuple[Any, ...]]:
    picked = [f"t.{ident(name)}" for name in names if name not in RESERVED]
    picked += ["t._hr_valid_to IS NULL"] if "_hr_valid_to" in names else []
    joined = ""
    if "_hr_root_id" in names:
        root = table.partition("__")[0]
        joined = f"LEFT JOIN {ident(schema, root)} r ON r._hr_id = t._hr_root_id"
        picked = ["r.id", "t._hr_index", *picked]
    rows = f"SELECT {', '.join(picked)} FROM {ident(schema, table)} t {joined}"
    if warehouse.query(f"SELECT count(*) FROM {ident(schema, table)}")[0][0] > _COMPARED_BY_HASH:
        return warehouse.query(f"SELECT count(*), sum(hash(one)::HUGEINT) FROM ({rows}) one")
    return warehouse.query(f"{rows} ORDER BY ALL")


def _catalogue(warehouse: Warehouse, columns: dict[tuple[str, str], list[str]]) -> Contents:
    found: Contents = {}
    for name in ("tables", "columns", "schema_changes", "state", "quarantine"):
        kept = [column for column in columns["_headrace", name] if column not in _OF_ONE_LOAD]
        found[name] = warehouse.query(f"SELECT {', '.join(kept)} FROM _headrace.{name} ORDER BY ALL")
    return found


def check_books(into: Path) -> None:
    """Check that every load adds up, that none is there twice, and that every row belongs to one of them."""
    with headrace.connect(into) as warehouse:
        assert [] == warehouse.query(
            "SELECT * FROM _headrace.loads WHERE rows_in <> rows_loaded + rows_quarantined + rows_deduplicated"
        )
        assert [] == warehouse.query("SELECT package FROM _headrace.loads GROUP BY ALL HAVING count(*) > 1")
        tables = warehouse.query("SELECT table_schema, table_name, parent FROM _headrace.tables")
        for schema, table, parent in tables:
            name = ident(schema, table)
            assert [] == warehouse.query(
                f"SELECT _hr_load_id FROM {name} WHERE _hr_load_id NOT IN (SELECT load_id FROM _headrace.loads)"
            )
            assert [] == warehouse.query(f"SELECT _hr_id FROM {name} GROUP BY ALL HAVING count(*) > 1")
            if parent is not None:
                assert [] == warehouse.query(
                    f"SELECT _hr_id FROM {name} "
                    f"WHERE _hr_parent_id NOT IN (SELECT _hr_id FROM {ident(schema, parent)})"
                )
