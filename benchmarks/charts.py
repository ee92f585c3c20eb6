"""Charts of the results, as SVG: loading, growth and memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib

from benchmarks.measurements import Figures, Results, figures

matplotlib.use("Agg")
matplotlib.rcParams.update({"svg.hashsalt": "headrace", "svg.fonttype": "none", "font.size": 9})

_COLOURS = {
    "headrace": "#0b6e99", "duckdb": "#b58900", "pandas": "#7a7a7a",
    "dlt-tuned": "#c0563b", "dlt-parquet": "#cf7a60", "dlt": "#dd9b87",
}  # fmt: skip


def draw(found: Sequence[Results], folder: Path) -> list[str]:
    """Write a chart of each suite that has one, of its largest size; return the suites' names."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for suite, chart in _CHARTS.items():
        ran = [one for one in found if one.suite == suite]
        if ran:
            largest = max(ran, key=lambda one: max(row["labels"].get("rows", 0) for row in one.rows))
            measured = [case for case in figures(largest.rows) if case.seconds]
            figure = chart(measured)
            figure.savefig(folder / f"{suite}.svg", metadata={"Date": None})
            drawn.append(suite)
    return drawn


def _throughput(cases: Sequence[Figures]) -> Any:
    """Bars of the median seconds, with lines from the least to the greatest; one panel for each kind."""
    kinds = list(dict.fromkeys((case.labels["kind"], case.labels["rows"]) for case in cases))
    figure, panels = _panels(len(kinds), 3.6)
    for panel, (kind, rows) in zip(panels, kinds, strict=True):
        shown = [case for case in cases if case.labels["kind"] == kind and case.labels["rows"] == rows]
        shown.sort(key=lambda case: case.median, reverse=True)
        names = [f"{case.labels['engine']}, {case.labels['form']}" for case in shown]
        medians = [case.median for case in shown]
        spread = [
            [case.median - min(case.seconds) for case in shown],
            [max(case.seconds) - case.median for case in shown],
        ]
        colours = [_COLOURS[case.labels["engine"]] for case in shown]
        panel.barh(names, medians, xerr=spread, color=colours, error_kw={"lw": 1, "ecolor": "#333333"})
        for at, case in enumerate(shown):
            panel.annotate(
                f"{case.median:.1f}", (max(case.seconds), at), xytext=(4, 0),
                textcoords="offset points", va="center",
            )  # fmt: skip
        panel.set_xlim(0, 1.15 * max(max(case.seconds) for case in shown))
        panel.set_title(f"{kind}, {rows:,} rows")
        panel.set_xlabel("seconds (less is better)")
    return figure


def _growth(cases: Sequence[Figures]) -> Any:
    """Lines of the median cost by step, one panel for each axis."""
    from benchmarks.report import growth_unit, growth_units

    axes = list(dict.fromkeys(case.labels["axis"] for case in cases))
    figure, panels = _panels(len(axes), 2.8)
    for panel, axis in zip(panels, axes, strict=True):
        shown = [case for case in cases if case.labels["axis"] == axis]
        unit, scale = growth_unit(shown[0])
        steps = [case.labels["step"] for case in shown]
        costs = [scale * case.median / growth_units(case) for case in shown]
        panel.plot(steps, costs, marker="o", color=_COLOURS["headrace"])
        panel.set_xscale("log")
        panel.set_xticks(steps, [f"{step:,}" for step in steps])
        panel.minorticks_off()
        panel.set_ylim(0, 1.15 * max(costs))
        panel.set_title(axis)
        panel.set_ylabel(unit)
    return figure


def _memory(cases: Sequence[Figures]) -> Any:
    """The curve of the first round, with the end of parsing marked."""
    figure, panels = _panels(len(cases), 2.8)
    for panel, case in zip(panels, cases, strict=True):
        times, megabytes = zip(*case.curves[0], strict=True)
        panel.plot(times, megabytes, color=_COLOURS["headrace"])
        panel.axvline(case.phases["extract"], color="#333333", lw=1, ls=":")
        panel.annotate(
            "parsed; commit from here", (case.phases["extract"], 0), xytext=(-4, 4),
            textcoords="offset points", ha="right",
        )  # fmt: skip
        panel.set_ylim(bottom=0)
        panel.set_title(f"{case.labels['engine']}, {case.labels['megabytes']:,} MB of JSONL")
        panel.set_xlabel("seconds")
        panel.set_ylabel("resident MB")
    return figure


def _panels(many: int, height: float) -> tuple[Any, list[Any]]:
    """A figure of panels, two in a row, all as wide."""
    import matplotlib.pyplot as plt

    across = min(many, 2)
    down = -(-many // across)
    figure, grid = plt.subplots(
        down, across, figsize=(5.2 * across, height * down), squeeze=False, layout="constrained"
    )
    panels = list(grid.flat)
    for unused in panels[many:]:
        unused.remove()
    for panel in panels[:many]:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels[:many]


_CHARTS: dict[str, Callable[[Sequence[Figures]], Any]] = {
    "throughput": _throughput, "growth": _growth, "memory": _memory,
}  # fmt: skip
