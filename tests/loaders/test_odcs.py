"""Contract files: what of the Open Data Contract Standard v3.1 means what, and what is refused, and where."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import MissingExtra, UsageError
from headrace.loaders.catalogue.lookup import read_schema
from headrace.loaders.contracts import odcs_reading
from headrace.loaders.contracts.contract import Contract
from headrace.loaders.contracts.odcs_reading import TableContract, parse_contract, read_contract
from headrace.loaders.contracts.odcs_writing import write_contract
from headrace.loaders.contracts.target import Target, make_target
from headrace.loaders.schema.known import VERSIONED, Column, RootSchema, Table
from headrace.loaders.values.paths import RecordPath, as_hint, parse_hint
from headrace.loaders.warehouse import Warehouse

SNAPSHOT = Path(__file__).parent / "exported" / "contract.yaml"
HEADER: dict[str, Any] = {
    "apiVersion": "v3.1.0", "kind": "DataContract", "id": "shop", "version": "1.0.0", "status": "active",
}  # fmt: skip


def document(properties: Any, /, *, table: Any = None, **rest: Any) -> str:
    """Return a contract of one table, `orders`, as YAML."""
    orders = {"name": "orders", **(table or {})} | ({} if properties is None else {"properties": properties})
    return yaml.safe_dump({**HEADER, "schema": [orders], **rest})


def read(properties: Any, /, *, table: Any = None, **rest: Any) -> TableContract:
    """Return what the contract says of its one table."""
    (orders,) = parse_contract(document(properties, table=table, **rest)).values()
    return orders


@pytest.mark.parametrize(
    ("property_", "type_"),
    [
        ({"logicalType": "integer"}, "BIGINT"),
        ({"logicalType": "integer", "logicalTypeOptions": {"format": "i32"}}, "BIGINT"),
        ({"logicalType": "integer", "logicalTypeOptions": {"format": "u64"}}, "HUGEINT"),  # past BIGINT
        ({"logicalType": "number"}, "DOUBLE"),
        ({"logicalType": "boolean"}, "BOOLEAN"),
        ({"logicalType": "string"}, "VARCHAR"),
        ({"logicalType": "string", "logicalTypeOptions": {"format": "uuid"}}, "UUID"),
        ({"logicalType": "string", "logicalTypeOptions": {"format": "date"}}, "DATE"),
        ({"logicalType": "string", "logicalTypeOptions": {"format": "date-time"}}, "TIMESTAMPTZ"),
        ({"logicalType": "string", "logicalTypeOptions": {"format": "email", "maxLength": 9}}, "VARCHAR"),
        ({"logicalType": "string", "logicalTypeOptions": {"format": "byte"}}, "VARCHAR"),  # base64 is text
        ({"logicalType": "date"}, "DATE"),
        ({"logicalType": "date", "logicalTypeOptions": {"format": "yyyy-MM-dd"}}, "DATE"),
        ({"logicalType": "date", "logicalTypeOptions": {"format": "yyyy-MM-dd HH:mm:ss"}}, "TIMESTAMP"),
        ({"logicalType": "timestamp"}, "TIMESTAMP"),
        ({"logicalType": "timestamp", "logicalTypeOptions": {"timezone": False}}, "TIMESTAMP"),
        ({"logicalType": "timestamp", "logicalTypeOptions": {"timezone": True}}, "TIMESTAMPTZ"),
        ({"logicalType": "time"}, "TIME"),
        ({"logicalType": "time", "logicalTypeOptions": {"timezone": True}}, "TIMETZ"),
        ({"logicalType": "object"}, "JSON"),
        ({"logicalType": "array"}, "JSON"),
        ({"logicalType": "map"}, "JSON"),
        # the physical type says more, where it is one we know
        ({"logicalType": "number", "physicalType": "DECIMAL(18,2)"}, "DECIMAL(18,2)"),
        ({"logicalType": "number", "physicalType": "numeric( 18 , 2 )"}, "DECIMAL(18,2)"),
        ({"logicalType": "number", "physicalType": "NUMBER(10)"}, "DECIMAL(10,0)"),
        ({"logicalType": "number", "physicalType": "numeric"}, "DECIMAL(38,9)"),
        ({"logicalType": "number", "physicalType": "DECIMAL(76,38)"}, "DOUBLE"),  # no DECIMAL is so wide
        ({"logicalType": "number", "physicalType": "DECIMAL(2,3)"}, "DOUBLE"),
        ({"logicalType": "number", "physicalType": "int4"}, "BIGINT"),
        ({"logicalType": "string", "physicalType": "varchar(18)"}, "VARCHAR"),
        ({"logicalType": "string", "physicalType": "uuid"}, "UUID"),
        ({"logicalType": "string", "physicalType": "INTERVAL"}, "INTERVAL"),
        ({"logicalType": "date", "physicalType": "timestamp"}, "TIMESTAMP"),
        ({"logicalType": "timestamp", "physicalType": "timestamp(6) with time zone"}, "TIMESTAMPTZ"),
        ({"logicalType": "timestamp", "physicalType": "TIMESTAMP", "logicalTypeOptions": {"timezone": True}},
         "TIMESTAMPTZ"),
        ({"logicalType": "object", "physicalType": "jsonb"}, "JSON"),
        ({"logicalType": "string", "physicalType": "geography"}, "VARCHAR"),
        ({"logicalType": "string", "physicalType": None}, "VARCHAR"),
        ({"physicalType": "bytes"}, "BLOB"),
    ],
)  # fmt: skip
def test_type(property_: dict[str, Any], type_: str) -> None:
    """A type is the physical one, where it is known, else what the logical one says; a target takes it."""
    columns = read([{"name": "x", **property_}]).columns

    assert {"x": type_} == columns
    assert [type_] == list(Target("orders", columns=columns).hints().values())


TEXT, NUMBER = {"logicalType": "string"}, {"logicalType": "integer"}


def keys(**properties: dict[str, Any]) -> dict[str, Any]:
    """Return an object with these properties."""
    listed = [{"name": name, **property_} for name, property_ in properties.items()]
    return {"logicalType": "object", "properties": listed}


def items(of: dict[str, Any]) -> dict[str, Any]:
    """Return an array."""
    return {"logicalType": "array", "items": of}


@pytest.mark.parametrize(
    ("properties", "columns"),
    [
        (None, {}),
        ([], {}),
        ([{"name": "user", **keys(zip=TEXT)}], {"user.zip": "VARCHAR"}),
        ([{"name": "tags", **items(TEXT)}], {"tags[]": "VARCHAR"}),
        ([{"name": "items", **items(keys(sku=TEXT, n=NUMBER))}],
         {"items[].sku": "VARCHAR", "items[].n": "BIGINT"}),
        ([{"name": "m", **items(items(NUMBER))}], {"m[][]": "BIGINT"}),
        ([{"name": "items", **items({"logicalType": "object"})}], {"items[]": "JSON"}),
        ([{"name": "items", **items(keys())}], {}),
        # structure is enough, and counts for more than the name of a type
        ([{"name": "user", "physicalType": "JSON", "properties": [{"name": "zip", **TEXT}]}],
         {"user.zip": "VARCHAR"}),
        # a key that holds values of two shapes
        ([{"name": "x", **NUMBER}, {"name": "x", **items(NUMBER)}], {"x": "BIGINT", "x[]": "BIGINT"}),
        # records have physical names
        ([{"name": "Customer", "physicalName": "cust_id", **NUMBER}], {"cust_id": "BIGINT"}),
        ([{"name": "", **NUMBER}, {"name": "unit price", **NUMBER}], {"": "BIGINT", "unit price": "BIGINT"}),
    ],
)  # fmt: skip
def test_columns(properties: Any, columns: dict[str, str]) -> None:
    """Nested objects and arrays are paths, as hints have them."""
    assert columns == read(properties).columns


@pytest.mark.parametrize(
    ("properties", "key"),
    [
        ([{"name": "a", **NUMBER}], ()),
        ([{"name": "a", "primaryKey": True, **NUMBER}], ("a",)),
        ([{"name": "a", "primaryKey": True, "primaryKeyPosition": 2, **NUMBER},
          {"name": "b", "primaryKey": True, "primaryKeyPosition": 1, **NUMBER}], ("b", "a")),
        ([{"name": "a", "primaryKey": True, "primaryKeyPosition": -1, **NUMBER},
          {"name": "b", "primaryKey": True, "primaryKeyPosition": 1, **NUMBER}], ("b", "a")),
        ([{"name": "a", "primaryKey": False, "primaryKeyPosition": 1, **NUMBER}], ()),
        ([{"name": "user", **keys(id={"primaryKey": True, **NUMBER})}], ("user.id",)),
        # the key of an item does not identify the record
        ([{"name": "items", **items(keys(id={"primaryKey": True, **NUMBER}))}], ()),
    ],
)  # fmt: skip
def test_primary_key(properties: Any, key: tuple[str, ...]) -> None:
    """The key is in the order of its positions; what has none comes last, as written."""
    assert key == read(properties).primary_key


def test_what_is_said() -> None:
    """Descriptions, tags, classifications and what is required are known by path; blanks are nothing."""
    orders = read(
        [
            {"name": "id", "required": True, "description": "The number.", "tags": ["key"], **NUMBER},
            {"name": "note", "description": None, "tags": [], "classification": None, **TEXT},
            {
                "name": "user",
                "description": "Who.",
                "classification": "restricted",
                "logicalType": "object",
                "properties": [{"name": "zip", "tags": ["pii", "dim"], "classification": "secret", **TEXT}],
            },
        ],
        table={"physicalName": "tbl_1", "description": "Orders.", "tags": ["sales"]},
    )

    assert "orders" == orders.name
    assert "tbl_1" == orders.physical_name
    assert "Orders." == orders.description
    assert ("sales",) == orders.table_tags
    assert ("id",) == orders.required
    assert {"id": "The number.", "user": "Who."} == orders.descriptions
    assert {"id": ("key",), "user.zip": ("pii", "dim")} == orders.tags
    assert {"user": "restricted", "user.zip": "secret"} == orders.classifications


def rules(**modes: str) -> dict[str, Any]:
    """Return custom properties that set contract modes, beside one of another tool."""
    custom = [{"property": f"headrace.{rule}", "value": mode} for rule, mode in modes.items()]
    return {"customProperties": [{"property": "other", "value": [1]}, *custom]}


@pytest.mark.parametrize(
    ("of_file", "of_table", "contract"),
    [
        ({}, {}, Contract("quarantine", "quarantine", "quarantine", closed=True)),
        ({"types": "freeze"}, {}, Contract("quarantine", "quarantine", "freeze", closed=True)),
        ({"types": "freeze", "tables": "freeze"}, {"types": "evolve"},
         Contract("freeze", "quarantine", "evolve", closed=True)),
        ({}, {"columns": "discard_value"},
         Contract("quarantine", "discard_value", "quarantine", closed=True)),
    ],
)  # fmt: skip
def test_modes(of_file: dict[str, str], of_table: dict[str, str], contract: Contract) -> None:
    """What breaks the contract goes to quarantine, unless the file says else, or the table."""
    assert contract == read([], table=rules(**of_table), **rules(**of_file)).contract


def test_table_without_properties_is_open() -> None:
    """A table that declares nothing at all leaves its first columns to the data."""
    assert Contract("quarantine", "quarantine", "quarantine") == read(None).contract


@pytest.mark.parametrize("version", ["v3.0.0", "v3.0.2", "v3.1.0", "v3.2.0"])
def test_versions(version: str) -> None:
    """Every version 3 is read; keys that v3.1 does not have are no mistake in others."""
    extra = {} if version == "v3.1.0" else {"synonyms": ["y"]}

    assert {"x": "BIGINT"} == read([{"name": "x", **NUMBER, **extra}], apiVersion=version).columns


@pytest.mark.parametrize(
    ("properties", "rest", "message"),
    [
        ([{"name": "x", "logicalType": "strin"}], {},
         "shop.yaml: schema[0].properties[0].logicalType: no type 'strin'; did you mean 'string'?"),
        ([{"name": "x", **NUMBER}, {"name": "y"}], {},
         "shop.yaml: schema[0].properties[1].logicalType: is needed to know the type: one of string, "
         "integer, number, boolean, date, timestamp, time, object, array, map."),
        ([{"name": "x", "physicalType": "geography"}], {}, "schema[0].properties[0].logicalType: is needed"),
        ([{"name": "l", **items({"logicalType": "txt"})}], {},
         "schema[0].properties[0].items.logicalType: no type 'txt'; known: "),
        ([{"name": "l", "logicalType": "array", "properties": [{"name": "x", **TEXT}]}], {},
         "schema[0].properties[0].properties: an array has items; put the properties below items."),
        ([TEXT], {}, "schema[0].properties[0].name: a property needs a name: the key of the record."),
        ([{"name": True, **TEXT}], {},
         "schema[0].properties[0].name: must be text, not True; put it in quotes."),
        (["x"], {}, "schema[0].properties[0]: must have keys and values, not be 'x'."),
        ([None], {}, "schema[0].properties[0]: must have keys and values, not be nothing."),
        ({"x": TEXT}, {}, "schema[0].properties: must be a list, not keys and values."),
        ([{"name": "x", "required": "yes", **TEXT}], {},
         "schema[0].properties[0].required: must be true or false, not 'yes'."),
        ([{"name": "x", "primaryKey": True, "primaryKeyPosition": "1", **TEXT}], {},
         "schema[0].properties[0].primaryKeyPosition: must be a whole number, not '1'."),
        ([{"name": "x", "primaryKey": True, "primaryKeyPosition": True, **TEXT}], {},
         "schema[0].properties[0].primaryKeyPosition: must be a whole number, not True."),
        ([{"name": name, "primaryKey": True, "primaryKeyPosition": 1, **TEXT} for name in "ab"], {},
         "schema[0].properties[1].primaryKeyPosition: 1 is the position of 'a' already; number the key "
         "from 1."),
        ([{"name": "x", "tags": ["a", 1], **TEXT}], {},
         "schema[0].properties[0].tags[1]: must be text, not 1; put it in quotes."),
        ([{"name": "x", "primarykey": True, **TEXT}], {},
         "schema[0].properties[0]: ODCS v3.1 has no key 'primarykey'; did you mean 'primaryKey'?"),
        ([{"name": "x", **TEXT}, {"name": "y", "physicalName": "x", **NUMBER}], {},
         "schema[0].properties[1]: the column 'x' is declared twice; leave one out."),
        ([{"name": "user.zip", **TEXT}], {},
         "schema[0].properties[0]: no hint can say the key 'user.zip'. Where it means nesting, write an "
         "object with properties; else leave it out and set headrace.columns to evolve."),
        ([{"name": "tags[]", **TEXT}], {}, "no hint can say the key 'tags[]'."),
        ([], {"table": {"propertys": []}}, "schema[0]: ODCS v3.1 has no key 'propertys'; did you mean 'prop"),
        ([], {"table": {"name": None}}, "schema[0].name: a table needs a name."),
        ([], {"table": rules(type="freeze")},
         "schema[0].customProperties[1].property: no rule 'headrace.type'; did you mean 'headrace.types'?"),
        ([], rules(types="freez"),
         "customProperties[1].value: headrace.types cannot be 'freez'; did you mean 'freeze'?"),
        ([], {"schema": [{"name": "a"}, {"name": "a"}]},
         "schema[1].name: 'a' is there twice; give each table one name."),
        ([], {"kind": "Contract"}, "kind: must be 'DataContract'; this is no Open Data Contract."),
        ([], {"apiVersion": "v2.2.2"}, "apiVersion: is 'v2.2.2'; write the contract as 'v3.1.0'."),
        ([], {"apiVersion": 3.1}, "apiVersion: must be text, not 3.1; put it in quotes."),
    ],
)  # fmt: skip
def test_mistake(properties: Any, rest: dict[str, Any], message: str) -> None:
    """A mistake is told with the file, the place in it and what to do."""
    with pytest.raises(UsageError) as raised:
        parse_contract(document(properties, **rest), "shop.yaml")

    assert str(raised.value).startswith("shop.yaml: ")
    assert message in str(raised.value)


LAUGHS = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
MERGES = "a0: &a0 {k: v}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the document: must have keys and values, not be nothing."),
        (b"- 1", "the document: must have keys and values, not be a list."),
        (b"a: [", "c.yaml is no YAML: while parsing"),
        (b"a: 1\n---\nb: 1", "expected a single document"),
        (b"a: \xfa\xfb", "c.yaml is no YAML: "),
        (b"a: *b", "found undefined alias 'b'"),
        (b"a: 1\nb: !!python/object/apply:os.system [echo]",
         "c.yaml, line 2: the tag 'tag:yaml.org,2002:python/object/apply:os.system' makes no plain value;"),
        (b"!!python/name:os.system x", "line 1: the tag 'tag:yaml.org,2002:python/name:os.system' makes"),
        (b"a: !secret x", "line 1: the tag '!secret' makes no plain value; leave it out."),
        (b"a: !!int ''", "line 1: the tag 'tag:yaml.org,2002:int' makes no plain value"),
        pytest.param(LAUGHS.encode(), "c.yaml stands for more than 250,000 values", id="aliases"),
        pytest.param(MERGES.encode(), "c.yaml stands for more than 250,000 values", id="merges"),
        (b"a: &a [*a]", "c.yaml, line 1: *a stands within itself; write it out."),
        (b"a: &a {b: [*a]}", "*a stands within itself"),
        pytest.param(b"[" * 5000, "c.yaml, line 1: more than 100 levels deep", id="lists"),
        pytest.param(b"{a: " * 5000, "more than 100 levels deep", id="dicts"),
        (b"a: 2026-02-30", "c.yaml has a value that is none: day"),
        pytest.param(b"a: " + b"9" * 5000, "has a value that is none: Exceeds the limit", id="digits"),
        pytest.param(b"#" * (5 << 20), "c.yaml is larger than 4 MB; a contract is not.", id="large"),
    ],
)  # fmt: skip
def test_hostile_file(data: bytes, message: str) -> None:
    """What is no plain, small document is refused before anything is built from it."""
    with pytest.raises(UsageError) as raised:
        parse_contract(data, "c.yaml")

    assert message in str(raised.value)


def test_aliases_are_fine() -> None:
    """An alias is as good as what it stands for."""
    listed = "[&x {name: a, logicalType: string}, {<<: *x, name: b}]"
    text = document([]).replace("properties: []", f"properties: {listed}")

    assert {"a": "VARCHAR", "b": "VARCHAR"} == parse_contract(text)["orders"].columns


def test_file(tmp_path: Path) -> None:
    """A contract is read from a file; a message names it as it was given."""
    path = tmp_path / "shop.yaml"
    path.write_text(document([{"name": "größe", **NUMBER}]), encoding="utf-8")

    assert {"größe": "BIGINT"} == read_contract(path)["orders"].columns
    assert read_contract(path) == read_contract(str(path))


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that is not there, and a folder, are a mistake in the call."""
    with pytest.raises(UsageError, match=r"no\.yaml' cannot be read: No such file"):
        read_contract(tmp_path / "no.yaml")
    with pytest.raises(UsageError, match="cannot be read: "):
        read_contract(tmp_path)


