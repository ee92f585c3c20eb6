"""What every test may use: one hypothesis profile, a warehouse in memory, and flows written as text."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest
from hypothesis import settings

from headrace.loaders.warehouse import Warehouse

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

MakeFlow = Callable[[str, str], ModuleType]
"""Makes a module of a name and its source; what every flow imports is there already."""

_FLOW_HEADER = """
from __future__ import annotations
import dataclasses, datetime, typing
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, TypedDict
import ibis
import ibis.expr.types as ir
from hamilton.htypes import Collect, Parallelizable
from headrace import Checkpoint, Record, Rekey, resource
"""


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    """A database in memory."""
    with Warehouse() as opened:
        yield opened


@pytest.fixture
def make_flow(tmp_path: Path) -> Iterator[MakeFlow]:
    """Writes flows as files and imports them as `headrace run flow.py` does."""
    from headrace.dataflows.flows import find_flow  # here: it imports hamilton, and loaders need not

    made: list[str] = []

    def make(name: str, source: str) -> ModuleType:
        path = tmp_path / f"{name}.py"
        path.write_text(_FLOW_HEADER + dedent(source), encoding="utf-8")
        made.append(name)
        (module,) = find_flow(str(path))
        return module

    yield make
    for name in made:
        sys.modules.pop(name, None)
