"""The history of a schema: every change as an event, and the net difference between two loads."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.errors import UsageError
from headrace.loaders.catalogue.history import Difference, SchemaChange, diff, history
from headrace.loaders.contracts.target import Target
from headrace.loaders.maintenance.migrate import migrate
from headrace.loaders.maintenance.migrations import (
    DropColumn,
    DropTable,
    Migration,
    RenameColumn,
    RenameTable,
    RetypeColumn,
)
from headrace.loaders.warehouse import Warehouse

T = Target("t")


def changes(warehouse: Warehouse, table: str | None = None) -> list[SchemaChange]:
    with warehouse.session() as connection:
        return history(connection, table)


def differences(warehouse: Warehouse, load_a: int, load_b: int | None = None) -> list[Difference]:
    with warehouse.session() as connection:
        return diff(connection, load_a, load_b)


def test_history_is_newest_first(warehouse: Warehouse) -> None:
    """Every change has its load, its time, what was and is, and where the values come from."""
    warehouse.load([{"id": 1}], T, source="shop.t@abc")
    warehouse.load([{"id": 1.5, "tags": ["a"]}], T, source="shop.t@def")

    assert [
        ("add column", "main.t__tags", "value", None, "VARCHAR", "$.tags[]", "shop.t@def", 2),
        ("create table", "main.t__tags", None, None, None, "$.tags[]", "shop.t@def", 2),
        ("widen column", "main.t", "id", "BIGINT", "DOUBLE", "$.id", "shop.t@def", 2),
        ("add column", "main.t", "id", None, "BIGINT", "$.id", "shop.t@abc", 1),
        ("create table", "main.t", None, None, None, "$", "shop.t@abc", 1),
    ] == [
        (one.change, one.table, one.column, one.old, one.new, one.source_path, one.source, one.load_id)
        for one in changes(warehouse)
    ]
    assert sorted((one.changed for one in changes(warehouse)), reverse=True) == [
        one.changed for one in changes(warehouse)
    ]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("shop.t", ["add column", "create table"]),
        ("t", ["add column", "add column", "create table"]),
        ("main.t", ["add column", "add column", "create table"]),
        ("main.lines", ["rename table", "add column", "create table"]),
        ("lines", ["rename table", "add column", "create table"]),
        ("t__items", ["rename table", "add column", "create table"]),
        ("t__notes", ["drop table", "add column", "create table"]),
    ],
)
def test_history_of_a_table(warehouse: Warehouse, table: str, expected: list[str]) -> None:
    """One table's changes, through its renames and after its end."""
    warehouse.load([{"id": 1, "items": [1], "notes": ["a"]}], T)
    warehouse.load([{"id": 1}], Target("t", "shop"))
    migrate(warehouse, RenameTable("t__items", "lines"), DropTable("t__notes"))
    warehouse.load([{"more": 1}], T)

    assert expected == [one.change for one in changes(warehouse, table)]


@pytest.mark.parametrize("table", ["nothing", "shop.t", "t'; DROP TABLE t", "t.id"])
def test_history_of_nothing(warehouse: Warehouse, table: str) -> None:
    """A table that never was is an error that says which there are; so is a warehouse without loads."""
    with pytest.raises(UsageError, match="no catalogue"):
        changes(warehouse, table)
    warehouse.load([{"id": 1}], T)
    with pytest.raises(UsageError, match="No load made a table"):
        changes(warehouse, table)


@pytest.mark.parametrize(
    ("load_a", "load_b", "expected"),
    [
        (0, 1, [("create table", None, None, None), ("add column", "id", None, "BIGINT")]),
        (1, 2, [("add column", "name", None, "VARCHAR")]),
        (2, 3, [("widen column", "id", "BIGINT", "DOUBLE")]),
        (1, 3, [("widen column", "id", "BIGINT", "DOUBLE"), ("add column", "name", None, "VARCHAR")]),
        (3, 3, []),
        (2, 1, [("drop column", "name", "VARCHAR", None)]),
        (1, 0, [("drop table", None, None, None)]),
        (3, 4, []),
        (3, None, []),
        (1, None, [("widen column", "id", "BIGINT", "DOUBLE"), ("add column", "name", None, "VARCHAR")]),
    ],
)
def test_diff_of_loads(
    warehouse: Warehouse, load_a: int, load_b: int | None, expected: list[tuple[str | None, ...]]
) -> None:
    """What became of the schema after one load and up to another, in either direction."""
    for record in ({"id": 1}, {"id": 2, "name": "x"}, {"id": 1.5}, {"id": 3}):
        warehouse.load([record], T)

    assert [Difference(change or "", "main.t", *rest) for change, *rest in expected] == differences(
        warehouse, load_a, load_b
    )