def test_huge_file_is_not_read(tmp_path: Path) -> None:
    """Of a file that is too large, no more is read than shows it."""
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole, which takes no space

    with pytest.raises(UsageError, match=r"huge\.yaml is larger than 4 MB"):
        read_contract(path)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: parse_contract("{}"),
            r"Reading a data contract needs an extra: pip install 'headrace\[contracts\]'",
        ),
        (lambda: write_contract({}, name="x", version="1"), r"Writing a data contract needs an extra"),
    ],
)
def test_missing_extra(monkeypatch: pytest.MonkeyPatch, call: Any, message: str) -> None:
    """Without PyYAML, the message says what to install."""
    monkeypatch.setitem(sys.modules, "yaml", None)

    with pytest.raises(MissingExtra, match=message):
        call()


def test_contract_at_work(warehouse: Warehouse, tmp_path: Path) -> None:
    """A contract that was read holds: what it does not have goes to quarantine, with its path."""
    path = tmp_path / "shop.yaml"
    properties = keys(id={"primaryKey": True, **NUMBER}, items=items(keys(sku=TEXT)))["properties"]
    path.write_text(document(properties), encoding="utf-8")
    records: list[Any] = [
        {"id": 1, "items": [{"sku": "a"}]},
        {"id": 2, "note": "new"},
        {"id": "three"},
        {"id": 4, "tags": ["x"]},
    ]
    counts = warehouse.load(records, make_target("orders", "shop", {"contract": path})).counts

    assert (1, 3) == (counts.loaded, counts.quarantined)
    assert [("a",)] == warehouse.query("SELECT sku FROM shop.orders__items")


