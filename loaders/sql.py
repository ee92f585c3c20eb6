"""SQL as text, pure: what a commit sends to DuckDB. Identifiers and values are always quoted here.

Values are written as literals, not bound as parameters: DuckDB's Python client imports pandas for those.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from headrace.loaders.evolve import AddColumn, Change, CreateTable, TablePlan
from headrace.loaders.facts import POSITION
from headrace.loaders.kinds import decode, spec
from headrace.loaders.package import DataFile
from headrace.loaders.schema import Table

Value = str | int | float | bool | None

ORDINAL_BITS = 36
"""A row's `_hr_id` is its load's number, shifted by these bits, plus its ordinal in the load: 68 billion rows
a load, 134 million loads."""


_USUAL_ROW = 16 << 20


def ident(*names: str) -> str:
    """Return a quoted identifier, qualified by all but the last name.

    >>> print(ident("slack", 'we"ird'))
    "slack"."we""ird"
    """
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(value: Value) -> str:
    """Return a value as SQL.

    >>> print(literal("it's"), literal(None), literal(True), literal(7))
    'it''s' NULL true 7
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    quoted = "'" + value.replace("'", "''") + "'"
    return quoted if "\0" not in quoted else "(" + quoted.replace("\0", "'||chr(0)||'") + ")"


def insert_values(table: str, rows: Iterable[Sequence[Value]]) -> str:
    """Return one INSERT of literal rows into a quoted table name."""
    values = ",\n".join("(" + ", ".join(map(literal, row)) + ")" for row in rows)
    return f"INSERT INTO {table} VALUES\n{values}"


def change_schema(schema: str, change: Change) -> str:
    """Return the DDL of one change of a plan."""
    if isinstance(change, CreateTable):
        columns = [f"{ident(column.name)} {column.type}" for column in change.table.columns]
        columns += [f"{ident(name)} {type_}" for name, type_ in change.table.system.items()]
        return f"CREATE TABLE {ident(schema, change.table.name)} ({', '.join(columns)})"
    table, column = f"ALTER TABLE {ident(schema, change.table)}", change.column
    if isinstance(change, AddColumn):
        return f"{table} ADD COLUMN {ident(column.name)} {column.type}"
    using = f" USING CAST(NULL AS {column.type})" if change.fresh else ""
    return f"{table} ALTER COLUMN {ident(column.name)} TYPE {column.type}{using}"


def relation(plan: TablePlan, files: Sequence[DataFile]) -> str:
    """Return a relation over a table's files; a column is null where a file lacks it."""
    position = ["i"] if plan.table.parent is None else list(POSITION)
    types = {name: POSITION[name] for name in position}
    types.update((name, spec(kind).stored) for name, kind in plan.file_columns.items())
    parts = []
    if parquet := [file for file in files if file.path.suffix == ".parquet"]:
        parts.append(f"SELECT * FROM read_parquet({_paths(parquet)}, union_by_name = true)")
    if jsonl := [file for file in files if file.path.suffix == ".jsonl"]:
        columns = ", ".join(f"{ident(name)}: '{type_}'" for name, type_ in types.items())
        # a row is never larger than its file; DuckDB allocates as much as it is told to expect
        largest = max(_USUAL_ROW, *(file.bytes for file in jsonl))
        parts.append(
            f"SELECT * FROM read_json({_paths(jsonl)}, format = 'newline_delimited', "
            f"maximum_object_size = {largest}, columns = {{{columns}}})"
        )
    if not parts:
        nothing = ", ".join(f"CAST(NULL AS {type_}) AS {ident(name)}" for name, type_ in types.items())
        parts.append(f"SELECT {nothing} WHERE false")
    return "(" + " UNION ALL BY NAME ".join(parts) + ")"


def value(plan: TablePlan, column: str) -> str:
    """Return the expression that makes a column's value from the file columns that feed it."""
    type_ = next(known.type for known in plan.table.columns if known.name == column)
    parts = [f"CAST({decode(kind, ident(name))} AS {type_})" for name, kind in _sources(plan, column, type_)]
    return parts[0] if len(parts) == 1 else f"COALESCE({', '.join(parts)})"


def _sources(plan: TablePlan, column: str, type_: str) -> list[tuple[str, str]]:
    """Return what feeds a column; a time that lands as text is kept as it was written."""
    if type_ != "VARCHAR":
        return list(plan.sources[column])
    return [(name, "text" if kind.startswith("iso_") else kind) for name, kind in plan.sources[column]]


def insert_rows(
    schema: str, plan: TablePlan, files: Sequence[DataFile], load_id: int, winners: str | None = None
) -> str:
    """Return the INSERT of a table's rows from the package: all, or those of the records in `winners`."""
    base = load_id << ORDINAL_BITS
    is_root = plan.table.parent is None
    system = {"_hr_id": "i"} if is_root else {"_hr_id": "i", "_hr_parent_id": "p", "_hr_root_id": "r"}
    columns = {name: value(plan, name) for name in plan.sources}
    columns.update((name, f"{position} + {base}") for name, position in system.items())
    if not is_root:
        columns["_hr_index"] = "n"
    columns["_hr_load_id"] = str(load_id)
    record = "i" if is_root else "r"
    where = f"\nWHERE {record} IN (SELECT i FROM {winners})" if winners else ""
    return (
        f"INSERT INTO {ident(schema, plan.table.name)} ({', '.join(map(ident, columns))})\n"
        f"SELECT {', '.join(columns.values())}\nFROM {relation(plan, files)}{where}"
    )


def choose_winners(winners: str, plan: TablePlan, files: Sequence[DataFile], key: Sequence[str]) -> str:
    """Return the statement that picks, for each key in the package, the last record that has it.

    The table `winners` gets the key as `k0`, `k1`… and the record's ordinal as `i`.
    """
    keys = ", ".join(f"{value(plan, column)} AS k{at}" for at, column in enumerate(key))
    names = ", ".join(f"k{at}" for at in range(len(key)))
    return (
        f"CREATE TEMP TABLE {winners} AS\nSELECT {names}, max(i) AS i\n"
        f"FROM (SELECT {keys}, i FROM {relation(plan, files)})\nGROUP BY {names}"
    )


def delete_replaced(schema: str, tables: Sequence[Table], winners: str, key: Sequence[str]) -> list[str]:
    """Return the statements that remove the records whose keys are in `winners`, children first."""
    root = ident(schema, tables[0].name)
    match = " AND ".join(f"t.{ident(column)} = w.k{at}" for at, column in enumerate(key))
    children = [
        f"DELETE FROM {ident(schema, child.name)}\n"
        f"WHERE _hr_root_id IN (SELECT t._hr_id FROM {root} t JOIN {winners} w ON {match})"
        for child in tables[1:]
    ]
    return [*children, f"DELETE FROM {root} t USING {winners} w\nWHERE {match}"]


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


def _paths(files: Sequence[DataFile]) -> str:
    return "[" + ", ".join(literal(str(file.path)) for file in files) + "]"
