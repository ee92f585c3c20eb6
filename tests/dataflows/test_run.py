"""`headrace.run`: resources land, transforms become tables, inputs are checked before anything is opened."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pytest

import headrace
from headrace.dataflows.flows import BUNDLED, find_flow
from headrace.dataflows.progress import Progress
from headrace.dataflows.run import parse_inputs
from headrace.errors import SourceError, UsageError
from headrace.loaders.warehouse import Warehouse

MakeFlow = Callable[[str, str], ModuleType]

SHOP = '''
@resource(primary_key="id", write_disposition="merge")
def orders(size: int) -> Iterator[Record]:
    """Some orders."""
    yield from ({"id": n, "price": n * 1.5, "tags": ["a"]} for n in range(size))

@resource
def shops() -> Iterator[Record]:
    yield {"id": 1}

def dear(orders: ir.Table, least: float = 1.0) -> ir.Table:
    """One row per order that is not cheap."""
    return orders.filter(orders.price > least)

def total(dear: ir.Table) -> ir.Table:
    """One row."""
    return dear.aggregate(price=dear.price.sum())

def answer(dear: ir.Table) -> int:
    return int(dear.count().execute())
'''


@pytest.fixture
def shop(make_flow: MakeFlow) -> ModuleType:
    return make_flow("shop", SHOP)


def run(flow: Any, warehouse: Any, **options: Any) -> headrace.RunResult:
    options.setdefault("inputs", {"size": 4})
    return headrace.run(flow, into=warehouse, progress=False, **options)


def tables(warehouse: Warehouse) -> set[str]:
    found = warehouse.query(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
        "WHERE database_name = current_database() AND schema_name <> '_headrace'"
    )
    return {name for (name,) in found}


def test_everything_is_written(shop: ModuleType, warehouse: Warehouse) -> None:
    """Every resource is loaded and every transform is a table in the flow's schema."""
    result = run(shop, warehouse)

    assert {"shop.orders", "shop.orders__tags", "shop.shops", "shop.dear", "shop.total"} == tables(warehouse)
    assert {"orders": 4, "shops": 1} == {name: load.counts.loaded for name, load in result.loads.items()}
    assert {"orders", "shops", "dear", "total"} == set(result.tables)
    assert 9.0 == result["total"].price.execute()[0]


def test_transforms_are_replaced(shop: ModuleType, warehouse: Warehouse) -> None:
    """A second run puts each transform in the place of its older version, and adds no row twice."""
    for size in (4, 4, 5):
        run(shop, warehouse, inputs={"size": size})

    assert [(15.0,)] == warehouse.query("SELECT price FROM shop.total")
    assert [(5,)] == warehouse.query("SELECT count(*) FROM shop.orders")
    assert not [name for name in tables(warehouse) if "__new" in name]


def test_outputs(shop: ModuleType, warehouse: Warehouse) -> None:
    """Only the nodes that are asked for are computed, with the loads that they need."""
    result = run(shop, warehouse, outputs=["dear"])

    assert {"shop.orders", "shop.orders__tags", "shop.dear"} == tables(warehouse)
    assert ["dear"] == list(result.tables)


