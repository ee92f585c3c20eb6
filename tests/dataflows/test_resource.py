"""`@resource`: four nodes a function, plain calls, overrides, and definitions that are refused when built."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import ibis
import pytest
from hamilton import ad_hoc_utils, driver
from hamilton.driver import Driver

import headrace
from headrace import DefinitionChecks
from headrace.dataflows.nodes import STEP, TABLE, Rows
from headrace.errors import SourceError, UnknownColumn, UsageError
from headrace.loaders.commit import LoadedTable
from headrace.loaders.warehouse import Warehouse

MakeFlow = Callable[[str, str], ModuleType]

SHOP = '''
@resource(primary_key="id", write_disposition="merge", cursor="updated_at")
def orders(client: list, since: datetime | None) -> Iterator[Record]:
    """Orders changed since the last load."""
    client.append(since)
    for n in range(3):
        yield {"id": n, "state": "open" if n else "closed", "updated_at": f"2026-01-0{n + 1}T00:00:00Z"}

@resource
def shops(size: int = 2) -> Iterator[Record]:
    """Every shop."""
    for n in range(size):
        yield {"id": n}

def open_orders(orders: ir.Table) -> ir.Table:
    """One row per open order."""
    return orders.filter(orders.state == "open")

def number_open(open_orders: ir.Table) -> int:
    return int(open_orders.count().execute())
'''


def build(*modules: ModuleType) -> Driver:
    return driver.Builder().with_modules(*modules).with_adapters(DefinitionChecks()).build()


@pytest.fixture
def shop(make_flow: MakeFlow) -> ModuleType:
    return make_flow("shop", SHOP)


def test_four_nodes(shop: ModuleType) -> None:
    """A resource is its cursor, its rows, its load and its table, each tagged with its step and table."""
    nodes = {
        variable.name: (variable.tags[STEP], variable.type)
        for variable in build(shop).list_available_variables()
        if variable.tags.get(TABLE) == "shop.orders"
    }

    assert {
        "orders.cursor": ("cursor", Any),
        "orders.rows": ("extract", Rows),
        "orders.load": ("load", LoadedTable),
        "orders": ("table", ibis.expr.types.Table),
    } == nodes


def test_without_since_there_is_no_cursor(shop: ModuleType) -> None:
    """A resource that does not ask for `since` has three nodes."""
    names = {variable.name for variable in build(shop).list_available_variables()}

    assert {"shops", "shops.load", "shops.rows"} == {name for name in names if name.startswith("shops")}


def test_lineage_is_complete(shop: ModuleType) -> None:
    """Upstream of a transform are the landing, the reading, the cursor and the inputs."""
    upstream = {variable.name for variable in build(shop).what_is_upstream_of("open_orders")}

    assert {
        "open_orders", "orders", "orders.load", "orders.rows", "orders.cursor", "client", "warehouse",
    } == upstream  # fmt: skip


def test_nodes_carry_the_docstring(shop: ModuleType) -> None:
    """What the function says of itself is what the catalogue of nodes says."""
    found = {variable.name: variable.documentation for variable in build(shop).list_available_variables()}

    assert "Orders changed since the last load." == found["orders"] == found["orders.rows"]


def test_a_plain_call_is_a_generator(shop: ModuleType) -> None:
    """The function stays what it was: calling it is its unit test."""
    client: list[Any] = []

    assert [0, 1, 2] == [order["id"] for order in shop.orders(client, None)]
    assert [None] == client
    assert [{"id": 0}] == list(shop.shops(size=1))


def test_in_a_script(shop: ModuleType) -> None:
    """With nothing but Hamilton: the DAG lands the rows and computes what was asked for."""
    with headrace.connect() as warehouse:
        found = build(shop).execute(["number_open"], inputs={"warehouse": warehouse, "client": []})

        assert {"number_open": 2} == found
        assert [(3,)] == warehouse.query("SELECT count(*) FROM shop.orders")


def test_transforms_are_tested_without_io(shop: ModuleType) -> None:
    """Overriding the table's node with a memtable asks neither the source nor a warehouse."""
    orders = ibis.memtable({"id": [1, 2], "state": ["open", "closed"]})

    assert {"number_open": 1} == build(shop).execute(["number_open"], overrides={"orders": orders})


