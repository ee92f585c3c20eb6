"""What is told of a text at the speed of memory is what a plain look at its lines tells."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.loaders.reading import line_scan

texts = st.lists(
    st.sampled_from([b"{", b"}", b"[", b"\n", b'"', b"{\n{", b"1.5", b"012345678", b"/", b"\xff"]), min_size=1
).map(b"".join)


@pytest.fixture(autouse=True, params=["small", "large"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every law holds of both ways; pieces are so short here that what is looked for lies across them."""
    monkeypatch.setattr(line_scan, "LARGE", 1 << 40 if request.param == "small" else 0)
    monkeypatch.setattr(line_scan, "_PIECE", 7)


anyhow = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
"""The patched sizes may stay from example to example."""


@anyhow
@given(text=texts)
def test_count_objects(text: bytes) -> None:
    """Lines are counted where each of them begins with a brace."""
    lines = text.split(b"\n")
    expected = len(lines) if all(line.startswith(b"{") for line in lines) else 0
    assert expected == line_scan.count_objects(text)


@anyhow
@given(text=texts)
def test_most_openings(text: bytes) -> None:
    """Braces and brackets that open are counted by line."""
    expected = max(line.count(b"{") + line.count(b"[") for line in text.split(b"\n"))
    assert expected == line_scan.most_openings(text)


@anyhow
@given(text=texts)
def test_lines(text: bytes) -> None:
    """Each line is found by its number, and by every place in it; so are those that are objects."""
    lines = text.split(b"\n")
    found = line_scan.Lines(text, len(lines))
    begins = [text.rfind(b"\n", 0, place) + 1 for place in range(len(text))]

    assert lines == [found.line(at) for at in range(len(lines))]
    assert all(found.at(iter([place])) == {text.count(b"\n", 0, begins[place])} for place in range(len(text)))


@anyhow
@given(text=texts)
def test_long_numbers(text: bytes) -> None:
    """A place is found where 18 digits, dots or slashes follow each other, and only there."""
    expected = [match.start() for match in re.finditer(rb"(?=[./0-9]{18})", text)]
    assert expected == line_scan.long_numbers(text).tolist()
