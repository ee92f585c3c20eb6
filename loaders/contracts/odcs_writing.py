"""Write tables as a data contract of the Open Data Contract Standard v3.1."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headrace.loaders.contracts.odcs_reading import (
    API_VERSION,
    FORMATS,
    LOGICAL,
    RULES,
    ZONED,
    TableContract,
    yaml_library,
)
from headrace.loaders.contracts.target import Target
from headrace.loaders.schema.known import VERSIONED, Column, RootSchema
from headrace.loaders.values.paths import RecordPath, as_hint


def write_contract(
    schemas: Mapping[str, RootSchema],
    *,
    name: str,
    version: str,
    contracts: Mapping[str, TableContract] | None = None,
) -> str:
    """Return tables of the warehouse as a contract; the same tables give the same text.

    A key that has held values of several shapes, say numbers and lists, is a property for each of them.

    Args:
        schemas: What the catalogue knows, by root table.
        name: The contract's name; its id is made from it.
        version: The contract's own version.
        contracts: What is known beyond the catalogue, by root table: keys, descriptions, tags, rules.
    """
    said = contracts or {}
    document = {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"headrace:{name}")),
        "name": name,
        "version": version,
        "status": "active",
        "schema": [
            _written_table(root, schema, said.get(root) or TableContract(root))
            for root, schema in schemas.items()
        ],
    }
    text: str = yaml_library("Writing").safe_dump(
        document, sort_keys=False, allow_unicode=True, width=1 << 20
    )
    return text


def as_contract(target: Target) -> TableContract:
    """Return what the definition of a table says of it, beyond what the catalogue knows."""
    return TableContract(
        target.table,
        primary_key=target.primary_key,
        required=target.required,
        contract=target.contract,
        description=target.description,
        descriptions=dict(target.descriptions),
        tags=dict(target.tags),
    )


@dataclass(slots=True)
class _Node:
    """What has stood at one path of the records: a value, keys, a list, or several of these."""

    table: str | None = None
    column: Column | None = None
    variants: list[Column] = field(default_factory=list)
    fields: dict[str, _Node] = field(default_factory=dict)
    items: _Node | None = None

    def at(self, path: RecordPath) -> _Node:
        node = self
        for step in path:
            if step is None:
                node.items = node.items or _Node()
                node = node.items
            else:
                node = node.fields.setdefault(step, _Node())
        return node


def _tree(schema: RootSchema) -> _Node:
    root = _Node()
    for table in schema.tables.values():
        top = root.at(table.path)
        top.table = table.name
        for column in table.columns:
            if column.path in VERSIONED:  # no record has it
                continue
            node = top.at(column.path)
            if column.variant:
                node.variants.append(column)
            else:
                node.column = column
    return root


def _written_table(root: str, schema: RootSchema, said: TableContract) -> dict[str, Any]:
    modes = [_custom(rule, getattr(said.contract, rule)) for rule in RULES]
    return _without_blanks(
        name=root,
        physicalName=said.physical_name or root,
        logicalType="object",
        physicalType="table",
        description=said.description,
        tags=list(said.table_tags),
        customProperties=modes,
    ) | {"properties": _written_fields(_tree(schema), (), said)}


def _written_fields(node: _Node, path: RecordPath, said: TableContract) -> list[dict[str, Any]]:
    return [
        {"name": key, **shape}
        for key, child in node.fields.items()
        for shape in _shapes(child, (*path, key), said)
    ]


def _shapes(node: _Node, path: RecordPath, said: TableContract) -> Iterator[dict[str, Any]]:
    """Yield a property, all but its name, for each shape that the values at a path have had."""
    if node.column is not None:
        yield _written_column(node.column, node.variants, path, said)
    if node.fields or (node.table is not None and node.column is None and node.items is None):
        yield _written(path, said, logicalType="object") | {"properties": _written_fields(node, path, said)}
    if node.items is not None:
        for shape in _shapes(node.items, (*path, None), said):
            custom = [_custom("table", node.items.table)] if node.items.table else []
            yield _written(path, said, custom, logicalType="array") | {"items": shape}


def _written_column(
    column: Column, variants: Sequence[Column], path: RecordPath, said: TableContract
) -> dict[str, Any]:
    logical, options = _written_type(column.type)
    custom = [] if column.name == (path[-1] or "value") else [_custom("column", column.name)]
    if variants:
        custom.append(_custom("variants", [{"column": one.name, "type": one.type} for one in variants]))
    named = (as_hint(path), column.name)
    position = next((at for at, key in enumerate(said.primary_key, 1) if key in named), None)
    return _written(
        path, said, custom,
        logicalType=logical, physicalType=column.type, logicalTypeOptions=options,
        primaryKey=position is not None, primaryKeyPosition=position,
    )  # fmt: skip


def _written(
    path: RecordPath, said: TableContract, custom: Sequence[Any] = (), **known: Any
) -> dict[str, Any]:  # fmt: skip
    """Return a property of what is known and what was said of its path; nothing of a path without a hint."""
    hint: Any = as_hint(path)
    return _without_blanks(
        **known,
        required=hint in said.required,
        description=said.descriptions.get(hint),
        tags=list(said.tags.get(hint, ())),
        classification=said.classifications.get(hint),
        customProperties=custom,
    )


def _written_type(type_: str) -> tuple[str, dict[str, Any]]:
    """Return the logical type, and the options that tell it from others of that logical type."""
    if type_.startswith("DECIMAL("):
        return "number", {}
    for (logical, format_), found in FORMATS.items():
        if found == type_ and type_ in {"UUID", "HUGEINT"}:
            return logical, {"format": format_}
    for naive, zoned in ZONED.items():
        if zoned == type_:
            return naive.lower(), {"timezone": True}
    return next((logical for logical, found in LOGICAL.items() if found == type_), "string"), {}


def _custom(rule: str, value: Any) -> dict[str, Any]:
    return {"property": f"headrace.{rule}", "value": value}


def _without_blanks(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}
