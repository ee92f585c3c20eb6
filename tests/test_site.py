"""The pages of the documentation: their code runs, and the reference has every public name."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

import headrace

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
PAGES = ["tutorial.md"]
"""Pages whose blocks continue each other; the other pages with code have tests of their own."""


@pytest.mark.parametrize("page", PAGES)
def test_code_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every python block of a page runs, in order, in one module and one folder."""
    path = ROOT / "docs" / page
    text = path.read_text(encoding="utf-8")
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    monkeypatch.chdir(tmp_path)
    found = list(BLOCK.finditer(text))
    for block in found:
        code = "\n" * text.count("\n", 0, block.start(1)) + block[1]  # a traceback names the line of the page
        exec(compile(code, str(path), "exec", dont_inherit=True), module.__dict__)

    assert len(found) > 5


def test_the_reference_has_every_public_name() -> None:
    """Each name of `headrace.__all__` has its entry, at the module that defines it."""
    text = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    entries = re.findall(r"^::: (\S+)$", text, re.M)

    assert sorted(f"{headrace._HOMES[name]}.{name}" for name in headrace.__all__) == sorted(entries)


def test_every_page_is_in_the_navigation() -> None:
    """A page that the navigation lacks would be found by nobody."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]

    assert [] == [page for page in pages if f": {page}\n" not in text]
