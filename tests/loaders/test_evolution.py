"""Evolution: what later loads do to a table. It only widens, every change is an event, names never move."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headrace
from headrace.errors import UsageError
from headrace.loaders.schema.evolve import AddColumn, Change, CreateTable, WidenColumn, describe, plan
from headrace.loaders.schema.known import Column, RootSchema, Table
from headrace.loaders.schema.observed import ObservedSchema
from headrace.loaders.values.paths import RecordPath
from headrace.loaders.warehouse import Warehouse
from tests.loaders import landed

Types = dict[str, str]


def facts_of(*found: tuple[RecordPath, str]) -> ObservedSchema:
    """Return the facts of a package whose root table has these paths and kinds."""
    observed = ObservedSchema()
    for path, kind in found:
        observed.root.column(path, kind)
    return observed


def schema_of(*columns: Column) -> RootSchema:
    return RootSchema({(): Table("t", (), None, columns)}, frozenset({"t"}))


def load(warehouse: Warehouse, *batches: list[Any], **options: Any) -> None:
    for batch in batches:
        headrace.load(batch, "t", into=warehouse, **options)


def changes(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.query(
        "SELECT load_id, change, table_name, column_name, old, new, source_path "
        "FROM _headrace.schema_changes ORDER BY load_id, rowid"
    )


@pytest.mark.parametrize(
    ("have", "found", "described"),
    [
        ({}, [(("a",), "int")], ["create table t, 1 column"]),
        ({"a": "int"}, [(("a",), "int")], []),
        ({"a": "int"}, [(("a",), "null")], []),
        ({"a": "int"}, [(("b",), "text")], ["add column t.b VARCHAR"]),
        ({"a": "int"}, [(("b",), "null")], ["add column t.b VARCHAR"]),
        ({"a": "int"}, [(("a",), "double")], ["widen column t.a from BIGINT to DOUBLE"]),
        ({"a": "int"}, [(("a",), "bigint")], []),
        ({"a": "int"}, [(("a",), "hugeint")], ["widen column t.a from BIGINT to HUGEINT"]),
        ({"a": "bigint"}, [(("a",), "double")], ["add column t.a__v_double DOUBLE"]),
        ({"a": "double"}, [(("a",), "int")], []),
        ({"a": "decimal(5,2)"}, [(("a",), "decimal(7,3)")],
         ["widen column t.a from DECIMAL(5,2) to DECIMAL(7,3)"]),
        ({"a": "int"}, [(("a",), "text")], ["add column t.a__v_text VARCHAR"]),
        ({"a": "text"}, [(("a",), "int")], ["add column t.a__v_bigint BIGINT"]),
        ({"a": "text"}, [(("a",), "iso_date")], []),  # it reads as a time, and stays the text it is
        ({"a": "iso_date"}, [(("a",), "text")], ["add column t.a__v_text VARCHAR"]),
        ({"a": "iso_date"}, [(("a",), "date")], []),
        (
            {"a": "iso_date"},
            [(("a",), "iso_timestamp"), (("a",), "iso_timestamptz")],
            ["add column t.a__v_text VARCHAR"],
        ),
        ({"a": "null"}, [(("a",), "int")], ["widen column t.a from VARCHAR to BIGINT"]),
        ({"a": "null"}, [(("a",), "text")], []),
        ({"a_b": "int"}, [(("aB",), "int")], ["add column t.a_b_2 BIGINT"]),
    ],
)  # fmt: skip
def test_plan(have: dict[str, str], found: list[tuple[RecordPath, str]], described: list[str]) -> None:
    """What must change so that a package fits, and nothing more."""
    columns = [Column(name, (name,), frozenset({kind} - {"null"})) for name, kind in have.items()]
    planned = plan("t", schema_of(*columns) if have else RootSchema(), facts_of(*found), {})

    assert described == [describe(change) for change in planned.changes]


KINDS = st.sampled_from(
    ["int", "bigint", "hugeint", "double", "bool", "text", "iso_date", "iso_timestamp", "date", "null",
     "decimal(5,2)", "decimal(20,9)", "bignum", "json"]
)  # fmt: skip
FOUND = st.lists(st.tuples(st.sampled_from([("a",), ("b", "c"), ("B_c",), ("a_b",)]), KINDS), max_size=6)


@given(FOUND, FOUND)
def test_planning_twice_changes_nothing(
    first: list[tuple[RecordPath, str]], then: list[tuple[RecordPath, str]]
) -> None:
    """Applying a plan leaves nothing to plan for the same facts."""
    before = plan("t", RootSchema(), facts_of(*first), {}).root.table
    after = plan("t", schema_of(*before.columns), facts_of(*then), {}).root.table

    assert () == plan("t", schema_of(*after.columns), facts_of(*then), {}).changes


@given(FOUND, FOUND)
def test_plans_only_widen(first: list[tuple[RecordPath, str]], then: list[tuple[RecordPath, str]]) -> None:
    """No column goes, moves or changes its name or path; each keeps the kinds that it has held."""
    before = plan("t", RootSchema(), facts_of(*first), {}).root.table.columns
    after = plan("t", schema_of(*before), facts_of(*then), {}).root.table.columns

    assert [(c.name, c.path) for c in before] == [(c.name, c.path) for c in after[: len(before)]]
    assert all(old.kinds <= new.kinds for old, new in zip(before, after, strict=False))
    assert len(after) == len({column.name.lower() for column in after})


@given(FOUND)
def test_every_kind_has_one_place(found: list[tuple[RecordPath, str]]) -> None:
    """Each column of a package's files feeds exactly one column of the table."""
    planned = plan("t", RootSchema(), facts_of(*found), {}).root
    fed = [source.id for sources in planned.sources.values() for source in sources]

    assert sorted(planned.file_columns) == sorted(fed)


