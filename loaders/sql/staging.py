"""Write the SQL that reads a package's files and changes a schema (pure).

Values are written as literals, not bound as parameters: DuckDB's Python client imports pandas for those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.loaders.database.quoting import ident, literal
from headrace.loaders.packages.package import DataFile
from headrace.loaders.schema.evolve import AddColumn, Change, CreateTable, FileColumn, TablePlan
from headrace.loaders.schema.observed import POSITION
from headrace.loaders.values.casts import fits
from headrace.loaders.values.kinds import decode, spec

ORDINAL_BITS = 36
"""A row's `_hr_id` is its load's number, shifted by these bits, plus its ordinal in the load: 68 billion rows
a load, 134 million loads."""


_USUAL_ROW = 16 << 20


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


@dataclass(frozen=True, slots=True)
class Staged:
    """One table of a package on its way in.

    Attributes:
        plan: How it lands.
        files: The files that hold its rows.
        hashed: Whether its rows have the hash of their record.
        left_out: A table of the ordinals `i` of records that do not land, if there are any.
    """

    plan: TablePlan
    files: Sequence[DataFile]
    hashed: bool = False
    left_out: str | None = None


def relation(staged: Staged) -> str:
    """Return a relation over a table's files; a column is null where a file lacks it."""
    is_root = staged.plan.table.parent is None
    types = {"i": "BIGINT"} if is_root else dict(POSITION)
    if staged.hashed:
        types["h"] = "BIGINT"
    types.update((name, spec(kind).stored) for name, kind in staged.plan.file_columns.items())
    parts = []
    if parquet := [file for file in staged.files if file.path.suffix == ".parquet"]:
        parts.append(f"SELECT * FROM read_parquet({_paths(parquet)}, union_by_name = true)")
    if jsonl := [file for file in staged.files if file.path.suffix == ".jsonl"]:
        parts.append(f"SELECT * FROM {json_lines(jsonl, types)}")
    if not parts:
        nothing = ", ".join(f"CAST(NULL AS {type_}) AS {ident(name)}" for name, type_ in types.items())
        parts.append(f"SELECT {nothing} WHERE false")
    every = "(" + " UNION ALL BY NAME ".join(parts) + ")"
    if staged.left_out is None:
        return every
    record = "i" if is_root else "r"
    return f"(SELECT * FROM {every} WHERE {record} NOT IN (SELECT i FROM {staged.left_out}))"


def json_lines(files: Sequence[DataFile], types: Mapping[str, str]) -> str:
    """Return a relation over files of JSON lines, with these columns and no others."""
    columns = ", ".join(f"{ident(name)}: '{type_}'" for name, type_ in types.items())
    # a row is never larger than its file; DuckDB allocates as much as it is told to expect
    largest = max(_USUAL_ROW, *(file.bytes for file in files))
    return (
        f"read_json({_paths(files)}, format = 'newline_delimited', "
        f"maximum_object_size = {largest}, columns = {{{columns}}})"
    )


def value(plan: TablePlan, column: str) -> str:
    """Return the expression that makes a column's value from the file columns that feed it."""
    type_ = plan.table.column(column).type
    parts = [_taken(source, type_) for source in plan.sources[column]]
    return parts[0] if len(parts) == 1 else f"COALESCE({', '.join(parts)})"


def misfit(kind: str, declared: str, name: str) -> str:
    """Return the condition under which a file column holds a value that its declared type does not take."""
    found = _written(kind, name)
    return f"({ident(name)} IS NOT NULL AND NOT COALESCE({fits(kind, declared, found)}, false))"


def _written(kind: str, name: str) -> str:
    """Return a file column's value as it was written, so that a time in a string can be judged as text."""
    return decode("text" if kind.startswith("iso_") else kind, ident(name))


def _taken(source: FileColumn, type_: str) -> str:
    # a time that lands as text is kept as it was written
    kind = "text" if type_ == "VARCHAR" and source.kind.startswith("iso_") else source.kind
    found = decode(kind, ident(source.id))
    if source.take == "all":
        return f"CAST({found} AS {type_})"
    if source.take == "fit":
        found = _written(source.kind, source.id)
        return f"CASE WHEN {fits(kind, source.declared, found)} THEN TRY_CAST({found} AS {type_}) END"
    return f"CASE WHEN {misfit(kind, source.declared, source.id)} THEN CAST({found} AS {type_}) END"


def _paths(files: Sequence[DataFile]) -> str:
    return "[" + ", ".join(literal(str(file.path)) for file in files) + "]"
