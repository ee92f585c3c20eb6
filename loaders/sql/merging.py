"""Write the SQL of write dispositions and merge strategies (pure).

A merge begins with a temporary table of winners: for each key in the package the record that counts.

    i     the record's ordinal in the package
    id    the `_hr_id` that its row gets
    gone  whether it says that the record of its key was deleted
    h     the hash of its content, for `scd2`
    k0…   its key

Then each strategy makes room, and the rows of the winners are inserted, child rows with their record.
Keys are compared column by column, never as one text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headrace.loaders.database.quoting import ident, literal
from headrace.loaders.schema.known import HASH, VALID_TO, Table
from headrace.loaders.sql.staging import ORDINAL_BITS, Staged, relation, value

WINNERS = "temp.main._hr_winners"


@dataclass(frozen=True, slots=True)
class Merge:
    """One merge of one package.

    Attributes:
        schema: The schema of the warehouse.
        tables: Every table of the root, the root first.
        root: The root table of the package.
        key: The key's columns.
        merge_key: Columns whose values name the groups of rows that a load replaces whole.
        dedup_sort: The column whose greatest value wins among records with one key; None: the last record.
        hard_delete: The column that says that a record was deleted.
        load_id: The number of the load.
        moment: Its time, UTC, as SQL reads it.
    """

    schema: str
    tables: Sequence[Table]
    root: Staged
    key: Sequence[str]
    merge_key: Sequence[str]
    dedup_sort: str | None
    hard_delete: str | None
    load_id: int
    moment: str

    @property
    def name(self) -> str:
        return ident(self.schema, self.root.plan.table.name)

    def matching(self, one: str = "t", other: str = "w") -> str:
        """The condition under which a row of the table and a winner have one key."""
        return " AND ".join(f"{one}.{ident(column)} = {other}.k{at}" for at, column in enumerate(self.key))


def choose_winners(merge: Merge) -> str:
    """Return the statement that makes the table of winners."""
    base = merge.load_id << ORDINAL_BITS
    names = [f"k{at}" for at in range(len(merge.key))]
    keys = [f"{_value(merge, column)} AS {name}" for column, name in zip(merge.key, names, strict=True)]
    gone = "false" if merge.hard_delete is None else _is_gone(merge, merge.hard_delete)
    content = "h" if merge.root.hashed else "NULL"
    selected = f"SELECT {', '.join([*keys, 'i', f'{gone} AS gone', f'{content} AS h'])}"
    source = relation(merge.root)
    if not merge.key:
        rows = f"SELECT i, i + {base} AS id, gone, h FROM ({selected} FROM {source})"
        return f"CREATE TEMP TABLE {WINNERS} AS\n{rows}"
    order = "i DESC"
    if merge.dedup_sort is not None:
        order = f"{_value(merge, merge.dedup_sort)} DESC NULLS LAST, i DESC"
    return (
        f"CREATE TEMP TABLE {WINNERS} AS\nSELECT {', '.join(names)}, i, i + {base} AS id, gone, h\n"
        f"FROM ({selected}, row_number() OVER (PARTITION BY {', '.join(_value(merge, c) for c in merge.key)} "
        f"ORDER BY {order}) AS n FROM {source})\nWHERE n = 1"
    )


def delete_insert(merge: Merge) -> list[str]:
    """Remove the rows with the winners' keys, and those of the groups that `merge_key` names."""
    statements = _delete(merge, f"{WINNERS} w", merge.matching()) if merge.key else []
    if merge.merge_key:
        statements += _delete(merge, f"{_groups(merge)} w", _in_group(merge))
    return statements


def insert_only(merge: Merge) -> list[str]:
    """Let the rows that are there win."""
    return [f"DELETE FROM {WINNERS} w USING {merge.name} t WHERE {merge.matching()}"]


def snapshot(merge: Merge) -> list[str]:
    """Remove every row: those with a winner's key come again, the others are absent from the source."""
    return [f"DELETE FROM {ident(merge.schema, table.name)}" for table in merge.tables]


def scd2(merge: Merge) -> list[str]:
    """Retire the versions that changed or are absent; unchanged records lose their place among the winners.

    With `merge_key` only the groups that the package holds are looked at for absent records.
    """
    current = f"t.{_column(merge, VALID_TO)} IS NULL"
    key, content = merge.matching(), _column(merge, HASH)
    absent = f"NOT EXISTS (SELECT 1 FROM {WINNERS} w WHERE {key})"
    if merge.merge_key:
        absent += f" AND EXISTS (SELECT 1 FROM {_groups(merge)} w WHERE {_in_group(merge)})"
    retire = f"UPDATE {merge.name} t SET {_column(merge, VALID_TO)} = {literal(merge.moment)}"
    return [
        f"{retire} WHERE {current} AND {absent}",
        f"DELETE FROM {WINNERS} w USING {merge.name} t WHERE {current} AND {key} AND NOT w.gone "
        f"AND t.{content} = w.h",
        f"{retire} FROM {WINNERS} w WHERE {current} AND {key}",
    ]


