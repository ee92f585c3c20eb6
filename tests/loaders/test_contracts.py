"""Contracts: what happens to what is new, by rule and mode; and the casts that hints allow."""

from __future__ import annotations

import dataclasses
from typing import Any, TypedDict

import pytest
from typing_extensions import NotRequired

import headrace
from headrace import Contract, ContractViolation
from headrace.errors import UsageError
from headrace.loaders.contracts.contract import Mode
from headrace.loaders.contracts.models import model_required
from headrace.loaders.contracts.target import make_target
from headrace.loaders.loading import RunSettings
from headrace.loaders.maintenance.replay import replay
from headrace.loaders.warehouse import Warehouse

MODES = ("evolve", "freeze", "quarantine", "discard_value")
NEWS: dict[str, dict[str, Any]] = {
    "tables": {"id": 2, "new_list": [1]},
    "columns": {"id": 2, "new": 5},
    "types": {"id": 2, "n": "text"},
}


@pytest.fixture
def warehouse() -> Warehouse:
    """A warehouse with one table that knows `id`, `n` and the list `tags`."""
    warehouse = headrace.connect()
    headrace.load([{"id": 0, "n": 0, "tags": ["a"]}], "t", into=warehouse)
    return warehouse


def columns(warehouse: Warehouse) -> set[str]:
    found = warehouse.query("SELECT table_name || '.' || column_name FROM _headrace.columns")
    return {name for (name,) in found}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rule", NEWS)
def test_modes(warehouse: Warehouse, rule: str, mode: str) -> None:
    """Each rule does to a record that breaks it what its mode says; other records always land."""
    before = columns(warehouse)
    contract = Contract(**{rule: mode})  # type: ignore[arg-type]
    records = [{"id": 1, "n": 1, "tags": ["b"]}, NEWS[rule]]
    if mode == "freeze":
        with pytest.raises(ContractViolation, match=r"at `\$\[1\]"):
            headrace.load(records, "t", into=warehouse, contract=contract)
        assert [(0,)] == warehouse.query("SELECT id FROM t")
        assert before == columns(warehouse)
        return
    counts = headrace.load(records, "t", into=warehouse, contract=contract).counts
    landed = [id_ for (id_,) in warehouse.query("SELECT id FROM t ORDER BY id")]
    kept = warehouse.query("SELECT record, rule, raw FROM _headrace.quarantine")
    discarded = warehouse.query("SELECT sum(values_discarded) FROM _headrace.loads")

    assert ([0, 1] if mode == "quarantine" else [0, 1, 2]) == landed
    assert (mode == "quarantine") == bool(kept)
    assert [(1 if mode == "discard_value" else 0,)] == discarded
    assert (mode == "evolve") == (before != columns(warehouse))
    assert counts.rows_in == counts.loaded + counts.quarantined + counts.deduplicated


def test_a_record_is_kept_once(warehouse: Warehouse) -> None:
    """A record that breaks several rules is in quarantine once, whole, children included."""
    strict = Contract("quarantine", "quarantine", "quarantine")
    record = {"id": 2, "n": "text", "new": 1, "tags": [1], "new_list": [{"a": 1}]}
    counts = headrace.load([record], "t", into=warehouse, contract=strict).counts

    assert (1, 0, 1, 0) == (counts.rows_in, counts.loaded, counts.quarantined, counts.deduplicated)
    assert [(1,)] == warehouse.query("SELECT count(*) FROM _headrace.quarantine")
    assert [("a",)] == warehouse.query("SELECT value FROM t__tags")


def test_widening_breaks_types(warehouse: Warehouse) -> None:
    """Where types are frozen a column is not even widened."""
    with pytest.raises(
        ContractViolation, match=r"'n' is BIGINT, and the value is double '1.5' - at `\$\[0\]\.n`"
    ):
        headrace.load([{"id": 1, "n": 1.5}], "t", into=warehouse, contract=Contract(types="freeze"))


