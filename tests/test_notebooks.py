"""The notebooks run from top to bottom, as a reader runs them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MACHINE_PATH = re.compile(r"/(?:root|work|tmp|home/\w+|Users/\w+)/|[A-Z]:\\+Users\\")


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the notebooks and the examples, where IPython and Jupyter find no one's settings."""
    for folder in ("notebooks", "examples"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("*.duckdb*", "__pycache__")
        )
    for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    return tmp_path / "notebooks"


def run(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Execute every cell in place, with the Python that runs the tests."""
    # No registered kernel is looked for: the one left is ipykernel's own, which is this interpreter.
    kernels = KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True)
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=kernels)
    NotebookClient(notebook, km=manager, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, reader: Path) -> None:
    """No cell raises, and none leaves an error among its outputs."""
    notebook = nbformat.read(reader / path.name, as_version=4)
    run(notebook, reader)

    errors = [
        output["evalue"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "error"
    ]
    assert [] == errors


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_names_no_machine(path: Path) -> None:
    """What is stored with a notebook names no folder of the machine that it was written on."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    outputs = json.dumps([cell.get("outputs", []) for cell in stored["cells"]])

    assert None is MACHINE_PATH.search(outputs)


def test_failing_cell_fails_the_run(tmp_path: Path) -> None:
    """The check above can fail: an exception in a cell comes out."""
    cell = nbformat.v4.new_code_cell("import sys\nraise ValueError(sys.executable)")
    notebook = nbformat.v4.new_notebook(cells=[cell])

    with pytest.raises(Exception, match="ValueError"):
        run(notebook, tmp_path)
