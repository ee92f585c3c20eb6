"""Write the SQL of an upsert: a record changes what it mentions and keeps the rest (pure).

A row keeps its `_hr_id`. What a record mentions is known by path: a value, a null or an empty list at a path,
above it or below it replaces everything that stood there, whatever columns or child tables hold it.
"""

from __future__ import annotations

from collections.abc import Mapping

from headrace.loaders.database.quoting import ident
from headrace.loaders.schema.known import Table
from headrace.loaders.sql.merging import WINNERS, Merge
from headrace.loaders.sql.staging import Staged, relation, value
from headrace.loaders.values.paths import RecordPath

_OLD = "temp.main._hr_old"

Lists = Mapping[RecordPath, Staged]
"""The child tables of the package, by path."""


def make_room(merge: Merge, lists: Lists) -> list[str]:
    """Keep the ids of matching rows and a copy of them, and remove what the records mention."""
    return [
        f"UPDATE {WINNERS} w SET id = t._hr_id FROM {merge.name} t WHERE {merge.matching()}",
        f"CREATE TEMP TABLE {_OLD} AS SELECT t.* FROM {merge.name} t JOIN {WINNERS} w ON t._hr_id = w.id",
        f"DELETE FROM {merge.name} WHERE _hr_id IN (SELECT id FROM {WINNERS})",
        *(_delete_mentioned(merge, lists, child) for child in merge.tables[1:]),
    ]


def insert_root(merge: Merge, lists: Lists) -> str:
    """Return the INSERT of the root rows, filled from the rows that they replace."""
    plan = merge.root.plan
    given = _given_lists(lists)
    columns = {}
    for column in plan.table.columns:
        new = value(plan, column.name) if column.name in plan.sources else "NULL"
        kept = f"o.{ident(f'old {column.name}')}"
        columns[column.name] = (
            f"CASE WHEN {_mentions(merge.root, given, column.path)} THEN {new} ELSE {kept} END"
        )
    # renamed, since a key of the user's may be called as a column of the package's files is
    old = ", ".join(f"{ident(name)} AS {ident(f'old {name}')}" for name in ["_hr_id", *columns])
    columns |= {"_hr_id": "w.id", "_hr_load_id": str(merge.load_id)}
    return (
        f"INSERT INTO {merge.name} ({', '.join(map(ident, columns))})\nSELECT {', '.join(columns.values())}\n"
        f"FROM {relation(merge.root)} x JOIN {WINNERS} w ON x.i = w.i AND NOT w.gone{_joined(lists, given)}\n"
        f'LEFT JOIN (SELECT {old} FROM {_OLD}) o ON o."old _hr_id" = w.id'
    )


def _delete_mentioned(merge: Merge, lists: Lists, child: Table) -> str:
    top = child.path[: child.path.index(None)]  # where the list of the root record stands
    given = {path: name for path, name in _given_lists(lists).items() if _is_related(path, top)}
    chosen = (
        f"SELECT w.id FROM {WINNERS} w JOIN {relation(merge.root)} x ON x.i = w.i"
        f"{_joined(lists, given)} WHERE w.gone OR {_mentions(merge.root, given, top)}"
    )
    return f"DELETE FROM {ident(merge.schema, child.name)} WHERE _hr_root_id IN ({chosen})"


def _given_lists(lists: Lists) -> dict[RecordPath, str]:
    """Return where the lists of root records stand, each with the name under which it is joined."""
    tops = (found for found in lists if found and found.index(None) == len(found) - 1)
    return {found[:-1]: f"l{number}" for number, found in enumerate(tops)}


def _joined(lists: Lists, given: Mapping[RecordPath, str]) -> str:
    """Return the joins that tell which records, `x`, give lists; each file is read once."""
    return "".join(
        f"\nLEFT JOIN (SELECT DISTINCT r FROM {relation(lists[(*path, None)])}) {name} ON {name}.r = x.i"
        for path, name in given.items()
    )


def _mentions(root: Staged, given: Mapping[RecordPath, str], path: RecordPath) -> str:
    """Return the condition under which a record, `x`, gives anything at, above or below a path."""
    plan = root.plan
    names = [
        source.id
        for column in plan.table.columns
        if _is_related(column.path, path)
        for source in plan.sources.get(column.name, ())
    ]
    names += [name for cleared, name in plan.cleared if _is_related(cleared, path)]
    conditions = [f"x.{ident(name)} IS NOT NULL" for name in names]
    conditions += [f"{name}.r IS NOT NULL" for found, name in given.items() if _is_related(found, path)]
    return f"({' OR '.join(conditions)})" if conditions else "false"


def _is_related(one: RecordPath, other: RecordPath) -> bool:
    return one[: len(other)] == other or other[: len(one)] == one
