"""Child tables as nodes, and definitions that would lose data in silence."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hamilton import ad_hoc_utils

import headrace
from headrace.errors import UsageError

FLOW = """
from __future__ import annotations
from collections.abc import Iterator
import ibis.expr.types as ir
from headrace import resource

@resource(primary_key="id", write_disposition="merge", {options})
def orders(records: list, {since}) -> Iterator[dict]:
    yield from records

def sold(orders__items: ir.Table) -> ir.Table:
    return orders__items.group_by("sku").agg(n=orders__items.count())
"""


def flow(options: str = "", since: str = "") -> ModuleType:
    module: ModuleType = ad_hoc_utils.module_from_source(FLOW.format(options=options, since=since))
    return module


def run(module: ModuleType, records: list[Any], **more: Any) -> headrace.RunResult:
    return headrace.run(module, into=":memory:", inputs={"records": records}, progress=False, **more)


def test_a_child_table_is_a_parameter() -> None:
    """A transform names the table of a list that its resource declares as a child."""
    with run(flow('children=("items",)'), [{"id": 1, "items": [{"sku": "a"}, {"sku": "a"}]}]) as result:
        assert [{"sku": "a", "n": 2}] == result["sold"].to_pyarrow().to_pylist()


def test_outputs_tell_their_loads() -> None:
    """A run of chosen outputs tells of the loads that they needed."""
    with run(flow('children=("items",)'), [{"id": 1, "items": [{"sku": "a"}]}], outputs=["sold"]) as result:
        assert ["orders"] == list(result.loads)


MISTAKES: list[tuple[Callable[[], Any], str]] = [
    (lambda: run(flow(), [{"id": 1}]), r"children=\('items',\)"),
    (lambda: run(flow('children=("items",)'), [{"id": 1}]), "no record has had 'items' yet"),
    (lambda: flow('merge_strategy="snapshot"', "since: int | None"), "takes what is absent for deleted"),
    (
        lambda: flow('merge_strategy="scd2", cursor="u"', "since: int | None"),
        "takes what is absent for deleted",
    ),
    (
        lambda: run(
            flow('cursor="nope", children=("items",)', "since: int | None"), [{"id": 1, "items": [1]}]
        ),
        "no record has the cursor's key 'nope'",
    ),
]


@pytest.mark.parametrize(("mistake", "message"), MISTAKES)
def test_mistakes_are_told(mistake: Callable[[], Any], message: str) -> None:
    """What would be lost or read again for ever is refused, with the way to mend it."""
    with pytest.raises(UsageError, match=message):
        mistake()


def test_a_nested_cursor() -> None:
    """A cursor may stand in a nested dict."""
    module = flow('cursor="meta.at", children=("items",)', "since: int | None")
    with run(module, [{"id": 1, "meta": {"at": 7}, "items": [{"sku": "a"}]}]) as result:
        assert 7 == result.warehouse.cursor(f"{result.loads['orders'].schema}.orders")
