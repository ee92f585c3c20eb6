"""Migrations: what people change on purpose, in one transaction, and how later loads follow."""

from __future__ import annotations

import datetime
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from headrace.errors import HeadraceError, LoadError, UnknownColumn, UsageError
from headrace.loaders.catalogue.history import history
from headrace.loaders.contracts.target import Strategy, Target
from headrace.loaders.maintenance.migrate import find_migration, migrate, plan
from headrace.loaders.maintenance.migrations import (
    DropColumn,
    DropTable,
    Migration,
    RenameColumn,
    RenameTable,
    RetypeColumn,
)
from headrace.loaders.warehouse import Warehouse
from tests.loaders import landed

ORDERS = Target("orders")
NESTED = {"id": 1, "price": "1", "items": [{"sku": "a", "opts": [{"o": 1}, {"o": 2}]}], "item_notes": ["n"]}


@pytest.fixture
def orders(warehouse: Warehouse) -> Warehouse:
    """A warehouse with orders, their items and the items' options."""
    warehouse.load([NESTED], ORDERS)
    return warehouse


def catalogued(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    """Return every column that the catalogue knows, by table and position."""
    return warehouse.query(
        "SELECT table_name, column_name, data_type FROM _headrace.columns ORDER BY table_name, position"
    )


def in_duckdb(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    """Return every data column that DuckDB has, by table and position."""
    return [
        (table, column, type_)
        for table in landed.tables(warehouse)
        for column, type_ in landed.types(warehouse, table).items()
    ]


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ([RenameColumn("orders", "price", "cost")], ["rename column main.orders.price to cost"]),
        ([RenameColumn("main.orders", "price", "group")], ["rename column main.orders.price to group"]),
        ([DropColumn("orders", "price")], ["drop column main.orders.price VARCHAR"]),
        (
            [RetypeColumn("orders", "price", "bigint")],
            ["retype column main.orders.price from VARCHAR to BIGINT"],
        ),
        ([RenameTable("orders__items", "lines")], ["rename table main.orders__items to lines"]),
        (
            [RenameTable("orders__items", "lines", below=True)],
            [
                "rename table main.orders__items to lines",
                "rename table main.orders__items__opts to lines__opts",
            ],
        ),
        (
            [DropTable("orders__items")],
            ["drop table main.orders__items__opts", "drop table main.orders__items"],
        ),
        (
            [
                RenameTable("orders__items", "lines"),
                RenameColumn("lines", "sku", "code"),
                RetypeColumn("orders", "price", "BIGINT"),
                RenameColumn("orders", "price", "cost"),
                RetypeColumn("lines", "code", "VARCHAR"),
                DropColumn("orders", "cost"),
                RenameColumn("orders", "id", "cost"),
            ],
            [
                "rename table main.orders__items to lines",
                "rename column main.lines.sku to code",
                "retype column main.orders.price from VARCHAR to BIGINT",
                "rename column main.orders.price to cost",
                "retype column main.lines.code from VARCHAR to VARCHAR",
                "drop column main.orders.cost BIGINT",
                "rename column main.orders.id to cost",
            ],
        ),
        ([], []),
    ],
)
def test_a_plan_is_what_is_done(orders: Warehouse, changes: list[Migration], lines: list[str]) -> None:
    """A dry run says what the same call then does; catalogue and tables agree before and after."""
    before = in_duckdb(orders), catalogued(orders)

    assert lines == migrate(orders, *changes, dry_run=True)
    assert before == (in_duckdb(orders), catalogued(orders))
    assert lines == migrate(orders, *changes)
    assert in_duckdb(orders) == catalogued(orders)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (RenameColumn("order", "price", "cost"), UsageError, "did you mean 'main.orders'"),
        (RenameColumn("nowhere.orders", "price", "cost"), UsageError, "No load made a table"),
        (RenameColumn("orders", "prize", "cost"), UnknownColumn, "did you mean 'price'"),
        (RenameColumn("orders", "price", "id"), UsageError, "has a column 'id' already"),
        (RenameColumn("orders", "price", "price"), UsageError, "has a column 'price' already"),
        (RenameColumn("orders", "price", "_hr_id"), UsageError, "'_hr_id'"),
        (RenameColumn("orders", "price", "_hr_valid_to"), UsageError, "has a column '_hr_valid_to' already"),
        (RenameColumn("orders", "_hr_id", "key"), UsageError, "headrace's own column"),
        (RenameColumn("orders", "price", "Cost"), UsageError, "'cost' would be"),
        (RenameColumn("orders", "price", ""), UsageError, "no name for a table or column"),
        (RenameColumn("orders", "price", 'x"; DROP TABLE orders; --'), UsageError, "no name for a table"),
        (RenameColumn('x"; DROP TABLE orders; --', "price", "cost"), UsageError, "No load made a table"),
        (RenameColumn("orders", "price'", "cost"), UnknownColumn, "price'"),
        (DropColumn("orders", "_hr_load_id"), UsageError, "headrace's own column"),
        (DropColumn("orders", "nothing"), UnknownColumn, "nothing"),
        (RetypeColumn("orders", "price", "MONEY"), UsageError, "no type 'MONEY'"),
        (RetypeColumn("orders", "price", "BIGINT; DROP TABLE orders"), UsageError, "no type"),
        (RetypeColumn("orders", "price", "NESTED"), UsageError, "is no type"),
        (RetypeColumn("orders", "_hr_id", "VARCHAR"), UsageError, "headrace's own column"),
        (RenameTable("orders", "bills"), UsageError, r"only child tables can be renamed. Give the resource"),
        (RenameTable("orders__items", "orders"), UsageError, "There is a table 'orders' already"),
        (RenameTable("orders__items", "orders__item_notes"), UsageError, "There is a table"),
        (RenameTable("orders__items", "My Items"), UsageError, "'my_items' would be"),
        (DropTable("orders"), UsageError, "only child tables can be dropped"),
        (DropTable("_headrace.loads"), UsageError, "No load made a table"),
    ],
)
def test_what_cannot_be(orders: Warehouse, change: Migration, error: type[Exception], message: str) -> None:
    """A change that cannot be made is refused with a reason, also behind one that can; nothing is changed."""
    before = in_duckdb(orders), catalogued(orders), orders.query("FROM _headrace.schema_changes")
    for changes in ([change], [RenameColumn("orders__items", "sku", "code"), change]):
        with pytest.raises(error, match=message):
            migrate(orders, *changes)
        with orders.session() as connection, pytest.raises(error, match=message):
            plan(connection, changes)

    assert before == (in_duckdb(orders), catalogued(orders), orders.query("FROM _headrace.schema_changes"))