def insert_rows(merge: Merge | None, schema: str, staged: Staged, load_id: int) -> str:
    """Return the INSERT of a table's rows from the package: all, or those of a merge's winners."""
    base, plan = load_id << ORDINAL_BITS, staged.plan
    is_root = plan.table.parent is None
    columns = {name: value(plan, name) for name in plan.sources}
    if merge is not None and is_root and merge.root.hashed:
        columns |= {"_hr_valid_from": literal(merge.moment), "_hr_hash": "w.h"}
    if merge is None:
        record, parent, where = f"r + {base}", f"p + {base}", ""
        own = f"i + {base}"
    else:
        record, own = "w.id", "w.id" if is_root else f"x.i + {base}"
        parent = "w.id" if plan.table.parent == merge.root.plan.table.name else f"p + {base}"
        where = f"\nJOIN {WINNERS} w ON {'x.i' if is_root else 'x.r'} = w.i AND NOT w.gone"
    columns["_hr_id"] = own
    if not is_root:
        columns |= {"_hr_parent_id": parent, "_hr_root_id": record, "_hr_index": "n"}
    columns["_hr_load_id"] = str(load_id)
    return (
        f"INSERT INTO {ident(schema, plan.table.name)} ({', '.join(map(ident, columns))})\n"
        f"SELECT {', '.join(columns.values())}\nFROM {relation(staged)} x{where}"
    )


def rekey(
    schema: str, tables: Sequence[Table], key: Sequence[str], column: str, old: str, new: str
) -> list[str]:
    """Return the statements that replace a value in a key column; a row whose new key is taken goes."""
    root, name = ident(schema, tables[0].name), ident(column)
    others = [ident(other) for other in key if other != column]
    same = " AND ".join([f"o.{name} = {literal(new)}", *(f"o.{other} = t.{other}" for other in others)])
    doomed = f"t.{name} = {literal(old)} AND EXISTS (SELECT 1 FROM {root} o WHERE {same})"
    children = [
        f"DELETE FROM {ident(schema, child.name)}\n"
        f"WHERE _hr_root_id IN (SELECT t._hr_id FROM {root} t WHERE {doomed})"
        for child in tables[1:]
    ]
    return [
        *children,
        f"DELETE FROM {root} t\nWHERE {doomed}",
        f"UPDATE {root} SET {name} = {literal(new)}\nWHERE {name} = {literal(old)}",
    ]


def _delete(merge: Merge, others: str, condition: str) -> list[str]:
    children = [
        f"DELETE FROM {ident(merge.schema, child.name)}\n"
        f"WHERE _hr_root_id IN (SELECT t._hr_id FROM {merge.name} t JOIN {others} ON {condition})"
        for child in merge.tables[1:]
    ]
    return [*children, f"DELETE FROM {merge.name} t USING {others}\nWHERE {condition}"]


def _groups(merge: Merge) -> str:
    values = ", ".join(f"{_value(merge, column)} AS g{at}" for at, column in enumerate(merge.merge_key))
    return f"(SELECT DISTINCT {values} FROM {relation(merge.root)})"


def _in_group(merge: Merge) -> str:
    # a group may be the rows that have no value
    pairs = (f"t.{ident(column)} IS NOT DISTINCT FROM w.g{at}" for at, column in enumerate(merge.merge_key))
    return " AND ".join(pairs)


def _value(merge: Merge, column: str) -> str:
    if column in merge.root.plan.sources:
        return value(merge.root.plan, column)
    # with its type: DuckDB takes a bare NULL for an INTEGER, and text compared with that for a number
    type_ = merge.root.plan.table.column(column).type
    return f"CAST(NULL AS {type_})"


def _is_gone(merge: Merge, column: str) -> str:
    type_ = merge.root.plan.table.column(column).type
    found = _value(merge, column)
    return f"COALESCE({found}, false)" if type_ == "BOOLEAN" else f"({found} IS NOT NULL)"


def _column(merge: Merge, path: tuple[str | None, ...]) -> str:
    return ident(next(column.name for column in merge.root.plan.table.columns if column.path == path))


STRATEGIES: dict[str, Callable[[Merge], list[str]]] = {
    "delete-insert": delete_insert,
    "insert-only": insert_only,
    "scd2": scd2,
    "snapshot": snapshot,
}
"""How each strategy makes room; `upsert`, which also needs to know what the package gives, has its module."""
