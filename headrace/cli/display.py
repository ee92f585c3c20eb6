"""Write rows as an aligned table, CSV or JSON lines, on standard output.

What JSON lacks becomes text; lists and dicts are JSON in every form.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from headrace.loaders.values.paths import distinct

_WIDEST_CELL = 60

Row = tuple[Any, ...]


def write_csv(columns: Sequence[str], rows: Iterable[Row], out: TextIO) -> None:
    """Write rows as CSV with a header; a null is an empty cell."""
    # The module quotes what stands in the line's end, so both characters do; out come plain line feeds.
    writer = csv.writer(_LineFeeds(out), lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(map(_text, row) for row in rows)


class _LineFeeds:
    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, row: str) -> int:
        return self._out.write(row.removesuffix("\r\n") + "\n")


def write_json(columns: Sequence[str], rows: Iterable[Row], out: TextIO) -> None:
    """Write each row as one line of JSON; a name that is there already gets a suffix.

    >>> write_json(["id", "id", "x"], [(1, 2, float("nan"))], sys.stdout)
    {"id":1,"id_2":2,"x":"nan"}
    """
    names: list[str] = []
    for column in columns:
        names.append(distinct(column, {name.lower() for name in names}))
    is_utf8 = (out.encoding or "utf-8").lower().replace("-", "") == "utf8"
    for row in rows:
        out.write(_json(dict(zip(names, row, strict=True)), ascii_only=not is_utf8) + "\n")


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
    text = " ".join(_text(value).split())
    return text if len(text) <= _WIDEST_CELL else f"{text[: _WIDEST_CELL - 1]}…"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return _json(value) if isinstance(value, (dict, list, tuple)) else str(value)


def _json(value: Any, *, ascii_only: bool = False) -> str:
    return json.dumps(_plain(value), ensure_ascii=ascii_only, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {_text(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _fit(line: str) -> str:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else len(line)
    return line[:width].rstrip()


def in_batches(fetch: Any, size: int = 1000) -> Iterator[Row]:
    """Yield rows of a DuckDB result, a batch at a time."""
    while rows := fetch(size):
        yield from rows


@contextlib.contextmanager
def forgiving() -> Iterator[None]:
    """Let standard output be closed early (`| head`), or lack the letters that a text needs.

    Such a letter is written as its escape. Whoever has closed the output has seen enough: that is no error.
    """
    if sys.stdout is None:  # closed before the process began
        sys.stdout = io.StringIO()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