def test_an_empty_warehouse(warehouse: Warehouse) -> None:
    """Before the first load there is nothing to change, and nothing is made."""
    with pytest.raises(UsageError, match="no catalogue"):
        migrate(warehouse, DropColumn("orders", "price"))

    assert [] == warehouse.query("SELECT table_name FROM duckdb_tables()")


def test_a_table_that_no_resource_loads(orders: Warehouse) -> None:
    """A transform's table is no table of the catalogue."""

    def write(name: str) -> None:
        orders.query(f"CREATE TABLE {name} AS SELECT 1 AS a")

    orders.write_table("main", "large", write)
    with pytest.raises(UsageError, match="No load made a table 'large'"):
        migrate(orders, DropColumn("large", "a"))
    with pytest.raises(UsageError, match="There is a table 'large' already"):
        migrate(orders, RenameTable("orders__items", "large"))


def test_a_name_that_an_earlier_change_took(orders: Warehouse) -> None:
    """The changes of one call see each other's names."""
    with pytest.raises(UsageError, match=r"has dropped or renamed the table 'orders__items'"):
        migrate(orders, RenameTable("orders__items", "lines"), DropColumn("orders__items", "sku"))
    with pytest.raises(UsageError, match="There is a table 'lines' already"):
        migrate(orders, RenameTable("orders__items", "lines"), RenameTable("orders__item_notes", "lines"))
    with pytest.raises(UsageError, match="There is a table 'orders__items' already"):
        migrate(
            orders,
            RenameTable("orders__items", "lines"),
            RenameTable("orders__item_notes", "orders__items"),
        )


