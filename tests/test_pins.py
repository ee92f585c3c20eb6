"""One canary per upper bound in pyproject.toml: what headrace relies on, and when the bound can be lifted.

To try a newer release: install it over the declared one and run this file. What passes here may be allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import duckdb
import ibis
import pandas as pd
from hamilton import ad_hoc_utils, driver, node
from hamilton.function_modifiers import base
from hamilton.lifecycle import NodeExecutionHook
from ibis.expr import operations
from packaging.requirements import Requirement

CANARIES: dict[str, list[Callable[[], None]]] = {}


def canary(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Mark a test as the canary of the upper bound on the distribution `name`."""

    def mark(test: Callable[[], None]) -> Callable[[], None]:
        CANARIES.setdefault(name, []).append(test)
        return test

    return mark


def requirements() -> list[Requirement]:
    """What headrace needs without any extra, as its metadata declares it."""
    declared = [Requirement(line) for line in metadata.requires("headrace") or ()]
    return [need for need in declared if need.marker is None or "extra" not in str(need.marker)]


@canary("sqlglot")
def test_ibis_replaces_a_table() -> None:
    """`create_table(overwrite=True)` works on the second run too.

    sqlglot 30.18 to 30.30 make ibis 12 render `DROP TABLE` without a name, which shows only when the table
    is already there. Lift the bound when this passes with a newer sqlglot.
    """
    connection = ibis.duckdb.connect()
    connection.create_table("numbers", ibis.memtable({"n": [1]}), overwrite=True)
    connection.create_table("numbers", ibis.memtable({"n": [2, 3]}), overwrite=True)

    assert [2, 3] == connection.sql("select n from numbers order by n").to_pyarrow()["n"].to_pylist()


@canary("sqlglot")
def test_ibis_drops_by_name() -> None:
    """The table, the view and the schema that ibis drops are gone, and nothing else is."""
    connection = ibis.duckdb.connect()
    for name in ("kept", "dropped"):
        connection.create_database(name)
        connection.create_table(name, connection.sql("select 1 as n"))
        connection.create_view(f"{name}_view", connection.sql("select 1 as n"))
    connection.drop_view("dropped_view")
    connection.drop_table("dropped")
    connection.drop_database("dropped")

    assert ["kept", "kept_view"] == sorted(connection.list_tables())
    assert {"kept"} == {"kept", "dropped"} & set(connection.list_databases())


@canary("duckdb")
def test_duckdb_has_what_ibis_calls() -> None:
    """Every result and every schema is read by ibis 12 through `fetch_arrow_table`.

    DuckDB 1.5 deprecates it and 2.0 has it no more. Lift the bound when the ibis that headrace declares
    reads through `to_arrow_table`, and drop the filter on this warning from pyproject.toml.
    """
    connection = ibis.duckdb.from_connection(duckdb.connect())

    assert hasattr(duckdb.DuckDBPyConnection, "fetch_arrow_table")
    assert [1] == connection.sql("select 1 as n").to_pyarrow()["n"].to_pylist()


@canary("ibis-framework")
def test_ibis_finds_the_tables_of_an_expression() -> None:
    """`op().find(DatabaseTable)` names every table that an expression reads, with its schema.

    Public in ibis, but part of its expression internals, which a major release may move.
    """
    connection = ibis.duckdb.connect()
    connection.create_database("slack")
    connection.create_table("messages", ibis.memtable({"ts": ["1.0"]}), database="slack")
    messages = connection.table("messages", database="slack")

    found = messages.join(messages.view(), "ts").count().op().find(operations.DatabaseTable)

    assert {("slack", "messages")} == {(table.namespace.database, table.name) for table in found}


@canary("ibis-framework")
def test_ibis_compiles_without_running() -> None:
    """An expression turns into SQL text, and the backend behind it is found and runs raw SQL.

    Lift the bound when these calls and the floor of transforms pass on the next major release.
    """
    connection = ibis.duckdb.connect()
    connection.raw_sql("create table numbers as select 1 as n")
    expression = connection.table("numbers").mutate(rank=ibis.row_number().over(order_by="n"))

    assert "ROW_NUMBER()" in str(ibis.to_sql(expression))
    assert [{"n": 1, "rank": 0}] == expression.to_pyarrow().to_pylist()
    assert connection is expression.get_backend()


