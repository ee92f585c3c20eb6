"""Read the columns and the required paths of a dataclass, a TypedDict or a pydantic model."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from headrace.errors import UsageError

_SQL_TYPES: dict[Any, str] = {
    bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", str: "VARCHAR", datetime: "ANY", date: "DATE",
    time: "TIME", timedelta: "INTERVAL", bytes: "BLOB", UUID: "UUID", dict: "JSON",
}  # fmt: skip

_LISTS = (list, tuple, set, frozenset)


def model_columns(model: Any) -> dict[str, str]:
    """Return the columns that a dataclass, a TypedDict or a pydantic model declares, by path.

    Nested models become nested paths, lists of models paths with `[]`. A field of type Any, or of several
    types, is not declared and so may be anything.

    Raises:
        UsageError: `model` is no model.

    >>> Item = typing.TypedDict("Item", {"sku": str, "price": float})
    >>> model_columns(typing.TypedDict("Order", {"id": int, "items": list[Item]}))
    {'id': 'BIGINT', 'items[].sku': 'VARCHAR', 'items[].price': 'DOUBLE'}
    """
    if not is_model(model):
        raise UsageError(f"{model!r} is no dataclass, TypedDict or pydantic model to take columns from.")
    return dict(_fields(model, ""))


def model_required(model: Any) -> tuple[str, ...]:
    """Return the paths at which a model asks for a value: fields without a default that may not be None.

    What lies below a field that may be missing is asked for where that field is there.

    >>> Item = typing.TypedDict("Item", {"sku": str, "note": str | None})
    >>> model_required(typing.TypedDict("Order", {"id": int, "items": list[Item]}))
    ('id', 'items', 'items[]', 'items[].sku')
    """
    return tuple(_required(model, ""))


def is_model(thing: Any) -> bool:
    """Tell whether a thing is a class whose annotations are the fields of a record."""
    if not isinstance(thing, type):
        return False
    return dataclasses.is_dataclass(thing) or typing.is_typeddict(thing) or hasattr(thing, "model_fields")


def _fields(model: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for name, annotation in _annotations(model):
        yield from _column(f"{prefix}{_alias(model, name)}", annotation)


def _annotations(model: Any) -> Iterator[tuple[str, Any]]:
    for name, annotation in typing.get_type_hints(model).items():
        if typing.get_origin(annotation) is not typing.ClassVar and not name.startswith("model_"):
            yield name, annotation


def _required(model: Any, prefix: str) -> Iterator[str]:
    for name, annotation in _annotations(model):
        path = f"{prefix}{_alias(model, name)}"
        if not _may_be_none(annotation) and not _may_be_absent(model, name):
            yield path
        yield from _required_below(path, annotation)


def _required_below(path: str, annotation: Any) -> Iterator[str]:
    annotation = without_none(annotation)
    arguments = typing.get_args(annotation)
    if is_model(annotation):
        yield from _required(annotation, f"{path}.")
    elif typing.get_origin(annotation) in _LISTS and arguments:
        if not _may_be_none(arguments[0]):
            yield f"{path}[]"
        yield from _required_below(f"{path}[]", arguments[0])


def _may_be_none(annotation: Any) -> bool:
    return annotation is Any or type(None) in (annotation, *typing.get_args(annotation))


def _may_be_absent(model: Any, name: str) -> bool:
    if hasattr(model, "model_fields"):
        return name not in model.model_fields or not model.model_fields[name].is_required()
    if typing.is_typeddict(model):
        whole = typing.get_type_hints(model, include_extras=True)[name]
        # the keys that the class itself lists are wrong where annotations are text
        return name not in model.__required_keys__ or "NotRequired" in str(typing.get_origin(whole))
    field = next(field for field in dataclasses.fields(model) if field.name == name)
    return not field.default is field.default_factory is dataclasses.MISSING


def _column(path: str, annotation: Any) -> Iterator[tuple[str, str]]:
    annotation = without_none(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if is_model(annotation):
        yield from _fields(annotation, f"{path}.")
    elif origin in _LISTS and arguments:
        yield from _column(f"{path}[]", arguments[0])
    elif origin is typing.Literal:
        yield from _column(path, type(arguments[0]))
    elif annotation is Decimal:
        yield path, "DECIMAL(38,9)"
    elif (origin or annotation) in _SQL_TYPES:
        yield path, _SQL_TYPES[origin or annotation]


def without_none(annotation: Any) -> Any:
    """Return `X` for `X | None` and for `Annotated[X, …]`."""
    if typing.get_origin(annotation) is typing.Annotated:
        return without_none(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(annotation) if option is not type(None)]
        return without_none(options[0]) if len(options) == 1 else Any
    return annotation


def _alias(model: Any, name: str) -> str:
    """Return the key under which a record has a field: pydantic's alias, where there is one."""
    fields: Mapping[str, Any] = getattr(model, "model_fields", {})
    alias = getattr(fields.get(name), "alias", None)
    return alias if isinstance(alias, str) else name
