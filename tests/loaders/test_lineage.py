"""Lineage: from a column or a row back to the load, the resource and the version of its code."""

from __future__ import annotations

import pytest

from headrace.errors import HeadraceError, UnknownColumn, UsageError
from headrace.loaders.catalogue.lineage import ColumnLineage, RowLineage, lineage, row_lineage
from headrace.loaders.contracts.contract import Contract
from headrace.loaders.contracts.target import Target
from headrace.loaders.maintenance.migrate import migrate
from headrace.loaders.maintenance.migrations import DropColumn, RenameColumn, RenameTable, RetypeColumn
from headrace.loaders.maintenance.replay import replay
from headrace.loaders.warehouse import Warehouse

ORDERS = Target("orders", "shop", primary_key=("id",), write_disposition="merge")
FIRST, SECOND = "shop.orders@1111", "shop.orders@2222"


def of(warehouse: Warehouse, column: str) -> ColumnLineage:
    with warehouse.session() as connection:
        return lineage(connection, column)


def of_row(warehouse: Warehouse, table: str, hr_id: int) -> tuple[RowLineage, ...]:
    with warehouse.session() as connection:
        return row_lineage(connection, table, hr_id)


def test_a_column(warehouse: Warehouse) -> None:
    """The resource, the version of its code, the place in the record, and the load of birth."""
    warehouse.load([{"id": 1}], ORDERS, source=FIRST)
    warehouse.load([{"id": 2, "user": {"zip": 1}}], ORDERS, source=SECOND)
    found = of(warehouse, "shop.orders.user__zip")
    ((package, committed),) = warehouse.query(
        "SELECT package, committed FROM _headrace.loads WHERE load_id = 2"
    )

    assert ("shop.orders", "user__zip", "BIGINT", "$.user.zip", SECOND, 2, package, committed) == (
        found.table, found.column, found.type, found.source_path, found.source, found.load_id, found.package,
        found.committed,
    )  # fmt: skip
    assert ["add column"] == [change.change for change in found.changes]
    assert FIRST == of(warehouse, "shop.orders.id").source


@pytest.mark.parametrize(
    ("column", "changes"),
    [
        ("shop.orders.id", [(1, "add column")]),
        (
            "shop.orders.cost",
            [(1, "add column"), (2, "widen column"), (2, "rename column"), (2, "rename column"),
             (2, "retype column")],
        ),
        ("shop.orders.price", [(3, "add column")]),  # another column, which took a name that was free
        ("shop.orders.note", [(3, "add column")]),  # dropped, and back without a past
        ("shop.lines.sku", [(1, "add column"), (2, "rename column")]),
    ],
)  # fmt: skip
def test_what_became_of_a_column(warehouse: Warehouse, column: str, changes: list[tuple[int, str]]) -> None:
    """Its changes, its birth first, through every name that it and its table have had."""
    warehouse.load([{"id": 1, "price": 1, "note": "a", "items": [{"s": "x"}]}], ORDERS, source=FIRST)
    warehouse.load([{"id": 2, "price": 1.5}], ORDERS, source=SECOND)
    migrate(
        warehouse,
        RenameColumn("shop.orders", "price", "amount"),
        RenameColumn("shop.orders", "amount", "cost"),
        RetypeColumn("shop.orders", "cost", "DECIMAL(18,2)"),
        DropColumn("shop.orders", "note"),
        RenameTable("shop.orders__items", "lines"),
        RenameColumn("shop.lines", "s", "sku"),
    )
    warehouse.load([{"id": 3, "Price": 7, "note": "b"}], ORDERS, source=SECOND)
    found = of(warehouse, column)

    assert changes == [(change.load_id, change.change) for change in found.changes]
    assert changes[0][0] == found.load_id


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        ("shop.orders.idd", UnknownColumn, "did you mean 'id'"),
        ("shop.orders._hr_id", UnknownColumn, "_hr_id"),
        ("shop.order.id", UsageError, "did you mean 'shop.orders'"),
        ("orders.id", UsageError, "No load made a table 'orders'"),
        ("id", UsageError, "names no column"),
        ("", UsageError, "names no column"),
        ("shop.orders.id' OR '1'='1", UnknownColumn, "OR"),
    ],
)
def test_columns_that_are_not_there(
    warehouse: Warehouse, column: str, error: type[HeadraceError], message: str
) -> None:
    """A name that is no column of a load is refused, with the nearest one that is."""
    with pytest.raises(UsageError, match="no catalogue"):
        of(warehouse, column)
    warehouse.load([{"id": 1}], ORDERS)
    with pytest.raises(error, match=message):
        of(warehouse, column)


