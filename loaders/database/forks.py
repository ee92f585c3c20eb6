"""Forks: what a child process must not take over from its parent, whose threads it does not have."""

from __future__ import annotations

import os
from collections.abc import Callable


def in_forked_children(act: Callable[[], None]) -> Callable[[], None]:
    """Call a function in every child that is forked from here on; a decorator. Windows has no forks."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=act)
    return act
