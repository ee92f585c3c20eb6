"""Report what a function of a flow raises under the name of its node."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from headrace.errors import FlowError, HeadraceError


@contextlib.contextmanager
def named(node: str) -> Iterator[None]:
    """Turn what is raised inside into a `FlowError` that names the node, its cause chained.

    >>> with named("threads"):
    ...     1 / 0
    Traceback (most recent call last):
    headrace.errors.FlowError: threads: ZeroDivisionError: division by zero
    """
    try:
        yield
    except HeadraceError:
        raise  # it says where by itself
    except Exception as error:
        first = next(iter(str(error).strip().splitlines()), "")
        raise FlowError(f"{node}: {type(error).__name__}: {first}".removesuffix(": ")) from error