# Writing


ORDERS = [
    {
        "Order No": 7,
        "price": 1.5,
        "user": {"zip": "01234"},
        "items": [{"sku": "a", "opts": [1]}],
        "big": 2**70,
    },
    {"Order No": "eight", "seen": "2026-01-31T10:00:00Z", "items": [3], "tags": None, "empty": [{}]},
]
SAID = TableContract(
    "orders",
    columns={},
    primary_key=("Order No",),
    required=("Order No",),
    contract=Contract("evolve", "freeze", "quarantine", closed=True),
    description="What was ordered.",
    table_tags=("sales",),
    descriptions={"user": "Who ordered.", "user.zip": "Five digits: `01234`."},
    tags={"user.zip": ("pii", "dim")},
    classifications={"user.zip": "restricted"},
)


def landed_schema(warehouse: Warehouse, records: list[Any], target: Target) -> RootSchema:
    """Load records; return what the catalogue knows then."""
    warehouse.load(records, target)
    with warehouse.session() as connection:
        return read_schema(connection, target.schema, target.table)


def declared(schema: RootSchema) -> dict[str, str]:
    """Return the types of the columns that records fill, one for each path."""
    return {
        "".join("[]" if step is None else f".{step}" for step in (*table.path, *column.path))[1:]: column.type
        for table in schema.tables.values()
        for column in table.columns
        if not column.variant and column.path not in VERSIONED
    }


