"""docs/reliability.md names tests that are there, one or more for each promise."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from headrace import errors

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
PROMISES = re.findall(r"^\| (\d+) \| \*\*.+?\|(.*)\|$", PAGE, re.MULTILINE)
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def test_every_promise_is_held() -> None:
    """The thirteen promises are there, and each has its tests."""
    assert [str(number) for number in range(1, 14)] == sorted((one for one, _ in PROMISES), key=int)
    assert [] == [
        number for number, tests in PROMISES if not re.search(r"`tests/[\w/]+\.py::test_\w+`", tests)
    ]


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_named_test_exists(file: str, name: str) -> None:
    """What the page says a promise is held by is a test of that file, and is not skipped for good."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    found = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef)}

    assert name in found
    assert "skip" not in [
        getattr(one, "attr", "") for one in ast.walk(found[name]) if isinstance(one, ast.Attribute)
    ]


def test_exit_codes() -> None:
    """The table of exit codes is that of the errors."""
    rows = re.findall(r"^\| (\d+) \| (`\w+`(?:, `\w+`)*) \|", PAGE, re.MULTILINE)
    told = {name: int(code) for code, names in rows for name in re.findall(r"\w+", names)}

    assert told == {name: getattr(errors, name).exit_code for name in told}
    assert {
        "SourceError",
        "LoadError",
        "UsageError",
        "ContractViolation",
        "Shortage",
        "WarehouseLocked",
        "SourceUnavailable",
        "LoadPending",
    } == set(told)
