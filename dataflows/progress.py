"""Show progress: one line for each resource, redrawn on a terminal, written once elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_REDRAW_SECONDS = 0.1


class Progress:
    """A `Report` for a warehouse: rows and rows a second, on standard error.

    >>> progress = Progress(sys.stdout)
    >>> progress("shop.orders", 2000, False); progress("shop.orders", 2500, True)  # doctest: +ELLIPSIS
    shop.orders: 2,500 rows, ... rows/s
    """

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._started: dict[str, float] = {}
        self._drawn = 0.0

    def __call__(self, table: str, records: int, committed: bool) -> None:
        """Show how far a table is; `records` counts from the start of its load."""
        now = time.perf_counter()
        started = self._started.setdefault(table, now)
        rate = records / (now - started) if now > started else 0.0
        line = f"{table}: {records:,} rows, {rate:,.0f} rows/s"
        if committed:
            self._started.pop(table, None)  # two loads of one table may end together
            self._out.write(f"\r\x1b[2K{line}\n" if self._out.isatty() else f"{line}\n")
        elif self._out.isatty() and now - self._drawn > _REDRAW_SECONDS:
            self._drawn = now
            self._out.write(f"\r\x1b[2K{line}")
        self._out.flush()
