"""What is packaged is what is there, and nothing private is tracked."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest needs it there too, so it is always installed

ROOT = Path(__file__).parent.parent
FLOORS = ("dataflows", "loaders", "transforms")

TOKEN = re.compile(
    r"xox[a-z]-[\w.-]{16,}|gh[pousr]_\w{30,}|AKIA[0-9A-Z]{16}|-{5}BEGIN [A-Z ]*PRIVATE KEY-{5}"
)
INVENTED = re.compile(r"demo|fake|test|example|secret|your|0000|1234|xxxx|\.\.\.", re.IGNORECASE)
MACHINE_PATH = re.compile(r"(?<![\w.:/-])(?:/(?:root|work|home/\w+|Users/\w+)/|[A-Z]:\\Users\\)")


def pyproject() -> dict[str, Any]:
    """The parsed pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def packages_in_the_checkout() -> set[str]:
    """Every folder with an `__init__.py`, as it is imported."""
    front = {
        path.parent.relative_to(ROOT)
        for path in (ROOT / "headrace").rglob("__init__.py")
        if not set(FLOORS) & set(path.relative_to(ROOT).parts)
    }
    floors = {
        Path("headrace") / path.parent.relative_to(ROOT)
        for floor in FLOORS
        for path in (ROOT / floor).rglob("__init__.py")
    }
    return {".".join(path.parts) for path in front | floors}


def texts_for_git() -> list[tuple[str, str]]:
    """The name and text of each file that is tracked or about to be; binary files left out."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    texts = []
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        if b"\0" not in content:
            texts.append((name, content.decode("utf-8", errors="replace")))
    return texts


def test_every_package_is_listed() -> None:
    """A folder that pyproject.toml does not list would work here and be missing from the wheel."""
    listed = pyproject()["tool"]["setuptools"]["packages"]

    assert sorted(packages_in_the_checkout()) == sorted(listed)


def test_floors_are_linked() -> None:
    """Static tools find `headrace.loaders` and its siblings where the package is."""
    for floor in FLOORS:
        assert (ROOT / "headrace" / floor / "__init__.py").samefile(ROOT / floor / "__init__.py")


def test_every_module_outside_of_a_package_is_noticed() -> None:
    """A module in a folder without `__init__.py` would be missing from the wheel too."""
    stray = [
        path.relative_to(ROOT).as_posix()
        for folder in ("headrace", *FLOORS)
        for path in (ROOT / folder).rglob("*.py")
        if not path.with_name("__init__.py").exists()
    ]

    assert [] == stray


def test_installed_metadata_is_current() -> None:
    """The installed headrace declares what pyproject.toml declares: otherwise install it again."""
    declared = {str(Requirement(line)) for line in pyproject()["project"]["dependencies"]}
    installed = {
        str(Requirement(line)) for line in metadata.requires("headrace") or () if "extra" not in line
    }

    assert declared == installed


def test_no_token_is_tracked() -> None:
    """Anything that looks like a token says by itself that it is invented."""
    found = [
        f"{name}: {match[0][:8]}…"
        for name, text in texts_for_git()
        for match in TOKEN.finditer(text)
        if not INVENTED.search(match[0])
    ]

    assert [] == found


def test_no_machine_path_is_tracked() -> None:
    """No file names a folder that exists on one machine only."""
    found = [
        f"{name}: {line.strip()[:80]}"
        for name, text in texts_for_git()
        for line in text.splitlines()
        if MACHINE_PATH.search(line)
    ]

    assert [] == found
