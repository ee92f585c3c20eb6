"""What a process tells of itself: seconds by phase and peak memory, as one line of JSON."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path

Phases = Mapping[str, float]
"""Seconds by phase, as far as the engine tells; they need not add up to the whole."""


def peak_mb() -> tuple[float, float]:
    """Return the peak resident memory of this process and of its largest child, in MB.

    On Linux `ru_maxrss` begins with the memory of the parent; `VmHWM` begins anew with a program.
    """
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, children
    marks = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return int(marks["VmHWM"].split()[0]) / 1024, children


def timed(work: Callable[[], Phases | None]) -> None:
    """Run and time a piece of work; print the figures."""
    began, begin = time.time(), time.perf_counter()
    phases = work()
    tell(time.perf_counter() - begin, phases or {}, began=began)


def tell(seconds: float, phases: Phases, **more: object) -> None:
    """Print the figures of this process, as `run.py` reads them."""
    own, child = peak_mb()
    figures = {"seconds": seconds, "phases": phases, "rss_mb": own, "child_rss_mb": child, **more}
    print(json.dumps(figures))
