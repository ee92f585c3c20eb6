"""Exports: tables of the catalogue as text that other tools take, reviewed as files and tried for real.

To write the files anew after a change that is meant, set HEADRACE_SNAPSHOTS=write.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import UsageError
from headrace.loaders.catalogue.exports import FORMS, export, to_ddl, to_json, to_mermaid
from headrace.loaders.catalogue.lookup import read_schema
from headrace.loaders.contracts.odcs_reading import TableContract, parse_contract
from headrace.loaders.contracts.target import Target
from headrace.loaders.schema.known import Column, RootSchema, Table
from headrace.loaders.warehouse import Warehouse
from tests.loaders import landed

SNAPSHOTS = Path(__file__).parent / "exported"
FILES = {"json": "tables.json", "ddl": "tables.sql", "mermaid": "tables.mmd", "odcs": "tables.yaml"}
HOSTILE = [
    '"; DROP TABLE t; --', "it's", "a\\b", "50%", "%%{init: {}}%%", "direction TB", "accTitle: x", "~a~",
    "a\nb", "pk", "FK", "end", "1", "", " ", "{", "}", "--", "#35;", "style x:#y;", "<script>", "ключ",
    "\U0001f40e", "`x`",
]  # fmt: skip

ORDERS: list[Any] = [
    {"id": 1, "price": 1.5, "user": {"zip": "01234"}, "items": [{"sku": "a", "opts": [1]}], "pk": True},
    {"id": "two", "grid": [[1]], "Unit %": 2**70},
]
PRICED = Target("orders", "shop", columns={"price": "DECIMAL(18,2)", "meta": "JSON"})
SAID = {
    "orders": TableContract(
        "orders",
        primary_key=("id",),
        description="What was ordered: it's all here.",
        table_tags=("sales",),
        descriptions={
            "user": "Who.",
            "user.zip": "Five\ndigits.",
            "items": "The lines.",
            "grid[][]": "A cell.",
        },
        tags={"user.zip": ("pii",), "items": ("dim",)},
    )
}


def landed_schema(warehouse: Warehouse, target: Target, *loads: list[Any]) -> RootSchema:
    """Load records; return what the catalogue knows then."""
    for records in loads:
        warehouse.load(records, target)
    with warehouse.session() as connection:
        return read_schema(connection, target.schema, target.table)


@pytest.mark.parametrize("form", FORMS)
def test_text(warehouse: Warehouse, form: str) -> None:
    """The whole text of each form, reviewed as a file."""
    schemas = {"orders": landed_schema(warehouse, PRICED, ORDERS)}
    found, path = export(form, schemas, "shop", SAID), SNAPSHOTS / FILES[form]
    if os.environ.get("HEADRACE_SNAPSHOTS") == "write":
        path.write_text(found, encoding="utf-8")

    assert path.read_text(encoding="utf-8") == found


def test_no_file_is_left_over() -> None:
    """Each file belongs to a form; the contract belongs to the tests of contracts."""
    assert sorted([*FILES.values(), "contract.yaml"]) == sorted(path.name for path in SNAPSHOTS.glob("*"))


@pytest.mark.parametrize(
    ("form", "hint"),
    [("mermaids", "did you mean 'mermaid'?"), ("xml", "known: ddl, json, mermaid, odcs.")],
)
def test_unknown_form(form: str, hint: str) -> None:
    """A form that is not there is told with those that are."""
    with pytest.raises(UsageError) as raised:
        export(form, {}, "main")

    assert f"There is no export {form!r}; {hint}" == str(raised.value)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("json", '{\n  "schema": "shop",\n  "tables": []\n}\n'),
        ("ddl", 'CREATE SCHEMA IF NOT EXISTS "shop";\n'),
        ("mermaid", "erDiagram\n"),
    ],
)
def test_no_tables(form: str, text: str) -> None:
    """A schema without tables, or with one that was never loaded, has an export too."""
    assert text == export(form, {}, "shop")
    assert text == export(form, {"orders": RootSchema()}, "shop")


LOADS: dict[str, tuple[Target, tuple[list[Any], ...]]] = {
    "nested": (PRICED, (ORDERS,)),
    "grown": (Target("t"), ([{"a": 1}], [{"b": "x", "a": "one", "l": [1]}], [{"a": 0.5, "l": ["y"]}])),
    "versions": (
        Target("t", "crm", primary_key=("id",), write_disposition="merge", merge_strategy="scd2"),
        ([{"id": 1, "l": [{"m": [[2]]}]}], [{"id": 1, "n": None}]),
    ),
    "types": (
        Target("t", columns={name.lower().replace("(18,2)", ""): name for name in (
            "BOOLEAN", "BIGINT", "HUGEINT", "DOUBLE", "DECIMAL(18,2)", "VARCHAR", "DATE", "TIME", "TIMETZ",
            "TIMESTAMP", "TIMESTAMPTZ", "INTERVAL", "UUID", "BLOB", "JSON")}),
        ([{"x": 1}],),
    ),
    "hostile": (Target("t"), ([{text: {text: [text]} for text in HOSTILE}],)),
    "empty": (Target("t", "shop"), ([],)),
}  # fmt: skip


def columns_of(connection: duckdb.DuckDBPyConnection, schema: str) -> set[tuple[str, str, str]]:
    """Return table, name and type of every column that DuckDB has in a schema."""
    found = connection.execute(
        "SELECT table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE schema_name = ? AND database_name = current_database()",
        [schema],
    )
    return set(found.fetchall())


@pytest.mark.parametrize("name", LOADS)
def test_ddl_makes_the_tables(warehouse: Warehouse, name: str) -> None:
    """DuckDB makes the same tables from the statements: every column with its name and type."""
    target, loads = LOADS[name]
    schema = landed_schema(warehouse, target, *loads)
    with duckdb.connect() as fresh, warehouse.session() as original:
        fresh.execute(to_ddl({target.table: schema}, target.schema))

        assert columns_of(original, target.schema) == columns_of(fresh, target.schema)


def test_ddl_of_one_schema_of_many(warehouse: Warehouse) -> None:
    """Several root tables stand in one text, and a schema that is there already is used."""
    schemas = {name: landed_schema(warehouse, Target(name), [{"id": 1, "l": [1]}]) for name in ("a", "b")}
    with duckdb.connect() as fresh:
        fresh.execute(to_ddl(schemas, "main"))
        tables = fresh.execute("SELECT table_name FROM duckdb_tables() ORDER BY table_name").fetchall()

    assert ["a", "a__l", "b", "b__l"] == [name for (name,) in tables]


def test_ddl_comments(warehouse: Warehouse) -> None:
    """What is said of a table, a list or a column is its comment."""
    schema = landed_schema(warehouse, PRICED, ORDERS)
    said = {"orders": TableContract("orders", description="it's\0", descriptions=SAID["orders"].descriptions)}
    with duckdb.connect() as fresh:
        fresh.execute(to_ddl({"orders": schema}, "shop", said))
        comments = fresh.execute(
            "SELECT table_name, comment FROM duckdb_tables() WHERE comment IS NOT NULL "
            "UNION SELECT concat(table_name, '.', column_name), comment FROM duckdb_columns() "
            "WHERE comment IS NOT NULL ORDER BY 1"
        ).fetchall()

    assert [
        ("orders", "it's\ufffd"),
        ("orders.user__zip", "Five\ndigits."),
        ("orders__grid__list.value", "A cell."),
        ("orders__items", "The lines."),
    ] == comments


def test_variant_is_what_its_path_is(warehouse: Warehouse) -> None:
    """What is said of a path is said of its variant column too: that holds the same person's data."""
    schema = landed_schema(warehouse, Target("t"), [{"a": 1}, {"a": "one"}])
    said = {"t": TableContract("t", descriptions={"a": "Who."}, tags={"a": ("pii",)})}
    (table,) = json.loads(to_json({"t": schema}, "main", said))["tables"]
    found = {column["name"]: (column.get("description"), column.get("tags")) for column in table["columns"]}

    assert ("Who.", ["pii"]) == found["a"] == found["a__v_text"]
    assert 2 == to_ddl({"t": schema}, "main", said).count("IS 'Who.'")


