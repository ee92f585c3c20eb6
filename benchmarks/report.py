"""The document of the results: `python -m benchmarks.report` writes docs/benchmarks.md and its charts."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks import engines, growth, suites
from benchmarks.generators import KINDS
from benchmarks.measurements import Figures, Results, figures, read

DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"
_SIZES = {size: at for at, size in enumerate(suites.SIZES)}

_OPENING = """\
# Benchmarks

Made by `make bench`; every figure is measured, and the command that measures it again stands beside it.

* Each measurement is a process of its own. The cases of a suite take turns: all of them once, then all again,
  so that a slow minute of the machine slows everyone.
* Figures are medians; in brackets the least and the greatest, and n measurements. Ratios are of medians.
* *Seconds* are the wall time of the work, from before the input is opened until the database is closed and
  all is in the file. dlt's and pandas' imports are outside of them, headrace's inside. *Process* is the wall
  time of the whole process, with everyone's imports.
* Memory is the peak of the process, and after the plus that of its largest child.
* Input files are made from a seed: `python -m benchmarks.generators slack 25000 messages.jsonl`.
"""


def render(found: Sequence[Results], charts: Sequence[str] = ()) -> str:
    """Return the document, of the suites that there are results of.

    Args:
        found: The results.
        charts: The suites that have a chart beside the document, `benchmarks/SUITE.svg`.
    """
    parts = [_OPENING, _machine(found), *_notes()]
    for suite, (title, section) in _SECTIONS.items():
        ran = sorted((one for one in found if one.suite == suite), key=lambda one: _SIZES[one.size])
        if ran:
            parts.append(f"## {title}\n")
            if suite in charts:
                parts.append(f"![{title}](benchmarks/{suite}.svg)\n")
            for one in ran:
                parts += [f"Size `{one.size}`.", section(one), _agreement(one), _failures(one)]
    return "\n".join(part for part in parts if part).rstrip() + "\n"


def _machine(found: Sequence[Results]) -> str:
    """Return the environments: what all runs have in common once, the rest by run."""
    if not found:
        return "There are no results yet: `make bench` makes them.\n"
    common = {
        name: value
        for name, value in found[0].environment.items()
        if all(one.environment.get(name) == value for one in found)
    }
    lines = [f"* {name}: {value}" for name, value in common.items()]
    for one in found:
        own = [f"{name} {value}" for name, value in one.environment.items() if name not in common]
        if own:
            lines.append(f"* {one.suite}, {one.size}: {', '.join(own)}")
    return "## Machine and versions\n\n" + "\n".join(lines) + "\n"


def _notes() -> list[str]:
    """Return what is compared: the tables that the docstring of `engines` has."""
    tables = (engines.__doc__ or "").split("\n\n")[2:]
    kinds = _table(["kind", "records"], [[name, kind.about] for name, kind in KINDS.items()])
    return ["## What is compared\n", *(f"{table.strip()}\n" for table in tables), kinds]


def _throughput(one: Results) -> str:
    parts = []
    measured = [case for case in figures(one.rows) if case.seconds]
    for kind, rows in dict.fromkeys((case.labels["kind"], case.labels["rows"]) for case in measured):
        cases = [case for case in measured if (case.labels["kind"], case.labels["rows"]) == (kind, rows)]

        def of(engine: str, form: str, cases: Sequence[Figures] = cases) -> Figures | None:
            wanted = (engine, form)
            same = [case for case in cases if (case.labels["engine"], case.labels["form"]) == wanted]
            return same[0] if same else None

        lines = [
            [
                case.labels["engine"],
                case.labels["form"],
                *_times(case),
                f"{rows / case.median:,.0f}",
                _memory(case),
                _ratio(of("dlt-tuned", case.labels["form"]), case),
                _ratio(of("dlt-parquet", case.labels["form"]), case),
                _ratio(of("dlt", "jsonl"), case),
                _ratio(case, of("duckdb", "jsonl")),
                f"`{case.command}`",
            ]
            for case in cases
        ]
        names = ["engine", "form", *_TIMES, "rows/s", "MB"]
        names += [f"{engine} ÷ this" for engine in ("dlt-tuned", "dlt-parquet", "dlt")]
        parts.append(f"\n### {kind.capitalize()}, {rows:,} rows\n")
        parts.append(_table([*names, "this ÷ CTAS", "command"], lines))
    if any(case.labels["engine"] == "dlt" for case in measured):
        parts.append("dlt as it comes is run at this size only: it takes several times as long as tuned.\n")
    return "\n".join(parts)


def _agreement(one: Results) -> str:
    """Return whether all engines of a run landed the same rows; empty where there is one engine only."""
    compared = [row for row in one.rows if "tables" in row and "engine" in row["labels"]]
    if len({row["labels"]["engine"] for row in compared}) < 2:
        return ""
    differing = suites.disagreements(one.rows)
    if differing:
        return f"**Not the same rows**: {'; '.join(differing)}.\n"
    return (
        f"The same rows: the counts of the tables that engines have in common, and the sums of `checks.py` "
        f"over root tables, are equal in all {len(compared)} databases.\n"
    )


def _startup(one: Results) -> str:
    lines = []
    measured = [case for case in figures(one.rows) if case.seconds]
    for case in measured:
        existing = case.labels["existing"]
        ours = [
            other
            for other in measured
            if other.labels["engine"] == "headrace" and other.labels["existing"] == existing
        ]
        into = f"a file of {existing:,} messages" if existing else "a new file"
        share = statistics.median(case.process) / statistics.median(ours[0].process) if ours else None
        times = f"{share:.1f}x" if share else ""
        lines.append([into, case.labels["engine"], *_times(case), times, _memory(case), f"`{case.command}`"])
    about = "100 Slack messages as dicts, in a fresh process.\n"
    names = ["into", "engine", *_TIMES, "process ÷ headrace's", "MB", "command"]
    return about + "\n" + _table(names, lines)


def _growth(one: Results) -> str:
    lines = []
    for case in figures(one.rows):
        if not case.seconds:
            continue
        axis, step = case.labels["axis"], case.labels["step"]
        name, scale = growth_unit(case)
        cost = f"{scale * case.median / growth_units(case):.1f} {name}"
        if axis == "loads":
            cost += "".join(f"; {end} {1000 * seconds:.0f}" for end, seconds in case.phases.items())
        lines.append([axis, f"{step:,}", *_times(case), cost, _memory(case), f"`{case.command}`"])
    axes = [line.split("|")[1:3] for line in (growth.__doc__ or "").splitlines() if line.startswith("| ")][1:]
    said = "".join(f"* {name.strip()}: {text.strip()}\n" for name, text in axes)
    names = ["axis", "step", *_TIMES, "cost", "MB", "command"]
    return f"headrace alone.\n\n{said}\n" + _table(names, lines)


def growth_unit(case: Figures) -> tuple[str, float]:
    """Return what the cost of a case of growth is told in, and how many of that a second is."""
    axis = case.labels["axis"]
    return ("ms a load", 1e3) if axis == "loads" else (f"µs a {'cell' if axis == 'columns' else 'row'}", 1e6)


def growth_units(case: Figures) -> int:
    """Return of how many loads, cells or rows a case of growth is made."""
    axis, step = case.labels["axis"], int(case.labels["step"])
    if axis == "loads" or axis.startswith("rows"):
        return step
    units = {"columns": growth.CELLS, "new-columns": growth.ROWS // 2, "drift": growth.DRIFTING}
    return units.get(axis, growth.ROWS)


def _memory_section(one: Results) -> str:
    lines = []
    for case in figures(one.rows):
        if not case.curves:
            continue
        parsed = case.phases["extract"]
        parsing = [max((mb for at, mb in curve if at <= parsed), default=0.0) for curve in case.curves]
        after = [max((mb for at, mb in curve if at > parsed), default=0.0) for curve in case.curves]
        fifths = " ".join(f"{value:,.0f}" for value in _by_fifth(case.curves[0], parsed))
        lines.append(
            [
                case.labels["engine"],
                f"{case.labels['megabytes']:,} MB, {case.labels['rows']:,} messages",
                *_times(case),
                _spread(parsing, ".0f"),
                fifths,
                _spread(after, ".0f"),
                f"`{case.command}`",
            ]
        )
    names = ["engine", "JSONL", *_TIMES, "MB while parsing", "by fifth of it", "MB in the commit", "command"]
    about = "Resident memory of the process, sampled 20 times a second.\n"
    return about + "\n" + _table(names, lines)


def _by_fifth(curve: Sequence[tuple[float, float]], end: float) -> list[float]:
    """Return the peak of each fifth of the time up to `end`."""
    fifths = [0.0] * 5
    for at, megabytes in curve:
        if 0 <= at < end:
            fifths[int(5 * at / end)] = max(fifths[int(5 * at / end)], megabytes)
    return fifths


def _merge(one: Results) -> str:
    measured = [case for case in figures(one.rows) if case.seconds]
    lines = []
    for case in measured:
        labels = case.labels
        ours = [
            other
            for other in measured
            if other.labels == {**labels, "engine": "headrace"} and other is not case
        ]
        lines.append(
            [
                f"{labels['changes']:,} into {labels['rows']:,}",
                labels["strategy"],
                labels["engine"],
                *_times(case),
                _ratio(case, ours[0]) if ours else "",
                _memory(case),
                f"`{case.command}`",
            ]
        )
    about = (
        "Half of the changes are to records that are there, half are new. The command starts from a table\n"
    )
    about += "that the same command without its last number has made.\n"
    names = ["records", "strategy", "engine", *_TIMES, "÷ headrace's", "MB", "command"]
    return about + "\n" + _table(names, lines)


def _dag(one: Results) -> str:
    measured = {
        (case.labels["what"], case.labels["resources"]): case for case in figures(one.rows) if case.seconds
    }
    lines = []
    for (what, many), case in measured.items():
        plain = measured.get(("load", many))
        over = f"{1000 * (case.median - plain.median):+.0f} ms" if what == "run" and plain else ""
        lines.append([what, str(many), *_times(case), over, f"`{case.command}`"])
    about = (
        "`load` is one `headrace.load` of 100 rows after the other, `run` the same as a flow by\n"
        "`headrace.run`, both with everything imported; `endpoints` is a flow whose resources each wait for\n"
        "one second.\n"
    )
    return about + "\n" + _table(["what", "resources", *_TIMES, "run over load", "command"], lines)


_TIMES = ["seconds", "n", "process"]
_SECTIONS: dict[str, tuple[str, Callable[[Results], str]]] = {
    "throughput": ("Loading", _throughput),
    "startup": ("Start-up", _startup),
    "growth": ("Growth", _growth),
    "memory": ("Memory", _memory_section),
    "merge": ("Merging", _merge),
    "dag": ("The DAG", _dag),
}


def _times(case: Figures) -> list[str]:
    return [_spread(case.seconds, ".2f"), str(len(case.seconds)), _spread(case.process, ".2f")]


def _spread(values: Sequence[float], spec: str) -> str:
    """Return the median of values, with the least and the greatest.

    >>> _spread([1.0, 2.0, 6.0], ".1f")
    '**2.0** (1.0 to 6.0)'
    """
    least, middle, most = (
        format(value, spec) for value in (min(values), statistics.median(values), max(values))
    )
    return f"**{middle}** ({least} to {most})"


def _memory(case: Figures) -> str:
    child = f" + {case.child_rss_mb:.0f}" if case.child_rss_mb >= 1 else ""
    return f"{case.rss_mb:.0f}{child}"


def _ratio(numerator: Figures | None, denominator: Figures | None) -> str:
    """Return how many times as long the first took; empty where one is missing or both are the same."""
    if numerator is None or denominator is None or numerator is denominator:
        return ""
    return f"{numerator.median / denominator.median:.2g}x"


def _failures(one: Results) -> str:
    lines = {
        f"* Failed: `{case.command}`: {case.errors[0].splitlines()[-1]}"
        for case in figures(one.rows)
        if case.errors
    }
    return "\n".join(sorted(lines)) + "\n" if lines else ""


def _table(names: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [names, ["---"] * len(names), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the document of the results, and its charts.")
    parser.add_argument(
        "results", type=Path, nargs="?", default=suites.RESULTS, help="the folder of the results"
    )
    parser.add_argument("--into", type=Path, default=DOCUMENT, help="the document; charts go beside it")
    given = parser.parse_args()
    from benchmarks import charts  # here: matplotlib is of the extra

    results = read(given.results)
    drawn = charts.draw(results, given.into.parent / "benchmarks")
    given.into.write_text(render(results, drawn), encoding="utf-8")