def test_nulls_break_nothing(warehouse: Warehouse) -> None:
    """A new key that holds only nulls, or a null where a list was, is let in and makes no column."""
    before = columns(warehouse)
    strict = Contract("freeze", "freeze", "freeze")
    headrace.load([{"id": 1, "new": None, "tags": None, "n": None}], "t", into=warehouse, contract=strict)

    assert before == columns(warehouse)


def test_a_new_table_may_have_any_columns() -> None:
    """On the load that creates a table its columns are not new: else nothing could begin."""
    with headrace.connect() as warehouse:
        headrace.load([{"id": 1, "a": 1}], "t", into=warehouse, contract=Contract(columns="freeze"))

        assert [(1, 1)] == warehouse.query("SELECT id, a FROM t")


@dataclasses.dataclass
class Item:
    sku: str
    price: float


class Address(TypedDict):
    zip: str


@dataclasses.dataclass
class Order:
    id: int
    address: Address
    items: list[Item]
    note: str | None = None


ORDER = {"id": 1, "address": {"zip": "01234"}, "items": [{"sku": "a", "price": 1.5}]}
BROKEN: list[tuple[dict[str, Any], str]] = [
    ({**ORDER, "extra": 1}, "$.extra"),
    ({**ORDER, "id": "one"}, "$.id"),
    ({**ORDER, "items": [{"sku": "a", "price": 1.5}, {"sku": "b", "color": 3}]}, "$.items[].color"),
    ({**ORDER, "more": [1]}, "$.more[]"),
    ({**ORDER, "id": None}, "$.id"),
    ({"address": {"zip": "01234"}, "items": []}, "$.id"),
    ({"id": 1, "items": []}, "$.address.zip"),
    ({**ORDER, "items": [{"sku": "a", "price": 1.5}, {"price": 1.5}]}, "$.items[].sku"),
]


@pytest.mark.parametrize(("record", "path"), BROKEN)
def test_models_are_contracts(record: dict[str, Any], path: str) -> None:
    """What a model does not have goes to quarantine, from the first load on; what it has, lands."""
    with headrace.connect() as warehouse:
        loaded = headrace.load([ORDER, record], "orders", into=warehouse, contract=Order)

        assert (2, 1, 1) == (loaded.counts.rows_in, loaded.counts.loaded, loaded.counts.quarantined)
        assert [(1, path)] == warehouse.query("SELECT record, path FROM _headrace.quarantine")
        assert [("a", 1.5)] == warehouse.query("SELECT sku, price FROM orders__items")


@dataclasses.dataclass
class Place:
    city: str
    lines: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Parcel:
    id: int
    to: Place
    back: Place | None
    size: float = 1.0


PARCELS: list[tuple[dict[str, Any], str | None]] = [
    ({"id": 1, "to": {"city": "x"}}, None),
    ({"id": 1, "to": {"city": "x"}, "back": None, "size": None}, None),
    ({"id": 1, "to": {"city": "x"}, "back": {}}, None),  # an empty dict looks like none
    ({"id": 1, "to": {"city": "x"}, "back": {"city": "y", "lines": []}}, None),
    ({"id": 1, "to": {"city": ""}}, None),
    ({"id": 0, "to": {"city": "x", "lines": ["a", ""]}}, None),
    ({"id": 1, "to": {}}, "$.to.city"),
    ({"id": 1}, "$.to.city"),
    ({}, "$.id"),
    ({"id": 1, "to": {"city": "x"}, "back": {"lines": ["a"]}}, "$.back.city"),
    ({"id": 1, "to": {"city": "x", "lines": ["a", None]}}, "$.to.lines[]"),
]


