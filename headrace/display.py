"""Display: rows of a query as an aligned table, CSV or JSON lines, on standard output."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

_WIDEST_CELL = 60

Row = tuple[Any, ...]


def write_csv(columns: Sequence[str], rows: Iterable[Row], out: TextIO) -> None:
    """Write rows as CSV with a header; a null is an empty cell."""
    # The module quotes what stands in the line's end, so both characters do; out come plain line feeds.
    writer = csv.writer(_LineFeeds(out), lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)


class _LineFeeds:
    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, row: str) -> int:
        return self._out.write(row.removesuffix("\r\n") + "\n")


def write_json(columns: Sequence[str], rows: Iterable[Row], out: TextIO) -> None:
    """Write each row as one line of JSON; what JSON lacks becomes text."""
    import orjson

    for row in rows:
        record = dict(zip(columns, row, strict=True))
        try:
            line = orjson.dumps(record, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        except TypeError:  # an integer past 64 bits
            line = json.dumps(record, default=str, ensure_ascii=False, separators=(",", ":"))
        out.write(line + "\n")


def write_table(columns: Sequence[str], rows: Iterable[Row], out: TextIO) -> None:
    """Write rows as an aligned table, long cells cut, as wide as the terminal.

    >>> write_table(["id", "name"], [(1, "Ana"), (22, None)], sys.stdout)
    id  name
    --  ----
     1  Ana
    22
    """
    body = list(rows)
    cells = [[_cell(value) for value in row] for row in body]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    numbers = [_all_numbers(values) for values in zip(*body, strict=True)] or [False] * len(columns)
    for line in [list(columns), ["-" * width for width in widths], *cells]:
        out.write(_fit("  ".join(_padded(*cell) for cell in zip(line, widths, numbers, strict=True))) + "\n")


def colour(text: str, code: str, out: TextIO) -> str:
    """Return text in a colour on a terminal, plain elsewhere and where NO_COLOR is set."""
    return f"\x1b[{code}m{text}\x1b[0m" if out.isatty() and "NO_COLOR" not in os.environ else text


def _padded(text: str, width: int, number: bool) -> str:
    return text.rjust(width) if number else text.ljust(width)


def _all_numbers(values: Iterable[Any]) -> bool:
    return all(
        value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)) for value in values
    )


def _cell(value: Any) -> str:
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= _WIDEST_CELL else f"{text[: _WIDEST_CELL - 1]}…"


def _fit(line: str) -> str:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else len(line)
    return line[:width].rstrip()


def in_batches(fetch: Any, size: int = 1000) -> Iterator[Row]:
    """Yield rows of a DuckDB result, a batch at a time."""
    while rows := fetch(size):
        yield from rows
