"""The README runs as it is printed, and public things say what they are."""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import types
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest

import headrace
from headrace.cli import app

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SKIP = re.compile(r"<!-- skip: (.+?) -->\s*\Z")
FILE = re.compile(r"# (\w+\.py)\b")
COMMAND = re.compile(r"^(?:\$ )?((?:\w+=\S+ )*headrace\b.*)$")
Defined: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Block:
    """A fenced block of the README.

    Attributes:
        language: What stands after the fence.
        line: Line of its first line of text, from 1.
        text: What stands between the fences.
        skip: Why it is not run; empty when it is.
    """

    language: str
    line: int
    text: str
    skip: str

    @property
    def file(self) -> str:
        """The name of the file that the block shows: its first line is `# name.py`, perhaps with a remark."""
        named = FILE.match(self.text)
        return named[1] if named else ""

    def commands(self) -> list[str]:
        """The calls of headrace, with continued lines joined."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [found[1] for line in lines if (found := COMMAND.match(line))]


def blocks(*languages: str) -> list[Block]:
    """Return the README's blocks in these languages, in order."""
    text = README.read_text(encoding="utf-8") if README.exists() else ""
    found = []
    for match in FENCE.finditer(text):
        skip = SKIP.search(text, 0, match.start())
        block = Block(match[1], text.count("\n", 0, match.start()) + 2, match[2], skip[1] if skip else "")
        if block.language in languages:
            found.append(block)
    return found


def verbs() -> dict[str, str]:
    """The help of the command line's verbs, by name."""
    (subparsers,) = (
        action for action in app.build_parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    return {verb.dest: verb.help or "" for verb in subparsers._get_subactions()}


def public_definitions() -> Iterator[tuple[str, ast.Module | Defined]]:
    """Each module, public function and public class of headrace, with its name."""
    for folder in ("headrace", "dataflows", "loaders", "transforms"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            name = path.relative_to(ROOT).as_posix()
            yield name, tree
            for definition in tree.body:
                if not isinstance(definition, Defined) or definition.name.startswith("_"):
                    continue
                if "overload" not in map(ast.unparse, definition.decorator_list):
                    yield f"{name}: {definition.name}", definition


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's folder: the export that the README speaks of, and the files that it shows."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copy(ROOT / "examples" / "demo_export.zip", folder / "my-export.zip")
    for block in blocks("python"):
        if block.file and not block.skip:
            (folder / block.file).write_text(block.text, encoding="utf-8")
    return folder


def test_readme_commands_run(folder: Path) -> None:
    """Every line of the README that calls headrace succeeds, in order, in one folder."""
    scripts = Path(sys.executable).parent
    assert (scripts / "headrace").exists(), "headrace is not installed here: pip install -e '.[test]'"
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    commands = [
        (block.line, command)
        for block in blocks("bash", "console", "sh", "shell")
        if not block.skip
        for command in block.commands()
    ]

    assert commands
    for line, command in commands:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert 0 == done.returncode, f"README.md:{line}: {command}\n{done.stdout}{done.stderr}"


def test_readme_code_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every python block of the README runs, in order, in one module, in the folder of the commands."""
    reader = types.ModuleType("reader")
    monkeypatch.setitem(sys.modules, "reader", reader)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    ran = 0
    for block in blocks("python"):
        if block.skip:
            continue
        code = f"import {block.file.removesuffix('.py')}" if block.file else block.text
        code = "\n" * (block.line - 1) + code  # so that a traceback names the line of the README
        exec(compile(code, str(README), "exec", dont_inherit=True), reader.__dict__)
        ran += 1

    assert ran


@pytest.mark.parametrize(
    "block", [block for block in blocks("python", "bash", "console", "sh", "shell") if block.skip], ids=str
)
def test_readme_block_is_left_out(block: Block) -> None:
    """A block that is not run is listed here with its reason."""
    pytest.skip(f"README.md:{block.line}: {block.skip}")


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_verb_is_documented(verb: str) -> None:
    """README shows every verb, and every verb explains itself."""
    assert f"headrace {verb}" in README.read_text(encoding="utf-8")
    assert verbs()[verb]


def test_readme_is_short() -> None:
    """Whoever wants more finds the links to it."""
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def test_readme_links_lead_somewhere() -> None:
    """A link to a file of this repository finds that file."""
    targets = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", README.read_text(encoding="utf-8"))

    assert [] == [target for target in targets if not (ROOT / target).exists()]


def test_public_names_are_sorted() -> None:
    """`headrace.__all__` is in order and offered by `dir()`."""
    assert sorted(headrace.__all__) == list(headrace.__all__)
    assert set(headrace.__all__) <= set(dir(headrace))


@pytest.mark.parametrize("name", headrace.__all__)
def test_public_name_is_documented(name: str) -> None:
    """Each public name can be imported and has a docstring, or is a value whose type says it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        public = getattr(headrace, name)

    assert public.__doc__, name


def test_public_definitions_have_docstrings() -> None:
    """Modules, functions and classes that others import say what they do."""
    silent = [name for name, definition in public_definitions() if ast.get_docstring(definition) is None]

    assert [] == silent


def test_architecture_names_files_that_are_there() -> None:
    """Every file and folder that the page on architecture names exists."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_0-9]+\.py)?)`", text))
    missing = [
        name
        for name in sorted(named)
        if not (ROOT / name).exists() and not (ROOT / "loaders" / name).exists()
    ]

    assert len(named) > 40
    assert [] == missing
