"""Draw the DAG of a flow: a picture for a notebook or a file, text for a terminal.

A resource is a box around its steps, blue and darker from step to step; transforms are amber, inputs dashed.
The input `warehouse` is left out: each load and each table needs it, and its lines would hide the others.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis.expr.types as ir
from hamilton.driver import Driver
from hamilton.node import Node

from headrace.dataflows.nodes import STEP, TABLE
from headrace.dataflows.run import Flow, build
from headrace.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from graphviz import Digraph

FORMATS = ("svg", "png", "pdf", "dot")
"""What a drawing can be written as; `dot` is graphviz's own language and needs no program."""

_INSTALL = "apt-get install graphviz (Debian), dnf install graphviz (Fedora), brew install graphviz (macOS)"
_STEP_FILLS = {
    "cursor": "#f4f8fb",
    "each": "#f4f8fb",
    "extract": "#deebf7",
    "load": "#c3dbef",
    "table": "#9ec7e8",
}
_TRANSFORM_FILL, _OTHER_FILL = "#f9dfae", "#ffffff"
_FONT = "Helvetica"
_LINE = "#7a8590"
_LOOK = {"color": _LINE, "fontsize": "13", "margin": "0.11,0.05", "height": "0.38", "width": "0.5"}


class Outline(str):
    """Text that a notebook and a prompt show as it is, line by line."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def draw(flow: Flow, *, path: str | Path | None = None) -> Digraph | Outline:
    """Draw a flow's DAG from left to right: what a notebook displays as a picture.

    Where graphviz's program `dot` is not installed, the DAG comes as text that says how to install it.

    Args:
        flow: A module or several; or the name of a bundled flow, a file or a module.
        path: A file to write as well; its ending is one of `FORMATS`.

    Raises:
        MissingExtra: The Python module `graphviz` is not installed.
        UsageError: There is no such flow, or the file cannot be written in that format, or not without `dot`.
    """
    graph = build(flow)
    picture = _picture(graph)
    can_render = shutil.which("dot") is not None
    if path is not None:
        _write(picture, Path(path), can_render)
    if can_render:
        return picture
    return Outline(f"To see the DAG drawn, install graphviz: {_INSTALL}. As text:\n\n{_outlined(graph)}")


def outline(flow: Flow) -> str:
    r"""Return a flow's DAG as text: each node once after an arrow, inputs and cursors where a line starts.

    A line goes on as long as a node needs nothing but the one before it.

    >>> print(outline("slack"))  # doctest: +ELLIPSIS
    export -> slack_export -> channels.rows -> channels.load -> channels
    messages.cursor
    slack_export, channels, messages.cursor -> messages.rows
    ...
    """
    return _outlined(build(flow))


def _outlined(graph: Driver) -> str:
    lines: list[str] = []
    last: list[str] = []
    for name, needs in _in_order(graph).items():
        if needs and needs == last:
            lines[-1] += f" -> {name}"
        else:
            lines.append(f"{', '.join(needs)} -> {name}" if needs else name)
        last = [name]
    return "\n".join(lines)


def _in_order(graph: Driver) -> dict[str, list[str]]:
    """Return what each node needs, by name; every node stands after those."""
    nodes = _nodes(graph)
    order: dict[str, list[str]] = {}

    def visit(name: str) -> None:
        if name in order:
            return
        needs = [need for need in nodes[name].input_types if need in nodes]
        for need in needs:
            visit(need)
        order[name] = needs

    for name in nodes:
        visit(name)
    return order


def _nodes(graph: Driver) -> dict[str, Node]:
    """Return the nodes to show, by name."""
    return {node.name: node for node in graph.graph.get_nodes() if node.name != "warehouse"}


def _picture(graph: Driver) -> Digraph:
    """Return Hamilton's own drawing, with short labels, boxes around resources, and each input once."""
    _require_graphviz()
    nodes = _nodes(graph)
    picture = graph.display_all_functions(
        hide_inputs=True,
        show_legend=False,
        show_schema=False,
        custom_style_function=_style,
        graphviz_kwargs={
            "graph_attr": {"concentrate": "false", "ranksep": "0.3", "nodesep": "0.15", "tooltip": " "},
            "edge_attr": {"color": _LINE, "arrowsize": "0.6", "tooltip": " "},
        },
    )
    picture.body.sort()  # Hamilton draws a set of nodes, and the layout follows the order
    for name, node in nodes.items():
        # What is said of a node again replaces what was said before.
        picture.node(name, label=name.rpartition(".")[2] if STEP in node.tags else name)
        if node.user_defined:
            picture.node(name, shape="rectangle", fontname=_FONT, **_LOOK, style="dashed")
            picture.edges([(name, below.name) for below in nodes.values() if name in below.input_types])
    for resource, steps in _resources(nodes).items():
        with picture.subgraph(name=f"cluster_{resource}") as box:
            box.attr(label=nodes[resource].tags[TABLE], style="rounded", color=_LINE)
            box.attr(fontname=_FONT, fontsize="11", fontcolor=_LINE)
            for step in steps:
                box.node(step)
    return picture


def _require_graphviz() -> None:
    try:
        import graphviz  # noqa: F401  an optional dependency; Hamilton would only log that it is missing
    except ImportError:
        raise MissingExtra("Drawing", "draw") from None


def _style(*, node: Any, node_class: str) -> tuple[dict[str, str], str, None]:
    """Return how a node looks, and what it says under the pointer; Hamilton calls this with each."""
    is_table = isinstance(node.type, type) and issubclass(node.type, ir.Table)
    fill = _STEP_FILLS.get(node.tags.get(STEP, ""), _TRANSFORM_FILL if is_table else _OTHER_FILL)
    told = (node.documentation or node.name).strip().partition("\n")[0]
    tooltip = told.replace("\\", "\\\\")  # graphviz reads a backslash as the start of an escape
    return {**_LOOK, "fillcolor": fill, "tooltip": tooltip}, node_class, None


def _resources(nodes: Mapping[str, Node]) -> dict[str, list[str]]:
    """Return the steps of each resource, by its name."""
    steps = [name for name, node in nodes.items() if STEP in node.tags]
    tables = [name for name in steps if nodes[name].tags[STEP] == "table"]
    return {
        table: [step for step in steps if step == table or step.startswith(f"{table}.")] for table in tables
    }


def _write(picture: Digraph, path: Path, can_render: bool) -> None:
    wanted = path.suffix.removeprefix(".")
    if wanted not in FORMATS:
        raise UsageError(f"A drawing is written as {', '.join(FORMATS)}; {path.name!r} ends in none of them.")
    if wanted == "dot":
        path.write_text(picture.source, encoding="utf-8")
    elif can_render:
        path.write_bytes(picture.pipe(format=wanted))
    else:
        raise UsageError(
            f"Writing {path.name!r} needs graphviz's program `dot`: {_INSTALL}. A .dot file does not."
        )
