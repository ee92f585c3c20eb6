"""Export tables as text for other tools: JSON, DDL, Mermaid, a data contract (pure).

json      everything, for programs
ddl       statements that make the same tables, empty, in DuckDB
mermaid   a diagram of the tables and how they hang together
odcs      a data contract, as `headrace.loaders.contracts.odcs_reading` writes it
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import orjson

from headrace.errors import UsageError, did_you_mean
from headrace.loaders.contracts.odcs_reading import TableContract
from headrace.loaders.contracts.odcs_writing import write_contract
from headrace.loaders.database.quoting import ident, literal
from headrace.loaders.schema.known import VERSIONED, Column, RootSchema, Table
from headrace.loaders.values.paths import RecordPath, as_hint, show

Schemas = Mapping[str, RootSchema]
"""Root tables by name, as `catalogue.read_schema` returns them."""
Contracts = Mapping[str, TableContract]
"""What is known beyond the catalogue, by root table: descriptions, tags, keys."""

_NOTHING: Contracts = {}
_KEYS = {"_hr_id": "PK", "_hr_parent_id": "FK", "_hr_root_id": "FK"}


class Form(Protocol):
    """A function that writes the tables of one schema of the warehouse."""

    def __call__(self, schemas: Schemas, schema: str, contracts: Contracts = _NOTHING) -> str: ...


def export(form: str, schemas: Schemas, schema: str, contracts: Contracts = _NOTHING) -> str:
    """Return tables in a form of text.

    Args:
        form: One of `FORMS`.
        schemas: What the catalogue knows, by root table.
        schema: The schema of the warehouse that holds the tables.
        contracts: What is known beyond that.

    Raises:
        UsageError: There is no such form.

    >>> export("mermaids", {}, "main")
    Traceback (most recent call last):
    headrace.errors.UsageError: There is no export 'mermaids'; did you mean 'mermaid'?
    """
    if form not in FORMS:
        raise UsageError(f"There is no export {form!r}; {did_you_mean(form, FORMS)}")
    return FORMS[form](schemas, schema, contracts)


def to_json(schemas: Schemas, schema: str, contracts: Contracts = _NOTHING) -> str:
    """Return everything that is known, as JSON: an object with `schema` and `tables`."""
    tables = [
        {
            "name": table.name,
            "root": root,
            "parent": table.parent,
            "source_path": show(table.path),
            "description": _description(table.path[:-1], contracts.get(root)),
            "tags": _tags(table.path[:-1], contracts.get(root)),
            "columns": [
                *(_json_column(table, column, contracts.get(root)) for column in table.columns),
                *({"name": name, "type": type_, "system": True} for name, type_ in table.system.items()),
            ],
        }
        for root, table in _tables(schemas)
    ]
    written = orjson.dumps({"schema": schema, "tables": tables}, option=orjson.OPT_INDENT_2)
    return written.decode() + "\n"


def to_ddl(schemas: Schemas, schema: str, contracts: Contracts = _NOTHING) -> str:
    """Return the statements that make the tables in an empty DuckDB: system columns too, but no rows."""
    statements = [f"CREATE SCHEMA IF NOT EXISTS {ident(schema)};"]
    for root, table in _tables(schemas):
        said, name = contracts.get(root), ident(schema, table.name)
        columns = {column.name: column.type for column in table.columns} | table.system
        listed = ",\n".join(f"    {ident(column)} {type_}" for column, type_ in columns.items())
        statements.append(f"CREATE TABLE {name} (\n{listed}\n);")
        if text := _description(table.path[:-1], said):  # what a list is, is said of its key
            statements.append(f"COMMENT ON TABLE {name} IS {_comment(text)};")
        for column in table.columns:
            if text := _description((*table.path, *column.path), said):
                statements.append(f"COMMENT ON COLUMN {name}.{ident(column.name)} IS {_comment(text)};")
    return "\n\n".join(statements) + "\n"


def to_mermaid(schemas: Schemas, schema: str, contracts: Contracts = _NOTHING) -> str:
    """Return a mermaid diagram: the tables with their columns, and a line from each to its children.

    Mermaid's columns are words: one that is not gets underscores, and its true name as a comment.
    """
    entities, relations = [], []
    for _, table in _tables(schemas):
        lines = [
            *(_attribute(column.type, column.name, _path(table, column)) for column in table.columns),
            *(_attribute(type_, name) for name, type_ in table.system.items()),
        ]
        entities.append("\n".join((f"    {_quoted(table.name)} {{", *lines, "    }")))
        if table.parent is not None:
            ends = f"{_quoted(table.parent)} ||--o{{ {_quoted(table.name)}"
            relations.append(f"    {ends} : {_quoted(show(table.path))}")
    return "\n".join(("erDiagram", *entities, *relations)) + "\n"


def to_odcs(schemas: Schemas, schema: str, contracts: Contracts = _NOTHING) -> str:
    """Return a data contract, named after the schema, in its first version.

    Raises:
        MissingExtra: PyYAML is not installed.
    """
    return write_contract(schemas, name=schema, version="1.0.0", contracts=contracts)


FORMS: dict[str, Form] = {"json": to_json, "ddl": to_ddl, "mermaid": to_mermaid, "odcs": to_odcs}


def _tables(schemas: Schemas) -> Iterator[tuple[str, Table]]:
    """Yield every table with the name of its root, parents first."""
    for root, schema in schemas.items():
        for table in schema.tables.values():
            yield root, table


def _path(table: Table, column: Column) -> str | None:
    """Return where the column's values stand in a record; None for one that a disposition needs."""
    return None if column.path in VERSIONED else show((*table.path, *column.path))