def test_loads_are_tested_without_the_source(shop: ModuleType) -> None:
    """Overriding the rows lands them as if the source had given them."""
    rows = [{"id": 7, "state": "open", "updated_at": "2026-01-01T00:00:00Z"}]
    with headrace.connect() as warehouse:
        found = build(shop).execute(
            ["number_open"], inputs={"warehouse": warehouse}, overrides={"orders.rows": rows}
        )

        assert {"number_open": 1} == found


def test_since_is_the_committed_cursor(shop: ModuleType) -> None:
    """The first run gets None, the next the greatest value that was landed, as the type it asks for."""
    client: list[Any] = []
    with headrace.connect() as warehouse:
        for _ in range(3):
            build(shop).execute(["orders.load"], inputs={"warehouse": warehouse, "client": client})

        assert [None, *[datetime(2026, 1, 3, tzinfo=timezone.utc)] * 2] == client
        assert [(3,)] == warehouse.query("SELECT count(*) FROM shop.orders")


@pytest.mark.parametrize(
    ("hint", "value", "since"),
    [
        ("datetime | None", '"2026-01-31T10:00:00+02:00"', "datetime.datetime"),
        ("datetime | None", "datetime(2026, 1, 31)", "datetime.datetime"),
        ("date | None", '"2026-01-31"', "datetime.date"),
        ("str | None", '"2026-01-31"', "str"),
        ("typing.Optional[datetime]", '"2026-01-31T10:00:00Z"', "datetime.datetime"),
        ("int | None", "7", "int"),
        ("Any", '{"page": 7}', "dict"),
    ],
)
def test_since_has_the_declared_type(make_flow: MakeFlow, hint: str, value: str, since: str) -> None:
    """A cursor is kept as JSON, and comes back as what `since` is declared to be."""
    flow = make_flow(
        "flow",
        f"""
        @resource
        def events(seen: list, since: {hint}) -> Iterator[Record]:
            seen.append(since)
            yield {{"id": 1}}
            yield Checkpoint({value})
        """,
    )
    seen: list[Any] = []
    with headrace.connect() as warehouse:
        for _ in range(2):
            build(flow).execute(["events.load"], inputs={"warehouse": warehouse, "seen": seen})
    kind = type(seen[1])

    assert [None, since] == [seen[0], f"{kind.__module__}.{kind.__name__}".removeprefix("builtins.")]


def test_a_cursor_column_of_times(make_flow: MakeFlow) -> None:
    """A cursor over times of Python rises from run to run."""
    flow = make_flow(
        "flow",
        """
        @resource(cursor="at")
        def events(days: list, since: datetime | None) -> Iterator[Record]:
            for day in days:
                if since is None or datetime(2026, 1, day) > since:
                    yield {"at": datetime(2026, 1, day)}
        """,
    )
    with headrace.connect() as warehouse:
        for days in ([1, 2], [1, 2, 3], [3]):
            build(flow).execute(["events.load"], inputs={"warehouse": warehouse, "days": days})

        assert [(1,), (2,), (3,)] == warehouse.query('SELECT day("at") FROM flow.events ORDER BY 1')


def test_rows_are_read_once(make_flow: MakeFlow) -> None:
    """A second consumer of the rows would silently get none: it is refused, and told what to name."""
    flow = make_flow(
        "flow",
        """
        @resource
        def events() -> Iterator[Record]:
            yield {"id": 1}
        """,
    )
    (rows,) = build(flow).execute(["events.rows"]).values()

    assert [{"id": 1}] == list(rows)
    with pytest.raises(UsageError, match=r"'events' were read already.*landed table 'events'"):
        list(rows)


