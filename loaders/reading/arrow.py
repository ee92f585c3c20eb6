"""Reduce Arrow types to those that can be shredded as they are.

Rows of any other type (bytes, maps, durations, times finer than a microsecond…) are read as Python values
and take the way of dicts, which is slower and exact.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.loaders.values.marks import MARK


def plain_table(table: pa.Table) -> pa.Table | None:
    """Return the table in plain types with no value changed, or None where a value would change.

    Plain are bool, int64, double, string, date32, time64[us], timestamp[us], decimals up to 38 digits,
    nulls, and structs and lists of these.
    """
    if any(name.startswith(MARK) for name in table.column_names):
        return None
    try:
        columns = [plain(column.combine_chunks()) for column in table.columns]
    except _NotPlain:
        return None
    return pa.Table.from_arrays(columns, names=table.column_names)


class _NotPlain(Exception):
    """A column holds what no plain type holds."""


def plain(array: pa.Array) -> pa.Array:
    """Return an array in the plain type of its sort."""
    if isinstance(array, pa.ChunkedArray):  # what combine_chunks returns for some types
        array = array.chunk(0) if array.num_chunks == 1 else pa.concat_arrays(array.chunks)
    type_ = array.type
    if pa.types.is_struct(type_):
        return _plain_struct(array)
    if pa.types.is_dictionary(type_):
        return plain(array.dictionary_decode())
    if pa.types.is_list(type_):
        below = plain(array.values)
        return pa.ListArray.from_arrays(array.offsets, below, mask=_mask(array))
    if _is_other_list(type_):
        return plain(_cast(array, pa.list_(type_.value_type)))
    goal = _goal(type_)
    return array if goal == type_ else _cast(array, goal)


def native_kind(type_: pa.DataType) -> str:
    """Return the kind of a plain type that is neither bool, number nor string."""
    if pa.types.is_date(type_):
        return "date"
    if pa.types.is_time(type_):
        return "time"
    if pa.types.is_timestamp(type_):
        return "timestamp" if type_.tz is None else "timestamptz"
    return f"decimal({type_.precision},{type_.scale})"


def _plain_struct(array: pa.StructArray) -> pa.Array:
    names = [field.name for field in array.type]
    if not names or any(name.startswith(MARK) for name in names):  # an empty dict is no null
        raise _NotPlain
    return pa.StructArray.from_arrays([plain(field) for field in array.flatten()], names, mask=_mask(array))


def _goal(type_: pa.DataType) -> pa.DataType:
    types = pa.types
    if types.is_null(type_) or types.is_boolean(type_):
        return type_
    if types.is_integer(type_):
        return pa.int64()
    if types.is_floating(type_):
        return pa.float64()
    if types.is_string(type_) or types.is_large_string(type_) or type_ == pa.string_view():
        return pa.string()
    if types.is_date(type_):
        return pa.date32()
    if types.is_time(type_):
        return pa.time64("us")
    if types.is_timestamp(type_):
        # an instant is the same in any zone, and UTC is how a TIMESTAMPTZ keeps it
        return pa.timestamp("us", None if type_.tz is None else "UTC")
    if types.is_decimal(type_) and type_.precision <= 38 and 0 <= type_.scale <= type_.precision:
        return pa.decimal128(type_.precision, type_.scale)
    raise _NotPlain


def _cast(array: pa.Array, goal: pa.DataType) -> pa.Array:
    try:
        return pc.cast(array, goal)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # a value would change
        raise _NotPlain from None


def _is_other_list(type_: pa.DataType) -> bool:
    types: Any = pa.types
    kinds = (types.is_large_list, types.is_fixed_size_list, types.is_list_view, types.is_large_list_view)
    return any(is_kind(type_) for is_kind in kinds)


def _mask(array: pa.Array) -> pa.Array | None:
    return array.is_null() if array.null_count else None