@given(
    st.permutations([(("a",), kind) for kind in ("int", "text", "bool", "double", "date", "decimal(5,2)")])
)
def test_order_of_kinds_does_not_matter(found: list[tuple[RecordPath, str]]) -> None:
    """Columns and types are the same, whichever kind of value came first in a load."""
    planned = plan("t", RootSchema(), facts_of(*found), {}).root.table

    assert {
        "a": "DOUBLE", "a__v_bool": "BOOLEAN", "a__v_date": "DATE", "a__v_decimal": "DECIMAL(5,2)",
        "a__v_text": "VARCHAR",
    } == {column.name: column.type for column in planned.columns}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (CreateTable(Table("t", (), None, ())), "create table t, 0 columns"),
        (AddColumn("t", Column("a", ("a",), frozenset({"int"}))), "add column t.a BIGINT"),
        (
            WidenColumn("t", Column("a", ("a",), frozenset({"double"})), "BIGINT", fresh=False),
            "widen column t.a from BIGINT to DOUBLE",
        ),
    ],
)
def test_describe(change: Change, text: str) -> None:
    """A change reads as one line."""
    assert text == describe(change)


def test_new_columns_are_null_in_old_rows(warehouse: Warehouse) -> None:
    """A key that turns up later is a new column; what was there before has null in it."""
    load(warehouse, [{"id": 1}], [{"id": 2, "name": "b"}], [{"name": "c"}])

    assert {"id": "BIGINT", "name": "VARCHAR"} == landed.types(warehouse, "t")
    assert [(1, None), (2, "b"), (None, "c")] == landed.rows(warehouse, "t")