def test_a_failing_source_is_named(make_flow: MakeFlow) -> None:
    """What a resource raises comes out as an error of headrace that names the table and the record."""
    flow = make_flow(
        "flow",
        """
        @resource
        def events() -> Iterator[Record]:
            yield {"id": 1}
            raise OSError("gone")
        """,
    )
    with (
        headrace.connect() as warehouse,
        pytest.raises(SourceError, match=r"flow\.events: record 1: OSError"),
    ):
        build(flow).execute(["events"], inputs={"warehouse": warehouse})


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ('@resource(write_disposition="merge")\ndef a() -> Iterator[Record]: ...', "merge needs primary_key"),
        ('@resource(write_disposition="mrege")\ndef a() -> Iterator[Record]: ...', "did you mean 'merge'"),
        ('@resource(cursor="at")\ndef a() -> Iterator[Record]: ...', "Add the parameter `since`"),
        ("@resource\ndef openOrders() -> Iterator[Record]: ...", "'open_orders' would be"),
        ('@resource(table="Orders")\ndef a() -> Iterator[Record]: ...', "'orders' would be"),
        ('@resource(columns={"a": "INTEGR"})\ndef a() -> Iterator[Record]: ...', "no type 'INTEGR'"),
        ("@resource\ndef a(client) -> Iterator[Record]: ...", "Parameter 'client' of a resource needs"),
        (
            "@resource\ndef a(page: int) -> Parallelizable[Record]: ...",
            "return is Parallelizable.*Put the parallel block before it",
        ),
        ("@resource\ndef a(pages: Collect[Record]) -> Iterator[Record]: ...", "pages is Collect"),
        (
            "@resource\ndef a() -> Iterator[Record]: ...\n"
            '@resource(table="a")\ndef b() -> Iterator[Record]: ...',
            "Two resources load the table 'flow.a': .*another table=",
        ),
        (
            'class Order(TypedDict):\n    order_id: int\n\n'
            '@resource(primary_key="orderid")\ndef a() -> Iterator[Order]: ...',
            "no column 'orderid'; did you mean 'order_id'",
        ),
        (
            "@dataclasses.dataclass\nclass Order:\n    updated_at: str\n\n"
            '@resource(cursor="updated")\ndef a(since: str) -> Iterator[Order]: ...',
            "no column 'updated'; did you mean 'updated_at'",
        ),
    ],
)  # fmt: skip
def test_definitions_that_are_refused(make_flow: MakeFlow, definition: str, message: str) -> None:
    """A resource that cannot work is refused when it is defined or built, with the fix in the message."""
    with pytest.raises(UsageError, match=message):
        build(make_flow("flow", definition))


def test_keys_of_a_typed_record(make_flow: MakeFlow) -> None:
    """A key that the declared record has, or a hint adds, is fine; of a nested one the first step counts."""
    flow = make_flow(
        "flow",
        """
        class Order(TypedDict):
            id: int
            shop: dict

        @resource(primary_key=("id", "shop.name", "extra"), columns={"extra": "BIGINT"})
        def orders() -> Iterator[Order]: ...
        """,
    )

    assert {"orders"} <= {variable.name for variable in build(flow).list_available_variables()}


def test_errors_keep_their_parts(make_flow: MakeFlow) -> None:
    """An unknown column is an error that says which, of which table, and what there is."""
    definition = (
        "class Order(TypedDict):\n    id: int\n\n"
        '@resource(primary_key="no")\ndef orders() -> Iterator[Order]: ...'
    )
    with pytest.raises(UnknownColumn) as raised:
        build(make_flow("flow", definition))

    assert ("flow.orders", "no", ["id"]) == (raised.value.table, raised.value.column, raised.value.known)


def test_defaults_stay_defaults(shop: ModuleType) -> None:
    """A parameter with a default may be left out, or given."""
    with headrace.connect() as warehouse:
        graph = build(shop)
        sizes = [
            graph.execute(["shops.load"], inputs={"warehouse": warehouse, **given})[
                "shops.load"
            ].counts.loaded
            for given in ({}, {"size": 5})
        ]

    assert [2, 5] == sizes


def test_a_resource_may_depend_on_nodes(make_flow: MakeFlow) -> None:
    """Parameters of a resource are other nodes where there are such: a table of another resource, too."""
    flow = make_flow(
        "flow",
        """
        @resource
        def shops() -> Iterator[Record]:
            yield from ({"id": n} for n in range(2))

        def shop_ids(shops: ir.Table) -> list:
            return shops.id.execute().tolist()

        @resource
        def orders(shop_ids: list) -> Iterator[Record]:
            for shop in sorted(shop_ids):
                yield {"shop": shop}
        """,
    )
    with headrace.connect() as warehouse:
        build(flow).execute(["orders"], inputs={"warehouse": warehouse})

        assert [(0,), (1,)] == warehouse.query("SELECT shop FROM flow.orders ORDER BY shop")


