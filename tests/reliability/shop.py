"""A flow of two resources and a transform, for tests that break it off in the middle."""

from __future__ import annotations

from collections.abc import Iterator

import ibis.expr.types as ir

from headrace import Record, resource
from tests.reliability import streams


@resource(primary_key="id", write_disposition="merge", cursor="id", children=("items",))
def orders(size: int, turn: int, since: int | None) -> Iterator[Record]:
    """Orders that are new since the last load."""
    yield from streams.newer(size, turn, since)


@resource(primary_key="id", write_disposition="merge", merge_strategy="upsert")
def customers(size: int, turn: int) -> Iterator[Record]:
    """Every customer, at each run."""
    yield from streams.every(size, turn)


def spending(orders: ir.Table, customers: ir.Table) -> ir.Table:
    """One row per customer that has ordered."""
    mine = orders.select("id", spent=orders.amount)
    return customers.join(mine, "id").select("id", "version", "spent")