def test_an_output_may_be_a_load(shop: ModuleType, warehouse: Warehouse) -> None:
    """Asking for a resource's load alone lands it."""
    result = run(shop, warehouse, outputs=["shops.load"], inputs={})

    assert ["shops"] == list(result.loads)
    assert {"shop.shops"} == tables(warehouse)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outputs": ["deer"]}, "no output 'deer'; did you mean 'dear'"),
        ({"outputs": ["size"]}, "no output 'size'"),
        ({"inputs": {}}, "needs the input size: .*--size on the command line"),
        ({"inputs": {"size": 1, "siez": 2}}, "takes no input 'siez'; did you mean 'size'"),
        ({"inputs": {"size": 1, "dear": 2}}, "takes no input 'dear'"),
    ],
)
def test_what_is_misspelt(shop: ModuleType, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    """A missing or misspelt input or output is refused by name; no file is made."""
    with pytest.raises(UsageError, match=message):
        run(shop, tmp_path / "shop.duckdb", **options)

    assert [] == list(tmp_path.glob("*.duckdb*"))


def test_optional_inputs(shop: ModuleType, warehouse: Warehouse) -> None:
    """An input with a default may be left out or given."""
    counts = [
        run(shop, warehouse, inputs={"size": 4, **given})["dear"].count().execute()
        for given in ({}, {"least": 4.0}, {"least": 100.0})
    ]

    assert [3, 1, 0] == counts


def test_missing_inputs_of_what_is_asked(make_flow: MakeFlow, warehouse: Warehouse) -> None:
    """All missing inputs are named at once, and only those that the outputs need."""
    flow = make_flow(
        "flow",
        """
        @resource
        def a(first: int, second: int) -> Iterator[Record]: ...

        @resource
        def b(third: int) -> Iterator[Record]:
            yield {"id": third}
        """,
    )
    with pytest.raises(UsageError, match="needs the inputs first, second: "):
        run(flow, warehouse, inputs={"third": 1})

    assert 1 == run(flow, warehouse, inputs={"third": 1}, outputs=["b"])["b"].count().execute()


@pytest.mark.parametrize("name", ["orders", "orders__tags", "Orders"])
def test_a_transform_named_like_a_resource(make_flow: MakeFlow, warehouse: Warehouse, name: str) -> None:
    """A transform never takes the place of a table that a resource loads, nor of one of its child tables."""
    flow = make_flow(
        "shop",
        f"""
        @resource(table="orders")
        def raw() -> Iterator[Record]:
            yield {{"id": 1, "tags": ["a"]}}

        def {name}(raw: ir.Table) -> ir.Table:
            return raw.limit(0)
        """,
    )
    with pytest.raises(UsageError, match="give the transform another name"):
        run(flow, warehouse, inputs={})

    assert [(1,)] == warehouse.query("SELECT id FROM shop.orders")
    assert [("a",)] == warehouse.query("SELECT value FROM shop.orders__tags")


def test_a_transform_that_was_a_resource(make_flow: MakeFlow, warehouse: Warehouse) -> None:
    """A resource does not load into what a transform wrote: the table that is in the way is named."""
    run(make_flow("shop", SHOP), warehouse)
    changed = make_flow("shop", '@resource\ndef dear() -> Iterator[Record]:\n    yield {"id": 1}')
    with pytest.raises(headrace.LoadError, match='"dear" already exists'):
        run(changed, warehouse, inputs={})


def test_into_a_file(shop: ModuleType, tmp_path: Path) -> None:
    """A file is open until the result is closed, and then anyone's."""
    into = tmp_path / "warehouse.duckdb"
    with run(shop, into) as result:
        assert 4 == result["orders"].count().execute()
    with duckdb.connect(str(into)) as connection:
        assert [(3,)] == connection.execute("SELECT count(*) FROM shop.dear").fetchall()


def test_a_run_that_fails_lets_the_file_go(make_flow: MakeFlow, tmp_path: Path) -> None:
    """After a failed run the file can be opened by others; loads that were done are in it."""
    flow = make_flow(
        "flow",
        """
        @resource
        def a() -> Iterator[Record]:
            yield {"id": 1}

        @resource
        def b(a: ir.Table) -> Iterator[Record]:
            raise OSError("gone")
            yield
        """,
    )
    into = tmp_path / "warehouse.duckdb"
    with pytest.raises(SourceError, match=r"flow\.b: record 0: OSError: gone"):
        run(flow, into, inputs={})
    with duckdb.connect(str(into)) as connection:
        assert [(1,)] == connection.execute("SELECT count(*) FROM flow.a").fetchall()


def test_one_traceback_is_enough(make_flow: MakeFlow, caplog: pytest.LogCaptureFixture) -> None:
    """Hamilton does not log the error that is raised as well."""
    flow = make_flow("flow", "@resource\ndef a() -> Iterator[Record]:\n    raise OSError\n    yield")
    with caplog.at_level(logging.INFO), pytest.raises(SourceError):
        run(flow, ":memory:", inputs={})

    assert [] == [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_several_modules(make_flow: MakeFlow, warehouse: Warehouse) -> None:
    """Transforms may stand in a module of their own; the first module names their schema."""
    source = make_flow("shop", '@resource\ndef orders() -> Iterator[Record]:\n    yield {"id": 1}')
    transforms = make_flow("reports", "def few(orders: ir.Table) -> ir.Table:\n    return orders.limit(5)")
    run([source, transforms], warehouse, inputs={})

    assert {"shop.orders", "shop.few"} == tables(warehouse)


def test_a_file_is_a_flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warehouse: Warehouse) -> None:
    """A flow is named by its file, with or without `.py`, and finds the modules beside it."""
    (tmp_path / "neighbour.py").write_text("SIZE = 3\n", encoding="utf-8")
    (tmp_path / "my_flow.py").write_text(
        "from collections.abc import Iterator\nfrom headrace import resource\nfrom neighbour import SIZE\n"
        "@resource\ndef items() -> Iterator[dict]:\n    yield from ({'n': n} for n in range(SIZE))\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    for name in ("my_flow.py", "my_flow", str(tmp_path / "my_flow.py")):
        assert 3 == run(name, warehouse, inputs={}).loads["items"].counts.loaded


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("slak", "no flow 'slak'.*did you mean 'slack'"),
        ("nowhere.py", r"There is no file 'nowhere\.py'"),
        ("no.such.module", "no flow 'no.such.module'"),
    ],
)
def test_flows_that_are_not_there(name: str, message: str) -> None:
    """A flow that cannot be found is refused with where it was looked for."""
    with pytest.raises(UsageError, match=message):
        find_flow(name)