@pytest.mark.parametrize(("record", "path"), PARCELS)
@pytest.mark.parametrize("others", [1, 30_000])
def test_required_values(record: dict[str, Any], path: str | None, others: int) -> None:
    """A field without a default needs a value where what is around it is there, in both lanes."""
    whole = {"id": 1, "to": {"city": "x", "lines": ["a"]}, "back": {"city": "y", "lines": ["b"]}}
    with headrace.connect() as warehouse:
        loaded = headrace.load([*[whole] * others, record], "t", into=warehouse, contract=Parcel)
        kept = warehouse.query("SELECT record, path, rule FROM _headrace.quarantine")

        assert ([] if path is None else [(others, path, "required")]) == kept
        assert others + (path is None) == loaded.counts.loaded


@pytest.mark.parametrize("mode", MODES)
def test_modes_of_required_values(mode: Mode) -> None:
    """The mode of the types says what happens to a record that lacks a value."""
    target = make_target("t", "main", {"contract": Parcel})
    records = [{"id": 1, "to": {"city": "x"}}, {"id": 2, "to": {"lines": ["a"]}}]
    with headrace.connect() as warehouse:
        warehouse = warehouse.with_settings(RunSettings(contract=Contract(types=mode)))
        if mode == "freeze":
            message = r"main\.t: a value is required, and there is none - at `\$\[1\]\.to\.city`\. The contract freezes types"
            with pytest.raises(ContractViolation, match=message):
                warehouse.load(records, target)
            assert [] == warehouse.query("SELECT table_name FROM duckdb_tables()")
            return
        counts = warehouse.load(records, target).counts
        discarded = warehouse.query("SELECT values_discarded FROM _headrace.loads")

        assert (mode == "quarantine") == (counts.quarantined == 1)
        assert 2 == counts.loaded + counts.quarantined
        assert [(int(mode == "discard_value"),)] == discarded


def test_required_values_are_replayed() -> None:
    """A record that lacks a value stays in quarantine as long as one is required."""
    with headrace.connect() as warehouse:
        headrace.load([{"id": 1}], "t", into=warehouse, contract=Parcel)

        assert (0, 1) == (replay(warehouse, "t").landed, replay(warehouse, "t").failed)
        assert 1 == replay(warehouse, "t", contract=Contract()).landed
        assert [(1, None)] == warehouse.query("SELECT id, to__city FROM t")


def test_required_below_what_is_kept_as_json() -> None:
    """What lies in JSON that is kept whole is not looked into."""
    with headrace.connect() as warehouse:
        record = {"id": 1, "to": {"city": "x"}}
        loaded = headrace.load([record], "t", into=warehouse, contract=Parcel, max_nesting=0)

        assert [] == warehouse.query("SELECT path FROM _headrace.quarantine WHERE rule = 'required'")
        assert 1 == loaded.counts.rows_in


class Optional(TypedDict):
    a: int
    b: NotRequired[int]
    c: int | None
    d: Any


class Partial(TypedDict, total=False):
    a: int


@dataclasses.dataclass
class Defaults:
    a: int
    b: int = 1
    c: list[int | None] = dataclasses.field(default_factory=list)
    d: Any = None


@pytest.mark.parametrize(
    ("model", "paths"), [(Optional, ("a",)), (Partial, ()), (Defaults, ("a",)),
                         (Parcel, ("id", "to", "to.city", "to.lines[]", "back.city", "back.lines[]"))]
)  # fmt: skip
def test_what_models_require(model: Any, paths: tuple[str, ...]) -> None:
    """What has no default, may not be None and is not NotRequired."""
    assert paths == model_required(model)


def test_what_pydantic_models_require() -> None:
    """The same, under the alias by which records have it."""
    pydantic = pytest.importorskip("pydantic")
    fields = {"a": (int, pydantic.Field(alias="A")), "b": (int, 1), "c": (int | None, None)}

    assert ("A",) == model_required(pydantic.create_model("Made", **fields))


