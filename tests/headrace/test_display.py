"""Display: rows as CSV, JSON lines and aligned tables."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.cli.display import colour, in_batches, write_csv, write_json, write_table


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(write: Any, columns: list[str], rows: list[tuple[Any, ...]]) -> str:
    out = io.StringIO()
    write(columns, rows, out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("columns", "rows", "text"),
    [
        (["id"], [], "id\n--\n"),
        (["id", "name"], [(1, "Ana"), (22, None)], "id  name\n--  ----\n 1  Ana\n22\n"),
        (["n", "ok"], [(1.5, True), (10, False)], "  n  ok\n---  -----\n1.5  true\n 10  false\n"),
        (["text"], [("two\nlines  here",)], "text\n--------------\ntwo lines here\n"),
        (["text"], [("x" * 61,)], f"text\n{'-' * 60}\n{'x' * 59}…\n"),
        (["when"], [(date(2026, 1, 31),)], "when\n----------\n2026-01-31\n"),
    ],
)
def test_tables(columns: list[str], rows: list[tuple[Any, ...]], text: str) -> None:
    """Numbers stand right, text left; a long cell is cut, its line breaks are spaces, a null is empty."""
    assert text == written(write_table, columns, rows)


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ((1, None, "é"), {"a": 1, "b": None, "c": "é"}),
        ((True, 0.5, '"'), {"a": True, "b": 0.5, "c": '"'}),
        ((date(2026, 1, 31), datetime(2026, 1, 31, 10), Decimal("1.50")),
         {"a": "2026-01-31", "b": "2026-01-31T10:00:00", "c": "1.50"}),
        (([1], {"k": 1}, ""), {"a": [1], "b": {"k": 1}, "c": ""}),
    ],
)  # fmt: skip
def test_json_lines(row: tuple[Any, ...], line: dict[str, Any]) -> None:
    """A row is one line of JSON; what JSON lacks becomes text."""
    assert [line] == [json.loads(text) for text in written(write_json, ["a", "b", "c"], [row]).splitlines()]


@pytest.mark.parametrize("value", [2**63, 2**64, 2**127 - 1, -(2**127)])
def test_json_of_huge_integers(value: int) -> None:
    """A HUGEINT is written in full."""
    assert str(value) in written(write_json, ["n"], [(value,)])


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.integers()), max_size=5))
def test_csv_reads_back(rows: list[tuple[str, int]]) -> None:
    """Any text survives CSV: quotes, commas and line breaks are quoted."""
    text = written(write_csv, ["a", "b"], rows)

    assert [["a", "b"], *([a, str(b)] for a, b in rows)] == list(csv.reader(io.StringIO(text, newline="")))


def test_csv_nulls() -> None:
    """A null is an empty cell."""
    assert "a,b\n1,\n" == written(write_csv, ["a", "b"], [(1, None)])


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text has a colour on a terminal only, and not where NO_COLOR is set."""
    monkeypatch.delenv("NO_COLOR", raising=False)

    assert ("\x1b[31mx\x1b[0m", "x") == (colour("x", "31", Terminal()), colour("x", "31", io.StringIO()))

    monkeypatch.setenv("NO_COLOR", "1")

    assert "x" == colour("x", "31", Terminal())


def test_batches() -> None:
    """Rows are fetched a batch at a time until there are none."""
    batches = [[(1,), (2,)], [(3,)], []]

    assert [(1,), (2,), (3,)] == list(in_batches(lambda size: batches.pop(0), 2))
