"""Find the Hamilton modules that a name on the command line or in `run` means."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from headrace.errors import UsageError, did_you_mean

BUNDLED: dict[str, tuple[str, ...]] = {
    "slack": ("headrace.dataflows.sources.slack", "headrace.transforms.threads"),
}
"""Flows that come with headrace: the source, and the transforms that belong to it."""


def find_flow(name: str) -> list[ModuleType]:
    """Return the modules of a flow: a bundled one, a Python file, or a module on the path.

    Raises:
        UsageError: There is no such flow.
    """
    if name in BUNDLED:
        return [importlib.import_module(module) for module in BUNDLED[name]]
    path = Path(name).expanduser()
    if path.suffix == ".py":
        return [_from_file(path)]
    if path.with_suffix(".py").is_file() and path.name == name:
        return [_from_file(path.with_suffix(".py"))]
    try:
        return [importlib.import_module(name)]
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the flow is there, and something that it imports is not
        raise UsageError(
            f"There is no flow {name!r}: no bundled one, no file {name}.py here, and no module of that name. "
            f"Of the bundled ones, {did_you_mean(name, BUNDLED)}"
        ) from None


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"There is no file {str(path)!r}.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None, "a .py file always has a loader"
    module = importlib.util.module_from_spec(spec)
    # Hamilton looks a function's module up here; the folder is there so that the file finds its neighbours
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent.resolve()))
    return module