def _json_column(table: Table, column: Column, said: TableContract | None) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "source_path": _path(table, column),
        "declared": column.declared,
        "kinds": sorted(column.kinds),
        "variant": column.variant,
        "description": _description((*table.path, *column.path), said),
        "tags": _tags((*table.path, *column.path), said),
        "system": column.path in VERSIONED,
    }


def _description(path: RecordPath, said: TableContract | None) -> str:
    if said is None:
        return ""
    hint: Any = as_hint(path)  # None, of which nothing is said, where no hint can say it
    return said.descriptions.get(hint, "") if path else said.description


def _tags(path: RecordPath, said: TableContract | None) -> list[str]:
    if said is None:
        return []
    hint: Any = as_hint(path)
    return list(said.tags.get(hint, ()) if path else said.table_tags)


def _comment(text: str) -> str:
    # a comment is a plain literal, in which DuckDB has no way to write NUL
    return literal(text.replace("\0", "\N{REPLACEMENT CHARACTER}"))


def _attribute(type_: str, name: str, path: str | None = None) -> str:
    """Return a line for a column: type and name as words, its key, and what the words do not tell.

    >>> print(_attribute("DECIMAL(18,2)", "pk", "$.pk"))
            DECIMAL_18_2 pk_ "pk, DECIMAL(18,2), $.pk"
    """
    word = re.sub(r"\W", "_", name, flags=re.ASCII)
    if not word or word[0].isdigit() or word.lower() in {"pk", "fk", "uk"}:
        word = f"{word}_" if word and word[0].isalpha() else f"_{word}"
    kind = re.sub(r"\W+", "_", type_).strip("_")
    told = [true for true, shown in ((name, word), (type_, kind)) if true != shown]
    comment = ", ".join(_escaped(text) for text in (*told, *([path] if path else [])))
    parts = (kind, word, _KEYS.get(name, ""), f'"{comment}"' if comment else "")
    return "        " + " ".join(part for part in parts if part)


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    """Return text in which nothing means anything to mermaid, to HTML, or as a code.

    A space is a code as well: mermaid reads `direction TB` as a command even inside quotes.

    >>> print(_escaped('$["50%"].x'))
    $[#34;50#37;#34;].x
    """
    return re.sub(r"[^\w.,$()\[\]-]", lambda match: f"#{ord(match[0])};", text)