def test_new_child_tables(warehouse: Warehouse) -> None:
    """A list that turns up later is a new table; one that is absent again stays as it is."""
    load(warehouse, [{"id": 1}], [{"id": 2, "tags": ["a"]}], [{"id": 3}])

    assert ["t", "t__tags"] == landed.tables(warehouse)
    assert [("a", 2)] == warehouse.query(
        "SELECT value, t.id FROM t__tags JOIN t ON t._hr_id = t__tags._hr_root_id"
    )


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([[1], [2.5]], {"v": ("DOUBLE", [1.0, 2.5])}),
        ([[2**53], [0.5]], {"v": ("DOUBLE", [2.0**53, 0.5])}),
        ([[2.5], [1]], {"v": ("DOUBLE", [2.5, 1.0])}),
        ([[2.5], [2**53 + 1]], {"v": ("DOUBLE", [2.5, None]), "v__v_bigint": ("BIGINT", [None, 2**53 + 1])}),
        ([[1], [2**70]], {"v": ("HUGEINT", [1, 2**70])}),
        ([[2**70], [1]], {"v": ("HUGEINT", [2**70, 1])}),
        ([[Decimal("1.5")], [Decimal("22.25")]], {"v": ("DECIMAL(4,2)", [Decimal("1.5"), Decimal("22.25")])}),
        ([[Decimal("1.5")], [7]], {"v": ("DECIMAL(17,1)", [Decimal("1.5"), Decimal(7)])}),
        ([[1], ["a"]], {"v": ("BIGINT", [1, None]), "v__v_text": ("VARCHAR", [None, "a"])}),
        (
            [["2026-01-31"], ["soon"], ["2026-02-01"]],  # a settled date stays one, and takes further dates
            {
                "v": ("DATE", [date(2026, 1, 31), None, date(2026, 2, 1)]),
                "v__v_text": ("VARCHAR", [None, "soon", None]),
            },
        ),
        ([["soon"], ["2026-01-31"]], {"v": ("VARCHAR", ["soon", "2026-01-31"])}),
        (
            [["2026-01-31"], ["2026-01-31T10:00"]],
            {
                "v": ("DATE", [date(2026, 1, 31), None]),
                "v__v_timestamp": ("TIMESTAMP", [None, datetime(2026, 1, 31, 10)]),
            },
        ),
        ([[None], [1]], {"v": ("BIGINT", [None, 1])}),
        ([[None], [None], ["2026-01-31"]], {"v": ("DATE", [None, None, date(2026, 1, 31)])}),
        ([[None], [b"x"]], {"v": ("BLOB", [None, b"x"])}),
        ([[1], [None], ["a"], [2]],
         {"v": ("BIGINT", [1, None, None, 2]), "v__v_text": ("VARCHAR", [None, None, "a", None])}),
        ([[1], ["a"], ["b"], [0.5]],
         {"v": ("DOUBLE", [1.0, None, None, 0.5]), "v__v_text": ("VARCHAR", [None, "a", "b", None])}),
    ],
)  # fmt: skip
def test_values_over_loads(
    warehouse: Warehouse, batches: list[list[Any]], expected: dict[str, tuple[str, list[Any]]]
) -> None:
    """A column widens where no stored value changes, else a variant takes what does not fit."""
    load(warehouse, *([{"v": value} for value in batch] for batch in batches))

    assert expected == landed.contents(warehouse, "t")


def test_catalogue_knows_where_columns_come_from(warehouse: Warehouse) -> None:
    """Every column has its source path, its type, its kinds and the load in which it was born."""
    load(warehouse, [{"userId": 1, "items": [{"unit price": 1}]}], [{"items": [{"unit price": 0.5}, "x"]}])

    assert [
        ("t", "user_id", "BIGINT", "$.userId", '["int"]', False, 1),
        ("t__items", "unit_price", "DOUBLE", '$.items[]["unit price"]', '["double","int"]', False, 1),
        ("t__items", "value", "VARCHAR", "$.items[]", '["text"]', False, 2),
    ] == warehouse.query(
        "SELECT table_name, column_name, data_type, source_path, kinds, variant, load_id "
        "FROM _headrace.columns ORDER BY table_name, position"
    )
    assert [("t", "t", None, "$", 1), ("t__items", "t", "t", "$.items[]", 1)] == warehouse.query(
        "SELECT table_name, root, parent, source_path, load_id FROM _headrace.tables ORDER BY table_name"
    )


def test_every_change_is_an_event(warehouse: Warehouse) -> None:
    """Tables, columns and types: what changed, from what, to what, where from and in which load."""
    load(warehouse, [{"a": 1}], [{"a": 1}], [{"a": 0.5, "tags": ["x"]}])

    assert [
        (1, "create table", "t", None, None, None, "$"),
        (1, "add column", "t", "a", None, "BIGINT", "$.a"),
        (3, "widen column", "t", "a", "BIGINT", "DOUBLE", "$.a"),
        (3, "create table", "t__tags", None, None, None, "$.tags[]"),
        (3, "add column", "t__tags", "value", None, "VARCHAR", "$.tags[]"),
    ] == sorted(changes(warehouse), key=lambda row: (row[0], row[2]))


@settings(max_examples=12)
@given(
    st.lists(
        st.lists(
            st.dictionaries(
                st.sampled_from(["a", "A", "b c", "b_c"]),
                st.sampled_from([None, 1, 0.5, "x", "2026-01-31", True, {"d": 1}, [1], [{"e": "x"}]]),
            ),
            max_size=3,
        ),
        max_size=3,
    )
)
def test_catalogue_tells_the_truth(batches: list[list[Any]]) -> None:
    """Whatever was loaded: the catalogue's columns are DuckDB's, and no row is lost or doubled."""
    with Warehouse() as warehouse:
        loads = [headrace.load(batch, "t", into=warehouse) for batch in batches]
        for table in landed.tables(warehouse):
            told = dict(
                warehouse.query(
                    "SELECT column_name, data_type FROM _headrace.columns "
                    f"WHERE table_name = '{table}' ORDER BY position"
                )
            )

            assert told == landed.types(warehouse, table)
            assert sum(load.rows.get(table, 0) for load in loads) == landed.count(warehouse, table)