def test_the_catalogue_knows_the_code(shop: ModuleType) -> None:
    """A load says which function made its records, and in which version of its code."""
    with headrace.connect() as warehouse:
        build(shop).execute(["shops.load"], inputs={"warehouse": warehouse})
        ((source,),) = warehouse.query("SELECT source FROM _headrace.loads")

    name, _, version = source.partition("@")

    assert ("shop.shops", 12) == (name, len(version))


NOTEBOOK_CELL = '''
import ibis.expr.types as ir
from collections.abc import Iterator
from headrace import Record, resource

@resource(primary_key="id", write_disposition="merge")
def orders(size: int) -> Iterator[Record]:
    """Some orders."""
    yield from ({"id": n, "tags": [n]} for n in range(size))

def large(orders: ir.Table) -> ir.Table:
    return orders.filter(orders.id > 0)
'''


def test_works_from_source(warehouse: Warehouse) -> None:
    """A module that Hamilton makes from text, with no file behind it, is a flow like any other."""
    flow = ad_hoc_utils.module_from_source(NOTEBOOK_CELL, "from_source")
    result = headrace.run(flow, into=warehouse, inputs={"size": 3}, progress=False)

    assert [1, 2] == sorted(result["large"].id.execute().tolist())
    assert [(3,)] == warehouse.query("SELECT count(*) FROM from_source.orders__tags")


def test_works_in_a_notebook_cell(warehouse: Warehouse) -> None:
    """A cell with Hamilton's %%cell_to_module is a flow, also when the cell is run again."""
    from IPython.core.interactiveshell import InteractiveShell

    shell: Any = InteractiveShell()  # type: ignore[no-untyped-call]
    shell.run_line_magic("load_ext", "hamilton.plugins.jupyter_magic")
    for size in (3, 4):
        shell.run_cell_magic("cell_to_module", "notebook_flow", NOTEBOOK_CELL)
        result = headrace.run(
            shell.user_ns["notebook_flow"], into=warehouse, inputs={"size": size}, progress=False
        )

        assert size - 1 == result["large"].count().execute()


@pytest.mark.parametrize("each", ["", 'each=["all"]'], ids=["whole", "in partitions"])
@pytest.mark.parametrize(
    "records",
    [
        pytest.param('"orders.jsonl"', id="the name of a file"),
        pytest.param('Path("orders.jsonl")', id="a path"),
        pytest.param('b\'{"id": 1}\\n{"id": 2}\'', id="bytes"),
        pytest.param('pd.DataFrame({"id": [1, 2]})', id="pandas"),
        pytest.param('pa.table({"id": [1, 2]})', id="Arrow"),
        pytest.param('{"id": 1, "more": []}, {"id": 2}', id="a tuple"),
        pytest.param('{0: {"id": 1}, 1: {"id": 2}}.values()', id="a view"),
        pytest.param("_arriving()", id="an async generator"),
    ],
)
def test_a_container_is_returned(
    records: str, each: str, make_flow: MakeFlow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a resource returns may be any container, as what it yields may: its records land, not its keys."""
    monkeypatch.chdir(tmp_path)
    Path("orders.jsonl").write_text('{"id": 1}\n{"id": 2}\n', encoding="utf-8")
    code = f"""
from pathlib import Path
import pandas as pd
import pyarrow as pa

async def _arriving():
    yield {{"id": 1}}
    yield {{"id": 2}}

@resource(primary_key="id", write_disposition="merge", {each})
def orders({"part: str" if each else ""}) -> Any:
    return {records}
"""
    with headrace.run(make_flow("shop", code), into="w.duckdb") as result:
        assert [(1,), (2,)] == result.warehouse.query("SELECT id FROM shop.orders ORDER BY id")


def test_one_dict_is_returned(make_flow: MakeFlow) -> None:
    """A dict is one record."""
    flow = make_flow("shop", "@resource\ndef orders() -> Any:\n    return {'id': 7}")
    with headrace.run(flow, into=":memory:") as result:
        assert [(7,)] == result.warehouse.query("SELECT id FROM shop.orders")


def test_nothing_is_returned(make_flow: MakeFlow) -> None:
    """A function that forgot to return its records is told so."""
    flow = make_flow("shop", "@resource\ndef orders() -> Any:\n    [{'id': 1}]")
    with pytest.raises(UsageError, match="'orders' returned None; let it yield records, or return them"):
        headrace.run(flow, into=":memory:")
