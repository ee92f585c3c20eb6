"""Check a whole DAG when it is built, before Hamilton could hang on it or lose a table."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from hamilton.graph import FunctionGraph
from hamilton.lifecycle.base import BasePostGraphConstruct
from hamilton.node import Node, NodeType

from headrace.dataflows.nodes import STEP, TABLE
from headrace.errors import UsageError


class DefinitionChecks(BasePostGraphConstruct):
    """A Hamilton adapter that refuses a bad DAG: `driver.Builder().with_adapters(DefinitionChecks())`.

    `headrace.run` uses it always.
    """

    def post_graph_construct(
        self, *, graph: FunctionGraph, modules: list[ModuleType], config: dict[str, Any]
    ) -> None:
        """Check the graph; Hamilton calls this.

        Raises:
            UsageError: Two resources load one table, or parallel blocks are nested or collected twice.
        """
        nodes = list(graph.get_nodes())
        _one_resource_a_table(nodes)
        _no_nested_blocks(nodes)
        _one_collect_a_block(nodes)


def _one_resource_a_table(nodes: Iterable[Node]) -> None:
    owners: dict[str, str] = {}
    for node in nodes:
        if node.tags.get(STEP) != "table":
            continue
        table = node.tags[TABLE]
        if table in owners:
            raise UsageError(
                f"Two resources load the table {table!r}: {owners[table]!r} and {node.name!r}. "
                "Give one of them another table=, or make them one function."
            )
        owners[table] = node.name


def _no_nested_blocks(nodes: Iterable[Node]) -> None:
    for outer in nodes:
        if outer.node_role is not NodeType.EXPAND:
            continue
        for inner in _block(outer):
            if inner.node_role is NodeType.EXPAND:
                raise UsageError(
                    f"{inner.name!r} is Parallelizable inside the block of {outer.name!r}, which "
                    "Hamilton runs for ever. Collect the outer block first, or make one block over all pairs."
                )


def _one_collect_a_block(nodes: Iterable[Node]) -> None:
    for outer in nodes:
        if outer.node_role is not NodeType.EXPAND:
            continue
        collects = sorted({node.name for inner in [outer, *_block(outer)] for node in _collects(inner)})
        if len(collects) > 1:
            raise UsageError(
                f"The block of {outer.name!r} is collected by {' and '.join(collects)}; "
                "Hamilton can do it once. Collect once and let both read that node."
            )


def _block(outer: Node) -> list[Node]:
    """Return the nodes below a Parallelizable, up to where they are collected."""
    block: dict[str, Node] = {}
    todo = list(outer.depended_on_by)
    while todo:
        node = todo.pop()
        if node.name not in block and node.node_role is not NodeType.COLLECT:
            block[node.name] = node
            todo.extend(node.depended_on_by)
    return list(block.values())


def _collects(node: Node) -> list[Node]:
    return [typing.cast(Node, below) for below in node.depended_on_by if below.node_role is NodeType.COLLECT]