def test_a_flow_that_lacks_a_library(tmp_path: Path) -> None:
    """A flow that imports what is not installed says so, and not that there is no flow."""
    (tmp_path / "lacking.py").write_text("import no_such_library\n", encoding="utf-8")
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        find_flow(str(tmp_path / "lacking.py"))


@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_bundled_flows_build(name: str) -> None:
    """The flows that come with headrace are sound."""
    assert [] != headrace.run.__globals__["build"](name).list_available_variables()


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [("int", "7", 7), ("float", "7", 7.0), ("bool", "true", True), ("bool", "false", False),
     ("str", "7", "7"), ("Any", "7", "7"), ("int | None", "7", 7), ("str | None", "7", "7"),
     ("list", "7,8", ["7", "8"]), ("list[int]", "7,8", [7, 8]), ("typing.Sequence[str]", "a", ["a"]),
     ("list[str] | None", "a,b", ["a", "b"]), ("Decimal", "1.50", Decimal("1.50")),
     ("date", "2026-01-31", date(2026, 1, 31))],
)  # fmt: skip
def test_inputs_as_text(make_flow: MakeFlow, hint: str, text: str, value: Any) -> None:
    """Inputs from a command line come in the type that the flow asks for."""
    flow = make_flow(
        "flow", f"from decimal import Decimal\n@resource\ndef a(given: {hint}) -> Iterator[Record]: ..."
    )

    assert {"given": value} == parse_inputs(flow, {"given": text})


@pytest.mark.parametrize(("hint", "text"), [("int", "seven"), ("bool", "yes"), ("float", "")])
def test_inputs_of_the_wrong_type(make_flow: MakeFlow, hint: str, text: str) -> None:
    """A text that is not of the type is refused under the name of its option."""
    flow = make_flow("flow", f"@resource\ndef a(page_size: {hint}) -> Iterator[Record]: ...")
    with pytest.raises(UsageError, match=f"--page-size takes {hint}, not '{text}'"):
        parse_inputs(flow, {"page_size": text})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_elsewhere_than_on_a_terminal() -> None:
    """Each resource is one line, when it is committed."""
    out = io.StringIO()
    progress = Progress(out)
    for records, committed in ((1000, False), (2500, False), (2500, True)):
        progress("shop.orders", records, committed)

    assert 1 == out.getvalue().count("\n")
    assert out.getvalue().startswith("shop.orders: 2,500 rows, ")


def test_progress_on_a_terminal() -> None:
    """The line is redrawn in place, and ends when the resource is committed."""
    out = Terminal()
    progress = Progress(out)
    progress("shop.orders", 1000, False)
    progress("shop.orders", 2500, True)

    assert 1 == out.getvalue().count("\n")
    assert out.getvalue().split("\x1b[2K")[-1].startswith("shop.orders: 2,500 rows")


def test_progress_tells_by_default(shop: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """A run tells of each resource on standard error, and nothing on standard output."""
    with headrace.run(shop, into=":memory:", inputs={"size": 4}):
        captured = capsys.readouterr()

    assert ("", ["shop.orders:", "shop.shops:"]) == (
        captured.out,
        sorted(line.split(" ")[0] for line in captured.err.split(os.linesep) if line),
    )