def test_loads_follow_a_renamed_column(orders: Warehouse) -> None:
    """A record with the old key lands in the renamed column; a key that reads like the new name does not."""
    migrate(orders, RenameColumn("orders", "price", "cost"), RenameColumn("orders__items", "sku", "code"))
    orders.load([{"id": 2, "price": "2", "items": [{"sku": "b"}]}, {"id": 3, "cost": 7}], ORDERS)

    assert [(1, "1", None), (2, "2", None), (3, None, 7)] == landed.rows(orders, "orders")
    assert {"id", "cost", "cost_2"} == set(landed.types(orders, "orders"))
    assert [("a",), ("b",)] == landed.rows(orders, "orders__items")


def test_the_old_name_is_free(orders: Warehouse) -> None:
    """Another key may take the name that a column had."""
    migrate(orders, RenameColumn("orders", "price", "cost"))
    orders.load([{"id": 2, "Price": 5, "price": "2"}], ORDERS)

    assert [(1, "1", None), (2, "2", 5)] == landed.rows(orders, "orders")
    assert ["id", "cost", "price"] == list(landed.types(orders, "orders"))


@pytest.mark.parametrize("strategy", ["delete-insert", "upsert", "insert-only", "scd2", "snapshot"])
def test_a_renamed_key_still_merges(warehouse: Warehouse, strategy: Strategy) -> None:
    """Every strategy finds the rows by the key's new name."""
    target = Target("t", primary_key=("id",), write_disposition="merge", merge_strategy=strategy)
    warehouse.load([{"id": 1, "n": 1}], target)
    migrate(warehouse, RenameColumn("t", "id", "key"))
    warehouse.load([{"id": 1, "n": 2}], target)

    current = "WHERE _hr_valid_to IS NULL" if strategy == "scd2" else ""
    expected = 1 if strategy == "insert-only" else 2
    assert [(1, expected)] == warehouse.query(f"SELECT key, n FROM t {current}")


@pytest.mark.parametrize(
    ("option", "column"),
    [("primary_key", "id"), ("merge_key", "day"), ("dedup_sort", "at"), ("hard_delete", "gone")],
)
def test_keys_stay(warehouse: Warehouse, option: str, column: str) -> None:
    """What a resource merges by is not dropped; the same name in a child table is free."""
    named: Any = (column,) if option.endswith("_key") else column
    target = replace(Target("t", primary_key=("id",), write_disposition="merge"), **{option: named})
    warehouse.load([{"id": 1, "day": 1, "at": 1, "gone": False, "below": [{"x": 1, column: 2}]}], target)
    with pytest.raises(UsageError, match=f"main.t.{column} is one of the keys"):
        migrate(warehouse, DropColumn("t", column))
    migrate(warehouse, DropColumn("t__below", column))

    assert [(1,)] == landed.rows(warehouse, "t__below")


def test_a_key_that_is_named_by_its_column(warehouse: Warehouse) -> None:
    """A resource that names its key by the column would no longer find it: the rename says what to do."""
    by_column = Target("t", primary_key=("user_id",), write_disposition="merge")
    warehouse.load([{"userId": 1}], by_column)
    with pytest.raises(UsageError, match="name it there as the records do"):
        migrate(warehouse, RenameColumn("t", "user_id", "key"))
    by_path = replace(by_column, primary_key=("userId",))
    warehouse.load([{"userId": 1}], by_path)
    migrate(warehouse, RenameColumn("t", "user_id", "key"))
    warehouse.load([{"userId": 1}], by_path)

    assert [(1,)] == warehouse.query("SELECT key FROM t")


def test_variants_go_with_their_column(warehouse: Warehouse) -> None:
    """A rename and a drop take the variant columns of the same key along; each can also go alone."""
    warehouse.load([{"v": 1}, {"v": "x"}, {"v": True}], Target("t"))

    assert [
        "rename column main.t.v to w",
        "rename column main.t.v__v_bool to w__v_bool",
        "rename column main.t.v__v_text to w__v_text",
    ] == migrate(warehouse, RenameColumn("t", "v", "w"))
    warehouse.load([{"v": 2}, {"v": "y"}, {"v": 1.5}], Target("t"))
    assert ["w", "w__v_bool", "w__v_text"] == list(landed.types(warehouse, "t"))
    assert ["drop column main.t.w__v_bool BOOLEAN"] == migrate(warehouse, DropColumn("t", "w__v_bool"))
    assert 2 == len(migrate(warehouse, DropColumn("t", "w")))
    assert {} == landed.types(warehouse, "t")
    warehouse.load([{"v": "z"}], Target("t"))
    assert {"v": "VARCHAR"} == landed.types(warehouse, "t")
    assert catalogued(warehouse) == in_duckdb(warehouse)