def test_models_are_columns() -> None:
    """As columns a model only declares types: what else comes is welcome."""
    with headrace.connect() as warehouse:
        headrace.load([{**ORDER, "extra": 1}], "orders", into=warehouse, columns=Order)

        assert [(1, "01234", None, 1)] == warehouse.query("SELECT id, address__zip, note, extra FROM orders")


CASTS: list[tuple[str, Any, Any]] = [
    ("DECIMAL(18,2)", "12.50", "12.50"), ("DECIMAL(18,2)", 12.5, "12.50"), ("DECIMAL(18,2)", 3, "3.00"),
    ("DECIMAL(18,2)", "1.005", None), ("DECIMAL(18,2)", 1.005, None), ("DECIMAL(4,2)", 123, None),
    ("BIGINT", "42", "42"), ("BIGINT", 3.0, "3"), ("BIGINT", 3.5, None), ("BIGINT", "3.5", None),
    ("BIGINT", 2**64, None), ("BIGINT", "0x12", None),
    ("DOUBLE", "1.5", "1.5"), ("DOUBLE", 2**53 + 1, None), ("DOUBLE", "n/a", None),
    ("VARCHAR", 7, "7"), ("VARCHAR", True, "true"), ("VARCHAR", "2026-01-31", "2026-01-31"),
    ("BOOLEAN", "true", "true"), ("BOOLEAN", "yes", None), ("BOOLEAN", 1, None),
    ("DATE", "2026-01-31", "2026-01-31"), ("DATE", "2026-02-30", None), ("DATE", "2026-01-31T10:00:00", None),
    ("TIMESTAMP", "2026-01-31", "2026-01-31 00:00:00"), ("TIMESTAMP", "2026-01-31T10:00:00Z", None),
    ("TIMESTAMP", "2026-01-31 10:00", "2026-01-31 10:00:00"), ("TIMESTAMPTZ", "2026-01-31T10:00:00", None),
    ("UUID", "12345678-1234-5678-1234-567812345678", "12345678-1234-5678-1234-567812345678"),
    ("UUID", "12345678", None), ("INTERVAL", "3 days", "3 days"), ("TIME", "10:00:00", "10:00:00"),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "value", "found"), CASTS)
def test_hints_cast_what_is_the_same(type_: str, value: Any, found: str | None) -> None:
    """A declared column takes a value of another type if it is the same value there; else a variant does."""
    with headrace.connect() as warehouse:
        headrace.load([{"v": value}], "t", into=warehouse, columns={"v": type_})
        variants = [
            name for (name,) in warehouse.query("SELECT column_name FROM _headrace.columns WHERE variant")
        ]

        assert [(found,)] == warehouse.query("SELECT CAST(v AS VARCHAR) FROM t")
        assert (found is None) == bool(variants)
        assert all(warehouse.query(f"SELECT {name} IS NOT NULL FROM t") == [(True,)] for name in variants)


def test_hints_below_lists() -> None:
    """A hint reaches into lists and dicts; JSON keeps what is there, NESTED opens JSON held in text."""
    record = {"items": [{"sku": 7, "raw": {"a": [1]}, "text": '{"x": [1, 2]}'}]}
    hints = {"items[].sku": "VARCHAR", "items[].raw": "JSON", "items[].text": "NESTED"}
    with headrace.connect() as warehouse:
        headrace.load([record], "t", into=warehouse, columns=hints)

        assert [("7", '{"a":[1]}')] == warehouse.query("SELECT sku, raw FROM t__items")
        assert [(1,), (2,)] == warehouse.query("SELECT value FROM t__items__text__x ORDER BY _hr_index")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": "frozen"}, "columns cannot be 'frozen'; did you mean 'freeze'"),
        ({"tables": "no"}, "tables cannot be 'no'; known: discard_value, evolve, freeze, quarantine"),
    ],
)
def test_misspelt_contracts(options: dict[str, str], message: str) -> None:
    """A mode that does not exist is refused with those that do."""
    with pytest.raises(UsageError, match=message):
        Contract(**options)  # type: ignore[arg-type]