def breaches(value: dict[str, Any], *, of_table: bool = False, of_item: bool = False) -> list[str]:
    """Return where a table or property departs from ODCS v3.1, as its JSON schema has it."""
    texts = {"name", "physicalName", "physicalType", "description"} | (
        set() if of_table else {"classification"}
    )
    flags = set() if of_table else {"primaryKey", "required"}
    rest = {"logicalType", "tags", "customProperties", "properties"}
    rest |= set() if of_table else {"items", "logicalTypeOptions", "primaryKeyPosition"}
    logical = ["string", "date", "timestamp", "time", "number", "integer", "object", "array", "boolean"]
    options = {"integer": {"format"}, "string": {"format"}, "timestamp": {"timezone"}, "time": {"timezone"}}
    found = [f"no key {key}" for key in value if key not in texts | flags | rest]
    found += [f"{key} is no text" for key in texts & value.keys() if not isinstance(value[key], str)]
    found += [f"{key} is no flag" for key in flags & value.keys() if not isinstance(value[key], bool)]
    found += ["no name"] if "name" not in value and not of_item else []
    found += ["no logical type"] if value["logicalType"] not in (["object"] if of_table else logical) else []
    if extra := value.get("logicalTypeOptions", {}).keys() - options.get(value["logicalType"], set()):
        found.append(f"no options {extra}")
    for custom in value.get("customProperties", []):
        found += [] if custom.keys() == {"property", "value"} else [f"no custom property: {custom}"]
    for below in value.get("properties", []):
        found += breaches(below)
    return found + (breaches(value["items"], of_item=True) if "items" in value else [])


