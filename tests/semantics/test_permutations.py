"""Order does not matter: the same batches in another order can be read back as the same values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.loaders import extract
from headrace.loaders.contracts.target import Target
from headrace.loaders.packages import writer
from headrace.loaders.warehouse import Warehouse
from tests.semantics.reference import Counts, Load, Table
from tests.semantics.streams import FAMILIES, KEYS, LANES
from tests.semantics.test_reference import differing_rows, read_back

Batches = list[list[dict[str, Any]]]
Lane = tuple[int, int]

SCALARS = st.sampled_from([None, *(value for family in FAMILIES.values() for value in family)])
LIKELY = st.sampled_from(["a", "b", "a__b", "A", "userId", "user_id"])
VALUES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(LIKELY, below, max_size=2),
    max_leaves=4,
)
RECORDS = st.dictionaries(LIKELY | st.sampled_from(KEYS), VALUES, max_size=4)


@st.composite
def shuffled(draw: st.DrawFn) -> tuple[Batches, list[int]]:
    """Return batches and an order for them."""
    batches = draw(st.lists(st.lists(RECORDS, min_size=1, max_size=3), min_size=2, max_size=4))
    return batches, draw(st.permutations(range(len(batches))))


def load(warehouse: Warehouse, batches: Batches, lane: Lane, *, at_once: bool) -> None:
    """Load batches as pages of one load, or as a load each."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(extract, "SMALL", lane[0])
        patched.setattr(extract, "BLOCK", lane[1])
        patched.setattr(writer, "_sync", lambda path: None)
        for stream in [batches] if at_once else batches:
            warehouse.load(stream, Target("t"))


def types_by_path(warehouse: Warehouse) -> dict[str, list[str]]:
    """Return the types of the columns at each source path."""
    found = warehouse.query("SELECT source_path, data_type FROM _headrace.columns ORDER BY ALL")
    return {path: [type_ for other, type_ in found if other == path] for path, _ in found}


@settings(max_examples=25)
@given(shuffled(), st.sampled_from(LANES))
def test_one_load(case: tuple[Batches, list[int]], lane: Lane) -> None:
    """In one load neither the values nor the types of the columns depend on the order of the batches."""
    batches, order = case
    reordered = [batches[at] for at in order]
    with Warehouse() as one, Warehouse() as other:
        load(one, batches, lane, at_once=True)
        load(other, reordered, lane, at_once=True)

        assert [] == differing(one, [[record for batch in batches for record in batch]])
        assert [] == differing(other, [[record for batch in reordered for record in batch]])
        assert types_by_path(one) == types_by_path(other)


@settings(max_examples=25)
@given(shuffled(), st.sampled_from(LANES))
def test_several_loads(case: tuple[Batches, list[int]], lane: Lane) -> None:
    """Over several loads columns may differ, but every value can be read at its place in any order."""
    batches, order = case
    reordered = [batches[at] for at in order]
    with Warehouse() as warehouse:
        load(warehouse, reordered, lane, at_once=False)

        assert [] == differing(warehouse, reordered)


@pytest.mark.slow
@settings(max_examples=1000)
@given(shuffled(), st.sampled_from(LANES))
def test_at_length(case: tuple[Batches, list[int]], lane: Lane) -> None:
    """The same laws, with many more examples."""
    test_one_load.hypothesis.inner_test(case, lane)  # type: ignore[attr-defined]
    test_several_loads.hypothesis.inner_test(case, lane)  # type: ignore[attr-defined]


def differing(warehouse: Warehouse, loads: Batches) -> list[str]:
    """Return in what the warehouse differs from what the reference makes of these loads."""
    table = Table()
    for records in loads:
        counts = table.load(Load(records))
        assert Counts(len(records), len(records), 0, 0) == counts, asdict(counts)
    return list(differing_rows(table.rows(), read_back(warehouse)))