def test_a_dropped_column_comes_back(orders: Warehouse) -> None:
    """While the source sends its key, the column is there again, with an event and without a past."""
    migrate(orders, DropColumn("orders", "id"))
    quiet = orders.load([{"price": "2"}], ORDERS)
    loud = orders.load([{"id": "x", "more": 1}], ORDERS)

    assert ((), 2) == (quiet.changes, len(loud.changes))
    assert [("1", None, None), ("2", None, None), (None, "x", 1)] == landed.rows(orders, "orders")
    assert catalogued(orders) == in_duckdb(orders)


def test_a_dropped_table_comes_back(orders: Warehouse) -> None:
    """So does a child table, with all below it."""
    migrate(orders, DropTable("orders__items"))

    assert ["orders", "orders__item_notes"] == landed.tables(orders)

    orders.load([NESTED], ORDERS)

    assert [("a",)] == landed.rows(orders, "orders__items")
    assert [(1,), (2,)] == landed.rows(orders, "orders__items__opts")
    assert catalogued(orders) == in_duckdb(orders)


@pytest.mark.parametrize("below", [False, True])
def test_loads_follow_a_renamed_table(warehouse: Warehouse, below: bool) -> None:
    """The lists of later records land in the renamed tables; merging and replacing reach them."""
    target = Target("orders", primary_key=("id",), write_disposition="merge")
    warehouse.load([NESTED], target)
    migrate(warehouse, RenameTable("orders__items", "lines", below=below))
    opts = "lines__opts" if below else "orders__items__opts"
    for disposition in ("merge", "replace"):
        warehouse.load([NESTED], replace(target, write_disposition=disposition))

        assert {"lines", opts, "orders", "orders__item_notes"} == set(landed.tables(warehouse))
        assert [("a",)] == landed.rows(warehouse, "lines")
        assert [(1,), (2,)] == landed.rows(warehouse, opts)
        assert [(2,)] == warehouse.query(
            f'SELECT count(*) FROM lines l JOIN "{opts}" o ON o._hr_parent_id = l._hr_id'
        )
    assert {"lines": "orders", opts: "lines", "orders": None, "orders__item_notes": "orders"} == dict(
        warehouse.query("SELECT table_name, parent FROM _headrace.tables")
    )


INSTANT = datetime.datetime(2026, 1, 31, 8, tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        (["1", "-7", None], "BIGINT", [1, -7, None]),
        (["9" * 38], "HUGEINT", [int("9" * 38)]),
        (["12.5", "12.50", "0"], "DECIMAL(18,2)", [Decimal("12.50"), Decimal("12.50"), Decimal("0.00")]),
        (["0.5"], "DOUBLE", [0.5]),
        (["true", "FALSE"], "BOOLEAN", [True, False]),
        (["2026-01-31", "2026-02-28"], "VARCHAR", ["2026-01-31", "2026-02-28"]),
        (['{"a":1}', "[]"], "JSON", ['{"a":1}', "[]"]),
        ([1, 2], "DOUBLE", [1.0, 2.0]),
        ([1.0, 2.0], "BIGINT", [1, 2]),
        ([0.1, 2.0], "DECIMAL(18,2)", [Decimal("0.10"), Decimal("2.00")]),
        ([1, 2**62], "HUGEINT", [1, 2**62]),
        ([7, None], "VARCHAR", ["7", None]),
        ([0.1, 1e300, float("nan"), float("-inf")], "VARCHAR", ["0.1", "1e+300", "nan", "-inf"]),
        ([Decimal("1.50")], "DECIMAL(18,4)", [Decimal("1.5000")]),
        ([Decimal("1.50")], "VARCHAR", ["1.50"]),
        ([True, None], "VARCHAR", ["true", None]),
        ([datetime.date(2026, 1, 31)], "TIMESTAMP", [datetime.datetime(2026, 1, 31)]),
        ([datetime.datetime(2026, 1, 31)], "DATE", [datetime.date(2026, 1, 31)]),
        ([INSTANT], "VARCHAR", ["2026-01-31 08:00:00+00"]),
        ([None, None], "INTERVAL", [None, None]),
        ([], "UUID", []),
    ],
)
def test_types_in_which_nothing_changes(
    warehouse: Warehouse, values: list[Any], type_: str, expected: list[Any]
) -> None:
    """A column gets any type in which each stored value is the same value."""
    warehouse.load([{"v": value, "i": 1} for value in values] or [{"i": 1, "v": None}], Target("t"))
    if not values:
        warehouse.query("DELETE FROM t")
    migrate(warehouse, RetypeColumn("t", "v", type_))

    assert (type_, expected) == landed.contents(warehouse, "t")["v"]
    assert [(type_, type_)] == warehouse.query(
        "SELECT data_type, declared FROM _headrace.columns WHERE column_name = 'v'"
    )


