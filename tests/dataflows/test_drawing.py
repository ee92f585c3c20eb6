"""Drawings of a DAG: what a reader sees, with graphviz, without its program and without its module."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import ibis.expr.types as ir
import pytest
from hamilton.htypes import Collect, Parallelizable

import headrace
from headrace.dataflows.drawing import draw, outline
from headrace.errors import MissingExtra, UsageError

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz's program dot is not installed")


@headrace.resource(primary_key="id", write_disposition="merge", cursor="at")
def orders(shop: list[headrace.Record], since: str | None) -> Iterator[headrace.Record]:
    r"""Orders, of the file C:\new "as they are"."""
    yield from shop


def lines(orders: ir.Table, cheapest: int = 0) -> ir.Table:
    """One row per line."""
    return orders.filter(orders.price >= cheapest)


def best(lines: ir.Table) -> ir.Table:
    """The best lines."""
    return lines


def day(lines: ir.Table) -> Parallelizable[str]:
    """Each day."""
    yield from ["Monday"]


def days(day: Collect[str]) -> list[str]:
    """All days."""
    return list(day)


def module(*functions: object) -> ModuleType:
    """Return functions of this file as a flow of their own."""
    flow = ModuleType(__name__)
    for function in functions:
        setattr(flow, getattr(function, "__name__"), function)  # noqa: B009
    return flow


@pytest.fixture
def shop() -> ModuleType:
    """A resource with a cursor, and two transforms."""
    return module(orders, lines, best)


@pytest.fixture
def without_dot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which no program is found."""
    monkeypatch.setenv("PATH", str(tmp_path))


def clusters(source: str) -> dict[str, set[str]]:
    """Return the nodes in each box of a dot source, by the box's label."""
    boxes = re.findall(r"subgraph \w+ \{\n(.*?)\n\t\}", source, re.DOTALL)
    return {
        re.findall(r'label="?([\w.]+)', box)[0]: set(re.findall(r'^\t\t"?([\w.]+)"?$', box, re.MULTILINE))
        for box in boxes
    }


