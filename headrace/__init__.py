"""headrace: generator functions and Ibis expressions, landed and run as one Hamilton DAG.

The names below are loaded when they are first used, so that `import headrace` costs nothing.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.dataflows.checks import DefinitionChecks
    from headrace.dataflows.drawing import draw
    from headrace.dataflows.resource import resource
    from headrace.dataflows.run import RunResult, run
    from headrace.errors import (
        ContractViolation,
        FlowError,
        HeadraceError,
        LoadError,
        LoadPending,
        MissingExtra,
        NotAnExport,
        PackageDamaged,
        Shortage,
        SourceError,
        SourceUnavailable,
        UnknownColumn,
        UsageError,
        WarehouseLocked,
        WarehouseUnreadable,
    )
    from headrace.loaders.commit import LoadedTable
    from headrace.loaders.contracts.contract import Contract
    from headrace.loaders.loading import RunSettings
    from headrace.loaders.records import Checkpoint, Record, Rekey
    from headrace.loaders.warehouse import Warehouse, connect, load

if not Path(__file__).with_name("loaders").is_dir():
    # A checkout without links (Windows): the floors stand beside this folder.
    __path__.append(str(Path(__file__).parent.parent))

_HOMES = {
    "Checkpoint": "headrace.loaders.records",
    "Contract": "headrace.loaders.contracts.contract",
    "ContractViolation": "headrace.errors",
    "DefinitionChecks": "headrace.dataflows.checks",
    "FlowError": "headrace.errors",
    "HeadraceError": "headrace.errors",
    "LoadError": "headrace.errors",
    "LoadPending": "headrace.errors",
    "LoadedTable": "headrace.loaders.commit",
    "MissingExtra": "headrace.errors",
    "NotAnExport": "headrace.errors",
    "PackageDamaged": "headrace.errors",
    "Record": "headrace.loaders.records",
    "Rekey": "headrace.loaders.records",
    "RunResult": "headrace.dataflows.run",
    "RunSettings": "headrace.loaders.loading",
    "Shortage": "headrace.errors",
    "SourceError": "headrace.errors",
    "SourceUnavailable": "headrace.errors",
    "UnknownColumn": "headrace.errors",
    "UsageError": "headrace.errors",
    "Warehouse": "headrace.loaders.warehouse",
    "WarehouseLocked": "headrace.errors",
    "WarehouseUnreadable": "headrace.errors",
    "connect": "headrace.loaders.warehouse",
    "draw": "headrace.dataflows.drawing",
    "load": "headrace.loaders.warehouse",
    "resource": "headrace.dataflows.resource",
    "run": "headrace.dataflows.run",
}

__version__ = "0.1.0"
__all__ = [
    "Checkpoint",
    "Contract",
    "ContractViolation",
    "DefinitionChecks",
    "FlowError",
    "HeadraceError",
    "LoadError",
    "LoadPending",
    "LoadedTable",
    "MissingExtra",
    "NotAnExport",
    "PackageDamaged",
    "Record",
    "Rekey",
    "RunResult",
    "RunSettings",
    "Shortage",
    "SourceError",
    "SourceUnavailable",
    "UnknownColumn",
    "UsageError",
    "Warehouse",
    "WarehouseLocked",
    "WarehouseUnreadable",
    "connect",
    "draw",
    "load",
    "resource",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'headrace' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