@pytest.mark.parametrize(
    ("values", "type_", "first"),
    [
        (["1", "007"], "BIGINT", "007"),  # a leading zero is a code, no number
        (["+7"], "BIGINT", "+7"),
        ([" 7"], "BIGINT", " 7"),
        (["7.0"], "BIGINT", "7.0"),
        (["1e3"], "BIGINT", "1e3"),
        (["9" * 19], "BIGINT", "9" * 19),
        (["x", "y"], "BIGINT", "x"),
        (["01.5"], "DECIMAL(18,2)", "01.5"),
        (["1.555"], "DECIMAL(18,2)", "1.555"),
        (["1.50"], "DOUBLE", "1.50"),
        (["yes"], "BOOLEAN", "yes"),
        (["31.1.2026"], "DATE", "31.1.2026"),
        (["2026-01-31T10:00:00Z", "x"], "TIMESTAMPTZ", "x"),
        (["abc"], "JSON", "abc"),
        ([1.5], "BIGINT", "1.5"),
        ([float("inf"), 1.0], "BIGINT", "inf"),
        ([1e300], "BIGINT", "1e+300"),
        ([0.125], "DECIMAL(18,2)", "0.125"),
        ([2**53 + 1], "DOUBLE", "9007199254740993"),
        ([2**40], "BOOLEAN", "1099511627776"),
        ([2**100], "BIGINT", str(2**100)),
        ([Decimal("1.55")], "DECIMAL(18,1)", "1.55"),
        ([datetime.datetime(2026, 1, 31, 10)], "DATE", "2026-01-31 10:00:00"),
        ([datetime.datetime(2026, 1, 31, 10)], "TIMESTAMPTZ", "2026-01-31 10:00:00"),
        ([INSTANT], "TIMESTAMP", "2026-01-31"),
        ([INSTANT], "DATE", "2026-01-31"),
        ([datetime.date(2026, 1, 31)], "TIMESTAMPTZ", "2026-01-31"),
        (["x"], "UUID", "x"),
        ([7], "DATE", "7"),
        ([7], "BLOB", "7"),
    ],
)
def test_types_in_which_a_value_would_change(
    warehouse: Warehouse, values: list[Any], type_: str, first: str
) -> None:
    """One value that would be another is enough to refuse; the message has it, and nothing is changed."""
    warehouse.load([{"v": value} for value in values], Target("t"))
    before = landed.contents(warehouse, "t"), catalogued(warehouse)
    with pytest.raises(LoadError, match="of its values would be others, the first '") as refused:
        migrate(warehouse, RenameColumn("t", "v", "w"), RetypeColumn("t", "w", type_))

    assert f"main.t.w cannot become {type_}" in str(refused.value)
    assert f"the first '{first}" in str(refused.value)
    assert before == (landed.contents(warehouse, "t"), catalogued(warehouse))


