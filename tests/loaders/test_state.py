"""The cursors of resources: moved by loads, by people, and kept in the warehouse alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import headrace
from headrace.errors import UsageError
from headrace.loaders.contracts.target import Target
from headrace.loaders.maintenance.cursors import cursors, reset_cursor, set_cursor
from headrace.loaders.records import Checkpoint
from headrace.loaders.warehouse import Warehouse
from tests.conftest import MakeFlow

FLOW = '''
@resource(cursor="n")
def events(feed: list, since: int | None) -> Iterator[Record]:
    """Events after the last one."""
    for n in feed:
        if since is None or n > since:
            yield {"n": n}
'''


@pytest.fixture
def flow(make_flow: MakeFlow) -> ModuleType:
    return make_flow("shop", FLOW)


def run(flow: ModuleType, into: Path | Warehouse, feed: list[int], **options: Any) -> list[int]:
    """Run the flow; return what is in its table then."""
    with headrace.run(flow, into=into, inputs={"feed": feed}, progress=False, **options) as result:
        return [n for (n,) in result.warehouse.query("SELECT n FROM shop.events ORDER BY n")]


def listed(into: Path) -> list[tuple[str, str, int | None]]:
    with headrace.connect(into) as warehouse, warehouse.session() as connection:
        return [(one.resource, one.cursor, one.load_id) for one in cursors(connection)]


def test_a_fresh_machine(flow: ModuleType, tmp_path: Path) -> None:
    """The file is all that it takes: another machine that gets nothing else loads nothing twice, misses nothing."""
    into, there = tmp_path / "here" / "w.duckdb", tmp_path / "there" / "w.duckdb"
    into.parent.mkdir()
    there.parent.mkdir()
    assert [1, 2] == run(flow, into, [1, 2])
    assert [1, 2, 3] == run(flow, into, [1, 2, 3])
    shutil.copy(into, there)
    shutil.rmtree(into.parent)

    assert [1, 2, 3] == run(flow, there, [1, 2, 3])
    assert [1, 2, 3, 4] == run(flow, there, [1, 2, 3, 4])
    assert [("shop.events", "4", 4)] == listed(there)


def test_full(flow: ModuleType, tmp_path: Path) -> None:
    """A full run reads from the beginning, whatever the cursor; that moves as usual, and the next run is none."""
    into = tmp_path / "w.duckdb"
    run(flow, into, [1, 2])

    assert [1, 1, 2, 2, 3] == run(flow, into, [1, 2, 3], full=True)
    assert [1, 1, 2, 2, 3, 4] == run(flow, into, [1, 2, 3, 4])
    with headrace.connect(into) as warehouse:
        run(flow, warehouse, [5], full=True)
        assert not warehouse.settings.full


def test_set_and_reset(flow: ModuleType, tmp_path: Path) -> None:
    """A cursor that is set is the next `since`; without one the source is read from the beginning."""
    into = tmp_path / "w.duckdb"
    run(flow, into, [1, 2])
    with headrace.connect(into) as warehouse:
        set_cursor(warehouse, "shop.events", "7")
    assert [("shop.events", "7", None)] == listed(into)
    assert [1, 2, 8] == run(flow, into, [6, 7, 8])
    with headrace.connect(into) as warehouse:
        reset_cursor(warehouse, "shop.events")
    assert [] == listed(into)
    assert [1, 2, 8, 9] == run(flow, into, [9])


@pytest.mark.parametrize("value", ["1", '"2026-01-31"', '{"a":[1]}', "null", str(2**70)])
def test_any_json(warehouse: Warehouse, value: str) -> None:
    """A cursor may be any JSON; it comes back as Python reads that."""
    import json

    set_cursor(warehouse, "t", value, new=True)

    assert json.loads(value) == warehouse.cursor("main.t")


@pytest.mark.parametrize("value", ["", "2026-01-31", "{", "NaN", "'a'"])
def test_no_json(warehouse: Warehouse, value: str) -> None:
    """What is no JSON is refused before anything is written."""
    with pytest.raises(UsageError, match="is no JSON"):
        set_cursor(warehouse, "t", value, new=True)

    assert warehouse.cursor("main.t") is None


@pytest.mark.parametrize(
    ("have", "value", "message"),
    [
        ('"2026-01-31"', "20260201", r'"2026-01-31", a text, and 20260201 is a number'),
        ("17", '"18"', r'17, a number, and "18" is a text'),
        ("17", "true", r"17, a number, and true is a truth value"),
        ('{"offset": 3}', "null", "an object, and null is null"),
        ("[1]", '{"a": 1}', "a list, and .* is an object"),
    ],
)
def test_another_kind(warehouse: Warehouse, have: str, value: str, message: str) -> None:
    """A cursor of another kind is most likely a slip, which the source would not understand; a reset says it is none."""
    set_cursor(warehouse, "t", have, new=True)
    with pytest.raises(UsageError, match=f"{message}.*headrace state reset main.t"):
        set_cursor(warehouse, "t", value)
    reset_cursor(warehouse, "t")
    set_cursor(warehouse, "t", value, new=True)

    with warehouse.session() as connection:
        assert [value] == [one.cursor for one in cursors(connection)]


def test_a_whole_number_may_become_a_fraction(warehouse: Warehouse) -> None:
    """Numbers are of one kind."""
    set_cursor(warehouse, "t", "17", new=True)
    set_cursor(warehouse, "t", "17.5")

    assert 17.5 == warehouse.cursor("main.t")


def test_unknown_resources(warehouse: Warehouse) -> None:
    """A misspelt resource is told of: neither set, unless it is meant, nor reset."""
    warehouse.load([{"id": 1}, Checkpoint(1)], Target("orders"))
    with pytest.raises(UsageError, match=r"did you mean 'main\.orders'"):
        set_cursor(warehouse, "oders", "1")
    with pytest.raises(UsageError, match=r"did you mean 'main\.orders'"):
        reset_cursor(warehouse, "oders")

    assert 1 == warehouse.cursor("main.orders")


def test_before_anything_was_loaded(warehouse: Warehouse) -> None:
    """A new warehouse has no cursors; the first one may be set."""
    with warehouse.session() as connection:
        assert [] == cursors(connection)
    with pytest.raises(UsageError, match="has no cursor"):
        reset_cursor(warehouse, "t")
    set_cursor(warehouse, "t", "3", new=True)

    assert 3 == warehouse.cursor("main.t")
