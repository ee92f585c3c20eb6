"""Starting is cheap: neither the package nor its help imports a heavy library.

How cheap in milliseconds, `scripts/startup` measures.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("duckdb", "hamilton", "ibis", "numpy", "orjson", "pandas", "pyarrow", "requests", "sqlglot")


def imported_by(code: str) -> set[str]:
    """Return the top-level modules that are loaded after a fresh interpreter ran `code`."""
    script = f"""
import atexit, json, sys
loaded = lambda: sorted({{name.partition(".")[0] for name in sys.modules}})
atexit.register(lambda: print(json.dumps(loaded()), file=sys.stderr))
{code}
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import headrace", id="import headrace"),
        pytest.param("import headrace.errors", id="import headrace.errors"),
        pytest.param("import headrace; dir(headrace)", id="dir(headrace)"),
        pytest.param(
            "import sys; from headrace.cli.app import main; sys.argv = ['headrace', '--help']; sys.exit(main())",
            id="headrace --help",
        ),
    ],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    """Help and the bare import answer without a data library."""
    assert set() == imported_by(code) & set(HEAVY)


def test_small_load_needs_duckdb_only(tmp_path: Path) -> None:
    """A few records are landed before Arrow, let alone a library of the upper floors, would be imported."""
    into = str(tmp_path / "small.duckdb")
    loaded = imported_by(
        f"import headrace; headrace.load([{{'id': 1, 'tags': ['a']}}], 'issues', into={into!r})"
    )

    assert {"duckdb", "orjson"} == loaded & set(HEAVY)


def test_a_name_imports_what_it_needs() -> None:
    """The check above can fail: a heavy import is seen."""
    assert "duckdb" in imported_by("import duckdb")