def test_written(warehouse: Warehouse) -> None:
    """The whole text of a contract, reviewed as a file; HEADRACE_SNAPSHOTS=write writes it anew."""
    schema = landed_schema(warehouse, ORDERS, Target("orders", "shop", columns={"meta": "JSON"}))
    text = write_contract({"orders": schema}, name="shop", version="1.0.0", contracts={"orders": SAID})
    if os.environ.get("HEADRACE_SNAPSHOTS") == "write":
        SNAPSHOT.write_text(text, encoding="utf-8")

    assert SNAPSHOT.read_text(encoding="utf-8") == text


def test_written_is_read(warehouse: Warehouse) -> None:
    """What is said of a table beyond the catalogue comes back too, and the columns are the catalogue's."""
    schema = landed_schema(warehouse, ORDERS, Target("orders", "shop"))
    text = write_contract({"orders": schema}, name="shop", version="1.0.0", contracts={"orders": SAID})
    found = parse_contract(text)["orders"]

    assert declared(schema) == found.columns
    for name in set(TableContract.__slots__) - {"columns", "physical_name"}:
        assert getattr(SAID, name) == getattr(found, name), name


def test_nothing_to_write() -> None:
    """A warehouse without tables is a contract without any; a table never loaded, one without columns."""
    assert {} == parse_contract(write_contract({}, name="shop", version="1"))
    (orders,) = parse_contract(write_contract({"orders": RootSchema()}, name="shop", version="1")).values()

    assert {} == orders.columns