def test_a_retyped_column_is_declared(warehouse: Warehouse) -> None:
    """Later values land in it where they are the same value in its type, and beside it where they are not."""
    warehouse.load([{"v": "1"}, {"v": "2"}], Target("t"))
    migrate(warehouse, RetypeColumn("t", "v", "BIGINT"))
    warehouse.load([{"v": 3}, {"v": "4"}, {"v": "x"}], Target("t"))

    assert {
        "v": ("BIGINT", [1, 2, 3, 4, None]),
        "v__v_text": ("VARCHAR", [None, None, None, None, "x"]),
    } == landed.contents(warehouse, "t")


def test_every_change_is_an_event(orders: Warehouse) -> None:
    """Each step is a row of `schema_changes`, after the newest load, as a migration."""
    migrate(
        orders,
        RenameColumn("orders", "price", "cost"),
        RetypeColumn("orders", "cost", "BIGINT"),
        DropColumn("orders", "cost"),
        RenameTable("orders__items", "lines"),
        DropTable("lines"),
    )
    with orders.session() as connection:
        events = history(connection)[:6]

    assert [
        ("drop table", "main.lines", None, None, None, "$.items[]"),
        ("drop table", "main.orders__items__opts", None, None, None, "$.items[].opts[]"),
        ("rename table", "main.orders__items", None, "orders__items", "lines", "$.items[]"),
        ("drop column", "main.orders", "cost", "BIGINT", None, "$.price"),
        ("retype column", "main.orders", "cost", "VARCHAR", "BIGINT", "$.price"),
        ("rename column", "main.orders", "price", "price", "cost", "$.price"),
    ] == [
        (event.change, event.table, event.column, event.old, event.new, event.source_path) for event in events
    ]
    assert {(1, "migration")} == {(event.load_id, event.source) for event in events}


HOSTILE = ["select", "a.b", 'we"ird', "it's", "-- x", "x;DROP TABLE t", "Größe", "🙂", "A", " ", "%s", "{x}"]


@pytest.mark.parametrize("key", HOSTILE)
def test_names_of_any_sort(warehouse: Warehouse, key: str) -> None:
    """With `direct` names a key may be called anything: every migration takes it as data."""
    target = Target("t", naming="direct")
    record = {"id": 1, key: "1", "list" + key: [{key: "a"}]}
    warehouse.load([record], target)
    (child,) = (table for table in landed.tables(warehouse) if table != "t")
    changes = (
        RetypeColumn("t", key, "BIGINT"),
        RenameColumn("t", key, f"{key}!"),
        RenameColumn(f"main.{child}", key, f"{key}?"),
        RenameTable(child, f"{key}.*"),
    )
    migrate(warehouse, *changes)
    warehouse.load([record], target)

    assert {"id": "BIGINT", f"{key}!": "BIGINT"} == landed.types(warehouse, "t")
    assert [("a",), ("a",)] == landed.rows(warehouse, f"{key}.*")
    migrate(warehouse, DropColumn("t", f"{key}!"), DropTable(f"{key}.*"))
    assert [(1,), (1,)] == landed.rows(warehouse, "t")
    assert catalogued(warehouse) == in_duckdb(warehouse)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("orders", ("main.orders", None)),
        ("main.orders", ("main.orders", None)),
        ("orders.price", ("main.orders", "price")),
        ("main.orders.price", ("main.orders", "price")),
        ("orders__items.sku", ("main.orders__items", "sku")),
        ("shop.orders", ("shop.orders", None)),
        ("shop.orders.price", ("shop.orders", "price")),
        ("shop", None),
        ("shop.price", None),
        ("orders.nothing", None),
        ("", None),
        (".", None),
        ("twice.orders", None),  # a table of the schema `twice`, and a column of the table `twice`
        ("main.twice.orders", ("main.twice", "orders")),
    ],
)
def test_what_a_name_means(orders: Warehouse, name: str, meant: tuple[str, str | None] | None) -> None:
    """A name is a table or a column, with or without its schema; one that is neither or both is refused."""
    orders.load([{"price": 1}], Target("orders", "shop"))
    orders.load([{"orders": 1}], Target("orders", "twice"))
    orders.load([{"orders": 1}], Target("twice"))
    with orders.session() as connection:
        if meant is not None:
            assert meant == find_migration(connection, name)
            return
        with pytest.raises(HeadraceError):
            find_migration(connection, name)
