"""Reset in a forked child what belongs to the threads of its parent."""

from __future__ import annotations

import os
from collections.abc import Callable


def in_forked_children(act: Callable[[], None]) -> Callable[[], None]:
    """Call a function in every child that is forked from here on; a decorator. Windows has no forks."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=act)
    return act
