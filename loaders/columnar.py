"""The columnar lane: blocks of lines to Arrow tables, through pyarrow's JSON reader.

Guarantees: the cells that it makes are those of the exact lane. Costs: some 50 MB/s and the import of
pyarrow and numpy, so it takes what is large. What the reader would get wrong is found and left to the
exact lane, line by line:

* a path that holds two shapes (a number here, an object there): the reader refuses and names the path;
* a null inside a list, which the reader of pyarrow 26 turns into a zero when it comes first;
* integers past 64 bits, or past 2**53 beside fractions, and fractions of more digits than a double has,
  which it rounds.

Strings that read as times are pinned to be strings: the reader would drop their offsets. Values that JSON
lacks come marked (see `lines`) and need no care: a mark is an object with one key.

Nothing here may import pandas (1.5 s): no `pa.array`, `pa.scalar`, `to_numpy` or Python constants in
`pyarrow.compute`; numbers cross between numpy and Arrow as buffers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from headrace.loaders.arrow import native_kind
from headrace.loaders.exact import content_hash
from headrace.loaders.facts import Facts, TableFacts, place
from headrace.loaders.infer import ISO_PATTERNS, string_kind
from headrace.loaders.kinds import MENTIONS, NESTED, NULL, SAFE_INT, spec
from headrace.loaders.lines import is_mark, user_key
from headrace.loaders.names import Path, find_key, parse_hint

Tables = dict[Path, pa.Table]
Watched = Collection[tuple[Path, Path]]
"""Paths (of a table, within it) that are times in the warehouse already: there each string counts."""

_CONFLICT = re.compile(r"Column\((?P<path>.*)\) changed from (?P<old>\w+) to (?P<new>\w+)")
_LIST_NULL = re.compile(rb"[\[,]\s*null")
_LONG_INTEGER = re.compile(rb"[:\[,]\s*-?\d{16,}\s*[,}\]]|\d[eE]\+?\d{3}")
_LONG_FRACTION = re.compile(rb"[:\[,]\s*-?(?=\d+\.)[\d.]{19}")
_FIRST_BYTE = {
    "string": rb'"', "number": rb"[-\d]", "boolean": rb"[tf]", "object": rb"\{", "array": rb"\[",
}  # fmt: skip
_STORED = {"DOUBLE": pa.float64(), "BOOLEAN": pa.bool_()}
_MOST_RETRIES = 64
_SMALLEST_BLOCK = 256


class ColumnarShredder:
    """Shreds blocks of one stream; learns from each what the reader must be told for the next."""

    def __init__(
        self, facts: Facts, watched: Watched = (), required: Sequence[str] = (), *, hashed: bool = False
    ) -> None:
        self._facts = facts
        self._watched = frozenset(watched)
        self._required = required
        self._hashed = hashed
        self._pins: dict[str, Any] = {}

    def shred(self, first: int, lines: list[bytes]) -> Iterator[tuple[Tables, list[int]]]:
        """Yield the tables of a block, and the positions of the lines that the exact lane has to take.

        Mostly once; a block that the reader refuses without saying why is halved until it is found.

        Args:
            first: The ordinal of the block's first record in its load.
            lines: Records as JSON, one each.
        """
        kept = list(range(len(lines)))
        # the reader crashes on a record that is null or a list, and takes a null in a list for a zero
        odd = {at for at in kept if lines[at][:1] != b"{"}
        odd |= {at for at in kept if not lines[at].isascii() and not _is_text(lines[at])}
        if any(b"null" in line for line in lines):
            odd |= {at for at in kept if _LIST_NULL.search(lines[at])}
        yield from self._shred(first, lines, [at for at in kept if at not in odd], odd)

    def shred_table(self, first: int, table: pa.Table) -> Tables | None:
        """Return the tables of rows that are Arrow already, in plain types; None if one lacks its key."""
        if self._without_key(table):
            return None
        ordinals = np.arange(first, first + table.num_rows, dtype=np.int64)
        return _Block(self._facts, self._watched).tables(table.combine_chunks(), ordinals)

    def _shred(
        self, first: int, lines: list[bytes], kept: list[int], odd: set[int]
    ) -> Iterator[tuple[Tables, list[int]]]:
        for _ in range(_MOST_RETRIES):
            if not kept:
                break
            parsed, offenders = self._parse(lines, kept)
            if parsed is not None:
                yield self._tables(first, lines, kept, parsed), sorted(odd)
                return
            if not offenders:
                break
            odd = odd | offenders
            kept = [at for at in kept if at not in offenders]
        if len(kept) <= _SMALLEST_BLOCK:
            yield {}, sorted(odd.union(kept))
            return
        half = len(kept) // 2
        yield from self._shred(first, lines, kept[:half], odd)
        yield from self._shred(first, lines, kept[half:], set())

    def _tables(self, first: int, lines: list[bytes], kept: list[int], parsed: pa.Table) -> Tables:
        ordinals = np.asarray(kept, dtype=np.int64) + first
        tables = _Block(self._facts, self._watched).tables(parsed, ordinals)
        if self._hashed:
            hashes = np.fromiter((content_hash(lines[at]) for at in kept), dtype=np.int64, count=len(kept))
            tables[()] = tables[()].append_column("h", _int64(hashes))
        return tables

    def _without_key(self, parsed: pa.Table) -> list[int]:
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

    def _parse(self, lines: list[bytes], kept: list[int]) -> tuple[pa.Table | None, set[int]]:
        """Return the parsed block, or None and the positions of the lines that stand in the way."""
        buffer = b"\n".join([lines[at] for at in kept])
        try:
            parsed = _read(buffer, _schema(self._pins))
            if _has_type(parsed.schema, pa.types.is_temporal):
                _merge_pins(self._pins, _string_pins(parsed.schema))
                parsed = _read(buffer, _text_for_times(parsed.schema))
        except pa.ArrowInvalid as error:
            return None, _offenders(str(error), lines, kept)
        if parsed.num_rows != len(kept) and parsed.num_columns:
            return None, set()  # a line holds two records, or half of one
        if _has_type(parsed.schema, pa.types.is_floating):
            rounded = {at for at in kept if _LONG_FRACTION.search(lines[at])}
            if _holds_rounded(parsed):
                rounded |= {at for at in kept if _LONG_INTEGER.search(lines[at])}
            if rounded:
                return None, rounded
        missing = self._without_key(parsed)
        return (None, {kept[at] for at in missing}) if missing else (parsed, set())


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:  # the reader would let it through
        return False
    return True


def _read(buffer: bytes, schema: pa.Schema | None) -> pa.Table:
    # One block and one thread: with several, the reader of pyarrow 26 now and then crashes the process when
    # it refuses a block, and it refuses blocks that disagree where one block would do.
    return pj.read_json(
        pa.BufferReader(buffer),
        read_options=pj.ReadOptions(block_size=len(buffer) + 1, use_threads=False),
        parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer"),
    ).combine_chunks()


def _offenders(message: str, lines: list[bytes], kept: list[int]) -> set[int]:
    """Return the lines that hold the rarer of the two shapes that the reader found at one path."""
    conflict = _CONFLICT.search(message)
    if conflict is None:
        return set()
    keys = [key for key in conflict["path"].split("/") if key and key != "[]"]
    if not keys:
        return set()
    if conflict["path"].endswith("[]"):
        return _lines_with(lines, kept, keys[-1], "array")
    old, new = (_lines_with(lines, kept, keys[-1], conflict[shape]) for shape in ("old", "new"))
    return min(old or new, new or old, key=len)


def _lines_with(lines: list[bytes], kept: list[int], key: str, shape: str) -> set[int]:
    import orjson

    first = _FIRST_BYTE.get(shape, b"")
    pattern = re.compile(re.escape(orjson.dumps(key)) + rb"\s*:\s*" + first)
    return {at for at in kept if pattern.search(lines[at])}


class _Block:
    """One parsed block on its way to flat tables."""

    def __init__(self, facts: Facts, watched: frozenset[tuple[Path, Path]]) -> None:
        self._facts = facts
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
        self, table: TableFacts, columns: dict[str, pa.Array], path: Path, name: str, array: pa.Array,
        ordinals: np.ndarray, roots: np.ndarray,
    ) -> None:  # fmt: skip
        if is_mark(name):
            self._marked(table, columns, path, name[1:], array, roots)
        else:
            self._value(table, columns, (*path, user_key(name)), array, ordinals, roots)

    def _value(
        self, table: TableFacts, columns: dict[str, pa.Array], path: Path, array: pa.Array,
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
        self, table: TableFacts, path: Path, array: pa.Array, ordinals: np.ndarray, roots: np.ndarray
    ) -> None:
        """Put the items of a list column into a child table of their own."""
        items = array.flatten()
        if len(items) == 0:
            return
        child = self._facts.table((*table.path, *path, None), table.path)
        parents = _numpy(pc.list_parent_indices(array), np.int64)
        starts = _numpy(array.offsets, np.int32).astype(np.int64)
        position = np.arange(len(items), dtype=np.int64)
        child_ordinals, child_roots = position + child.rows, roots[parents]
        child.rows += len(items)
        columns = {
            "i": _int64(child_ordinals),
            "p": _int64(ordinals[parents]),
            "r": _int64(child_roots),
            "n": _int64(position - (starts[parents] - starts[0])),
        }
        self._value(child, columns, (), items, child_ordinals, child_roots)
        self._tables[child.path] = pa.table(columns)

    def _marked(
        self, table: TableFacts, columns: dict[str, pa.Array], path: Path, kind: str, texts: pa.Array,
        roots: np.ndarray,
    ) -> None:  # fmt: skip
        if texts.null_count < len(texts):
            stored = _STORED.get(spec(kind).stored, pa.string())
            columns[table.column(path, kind, self._first(table, path, texts, roots))] = pc.cast(texts, stored)

    def _first(self, table: TableFacts, path: Path, values: pa.Array, roots: np.ndarray) -> int | None:
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


def _holds_rounded(parsed: pa.Table) -> bool:
    """Tell whether a column of fractions holds a number so large that it may have been an integer."""
    return any(_largest(_one_chunk(column)) >= SAFE_INT for column in parsed.columns)


def _largest(array: pa.Array) -> float:
    if pa.types.is_struct(array.type):
        return max(map(_largest, array.flatten()), default=0.0)
    if pa.types.is_list(array.type):
        return _largest(array.flatten())
    if not pa.types.is_floating(array.type) or array.null_count == len(array):
        return 0.0
    bounds = pc.min_max(array)
    return float(max(abs(bounds["min"].as_py()), abs(bounds["max"].as_py())))


def _has_type(schema: Any, wanted: Any) -> bool:
    return any(_type_has(field.type, wanted) for field in schema)


def _type_has(type_: pa.DataType, wanted: Any) -> bool:
    if pa.types.is_struct(type_):
        return _has_type(type_, wanted)
    if pa.types.is_list(type_):
        return _type_has(type_.value_type, wanted)
    return bool(wanted(type_))


def _text_for_times(schema: pa.Schema) -> pa.Schema:
    """Return the schema with a string wherever the reader guessed a time."""
    return pa.schema([pa.field(field.name, _text_for_time(field.type)) for field in schema])


def _text_for_time(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(type_):
        return pa.struct([pa.field(field.name, _text_for_time(field.type)) for field in type_])
    if pa.types.is_list(type_):
        return pa.list_(_text_for_time(type_.value_type))
    return pa.string() if pa.types.is_temporal(type_) else type_


def _string_pins(schema: Any) -> dict[str, Any]:
    """Return the paths of times as a tree: a dict below a struct, a one-item list below a list."""
    pins = {field.name: _pin(field.type) for field in schema}
    return {name: pin for name, pin in pins.items() if pin}


def _pin(type_: pa.DataType) -> Any:
    if pa.types.is_struct(type_):
        return _string_pins(type_)
    if pa.types.is_list(type_):
        below = _pin(type_.value_type)
        return [below] if below else None
    return pa.types.is_temporal(type_)


def _merge_pins(pins: dict[str, Any], more: dict[str, Any]) -> None:
    for name, pin in more.items():
        known = pins.get(name)
        if isinstance(known, dict) and isinstance(pin, dict):
            _merge_pins(known, pin)
        elif (
            isinstance(known, list)
            and isinstance(pin, list)
            and isinstance(known[0], dict)
            and isinstance(pin[0], dict)
        ):
            _merge_pins(known[0], pin[0])
        elif known is None:
            pins[name] = pin


def _schema(pins: dict[str, Any]) -> pa.Schema | None:
    return pa.schema([pa.field(name, _pinned(pin)) for name, pin in pins.items()]) if pins else None


def _pinned(pin: Any) -> pa.DataType:
    if isinstance(pin, dict):
        return pa.struct([pa.field(name, _pinned(below)) for name, below in pin.items()])
    return pa.list_(_pinned(pin[0])) if isinstance(pin, list) else pa.string()


def _at(parsed: pa.Table, path: Path) -> pa.Array | None:
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
