"""Checks of a whole DAG: what Hamilton would only meet as a hang or a lost table is refused when built."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from hamilton import driver
from hamilton.execution.executors import SynchronousLocalTaskExecutor

import headrace
from headrace import DefinitionChecks
from headrace.dataflows.run import build
from headrace.errors import UsageError

MakeFlow = Callable[[str, str], ModuleType]

BLOCKS = {
    "nested": (
        """
        def shop(shops: int) -> Parallelizable[int]: yield from range(shops)
        def order(shop: int) -> Parallelizable[int]: yield from range(shop)
        def line(order: int) -> int: return order
        def lines(line: Collect[int]) -> int: return sum(line)
        """,
        "'order' is Parallelizable inside the block of 'shop'",
    ),
    "nested further below": (
        """
        def shop(shops: int) -> Parallelizable[int]: yield from range(shops)
        def doubled(shop: int) -> int: return 2 * shop
        def order(doubled: int) -> Parallelizable[int]: yield from range(doubled)
        def lines(order: Collect[int]) -> int: return sum(order)
        """,
        "'order' is Parallelizable inside the block of 'shop'",
    ),
    "two collects": (
        """
        def shop(shops: int) -> Parallelizable[int]: yield from range(shops)
        def doubled(shop: int) -> int: return 2 * shop
        def total(doubled: Collect[int]) -> int: return sum(doubled)
        def most(doubled: Collect[int]) -> int: return max(doubled)
        """,
        "'shop' is collected by most and total",
    ),
    "two collects at different depths": (
        """
        def shop(shops: int) -> Parallelizable[int]: yield from range(shops)
        def doubled(shop: int) -> int: return 2 * shop
        def total(doubled: Collect[int]) -> int: return sum(doubled)
        def most(shop: Collect[int]) -> int: return max(shop)
        """,
        "'shop' is collected by most and total",
    ),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_that_hamilton_cannot_run(make_flow: MakeFlow, name: str) -> None:
    """Parallel blocks within each other, or collected twice, are refused with the fix in the message."""
    definition, message = BLOCKS[name]
    with pytest.raises(UsageError, match=message):
        build(make_flow("flow", definition))


def test_blocks_that_are_fine(make_flow: MakeFlow) -> None:
    """Blocks after each other are fine, and what a block collects a resource may land."""
    flow = make_flow(
        "flow",
        """
        def shop(shops: int) -> Parallelizable[int]: yield from range(shops)
        def page(shop: int) -> list: return [{"shop": shop}]
        def pages(page: Collect[list]) -> list: return list(page)
        def number(pages: list) -> Parallelizable[int]: yield from range(len(pages))
        def doubled(number: int) -> int: return 2 * number
        def total(doubled: Collect[int]) -> int: return sum(doubled)

        @resource
        def orders(pages: list) -> Iterator[Record]:
            yield from pages
        """,
    )
    graph = (
        driver.Builder().enable_dynamic_execution(allow_experimental_mode=True).with_modules(flow)
        .with_local_executor(SynchronousLocalTaskExecutor()).with_remote_executor(SynchronousLocalTaskExecutor())
        .with_adapters(DefinitionChecks()).build()
    )  # fmt: skip
    with headrace.connect() as warehouse:
        found = graph.execute(["total", "orders.load"], inputs={"shops": 3, "warehouse": warehouse})

        assert (6, 3) == (found["total"], found["orders.load"].counts.loaded)


def test_two_modules_for_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two resources of two modules that load one table are refused by name."""
    header = "from collections.abc import Iterator\nfrom headrace import resource\n"
    for package, name in (("east", "orders"), ("west", "more_orders")):
        (tmp_path / package).mkdir()
        (tmp_path / package / "shop.py").write_text(
            f'{header}@resource(table="orders")\ndef {name}() -> Iterator[dict]: ...\n', encoding="utf-8"
        )
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = [importlib.import_module(f"{package}.shop") for package in ("east", "west")]
    with pytest.raises(UsageError, match=r"Two resources load the table 'shop\.orders': .*another table="):
        build(modules)


def test_the_same_name_in_two_schemas(make_flow: MakeFlow) -> None:
    """Resources of two modules have a schema each, and may have tables of one name."""
    shop = make_flow("shop", "@resource\ndef orders() -> Iterator[Record]: ...")
    other = make_flow("other", '@resource(table="orders")\ndef more_orders() -> Iterator[Record]: ...')
    names = {variable.name for variable in build([shop, other]).list_available_variables()}

    assert {"orders", "more_orders"} <= names
