"""What `import headrace` offers is what it says, every error included."""

from __future__ import annotations

import subprocess
import sys
import typing

import pytest

import headrace
from headrace import errors
from headrace.cli import catalogue as verbs
from headrace.loaders.catalogue import exports
from headrace.loaders.contracts import contract, target
from headrace.loaders.values import paths


def test_every_name_is_there() -> None:
    """Each public name loads, and is listed once, in order."""
    assert sorted(set(headrace.__all__)) == headrace.__all__
    assert [] == [name for name in headrace.__all__ if getattr(headrace, name, None) is None]


def test_every_error_is_public() -> None:
    """An error that headrace raises can be caught by a name of headrace."""
    raised = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }

    assert raised <= set(headrace.__all__)


def test_unknown_name() -> None:
    """A name that is not there is an AttributeError, as of any module."""
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        headrace.laod  # noqa: B018


@pytest.mark.parametrize(
    ("literal", "known"),
    [
        (contract.Mode, contract.MODES),
        (target.Disposition, target.DISPOSITIONS),
        (target.Strategy, target.STRATEGIES),
        (paths.Naming, tuple(paths.NAMINGS)),
    ],
    ids=["mode", "disposition", "strategy", "naming"],
)
def test_types_know_the_choices(literal: object, known: tuple[str, ...]) -> None:
    """What a type checker accepts is what the code accepts."""
    assert known == typing.get_args(literal)


def test_the_command_line_has_the_choices_of_the_library() -> None:
    """The command line repeats some choices, since the library costs time to import."""
    assert set(exports.FORMS) == set(verbs.FORMS)
    assert contract.MODES == tuple(verbs._MODES)


def test_an_installed_headrace_is_light() -> None:
    """`import headrace` imports neither DuckDB nor Hamilton."""
    code = "import sys, headrace; print([name for name in ('duckdb', 'hamilton', 'ibis', 'pandas') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout
