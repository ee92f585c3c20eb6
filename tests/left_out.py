"""Describe what a run of the tests left out, in a few lines."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable


def lines(slow: int | None, skipped: Iterable[str]) -> list[str]:
    """Return one line for each reason to skip, and for a quick run one for the slow tests and the other Pythons.

    Args:
        slow: How many slow tests a quick run left out; None for another run.
        skipped: The reason of each skipped test, as pytest reports it.
    """
    reasons = Counter(reason.removeprefix("Skipped: ") for reason in skipped)
    counted = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    found = [f"{count:>5} skipped: {reason}" for reason, count in counted]
    if slow is None:
        return found
    others = f"other Pythons than {platform.python_version()}"
    return [f"{slow:>5} slow (make test-slow)", *found, f"      {others} (make test-all)"]
