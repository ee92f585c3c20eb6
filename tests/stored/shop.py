"""A flow with a cursor of each kind: int, text, time, a checkpoint of the source's own, and one per partition.

Each record says from where its resource was asked to go on. Resources stay as they are: their stored cursors
must continue for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import ibis.expr.types as ir

from headrace import Checkpoint, Contract, resource


@resource(
    cursor="id", primary_key="id", write_disposition="merge", children=("items",),
    descriptions={"id": "The number of the order."}, tags={"id": ("key",), "items[].sku": ("dim",)},
)  # fmt: skip
def orders(turn: int, since: int | None = None) -> Iterator[dict[str, Any]]:
    """What was ordered."""
    yield {"id": turn, "asked_since": str(since), "items": [{"sku": f"s{turn}", "opts": [turn, None]}]}


@resource(cursor="code")
def visits(turn: int, since: str | None = None) -> Iterator[dict[str, Any]]:
    """Visits, by a code that is text."""
    yield {"code": f"v{turn}", "asked_since": str(since)}


@resource(cursor="at")
def events(turn: int, since: datetime | None = None) -> Iterator[dict[str, Any]]:
    """Events, by their time."""
    yield {"at": datetime(2020, 1, turn, 8, 30, tzinfo=timezone.utc), "asked_since": str(since)}


@resource
def pages(turn: int, since: Any = None) -> Iterator[Any]:
    """Pages of a source that names its own place."""
    yield {"page": turn, "asked_since": str(since)}
    yield Checkpoint({"page": turn, "token": f"t{turn}"})


@resource(each=["eu", "us"], cursor="n", primary_key=("region", "n"), write_disposition="merge")
def stock(turn: int, part: str, since: int | None = None) -> Iterator[dict[str, Any]]:
    """What is in store, region by region."""
    yield {"region": part, "n": turn * (10 if part == "us" else 1), "asked_since": str(since)}


@resource(contract=Contract(tables="quarantine", columns="quarantine", types="quarantine"))
def signups(turn: int) -> Iterator[dict[str, Any]]:
    """People who signed up; only the first turn gives what the contract allows."""
    yield {"id": turn}
    if turn > 1:
        yield {"id": turn * 10, "new": "x", "tags": ["a"]}
        yield {"id": f"text {turn}"}


def items_sold(orders: ir.Table, orders__items: ir.Table) -> ir.Table:
    """A table that is derived from others."""
    joined = orders.join(orders__items, orders._hr_id == orders__items._hr_root_id)
    return joined.select(orders.id, orders__items.sku).order_by("id")