@canary("pandas")
def test_pandas_has_what_hamilton_and_ibis_use() -> None:
    """`import hamilton.driver` (at the top of this file) and `.to_pandas()` work, and a null stays a null.

    ibis 12 asks for the option `future.infer_string`, which pandas 4 removes. Lift the bound when this
    passes with pandas 4, and drop the filter on this warning from pyproject.toml.
    """
    frame = pd.DataFrame({"name": ["ada", None], "n": [1, 2]})

    back = ibis.memtable(frame).order_by("n").to_pandas()

    assert [False, True] == back["name"].isna().tolist()
    assert [1, 2] == back["n"].tolist()


class Doubled(base.NodeCreator):
    """A node creator of the kind that `@resource` is: two nodes out of one function."""

    def generate_nodes(self, fn: Callable[..., Any], config: dict[str, Any]) -> list[node.Node]:
        """Return the function's own node, renamed, and one that depends on it under the function's name."""
        rows = node.Node.from_fn(fn, name="rows").copy_with(
            namespace=(fn.__name__,), tags={"stage": "extract"}, originating_functions=None
        )

        def total(**inputs: Any) -> int:
            return sum(inputs[rows.name])

        return [rows, node.Node(fn.__name__, int, callabl=total, input_types={rows.name: rows.type})]

    def validate(self, fn: Callable[..., Any]) -> None:
        """Accept every function."""


def numbers_module() -> Any:
    """A flow of one decorated generator and one plain function."""

    def numbers(start: int) -> Iterator[int]:
        yield from (start, start + 1)

    def doubled(numbers: int) -> int:
        return 2 * numbers

    Doubled()(numbers)
    return ad_hoc_utils.create_temporary_module(numbers, doubled)


@canary("sf-hamilton")
def test_hamilton_resolves_a_node_creator() -> None:
    """A `NodeCreator` of ours turns one function into namespaced nodes with tags and edges.

    `function_modifiers.base` and `hamilton.node` are not promised by Hamilton's documentation. Lift the
    bound when this file and the floor of dataflows pass on 2.0.
    """
    rows, total = base.resolve_nodes(numbers_module().numbers, {})

    assert ("numbers.rows", "numbers") == (rows.name, total.name)
    assert "extract" == rows.tags["stage"]
    assert ["numbers.rows"] == list(total.input_types)


@canary("sf-hamilton")
def test_hamilton_runs_and_overrides_created_nodes() -> None:
    """Created nodes run in a driver, can be overridden, are known to lineage and reach hooks."""
    seen: list[str] = []

    class Watch(NodeExecutionHook):
        def run_before_node_execution(self, *, node_name: str, **future_kwargs: Any) -> None:
            seen.append(node_name)

        def run_after_node_execution(self, **future_kwargs: Any) -> None:
            pass

    built = driver.Builder().with_modules(numbers_module()).with_adapters(Watch()).build()

    assert {"doubled": 6} == built.execute(["doubled"], inputs={"start": 1})
    assert ["numbers.rows", "numbers", "doubled"] == [name for name in seen if name != "start"]
    assert {"doubled": 20} == built.execute(["doubled"], overrides={"numbers": 10})
    assert {"start", "numbers.rows", "numbers"} <= {
        variable.name for variable in built.what_is_upstream_of("doubled")
    }


def test_installed_versions_are_declared() -> None:
    """These tests ran on versions that pyproject.toml allows."""
    outside = [
        f"{need}, but {installed} is installed"
        for need in requirements()
        if not need.specifier.contains(installed := metadata.version(need.name), prereleases=True)
    ]

    assert [] == outside


def test_every_upper_bound_has_a_canary() -> None:
    """A bound without a canary would stay for ever."""
    bounded = {need.name for need in requirements() if any("<" in part.operator for part in need.specifier)}

    assert bounded == set(CANARIES)