@pytest.mark.parametrize("name", [name for name in HOSTILE if name])
def test_ddl_names_are_quoted(name: str) -> None:
    """Any text is a name, of a schema, a table and a column alike; any text is a comment."""
    column = Column(name, (name,), frozenset({"int"}))
    schema = RootSchema({(): Table(name, (), None, (column,))})
    said = {name: TableContract(name, description=name, descriptions={name: name})}
    with duckdb.connect() as fresh:
        fresh.execute(to_ddl({name: schema}, name, said))

        assert {
            (name, name, "BIGINT"),
            (name, "_hr_id", "BIGINT"),
            (name, "_hr_load_id", "BIGINT"),
        } == columns_of(fresh, name)


def test_json_knows_everything(warehouse: Warehouse) -> None:
    """Every table and column that DuckDB has is there, with what the catalogue knows of it."""
    schema = landed_schema(warehouse, PRICED, ORDERS)
    exported = json.loads(to_json({"orders": schema}, "shop"))
    tables = {table["name"]: table for table in exported["tables"]}
    by_name = {column["name"]: column for column in tables["orders"]["columns"]}

    assert "shop" == exported["schema"]
    assert landed.tables(warehouse, "shop") == sorted(tables)
    for name, table in tables.items():
        known = {column["name"]: column["type"] for column in table["columns"]}
        assert landed.types(warehouse, name, "shop", system=True) == known
    assert {
        "name": "id__v_text", "type": "VARCHAR", "source_path": "$.id", "declared": None, "kinds": ["text"],
        "variant": True, "description": "", "tags": [], "system": False,
    } == by_name["id__v_text"]  # fmt: skip
    assert "DECIMAL(18,2)" == by_name["price"]["declared"]
    assert {"name": "_hr_id", "type": "BIGINT", "system": True} == by_name["_hr_id"]
    assert ("orders__items", "$.items[].opts[]") == (
        tables["orders__items__opts"]["parent"],
        tables["orders__items__opts"]["source_path"],
    )