def test_keys_that_collide_get_suffixes(warehouse: Warehouse) -> None:
    """Two keys never share a column: the second gets a suffix, which it keeps over loads in any order."""
    load(warehouse, [{"User": 1, "user": 2, "USER": 3}], [{"USER": 30, "user": 20, "User": 10}])

    assert [
        {"user": 1, "user_2": 2, "user_3": 3},
        {"user": 10, "user_2": 20, "user_3": 30},
    ] == landed.records(warehouse, "t")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"a b": 1, "a_b": 2}, {"a_b": 1, "a_b_2": 2}),
        ({"a": {"b": 1}, "a__b": 2}, {"a__b": 1, "a__b_2": 2}),  # nesting and a key that looks like it
        ({"a_2": 0, "a": 1, "A": 2}, {"a_2": 0, "a": 1, "a_3": 2}),
        ({"v__v_text": 0}, {"v__v_text": 0}),
    ],
)
def test_colliding_keys_of_one_record(
    warehouse: Warehouse, record: dict[str, Any], expected: dict[str, Any]
) -> None:
    """However keys come to the same name, each value has a column of its own."""
    load(warehouse, [record])

    assert [expected] == landed.records(warehouse, "t")


def test_variants_do_not_take_a_keys_name(warehouse: Warehouse) -> None:
    """A variant column gives way to a key that is called like it."""
    load(warehouse, [{"v__v_text": 0}], [{"v": 1}, {"v": "a"}])

    assert [
        {"v__v_text": 0, "v": None, "v__v_text_2": None},
        {"v__v_text": None, "v": 1, "v__v_text_2": None},
        {"v__v_text": None, "v": None, "v__v_text_2": "a"},
    ] == landed.records(warehouse, "t")


def test_child_tables_that_collide(warehouse: Warehouse) -> None:
    """Two lists never share a table, nor does a list take a table that is there already."""
    warehouse.query("CREATE TABLE t__other (mine INTEGER)")
    load(warehouse, [{"Tags": ["a"], "tags": ["b"], "other": [1]}], [{"tags": ["c"]}])

    assert ["t", "t__other", "t__other_2", "t__tags", "t__tags_2"] == landed.tables(warehouse)
    assert [("b",), ("c",)] == landed.rows(warehouse, "t__tags_2")


def test_hinted_columns_are_there_from_the_first_load(warehouse: Warehouse) -> None:
    """Columns with a hint exist with their type whether or not a record has them, in lists as well."""
    hints = {"price": "DECIMAL(18,2)", "at": "TIMESTAMP", "user.zip": "text", "items[].sku": "VARCHAR"}
    load(warehouse, [], columns=hints)

    assert {"price": "DECIMAL(18,2)", "at": "TIMESTAMP", "user__zip": "VARCHAR"} == landed.types(
        warehouse, "t"
    )
    assert {"sku": "VARCHAR"} == landed.types(warehouse, "t__items")


def test_hints_decide_the_type(warehouse: Warehouse) -> None:
    """A declared column takes what it can hold and does not change; the rest goes to a variant."""
    load(
        warehouse,
        [{"ratio": 1, "code": "2026-01-31"}],
        [{"ratio": 0.5, "code": 7}],
        [{"ratio": "half"}],
        columns={"ratio": "DOUBLE", "code": "VARCHAR"},
    )

    assert {
        "ratio": ("DOUBLE", [1.0, 0.5, None]),
        "code": ("VARCHAR", ["2026-01-31", "7", None]),
        "ratio__v_text": ("VARCHAR", [None, None, "half"]),
    } == landed.contents(warehouse, "t")


def test_unknown_types_are_refused(warehouse: Warehouse) -> None:
    """A type that is misspelt is refused with the likely one, before a record is read."""

    def source() -> Any:
        raise AssertionError("read")
        yield

    with pytest.raises(UsageError, match="no type 'varchr'; did you mean 'VARCHAR'"):
        headrace.load(source(), "t", into=warehouse, columns={"a": "varchr"})
