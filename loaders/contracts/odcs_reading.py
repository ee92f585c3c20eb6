"""Read a data contract from a file of the Open Data Contract Standard v3.1 (ODCS, bitol).

A property of the contract stands for a key of the record: its `physicalName`, or else its `name`. Nested
objects and arrays of objects become paths as hints have them (`user.zip`, `items[].sku`). A type is the
`physicalType` where that is one we know, else what the `logicalType` says.

Written contracts use four custom properties that other tools may ignore: `headrace.tables`, `.columns` and
`.types` say what the contract does about each, for the file or for one table; `headrace.table`, `.column` and
`.variants` say where a value stands in the warehouse.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Any

from headrace.errors import MissingExtra, UsageError, did_you_mean
from headrace.loaders.contracts.contract import HELD_TO, MODES, Contract
from headrace.loaders.values.kinds import TYPED_BY_NAME
from headrace.loaders.values.paths import RecordPath, as_hint

API_VERSION = "v3.1.0"
# What a file may ask of the reader. YAML lets a short file stand for a giant one, by aliases of aliases.
MOST_BYTES = 4 << 20
MOST_NODES = 250_000
MOST_DEPTH = 100

RULES = ("tables", "columns", "types")
_EITHER_KEYS = {
    "id", "name", "physicalName", "physicalType", "logicalType", "businessName", "description", "tags",
    "authoritativeDefinitions", "customProperties", "properties", "relationships", "quality",
}  # fmt: skip
_TABLE_KEYS = frozenset({*_EITHER_KEYS, "dataGranularityDescription"})
_PROPERTY_KEYS = frozenset({
    *_EITHER_KEYS, "primaryKey", "primaryKeyPosition", "logicalTypeOptions", "required", "unique", "items",
    "partitioned", "partitionKeyPosition", "classification", "encryptedName", "transformSourceObjects",
    "transformLogic", "transformDescription", "examples", "criticalDataElement",
})  # fmt: skip
LOGICAL = {
    "string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "date": "DATE",
    "timestamp": "TIMESTAMP", "time": "TIME", "object": "JSON", "array": "JSON", "map": "JSON",
}  # fmt: skip
FORMATS = {
    ("string", "uuid"): "UUID", ("string", "date"): "DATE", ("string", "date-time"): "TIMESTAMPTZ",
    ("integer", "i128"): "HUGEINT", ("integer", "u64"): "HUGEINT", ("integer", "u128"): "HUGEINT",
}  # fmt: skip
ZONED = {"TIMESTAMP": "TIMESTAMPTZ", "TIME": "TIMETZ"}
_CALLED = {
    # what databases call a type, sizes aside
    "BOOLEAN": "BOOL",
    "BIGINT": "TINYINT, SMALLINT, INT, INTEGER, INT2, INT4, INT8, INT32, INT64, LONG, SERIAL, BIGSERIAL",
    "HUGEINT": "UBIGINT, INT128",
    "DOUBLE": "DOUBLE PRECISION, FLOAT, FLOAT4, FLOAT8, FLOAT64, REAL",
    "DECIMAL(38,9)": "DECIMAL, NUMERIC",  # as `contract.model_columns` has it
    "VARCHAR": "CHAR, CHARACTER, CHARACTER VARYING, BPCHAR, NVARCHAR, STRING, TEXT",
    "TIME": "TIME WITHOUT TIME ZONE",
    "TIMETZ": "TIME WITH TIME ZONE",
    "TIMESTAMP": "DATETIME, TIMESTAMP WITHOUT TIME ZONE, TIMESTAMP_NTZ",
    "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE, TIMESTAMP_TZ, TIMESTAMP_LTZ",
    "BLOB": "BYTEA, BYTES, BINARY, VARBINARY",
    "JSON": "JSONB, VARIANT",
}
_PHYSICAL = {name: name for name in TYPED_BY_NAME} | {
    name: type_ for type_, names in _CALLED.items() for name in names.split(", ")
}
_SIZED = re.compile(
    r"(?P<name>[A-Z_ ]+?) ?\( ?(?P<first>\d{1,9}) ?(?:, ?(?P<second>\d{1,9}) ?)?\)(?P<zone>[A-Z ]*)"
)


@dataclass(frozen=True, slots=True)
class TableContract:
    """What a contract file says of one table. Paths are written as hints: `user.zip`, `items[].sku`.

    Attributes:
        name: The table's name in the contract.
        physical_name: Its name in the system it comes from; `name` where none is given.
        columns: The type of every column, by path.
        primary_key: The paths that identify a record, in the order of the key.
        required: The paths that must not be null.
        contract: What happens to a record that breaks the contract: quarantine, unless the file says else.
        description: What the table is.
        table_tags: The tags of the table itself.
        descriptions: What a column, object or list is, by path.
        tags: The tags of a column, object or list, by path.
        classifications: How sensitive a column, object or list is, by path.
    """

    name: str
    physical_name: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    primary_key: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    contract: Contract = HELD_TO
    description: str = ""
    table_tags: tuple[str, ...] = ()
    descriptions: dict[str, str] = field(default_factory=dict)
    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    classifications: dict[str, str] = field(default_factory=dict)


def read_contract(path: str | PathLike[str]) -> dict[str, TableContract]:
    """Return what a contract file says of each of its tables, by their names in the contract.

    Raises:
        MissingExtra: PyYAML is not installed.
        UsageError: The file cannot be read, is no contract, or asks for what cannot be; says where.
    """
    try:
        with Path(path).expanduser().open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"The contract {str(path)!r} cannot be read: {error.strerror}.") from error
    return parse_contract(data, str(path))


def parse_contract(data: bytes | str, file: str = "contract") -> dict[str, TableContract]:
    """Return what a contract says of each of its tables; `file` is what messages call it.

    >>> text = '''
    ... {apiVersion: v3.1.0, kind: DataContract, id: shop, version: 1.0.0, status: active, schema: [
    ...   {name: orders, properties: [
    ...     {name: id, logicalType: integer, primaryKey: true},
    ...     {name: items, logicalType: array, items: {logicalType: object, properties: [
    ...       {name: sku, logicalType: string}]}}]}]}'''
    >>> orders = parse_contract(text)["orders"]
    >>> orders.columns, orders.primary_key
    ({'id': 'BIGINT', 'items[].sku': 'VARCHAR'}, ('id',))
    """
    document = _Place(file, "", _load(data, file))
    if document["kind"].value != "DataContract":
        raise document["kind"].refused("must be 'DataContract'; this is no Open Data Contract.")
    version = document["apiVersion"].text()
    if not re.fullmatch(r"v3\.\d+\.\d+", version):
        raise document["apiVersion"].refused(f"is {version!r}; write the contract as {API_VERSION!r}.")
    tables: dict[str, TableContract] = {}
    for place in document["schema"].each():
        table = _table(document, place)
        if table.name in tables:
            raise place["name"].refused(f"{table.name!r} is there twice; give each table one name.")
        tables[table.name] = table
    return tables


@dataclass(frozen=True, slots=True)
class _Place:
    """A value of the document and where it stands, so that a message can say so."""

    file: str
    path: str
    value: Any

    def __getitem__(self, key: str) -> _Place:
        if not isinstance(self.value, dict):
            raise self.refused(f"must have keys and values, not be {_kind(self.value)}.")
        return _Place(self.file, f"{self.path}.{key}" if self.path else key, self.value.get(key))

    @property
    def is_given(self) -> bool:
        return self.value is not None

    def refused(self, problem: str) -> UsageError:
        return UsageError(f"{self.file}: {self.path or 'the document'}: {problem}")

    def each(self) -> list[_Place]:
        if not isinstance(self.value, list | None):
            raise self.refused(f"must be a list, not {_kind(self.value)}.")
        return [_Place(self.file, f"{self.path}[{at}]", item) for at, item in enumerate(self.value or ())]

    def text(self) -> str:
        if not isinstance(self.value, str | None):
            raise self.refused(f"must be text, not {_kind(self.value)}; put it in quotes.")
        return self.value or ""

    def texts(self) -> tuple[str, ...]:
        return tuple(item.text() for item in self.each())

    def flag(self) -> bool:
        if not isinstance(self.value, bool | None):
            raise self.refused(f"must be true or false, not {_kind(self.value)}.")
        return bool(self.value)

    def number(self) -> int:
        if not isinstance(self.value, int | None) or isinstance(self.value, bool):
            raise self.refused(f"must be a whole number, not {_kind(self.value)}.")
        return self.value or 0

    def has_only(self, known: frozenset[str]) -> None:
        for key in self.value if isinstance(self.value, dict) else ():
            if key not in known:
                raise self.refused(f"ODCS v3.1 has no key {key!r}; {did_you_mean(str(key), known)}")


def _kind(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "keys and values"
    return "nothing" if value is None else repr(value)


def _table(document: _Place, place: _Place) -> TableContract:
    is_strict = document["apiVersion"].text().startswith("v3.1.")  # later versions have keys unknown to us
    name = place["name"].text()
    if not name:
        raise place["name"].refused("a table needs a name.")
    if is_strict:
        place.has_only(_TABLE_KEYS)
    found: list[tuple[str, RecordPath, _Place]] = []
    columns: dict[str, str] = {}
    for path, element in _properties(place, ()):
        if is_strict:
            element.has_only(_PROPERTY_KEYS)
        hint = as_hint(path)
        if hint is None:
            raise element.refused(
                f"no hint can say the key {path[-1]!r}. Where it means nesting, write an object with "
                "properties; else leave it out and set headrace.columns to evolve."
            )
        found.append((hint, path, element))
        if not element["properties"].is_given and not element["items"].is_given:
            if hint in columns:
                raise element.refused(f"the column {hint!r} is declared twice; leave one out.")
            columns[hint] = _type(element)
    return TableContract(
        name=name,
        physical_name=place["physicalName"].text() or name,
        columns=columns,
        primary_key=_primary_key(found),
        required=tuple(dict.fromkeys(hint for hint, _, element in found if element["required"].flag())),
        contract=_contract(document, place),
        description=place["description"].text(),
        table_tags=place["tags"].texts(),
        descriptions={hint: text for hint, _, at in found if (text := at["description"].text())},
        tags={hint: tags for hint, _, at in found if (tags := at["tags"].texts())},
        classifications={hint: text for hint, _, at in found if (text := at["classification"].text())},
    )


def _properties(place: _Place, path: RecordPath) -> Iterator[tuple[RecordPath, _Place]]:
    for element in place["properties"].each():
        if not element["name"].is_given:
            raise element["name"].refused("a property needs a name: the key of the record.")
        key = element["physicalName"].text() or element["name"].text()
        yield from _with_all_below(element, (*path, key))


def _with_all_below(place: _Place, path: RecordPath) -> Iterator[tuple[RecordPath, _Place]]:
    yield path, place
    if place["items"].is_given:
        yield from _with_all_below(place["items"], (*path, None))
    elif place["logicalType"].value == "array" and place["properties"].is_given:
        raise place["properties"].refused("an array has items; put the properties below items.")
    yield from _properties(place, path)


def _type(place: _Place) -> str:
    logical, options = place["logicalType"].text(), place["logicalTypeOptions"]
    if logical and logical not in LOGICAL:
        raise place["logicalType"].refused(f"no type {logical!r}; {did_you_mean(logical, LOGICAL)}")
    type_ = _physical_type(place["physicalType"].text()) or LOGICAL.get(logical)
    if type_ is None:
        raise place["logicalType"].refused(f"is needed to know the type: one of {', '.join(LOGICAL)}.")
    if not options.is_given:
        return type_
    written = options["format"].text()
    if not place["physicalType"].is_given:
        type_ = FORMATS.get((logical, written), type_)
    if logical == "date" and type_ == "DATE" and "H" in written:  # before v3.1 a time had no other type
        type_ = "TIMESTAMP"
    return ZONED.get(type_, type_) if options["timezone"].flag() else type_


def _physical_type(text: str) -> str | None:
    """Return a type of the warehouse for what a database calls it, or None.

    >>> [_physical_type(text) for text in ("char(18)", "Numeric(10)", "timestamp(6) with time zone", "xml")]
    ['VARCHAR', 'DECIMAL(10,0)', 'TIMESTAMPTZ', None]
    """
    name = " ".join(text.upper().split())
    match = _SIZED.fullmatch(name)
    if match is None:
        return _PHYSICAL.get(name)
    if match["name"] in {"DECIMAL", "NUMERIC", "NUMBER"}:
        digits, scale = int(match["first"]), int(match["second"] or 0)
        return f"DECIMAL({digits},{scale})" if scale <= digits and 0 < digits <= 38 else None
    return _PHYSICAL.get(match["name"] + match["zone"])


def _primary_key(found: Sequence[tuple[str, RecordPath, _Place]]) -> tuple[str, ...]:
    """Return the key in its order: what has a position, then what has none.

    A key inside a list is one of its items, and does not identify the record.
    """
    positions: dict[int, str] = {}
    unplaced: list[str] = []
    for hint, path, element in found:
        if None in path or not element["primaryKey"].flag():
            continue
        position = element["primaryKeyPosition"].number()
        if position in positions:
            raise element["primaryKeyPosition"].refused(
                f"{position} is the position of {positions[position]!r} already; number the key from 1."
            )
        if position > 0:
            positions[position] = hint
        else:
            unplaced.append(hint)
    return (*(positions[position] for position in sorted(positions)), *unplaced)


def _contract(document: _Place, table: _Place) -> Contract:
    modes = _modes(document) | _modes(table)
    chosen = {rule: modes.get(rule, getattr(HELD_TO, rule)) for rule in RULES}
    is_closed = table["properties"].is_given  # a table without any leaves its columns to the data
    return Contract(chosen["tables"], chosen["columns"], chosen["types"], closed=is_closed)


def _modes(place: _Place) -> dict[str, str]:
    modes = {}
    for custom in place["customProperties"].each():
        name = custom["property"].text()
        if not name.startswith("headrace."):
            continue
        rule, mode = name.removeprefix("headrace."), custom["value"]
        if rule not in RULES:
            known = [f"headrace.{rule}" for rule in RULES]
            raise custom["property"].refused(f"no rule {name!r}; {did_you_mean(name, known)}")
        if mode.text() not in MODES:
            raise mode.refused(f"{name} cannot be {mode.text()!r}; {did_you_mean(mode.text(), MODES)}")
        modes[rule] = mode.text()
    return modes


def yaml_library(purpose: str) -> ModuleType:
    """Return PyYAML, which is an extra; `purpose` is what needs it, for the message."""
    try:
        import yaml  # an optional dependency
    except ImportError:
        raise MissingExtra(f"{purpose} a data contract", "contracts") from None
    return yaml


def _load(data: bytes | str, file: str) -> Any:
    """Return the document: plain data, of a size that is bounded before anything is built."""
    yaml = yaml_library("Reading")
    if len(data) > MOST_BYTES:
        raise UsageError(f"{file} is larger than {MOST_BYTES >> 20} MB; a contract is not. Split it.")
    try:
        _check(yaml, data, file)
        return yaml.safe_load(data)
    except yaml.YAMLError as error:
        raise UsageError(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    except ValueError as error:  # a number or a date that Python does not take: 2026-02-30
        raise UsageError(f"{file} has a value that is none: {error}. Put it in quotes.") from error


def _check(yaml: ModuleType, data: bytes | str, file: str) -> None:
    """Refuse a document that is deeper or, its aliases written out, larger than a contract can be."""
    sizes: dict[str, int] = {}
    stack: list[tuple[str | None, int]] = [(None, 0)]  # anchors of what is open, and its nodes so far

    def add(anchor: str | None, nodes: int) -> None:
        if anchor is not None:
            sizes[anchor] = nodes
        outer, so_far = stack[-1]
        stack[-1] = (outer, so_far + nodes)
        if so_far + nodes > MOST_NODES:
            raise UsageError(f"{file} stands for more than {MOST_NODES:,} values; a contract does not.")

    for event in yaml.parse(data, Loader=yaml.SafeLoader):
        line = f"{file}, line {event.start_mark.line + 1}"
        if getattr(event, "tag", None) not in (None, "!", "tag:yaml.org,2002:str"):
            raise UsageError(f"{line}: the tag {event.tag!r} makes no plain value; leave it out.")
        if isinstance(event, yaml.AliasEvent):
            if any(event.anchor == anchor for anchor, _ in stack):
                raise UsageError(f"{line}: *{event.anchor} stands within itself; write it out.")
            add(None, sizes.get(event.anchor, 0))
        elif isinstance(event, yaml.ScalarEvent):
            add(event.anchor, 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            stack.append((event.anchor, 1))
            if len(stack) > MOST_DEPTH:
                raise UsageError(f"{line}: more than {MOST_DEPTH} levels deep; a contract is not.")
        elif isinstance(event, yaml.CollectionEndEvent):
            add(*stack.pop())