def test_odcs_is_a_contract(warehouse: Warehouse) -> None:
    """The contract's tables are the schema's root tables, and what is said of them is in it."""
    schema = landed_schema(warehouse, PRICED, ORDERS)
    orders = parse_contract(export("odcs", {"orders": schema}, "shop", SAID))["orders"]

    assert "DECIMAL(18,2)" == orders.columns["price"]
    assert SAID["orders"].descriptions == orders.descriptions


# What mermaid's grammar takes in every version from 10 on. Outside braces, it reads a line that holds
# `direction TB` as a command, quotes or not; in them, a pair of ~ as a generic type, and PK as a key.
_TEXT = r'"(?:[^"%~\\\s#:<>{}]|#\d+;)+"'
_COMMENT = r'"(?:[^"%~\\\r\n#:<>{}]|#\d+;)+"'
_WORD = r"(?!(?i:pk|fk|uk)\b)[A-Za-z_][A-Za-z0-9_]*"
_LINES = re.compile(
    rf"erDiagram\n(?:    {_TEXT} \{{\n(?:        {_WORD} {_WORD}(?: [PF]K)?(?: {_COMMENT})?\n)+    \}}\n)*"
    rf"(?:    {_TEXT} \|\|--o\{{ {_TEXT} : {_TEXT}\n)*"
)


@pytest.mark.parametrize(
    ("column", "type_", "line"),
    [
        ("id", "BIGINT", 'BIGINT id "$.x"'),
        ("price", "DECIMAL(18,2)", 'DECIMAL_18_2 price "DECIMAL(18,2), $.x"'),
        ("pk", "BIGINT", 'BIGINT pk_ "pk, $.x"'),  # a word that mermaid takes for a key
        ("pk_id", "BIGINT", 'BIGINT pk_id "$.x"'),
        ("1st", "BIGINT", 'BIGINT _1st "1st, $.x"'),
        ("", "BIGINT", 'BIGINT _ ", $.x"'),
        ("unit price", "BIGINT", 'BIGINT unit_price "unit#32;price, $.x"'),
        ("größe", "BIGINT", 'BIGINT gr__e "größe, $.x"'),
    ],
)
def test_mermaid_column(column: str, type_: str, line: str) -> None:
    """A column is two words; what they cannot say is in the comment, before the source path."""
    table = Table("t", (), None, (Column(column, ("x",), frozenset(), declared=type_),))
    lines = to_mermaid({"t": RootSchema({(): table})}, "main").splitlines()

    assert f"        {line}" == lines[2]


@pytest.mark.parametrize("name", LOADS)
def test_mermaid_of_real_tables(warehouse: Warehouse, name: str) -> None:
    """Every table is an entity, and every child has one line from its parent."""
    target, loads = LOADS[name]
    schema = landed_schema(warehouse, target, *loads)
    text = to_mermaid({target.table: schema}, target.schema)

    assert _LINES.fullmatch(text)
    assert [table.name for table in schema.tables.values()] == re.findall(r'^    "(.+)" \{$', text, re.M)
    assert [(table.parent, table.name) for table in schema.tables.values() if table.parent] == re.findall(
        r'^    "(.+)" \|\|--o\{ "(.+)" : ', text, re.M
    )


NAMES = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)


@given(st.lists(NAMES, min_size=1, max_size=3), NAMES.filter(bool), NAMES.filter(bool))
def test_mermaid_takes_any_name(columns: list[str], root: str, child: str) -> None:
    """Law: whatever things are called, the text is a diagram, and no name is more than a name."""
    tables = {
        (): Table(root, (), None, tuple(Column(name, (name,), frozenset({"int"})) for name in columns)),
        (child, None): Table(child, (child, None), root),
    }

    assert _LINES.fullmatch(to_mermaid({root: RootSchema(tables)}, "main"))