@pytest.mark.parametrize(
    ("migrations", "then", "expected"),
    [
        ([], {}, []),
        # a column that comes and goes in between does not show
        ([DropColumn("t", "b")], {}, [("drop column", "main.t", "b", "VARCHAR", None)]),
        ([DropColumn("t", "b")], {"b": "x"}, []),
        ([DropColumn("t", "b")], {"b": 1}, [("retype column", "main.t", "b", "VARCHAR", "BIGINT")]),
        ([RenameColumn("t", "b", "c")], {}, [("rename column", "main.t", "c", "b", "c")]),
        ([RenameColumn("t", "b", "c"), RenameColumn("t", "c", "b")], {}, []),
        (
            [RenameColumn("t", "b", "c")],
            {"B": 1},
            [("add column", "main.t", "b", None, "BIGINT"), ("rename column", "main.t", "c", "b", "c")],
        ),
        (
            [RenameColumn("t", "b", "c"), RetypeColumn("t", "c", "BIGINT")],
            {},
            [
                ("rename column", "main.t", "c", "b", "c"),
                ("retype column", "main.t", "c", "VARCHAR", "BIGINT"),
            ],
        ),
        (
            [RetypeColumn("t", "b", "BIGINT"), RetypeColumn("t", "b", "VARCHAR")],
            {},
            [],
        ),
        ([RetypeColumn("t", "id", "DOUBLE")], {}, [("retype column", "main.t", "id", "BIGINT", "DOUBLE")]),
        ([], {"id": 1.5}, [("widen column", "main.t", "id", "BIGINT", "DOUBLE")]),
        ([RenameTable("t__items", "lines")], {}, [("rename table", "main.lines", None, "t__items", "lines")]),
        (
            [RenameTable("t__items", "lines")],
            {"items": [{"n": 1, "m": 2}]},
            [
                ("rename table", "main.lines", None, "t__items", "lines"),
                ("add column", "main.lines", "m", None, "BIGINT"),
            ],
        ),
        ([DropTable("t__items")], {}, [("drop table", "main.t__items", None, None, None)]),
        ([DropTable("t__items")], {"items": [{"n": 1}]}, []),
        (
            [DropTable("t__items")],
            {"items": [{"m": 1}]},
            [
                ("add column", "main.t__items", "m", None, "BIGINT"),
                ("drop column", "main.t__items", "n", "BIGINT", None),
            ],
        ),
    ],
)
def test_diff_is_net(
    warehouse: Warehouse,
    migrations: list[Migration],
    then: dict[str, object],
    expected: list[tuple[str, str, str | None, str | None, str | None]],
) -> None:
    """Migrations come after the newest load; what was undone or came back is no difference."""
    warehouse.load([{"id": 1, "b": "7", "items": [{"n": 1}]}], T)
    warehouse.load([{"gone": 1}], T)
    migrate(warehouse, DropColumn("t", "gone"), *migrations)
    warehouse.load([then], T)

    assert {Difference(*one) for one in expected} == set(differences(warehouse, 1, 3))
    assert [Difference("add column", "main.t", "gone", None, "BIGINT")] == differences(warehouse, 1, 2)


@pytest.mark.parametrize(("load_a", "load_b"), [(0, 3), (3, 0), (-1, 1), (0, -1), (99, None)])
def test_loads_that_are_not_there(warehouse: Warehouse, load_a: int, load_b: int | None) -> None:
    """A load that does not exist is refused with the newest that does."""
    warehouse.load([{"id": 1}], T)
    warehouse.load([{"id": 1}], T)
    with pytest.raises(UsageError, match=r"There is no load .*; the newest is 2"):
        differences(warehouse, load_a, load_b)


def test_diff_of_an_empty_warehouse(warehouse: Warehouse) -> None:
    """Before the first load there is no load to ask for."""
    for load in (1, None):
        with pytest.raises(UsageError, match="no catalogue"):
            differences(warehouse, 0, load)


def test_undoing_every_difference(warehouse: Warehouse) -> None:
    """The difference of any two loads is empty exactly if both have the same columns."""
    records: list[dict[str, Any]] = [
        {"a": 1},
        {"a": 1, "b": "x"},
        {"a": 1.5},
        {"c": [{"d": 1}]},
        {},
        {"c": [{"e": {"f": None}}]},
    ]
    states = []
    for record in records:
        warehouse.load([record], T)
        states.append(
            warehouse.query("SELECT table_name, column_name, data_type FROM _headrace.columns ORDER BY ALL")
        )
    for at, before in enumerate(states, 1):
        for to, after in enumerate(states, 1):
            assert (before == after) == (differences(warehouse, at, to) == []), (at, to)