def test_versions_of_a_row_are_no_part(warehouse: Warehouse) -> None:
    """Columns that a disposition needs are not the source's to promise."""
    target = Target("orders", primary_key=("id",), write_disposition="merge", merge_strategy="scd2")
    schema = landed_schema(warehouse, [{"id": 1}], target)

    assert "_hr_valid_from" in {column.name for column in schema.tables[()].columns}
    assert {"id": "BIGINT"} == parse_contract(write_contract({"t": schema}, name="x", version="1"))[
        "t"
    ].columns


def test_key_that_no_hint_can_say(warehouse: Warehouse) -> None:
    """Such a key is written as it is, and nothing that is said of the empty key is said of it."""
    schema = landed_schema(warehouse, [{"a.b": 1}], Target("t"))
    said = TableContract("t", descriptions={"": "No key."})
    (table,) = yaml.safe_load(write_contract({"t": schema}, name="x", version="1", contracts={"t": said}))[
        "schema"
    ]

    assert ["a.b"] == [property_["name"] for property_ in table["properties"]]
    assert "description" not in table["properties"][0]


KEYS = st.sampled_from(
    ["a", "b", "Order No", "list", "value", "", "on", "2026-01-31", "=", "\x01", "~", "é\n"]
)
SCALARS = st.sampled_from(
    [None, True, 1, 2**60, 2**70, 0.5, "x", "2026-01-31", "2026-01-31T10:00:00", "2026-01-31T10:00:00Z", b"x"]
)
VALUES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60)
@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=4), min_size=1, max_size=4))
def test_round_trip(records: list[Any]) -> None:
    """Law: a contract that was written declares the columns of the catalogue, and is valid ODCS."""
    with Warehouse() as warehouse:
        schema = landed_schema(warehouse, records, Target("t"))
    text = write_contract({"t": schema}, name="shop", version="1.0.0")
    written = yaml.safe_load(text)

    assert declared(schema) == parse_contract(text)["t"].columns
    assert HEADER.keys() | {"name", "schema"} == written.keys()
    assert [] == [breach for table in written["schema"] for breach in breaches(table, of_table=True)]
    assert write_contract({"t": schema}, name="shop", version="1.0.0") == text
    assert "&id" not in text


