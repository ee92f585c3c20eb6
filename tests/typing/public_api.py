"""Check the types of the public names: a type checker reads this file, and nothing runs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import headrace
from headrace import Checkpoint, Contract, LoadedTable, Record, RunResult, RunSettings, Warehouse

if TYPE_CHECKING:
    from types import ModuleType

    from typing_extensions import assert_type


def loading(path: Path, records: list[dict[str, Any]]) -> None:
    """A load gives a LoadedTable; a wrong disposition, strategy, naming or mode is an error."""
    loaded = headrace.load(records, "orders", into=path, primary_key="id", write_disposition="merge")
    assert_type(loaded, LoadedTable)
    assert_type(loaded.counts.loaded, int)
    headrace.load(records, "orders", into=path, write_disposition="apend")  # type: ignore[arg-type]
    headrace.load(records, "orders", into=path, merge_strategy="upsrt")  # type: ignore[arg-type]
    headrace.load(records, "orders", into=path, naming="camel")  # type: ignore[arg-type]
    headrace.load(records, "orders", into=path, primary_kee="id")  # type: ignore[call-arg]
    headrace.load(records, "orders", into=path, contract=Contract(types="freeze"))
    Contract(columns="quarantin")  # type: ignore[arg-type]
    assert_type(Contract.of("freeze"), Contract)


def warehouses(path: str) -> None:
    """A warehouse is a context manager of itself."""
    with headrace.connect(path, wait=60, memory_limit="500MB") as warehouse:
        assert_type(warehouse, Warehouse)
        assert_type(warehouse.path, Path | None)
        assert_type(warehouse.query("SELECT 1"), list[tuple[Any, ...]])
        assert_type(warehouse.with_settings(RunSettings(full=True)), Warehouse)


def running(flow: ModuleType, path: str) -> None:
    """A run gives its loads by table."""
    with headrace.run(flow, into=path, contract="freeze") as result:
        assert_type(result, RunResult)
        assert_type(result.loads["orders"], LoadedTable)
    headrace.run(flow, into=path, contract="freze")  # type: ignore[arg-type]


def errors(error: Exception) -> None:
    """Every error has an exit code, and says whether a retry may help."""
    if isinstance(error, headrace.HeadraceError):
        assert_type(error.exit_code, int)
        assert_type(error.retryable, bool)
    if isinstance(error, (headrace.Shortage, headrace.FlowError, headrace.NotAnExport)):
        assert_type(error.retryable, bool)


@headrace.resource(primary_key="id", write_disposition="merge", cursor="at")
def orders(since: str | None) -> Iterator[Record | Checkpoint]:
    """A resource stays the function that it was."""
    yield {"id": 1, "at": since or ""}
    yield Checkpoint("2026-01-31")
