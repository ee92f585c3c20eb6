"""`each=`: a resource that is read partition by partition, and definitions of parts that are refused."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import headrace
from headrace.dataflows.run import build
from headrace.errors import SourceError, UsageError
from headrace.loaders.warehouse import Warehouse

MakeFlow = Callable[[str, str], ModuleType]

SHOPS = """
def regions(client: dict) -> list:
    return list(client["regions"])

def by_region(regions: list) -> list:
    return regions

@resource(each=by_region, part_records=1, primary_key=("region", "id"), write_disposition="merge")
def orders(client: dict, part: str, since: int | None) -> Iterator[Record]:
    client["asked"].append((part, since))
    for id in range(since or 0, client["regions"][part]):
        if id == client.get("fails"):
            raise KeyError(id)
        yield {"region": part, "id": id}
        yield Checkpoint(id + 1)
"""


@pytest.fixture
def shops(make_flow: MakeFlow) -> ModuleType:
    return make_flow("shops", SHOPS)


def run(flow: ModuleType, warehouse: Warehouse, client: dict[str, Any]) -> list[Any]:
    """Run the flow; return the partitions that it asked for, with the `since` of each."""
    client["asked"] = []
    headrace.run(flow, into=warehouse, inputs={"client": client}, progress=False)
    return list(client["asked"])


def count(warehouse: Warehouse) -> dict[str, int]:
    return dict(warehouse.query("SELECT region, count(*) FROM shops.orders GROUP BY ALL"))


def test_each_partition_goes_on_from_its_own_cursor(shops: ModuleType, warehouse: Warehouse) -> None:
    """Every round reads every partition, new ones too, each from where it got to."""
    first = run(shops, warehouse, {"regions": {"eu": 2, "us": 3}})
    second = run(shops, warehouse, {"regions": {"eu": 2, "us": 4, "asia": 1}})

    assert [("eu", None), ("us", None)] == first
    assert [("eu", 2), ("us", 3), ("asia", None)] == second
    assert {"eu": 2, "us": 4, "asia": 1} == count(warehouse)


def test_what_is_done_is_not_read_again(shops: ModuleType, warehouse: Warehouse) -> None:
    """After a failure the round goes on: done partitions are left out, the open one from its cursor."""
    client = {"regions": {"eu": 2, "us": 5, "asia": 1}, "fails": 3}
    with pytest.raises(
        SourceError, match=r'shops\.orders: record 5 \(partition "us"\): KeyError: 3; the first 5 are'
    ):
        run(shops, warehouse, client)
    assert {"eu": 2, "us": 3} == count(warehouse)

    del client["fails"]

    assert [("us", 3), ("asia", None)] == run(shops, warehouse, client)
    assert [("eu", 2), ("us", 5), ("asia", 1)] == run(shops, warehouse, client)
    assert {"eu": 2, "us": 5, "asia": 1} == count(warehouse)


def test_the_nodes(shops: ModuleType) -> None:
    """The partitions are a node of their own, connected to what its function takes; `part` is no input."""
    graph = build(shops)
    upstream = {variable.name for variable in graph.what_is_upstream_of("orders")}

    assert {
        "client", "warehouse", "regions", "orders.each", "orders.cursor", "orders.rows", "orders.load", "orders",
    } == upstream  # fmt: skip


@pytest.mark.parametrize("append", [True, False])
def test_a_list_of_partitions(make_flow: MakeFlow, warehouse: Warehouse, append: bool) -> None:
    """Without `since` a partition is read whole, and small ones are committed together."""
    how = "" if append else ', primary_key="id", write_disposition="merge"'
    flow = make_flow(
        "flow",
        f"""
        @resource(each=[1, 2, {{"year": 2026}}]{how})
        def events(asked: list, part: Any) -> list[Record]:
            asked.append(part)
            return [{{"id": str(part)}}]
        """,
    )
    asked: list[Any] = []
    for _ in range(2):
        headrace.run(flow, into=warehouse, inputs={"asked": asked}, progress=False)

    assert [1, 2, {"year": 2026}] * 2 == asked
    assert [(6 if append else 3,)] == warehouse.query("SELECT count(*) FROM flow.events")
    assert [(3,), (3,)] == warehouse.query("SELECT rows_in FROM _headrace.loads")


def test_a_cursor_column_in_each_partition(make_flow: MakeFlow, warehouse: Warehouse) -> None:
    """The greatest value is each partition's own; one that begins below the last one's end is in order."""
    flow = make_flow(
        "flow",
        """
        @resource(each=["a", "b"], cursor="at", row_order="asc", part_records=2)
        def events(days: dict, part: str, since: datetime | None) -> Iterator[Record]:
            days.setdefault("since", []).append(since)
            for day in days[part]:
                if since is None or datetime(2026, 1, day) > since:
                    yield {"of": part, "at": datetime(2026, 1, day)}
        """,
    )
    days: dict[str, Any] = {"a": [7, 8, 9], "b": [1, 2, 3]}
    for _ in range(2):
        headrace.run(flow, into=warehouse, inputs={"days": days}, progress=False)

    assert [None, None, 9, 3] == [since and since.day for since in days["since"]]
    assert [("a", 3), ("b", 3)] == warehouse.query(
        "SELECT of, count(*) FROM flow.events GROUP BY ALL ORDER BY ALL"
    )
    assert [(2,), (2,), (2,), (0,)] == warehouse.query("SELECT rows_in FROM _headrace.loads ORDER BY load_id")


def test_no_partitions(shops: ModuleType, warehouse: Warehouse) -> None:
    """A round over nothing reads nothing, and forgets nothing."""
    run(shops, warehouse, {"regions": {"eu": 2}})

    assert [] == run(shops, warehouse, {"regions": {}})
    assert [("eu", 2)] == run(shops, warehouse, {"regions": {"eu": 2}})


def test_partitions_come_and_go(make_flow: MakeFlow, warehouse: Warehouse) -> None:
    """With partitions or without, a cursor that was kept the other way is no `since`."""
    source = """
        @resource({each})
        def events(seen: list, {part}since: int | None) -> Iterator[Record]:
            seen.append(since)
            yield {{"id": 1}}
            yield Checkpoint(5)
        """
    seen: list[Any] = []
    for each in ["", 'each=["a"]', 'each=["a"]', "", ""]:
        flow = make_flow("flow", source.format(each=each, part="part: str, " if each else ""))
        headrace.run(flow, into=warehouse, inputs={"seen": seen}, progress=False)

    assert [None, None, 5, None, 5] == seen


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ('@resource(each=["a"])\ndef a() -> Iterator[Record]: ...', "parameter `part`; add it"),
        ('@resource(each="ab")\ndef a(part: str) -> Iterator[Record]: ...', "a list of partitions, not 'ab'"),
        ("@resource(each=7)\ndef a(part: str) -> Iterator[Record]: ...", "a list of partitions, not 7"),
        (
            '@resource(each=["a"], write_disposition="replace")\ndef a(part: str) -> Iterator[Record]: ...',
            "replace needs the whole load. Loop over them",
        ),
        (
            '@resource(each=["a"], primary_key="id", write_disposition="merge", merge_strategy="snapshot")\n'
            "def a(part: str) -> Iterator[Record]: ...",
            "snapshot needs the whole load. Loop over them",
        ),
        (
            '@resource(row_order="asc")\ndef a(since: int) -> Iterator[Record]: ...',
            "row_order is the order of the cursor; name it",
        ),
        (
            '@resource(row_order="asc", cursor="at", write_disposition="replace")\n'
            "def a(since: int) -> Iterator[Record]: ...",
            "row_order cuts a long load into parts, and replace needs",
        ),
        (
            '@resource(row_order="down", cursor="at")\ndef a(since: int) -> Iterator[Record]: ...',
            "no row_order 'down'; 'asc'",
        ),
        ("@resource(part_records=0)\ndef a() -> Iterator[Record]: ...", "part_records is 0"),
        (
            "def parts(client) -> list: ...\n"
            "@resource(each=parts)\ndef a(part: str) -> Iterator[Record]: ...",
            "Parameter 'client' of a resource needs a type",
        ),
    ],
)  # fmt: skip
def test_definitions_that_are_refused(make_flow: MakeFlow, definition: str, message: str) -> None:
    """A resource whose parts cannot work is refused when it is defined or built."""
    with pytest.raises(UsageError, match=message):
        build(make_flow("flow", definition))


def test_a_partition_that_json_lacks(make_flow: MakeFlow, warehouse: Warehouse) -> None:
    """It is refused by its value before anything is read."""
    flow = make_flow(
        "flow",
        """
        def days() -> list:
            return [date(2026, 1, 1)]

        @resource(each=days)
        def events(part: Any) -> Iterator[Record]:
            raise AssertionError("was read")
        """,
    )
    with pytest.raises(UsageError, match=r"partition datetime.date\(2026, 1, 1\).*make it text"):
        headrace.run(flow, into=warehouse, progress=False)