TYPES = [
    "BOOLEAN", "BIGINT", "HUGEINT", "DOUBLE", "DECIMAL(18,2)", "VARCHAR", "DATE", "TIME", "TIMETZ",
    "TIMESTAMP", "TIMESTAMPTZ", "INTERVAL", "UUID", "BLOB", "JSON",
]  # fmt: skip
UNTOLD = {"DECIMAL(18,2)": "DOUBLE", "INTERVAL": "VARCHAR", "BLOB": "VARCHAR"}
"""What no logical type of the standard tells, and is read as by tools that know logical types only."""


@pytest.mark.parametrize("type_", TYPES)
def test_type_written(type_: str) -> None:
    """Every type comes back; without its physical type too, as far as the standard can tell."""
    table = Table("t", (), None, (Column("x", ("x",), frozenset(), declared=type_),))
    text = write_contract({"t": RootSchema({(): table})}, name="shop", version="1.0.0")
    written = yaml.safe_load(text)
    del written["schema"][0]["properties"][0]["physicalType"]

    assert {"x": type_} == parse_contract(text)["t"].columns
    assert {"x": UNTOLD.get(type_, type_)} == parse_contract(yaml.safe_dump(written))["t"].columns


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        (("price",), "price"),
        (("user", "zip"), "user.zip"),
        (("items", None, "sku"), "items[].sku"),
        (("m", None, None), "m[][]"),
        (("",), ""),
        (("a", ""), "a."),
        (("unit price",), "unit price"),
        (("a.b",), None),
        (("[]",), None),
        ((None, "valid_from"), None),
        ((), None),
    ],
)
def test_hint(path: RecordPath, hint: str | None) -> None:
    """A hint is the path as users write it, or None where no hint can mean it."""
    assert hint == as_hint(path)


@given(st.lists(st.none() | st.text(st.sampled_from('ab.[]" $'), max_size=3), max_size=4).map(tuple))
def test_hint_means_its_path(path: RecordPath) -> None:
    """Law: a hint means the path it was made from."""
    hint = as_hint(path)

    assert hint is None or path == parse_hint(hint)


def test_limits_are_ample(warehouse: Warehouse) -> None:
    """A table of 670 columns and one of thirty levels are contracts like any other."""
    wide = {f"column_{n}": {"zip": n} for n in range(670)}
    deep: Any = 1
    for _ in range(30):
        deep = {"down": deep}
    schema = landed_schema(warehouse, [wide | {"deep": deep}], Target("t"))
    text = write_contract({"t": schema}, name="x", version="1")

    assert declared(schema) == parse_contract(text)["t"].columns
    assert len(text.encode()) < odcs_reading.MOST_BYTES / 10