def texts(svg: Path) -> set[str]:
    """Return the words that a picture shows."""
    root = ElementTree.fromstring(svg.read_text(encoding="utf-8"))
    return {element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")}


def test_outline(shop: ModuleType) -> None:
    """A line goes on while a node needs only the one before it, and no node stands before what it needs."""
    expected = [
        "shop",
        "orders.cursor",
        "shop, orders.cursor -> orders.rows",
        "orders.rows, orders.cursor -> orders.load -> orders",
        "cheapest",
        "orders, cheapest -> lines -> best",
    ]

    assert sorted(expected) == sorted(outline(shop).splitlines())


def test_outline_of_slack() -> None:
    """Every node of the bundled flow is made once, after all that it needs."""
    made = ["export"]
    for line in outline("slack").splitlines():
        first, *rest = line.split(" -> ")
        if rest:
            assert set(first.split(", ")) <= set(made)
        else:
            made.append(first)
        made += rest

    expected = {f"{name}{step}" for name in ("channels", "messages", "users", "other_items")
                for step in ("", ".rows", ".load")}  # fmt: skip
    expected |= {"export", "slack_export", "messages.cursor"}
    expected |= {"thread_messages", "threads", "thread_texts", "thread_briefs"}
    assert sorted(expected) == sorted(made)


@needs_dot
def test_a_resource_is_a_box(shop: ModuleType) -> None:
    """The four nodes of a resource, and no others, are in a box that bears the name of its table."""
    expected = {"test_drawing.orders": {"orders.cursor", "orders.rows", "orders.load", "orders"}}

    assert expected == clusters(draw(shop).source)  # type: ignore[union-attr]


def test_the_same_flow_gives_the_same_drawing(tmp_path: Path) -> None:
    """Two processes, in which Python orders sets differently, draw the same."""
    sources = []
    for seed in ("1", "2"):
        path = tmp_path / f"{seed}.dot"
        subprocess.run(
            [sys.executable, "-c", f"import headrace; headrace.draw('slack', path={str(path)!r})"],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
        )
        sources.append(path.read_text(encoding="utf-8"))

    assert sources[0] == sources[1]


@needs_dot
def test_svg(shop: ModuleType, tmp_path: Path) -> None:
    """Every node is in the picture under a short name, each input once, and the warehouse not at all."""
    draw(shop, path=tmp_path / "shop.svg")

    expected = {
        "shop",
        "cheapest",
        "cursor",
        "rows",
        "load",
        "orders",
        "test_drawing.orders",
        "lines",
        "best",
    }
    assert expected == texts(tmp_path / "shop.svg")
    assert [tmp_path / "shop.svg"] == list(tmp_path.iterdir())


@needs_dot
def test_docstrings_are_shown_under_the_pointer(shop: ModuleType, tmp_path: Path) -> None:
    """The first line of a function's docstring is in the picture as it stands, backslashes and quotes too."""
    draw(shop, path=tmp_path / "shop.svg")

    root = ElementTree.fromstring((tmp_path / "shop.svg").read_text(encoding="utf-8"))
    titles = {element.get("{http://www.w3.org/1999/xlink}title") for element in root.iter()}
    assert {
        "One row per line.",
        r"""Orders, of the file C:\new "as they are".""",
        "The best lines.",
    } <= titles


@needs_dot
def test_png(shop: ModuleType, tmp_path: Path) -> None:
    """The ending of the path decides the format."""
    draw(shop, path=str(tmp_path / "shop.png"))

    assert b"\x89PNG" == (tmp_path / "shop.png").read_bytes()[:4]


@needs_dot
def test_parallel_blocks_are_drawn(tmp_path: Path) -> None:
    """A flow with a parallel block is drawn, its two ends doubly bordered."""
    drawn = draw(module(orders, lines, day, days))

    assert 2 == drawn.source.count("peripheries=2")  # type: ignore[union-attr]


@needs_dot
def test_a_notebook_shows_svg(shop: ModuleType) -> None:
    """What `draw` returns displays as SVG."""
    shown = draw(shop)._repr_mimebundle_()  # type: ignore[union-attr]

    assert ["image/svg+xml"] == list(shown)


@pytest.mark.usefixtures("without_dot")
def test_without_the_program(shop: ModuleType, tmp_path: Path) -> None:
    """Without `dot` a notebook shows what to install and the outline; a .dot file is written all the same."""
    shown = repr(draw(shop, path=tmp_path / "shop.dot"))

    assert "apt-get install graphviz" in shown
    assert shown.endswith(outline(shop))
    assert (tmp_path / "shop.dot").read_text(encoding="utf-8").startswith("// Dependency Graph\ndigraph {")


@pytest.mark.usefixtures("without_dot")
def test_file_without_the_program(shop: ModuleType, tmp_path: Path) -> None:
    """A picture that cannot be written is an error that says what to install."""
    with pytest.raises(UsageError, match=r"'shop\.png' needs .* apt-get install graphviz"):
        draw(shop, path=tmp_path / "shop.png")

    assert [] == list(tmp_path.iterdir())


def test_without_the_module(shop: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the Python module the error names the extra, and the outline is there."""
    monkeypatch.setitem(sys.modules, "graphviz", None)

    with pytest.raises(MissingExtra, match=r"Drawing needs an extra: pip install 'headrace\[draw\]'"):
        draw(shop)
    assert outline(shop)


@pytest.mark.parametrize("name", ["shop.gif", "shop", "svg"])
def test_unknown_format(shop: ModuleType, tmp_path: Path, name: str) -> None:
    """A path with another ending is refused, and the endings that work are named."""
    with pytest.raises(UsageError, match=f"svg, png, pdf, dot; '{name}'"):
        draw(shop, path=tmp_path / name)


def test_unknown_flow() -> None:
    """A misspelt flow is refused as `run` refuses it."""
    with pytest.raises(UsageError, match="did you mean 'slack'"):
        draw("slak")