def test_main_may_be_left_out(warehouse: Warehouse) -> None:
    """A column of a table in `main` is found by either name."""
    warehouse.load([{"id": 1}], Target("t"))

    assert of(warehouse, "t.id") == of(warehouse, "main.t.id")


@pytest.mark.parametrize("key", ["a.b", 'we"ird', "it's", "select", "🙂"])
def test_names_of_any_sort(warehouse: Warehouse, key: str) -> None:
    """Names are compared as they are: with `direct` names a column may be called anything."""
    warehouse.load([{key: 1, "items": [{key: 2}]}], Target("t", naming="direct"))

    assert key == of(warehouse, f"t.{key}").column
    assert "main.t__items" == of(warehouse, f"main.t__items.{key}").table


def test_a_row_and_all_above_it(warehouse: Warehouse) -> None:
    """A row, then the rows that it hangs on up to the root: each with its load and the source of that."""
    warehouse.load([{"id": 0}], ORDERS, source=FIRST)
    warehouse.load([{"id": 1}, {"id": 2, "items": [{"opts": ["a", "b"]}]}], ORDERS, source=SECOND)
    ((option,),) = warehouse.query("SELECT _hr_id FROM shop.orders__items__opts WHERE value = 'b'")
    rows = of_row(warehouse, "shop.orders__items__opts", option)

    assert ["shop.orders__items__opts", "shop.orders__items", "shop.orders"] == [row.table for row in rows]
    assert {(2, SECOND, 2, None)} == {(row.load_id, row.source, row.born, row.replayed_from) for row in rows}
    assert [None, None, 1] == [row.record for row in rows]
    assert [(2,)] == warehouse.query(f"SELECT id FROM shop.orders WHERE _hr_id = {rows[-1].hr_id}")
    assert rows[1:] == of_row(warehouse, "shop.orders__items", rows[1].hr_id)


def test_a_row_that_was_upserted(warehouse: Warehouse) -> None:
    """An upsert keeps the row's id: the load it was born in and the one that wrote it last differ."""
    target = Target("t", primary_key=("id",), write_disposition="merge", merge_strategy="upsert")
    warehouse.load([{"id": 1, "n": 1}], target, source=FIRST)
    warehouse.load([{"id": 1, "n": 2}], target, source=SECOND)
    ((hr_id,),) = warehouse.query("SELECT _hr_id FROM t")
    (row,) = of_row(warehouse, "t", hr_id)

    assert (2, SECOND, 1, 0) == (row.load_id, row.source, row.born, row.record)


def test_a_row_that_was_replayed(warehouse: Warehouse) -> None:
    """A row that came out of quarantine tells the load that had put it there."""
    strict = Target("t", contract=Contract(columns="quarantine"))
    warehouse.load([{"id": 1}], strict)
    warehouse.load([{"id": 2}, {"id": 3, "new": 1}], strict)
    replay(warehouse, "t", contract=Contract())
    ((hr_id,),) = warehouse.query("SELECT _hr_id FROM t WHERE id = 3")
    (row,) = of_row(warehouse, "t", hr_id)

    assert (3, 2) == (row.load_id, row.replayed_from)


@pytest.mark.parametrize("hr_id", [0, -1, 2**62, 2**100])
def test_rows_that_are_not_there(warehouse: Warehouse, hr_id: int) -> None:
    """A number that is no row's is refused; so is a table that no load made."""
    warehouse.load([{"id": 1}], Target("t"))
    with pytest.raises(UsageError, match=rf"main.t has no row whose _hr_id is {hr_id}\."):
        of_row(warehouse, "t", hr_id)
    with pytest.raises(UsageError, match="No load made a table 'u'"):
        of_row(warehouse, "u", hr_id)
