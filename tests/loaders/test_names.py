"""Names: keys of records to identifiers, paths as people write them, and suffixes for the second comer."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.loaders.values.paths import (
    RecordPath,
    column_name,
    distinct,
    parse_hint,
    show,
    snake_case,
    table_name,
)

PLAIN_KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("camelCase", "camel_case"),
        ("HTMLParser", "html_parser"),
        ("userID", "user_id"),
        ("with space", "with_space"),
        ("  padded  ", "padded"),
        ("dash-ed", "dash_ed"),
        ("a.b", "a_b"),
        ("a__b", "a__b"),  # looks like nesting, and is kept: the catalogue tells the two apart
        ("__a", "a"),
        ("_under", "_under"),
        ("trail_", "trailx"),
        ("1abc", "_1abc"),
        ("select", "select"),  # every identifier is quoted
        ("+1", "x1"),
        ("-1", "_1"),
        ("a+b", "axb"),
        ("", "_empty"),
        ("   ", "_empty"),
        ("__", "_empty"),
        ("naïve", "na_ve"),
        ("ключ", "x"),
        ('"; DROP TABLE t; --', "_drop_table_txxx"),
        ("a\0b", "a_b"),
    ],
)
def test_snake_case(key: str, name: str) -> None:
    """Keys become snake_case identifiers of ASCII letters, digits and underscores."""
    assert name == snake_case(key)


@given(st.text())
def test_any_key_has_a_name(key: str) -> None:
    """Whatever the key, its name is an identifier that needs no quotes, and is its own name."""
    name = snake_case(key)

    assert re.fullmatch(r"[a-z_][a-z0-9_]*", name)
    assert name == snake_case(name)


@pytest.mark.parametrize(
    ("path", "table", "column"),
    [
        ((), "orders", "value"),
        (("items", None), "orders__items", "items"),
        (("items", None, "opts", None), "orders__items__opts", "items__opts"),
        (("m", None, None), "orders__m__list", "m"),
        ((None,), "orders__list", "value"),
        (("a", "b", None), "orders__a__b", "a__b"),
    ],
)
def test_names_of_paths(path: RecordPath, table: str, column: str) -> None:
    """Dict keys join with two underscores; a list in a list is `list`, an item that is no dict `value`."""
    assert table == table_name("orders", path)
    assert column == column_name(path)


@pytest.mark.parametrize(
    ("wished", "taken", "name"),
    [
        ("user_id", set(), "user_id"),
        ("user_id", {"user_id"}, "user_id_2"),
        ("user_id", {"user_id", "user_id_2"}, "user_id_3"),
        ("Order", {"order"}, "Order_2"),  # DuckDB's names ignore case
    ],
)
def test_second_comers_get_a_suffix(wished: str, taken: set[str], name: str) -> None:
    """Two sources never share a name: the second gets the first free number."""
    assert name == distinct(wished, taken)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ((), "$"),
        (("a", "b"), "$.a.b"),
        (("items", None, "unit price"), '$.items[]["unit price"]'),
        (('say "hi"\\',), '$["say \\"hi\\"\\\\"]'),
        ((None, None), "$[][]"),
        (("",), '$[""]'),
    ],
)
def test_paths_as_people_write_them(path: RecordPath, shown: str) -> None:
    """A path starts at `$`; a key that is no plain word is quoted."""
    assert shown == show(path)


@given(st.lists(st.tuples(PLAIN_KEYS, st.integers(0, 2)), min_size=1, max_size=4))
def test_hints_read_as_paths_are_shown(steps: list[tuple[str, int]]) -> None:
    """A hint is a path without its `$.`, for keys that are plain words."""
    path = tuple(step for key, lists in steps for step in (key, *[None] * lists))

    assert path == parse_hint(show(path).removeprefix("$."))


@given(st.lists(st.lists(st.text(max_size=3) | st.none(), max_size=3).map(tuple), unique=True, max_size=8))
def test_two_paths_never_look_alike(paths: list[RecordPath]) -> None:
    """What the catalogue shows tells every two paths apart."""
    assert len(paths) == len({show(path) for path in paths})
