"""Flatten parsed blocks into Arrow tables, a column at a time: the columnar lane.

Guarantees: the cells that it makes are those of the exact lane. Costs: a twentieth of the reader's
time, a quarter where there are hundreds of columns, and the import of pyarrow and numpy; so it takes what is
large.

Nothing here may import pandas (1.5 s): no `pa.array`, `pa.scalar`, `to_numpy` or Python constants in
`pyarrow.compute`; numbers cross between numpy and Arrow as buffers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.loaders.reading.arrow import native_kind
from headrace.loaders.schema.observed import ObservedSchema, ObservedTable, place
from headrace.loaders.shredding.block_reader import Parsed
from headrace.loaders.shredding.exact import content_hash
from headrace.loaders.values.infer import ISO_PATTERNS, string_kind
from headrace.loaders.values.kinds import MENTIONS, NESTED, NULL, SAFE_INT, spec
from headrace.loaders.values.marks import is_mark, user_key
from headrace.loaders.values.paths import RecordPath, find_key, parse_hint

Tables = dict[RecordPath, pa.Table]
Watched = Collection[tuple[RecordPath, RecordPath]]
"""Paths (of a table, within it) that are times in the warehouse already: there each string counts."""

_STORED = {"DOUBLE": pa.float64(), "BOOLEAN": pa.bool_()}


class ColumnarShredder:
    """Shreds what the reader has parsed, block after block."""

    def __init__(
        self, observed: ObservedSchema, watched: Watched = (),
        number_sensitive_paths: Collection[RecordPath] = (), required: Sequence[str] = (),
        *, hashed: bool = False,
    ) -> None:  # fmt: skip
        """Say what is known and needed.

        Args:
            observed: Learns the tables, columns and kinds that turn up.
            watched: Where each string counts.
            number_sensitive_paths: Paths, from the record's root, where it matters whether JSON has 1 or 1.0.
            required: Keys, or columns by their names, in which every record needs a value.
            hashed: Whether the rows of the root table get the hash of their line, `h`.
        """
        self._facts = observed
        self._watched = frozenset(watched)
        self._number_sensitive = number_sensitive_paths
        self._required = required
        self._hashed = hashed

    def shred(self, first: int, text: bytes, parsed: Parsed) -> Iterator[Tables]:
        """Yield the tables of each part of a block.

        Args:
            first: The ordinal of the block's first record in its load.
            text: The block.
            parsed: The same, parsed.
        """
        for kept, table in parsed.parts:
            tables = _Block(self._facts, self._watched).tables(table, kept + first)
            if self._hashed:
                lines = text.split(b"\n")
                hashes = np.fromiter(
                    (content_hash(lines[at]) for at in kept), dtype=np.int64, count=len(kept)
                )
                tables[()] = tables[()].append_column("h", _int64(hashes))
            yield tables

    def shred_table(self, first: int, table: pa.Table) -> Tables | None:
        """Return the tables of rows that are Arrow already, in plain types; None if one lacks its key."""
        if self.without_key(table):
            return None
        ordinals = np.arange(first, first + table.num_rows, dtype=np.int64)
        return _Block(self._facts, self._watched).tables(table.combine_chunks(), ordinals)

    def unfit(self, parsed: pa.Table) -> list[int]:
        """Return the positions of the rows of JSON that the exact lane has to take."""
        unfit = set(self.without_key(parsed))
        for path in self._number_sensitive:
            unfit.update(_whole_fractions(parsed, path))
        return sorted(unfit)

    def without_key(self, parsed: pa.Table) -> list[int]:
        """Return the positions of the rows that lack a value of their key."""
        missing: set[int] = set()
        for name in self._required:
            paths = (parse_hint(name), tuple(name.split("__")))
            column = next((found for path in paths if (found := _at(parsed, path)) is not None), None)
            if column is None:
                return list(range(parsed.num_rows))
            if column.null_count:
                nulls = column.is_null().to_pylist()
                missing.update(at for at, null in enumerate(nulls) if null)
        return sorted(missing)


class _Block:
    """One parsed block on its way to flat tables."""

    def __init__(self, observed: ObservedSchema, watched: frozenset[tuple[RecordPath, RecordPath]]) -> None:
        self._facts = observed
        self._watched = watched
        self._tables: Tables = {}
        self._position = 0

    def tables(self, parsed: pa.Table, ordinals: np.ndarray) -> Tables:
        columns = {"i": _int64(ordinals)}
        if not parsed.column_names or not all(map(is_mark, parsed.column_names)):
            self._facts.root.column((), NESTED)
        for name, column in zip(parsed.column_names, parsed.columns, strict=True):
            self._field(self._facts.root, columns, (), name, _one_chunk(column), ordinals, ordinals)
        self._tables[()] = pa.table(columns)
        return self._tables

    def _field(
        self, table: ObservedTable, columns: dict[str, pa.Array], path: RecordPath,
        name: str, array: pa.Array,
        ordinals: np.ndarray, roots: np.ndarray,
    ) -> None:  # fmt: skip
        if is_mark(name):
            self._marked(table, columns, path, name[1:], array, roots)
        else:
            self._value(table, columns, (*path, user_key(name)), array, ordinals, roots)

    def _value(
        self, table: ObservedTable, columns: dict[str, pa.Array], path: RecordPath, array: pa.Array,
        ordinals: np.ndarray, roots: np.ndarray,
    ) -> None:  # fmt: skip
        if pa.types.is_struct(array.type):
            if not array.type.num_fields or not all(is_mark(field.name) for field in array.type):
                table.column(path, NESTED)
            for field, values in zip(array.type, array.flatten(), strict=True):
                self._field(table, columns, path, field.name, values, ordinals, roots)
        elif pa.types.is_list(array.type):
            table.column(path, NESTED)
            self._items(table, path, array, ordinals, roots)
        elif array.null_count == len(array):
            table.column(path, NULL)
        else:
            for kind, values in self._kinds(array, (table.path, path) in self._watched):
                columns[table.column(path, kind, self._first(table, path, values, roots))] = values

    def _items(
        self, table: ObservedTable, path: RecordPath, array: pa.Array, ordinals: np.ndarray, roots: np.ndarray
    ) -> None:
        """Put the items of a list column into a child table of their own."""
        items = array.flatten()
        if len(items) == 0:
            return
        child = self._facts.table((*table.path, *path, None), table.path)
        parents, indices = _places(array, len(items))
        position = np.arange(len(items), dtype=np.int64)
        child_ordinals, child_roots = position + child.rows, roots[parents]
        child.rows += len(items)
        columns = {
            "i": _int64(child_ordinals),
            "p": _int64(ordinals[parents]),
            "r": _int64(child_roots),
            "n": _int64(indices),
        }
        self._value(child, columns, (), items, child_ordinals, child_roots)
        self._tables[child.path] = pa.table(columns)

    def _marked(
        self, table: ObservedTable, columns: dict[str, pa.Array], path: RecordPath,
        kind: str, texts: pa.Array,
        roots: np.ndarray,
    ) -> None:  # fmt: skip
        if texts.null_count < len(texts):
            stored = _STORED.get(spec(kind).stored, pa.string())
            columns[table.column(path, kind, self._first(table, path, texts, roots))] = pc.cast(texts, stored)

    def _first(
        self, table: ObservedTable, path: RecordPath, values: pa.Array, roots: np.ndarray
    ) -> int | None:
        """Return the place of the first value, where that is not known yet: blocks come in order."""
        self._position += 1
        if path in table.first:
            return None
        is_valid = np.asarray(values.is_valid().to_pylist()) if values.null_count else np.ones(1, dtype=bool)
        return place(int(roots[int(np.argmax(is_valid))]), self._position)

    @staticmethod
    def _kinds(array: pa.Array, watched: bool) -> list[tuple[str, pa.Array]]:
        """Return the values of a leaf, apart by kind."""
        if pa.types.is_boolean(array.type):
            return [("bool", array)]
        if pa.types.is_integer(array.type):
            return _split_integers(array)
        if pa.types.is_floating(array.type):
            return [("double", array)]
        if pa.types.is_string(array.type):
            return _split_strings(array, watched)
        return [(native_kind(array.type), array)]


def _split_integers(array: pa.Array) -> list[tuple[str, pa.Array]]:
    bounds = pc.min_max(array)
    if bounds["min"].as_py() >= -SAFE_INT and bounds["max"].as_py() <= SAFE_INT:
        return [("int", array)]
    limit = np.full(len(array), SAFE_INT, dtype=np.int64)
    safe = pc.and_(pc.less_equal(array, _int64(limit)), pc.greater_equal(array, _int64(-limit)))
    return _apart(array, {"int": safe, "bigint": pc.invert(safe)})


def _split_strings(array: pa.Array, watched: bool) -> list[tuple[str, pa.Array]]:
    """Return strings as one kind where all are the same sort of time, else as text.

    A path that is a time in the warehouse already (`watched`) has its strings told apart one by one.
    """
    kind = string_kind(pc.first(array).as_py())
    if kind != "text" and _all_are(array, kind):
        return [(kind, array)]
    if not watched:
        return [("text", array)]
    kinds = [None if text is None else string_kind(text) for text in array.to_pylist()]
    masks = {
        kind: _boolean(np.fromiter((found == kind for found in kinds), dtype=bool, count=len(kinds)))
        for kind in sorted({found for found in kinds if found is not None})
    }
    return _apart(array, masks)


def _all_are(array: pa.Array, kind: str) -> bool:
    if not pc.all(pc.match_substring_regex(array, ISO_PATTERNS[kind])).as_py():
        return False
    try:
        pc.cast(pc.utf8_slice_codeunits(array, 0, 10), pa.date32())
    except pa.ArrowInvalid:  # a 30 February
        return False
    return True


def _apart(array: pa.Array, masks: dict[str, pa.Array]) -> list[tuple[str, pa.Array]]:
    empty = pa.nulls(len(array), array.type)
    parts = [(kind, pc.if_else(mask, array, empty)) for kind, mask in masks.items()]
    return [(kind, part) for kind, part in parts if part.null_count < len(part)]


def _at(parsed: pa.Table, path: RecordPath) -> pa.Array | None:
    """Return the values at a path of dict keys, a marked value with its text; None if no row has one."""
    columns = {
        user_key(name): column for name, column in zip(parsed.column_names, parsed.columns, strict=True)
    }
    column: pa.Array | None = None
    for step in path:
        key = None if step is None else find_key(columns, step)
        if key is None:
            return None
        column = _one_chunk(columns[key])
        columns = {}
        if pa.types.is_struct(column.type):
            fields = dict(zip((field.name for field in column.type), column.flatten(), strict=True))
            name = next(iter(fields), "")
            if len(fields) == 1 and is_mark(name) and name[1:] not in MENTIONS:
                column = fields[name]
            columns = {user_key(name): field for name, field in fields.items() if not is_mark(name)}
    is_value = column is not None and not pa.types.is_nested(column.type)
    return column if is_value else None


def _whole_fractions(parsed: pa.Table, path: RecordPath) -> list[int]:
    """Return the positions of the rows with a 1 or 1.0 at a path, where these were read as one."""
    arrays = dict(zip(parsed.column_names, map(_one_chunk, parsed.columns), strict=True))
    rows = np.arange(parsed.num_rows)
    array: pa.Array | None = None
    for step in path:
        if step is None and array is not None and pa.types.is_list(array.type):
            items = array.flatten()
            rows, array = rows[_places(array, len(items))[0]], items
        else:
            array = next((one for name, one in arrays.items() if user_key(name) == step), None)
        if array is None:
            return []
        is_struct = pa.types.is_struct(array.type)
        names = [field.name for field in array.type] if is_struct else []
        arrays = dict(zip(names, array.flatten() if is_struct else [], strict=True))
    if array is None or not pa.types.is_floating(array.type):
        return []
    whole = pc.equal(array, pc.trunc(array)).to_pylist()
    return [int(row) for row, is_whole in zip(rows, whole, strict=True) if is_whole]


def _places(array: pa.ListArray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each of the `count` items of some lists the position of its list, and its own in it."""
    lengths = np.diff(_numpy(array.offsets, np.int32)).astype(np.int64)
    if lengths.sum() != count:  # a list that is null hides items
        lengths[array.is_null().to_pylist()] = 0
    firsts = np.cumsum(lengths) - lengths
    parents = np.repeat(np.arange(len(array), dtype=np.int64), lengths)
    return parents, np.arange(count, dtype=np.int64) - firsts[parents]


def _one_chunk(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks else pa.nulls(0, column.type)


def _int64(values: np.ndarray) -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def _boolean(values: np.ndarray) -> pa.Array:
    bits = np.packbits(values, bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(bits)])


def _numpy(array: pa.Array, dtype: Any) -> np.ndarray:
    values = np.frombuffer(array.buffers()[1], dtype=dtype)
    return values[array.offset : array.offset + len(array)]
