"""Fixtures of the transforms."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.transforms.landed import Tables, in_duckdb, in_sqlite


@pytest.fixture(params=[in_duckdb, in_sqlite], ids=["duckdb", "sqlite"])
def landed(request: pytest.FixtureRequest) -> Callable[..., Tables]:
    """Both engines, one after the other: they must give the same."""
    made: Callable[..., Tables] = request.param
    return made
