"""Recognise and open whatever records come in.

    dicts, dataclasses, pydantic models     records
    lists, tuples, (nested) generators      pages of any of these, to any depth
    async generators                        drained in an event loop of their own
    bytes                                   JSON lines, or one JSON document
    a path or a glob                        files of JSON, JSON lines or Parquet; plain, gzip or zstd
    anything with `__arrow_c_stream__`      Arrow, pandas, polars, DuckDB relations, Ibis tables

The same content gives the same tables whatever container it came in.
"""

from __future__ import annotations

import glob
import gzip
import io
import itertools
from collections.abc import AsyncIterable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from headrace.errors import SourceError
from headrace.loaders.reading.json_scan import value_end, values
from headrace.loaders.reading.line_scan import count_objects
from headrace.loaders.records import Checkpoint, Rekey

if TYPE_CHECKING:
    import pyarrow as pa

_ARROW_ROWS = 64 * 1024
_READ = 8 << 20
"""Bytes of a file that are read at a time."""


@dataclass(frozen=True, slots=True)
class RawLines:
    """Records that are JSON already.

    Attributes:
        text: A line for each record, a new line between two of them; not yet checked.
        count: How many there are.
        origin: The name of the file, for messages.
        line: The line of the file on which the first stands, from 1; 0 where lines say nothing.
    """

    text: bytes
    count: int
    origin: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Whole:
    """One record, whatever it is: a list in it is no page of records, nor are bytes a file."""

    record: Any


@dataclass(frozen=True, slots=True)
class ArrowRows:
    """Records that are the rows of an Arrow table."""

    table: pa.Table


Opened = Any
"""A record of any type, a mark, `RawLines`, `Whole` or `ArrowRows`."""


def opened(data: Any) -> Iterator[Opened]:
    """Yield what a stream holds, every container in it opened.

    A string or path is a file (or a glob) only where it is the whole of `data`; in a stream of records a
    string is a value.

    Raises:
        SourceError: A file does not exist, or is not what its name says.

    >>> list(opened([{"id": 1}, [{"id": 2}, iter([{"id": 3}])]]))
    [{'id': 1}, {'id': 2}, {'id': 3}]
    """
    if isinstance(data, (str, Path)):
        return _files(str(data))
    if isinstance(data, dict):
        return iter([data])
    return _open(data)


def _open(item: Any) -> Iterator[Opened]:
    if isinstance(item, (dict, str, int, float, Checkpoint, Rekey)) or item is None:
        yield item
    elif isinstance(item, Path):
        yield from _files(str(item))
    elif isinstance(item, (bytes, bytearray, memoryview)):
        yield from _json(io.BytesIO(bytes(item)), "bytes")
    elif hasattr(item, "to_frame") and hasattr(item, "reset_index"):  # before pandas 3 it is no Arrow stream
        raise SourceError("A Series is no table; give series.to_frame(), or series.tolist() if it has dicts.")
    elif hasattr(item, "__arrow_c_stream__"):
        yield from _arrow(item)
    elif type(item).__module__.startswith("polars.") and hasattr(item, "collect"):
        yield from _arrow(item.collect())
    elif isinstance(item, AsyncIterable):
        yield from itertools.chain.from_iterable(map(_open, _drained(item)))
    elif isinstance(item, (list, tuple, Iterator)) or _is_plain_iterable(item):
        for inner in item:
            if type(inner) is dict:  # mostly, and a generator for each would cost
                yield inner
            else:
                yield from _open(inner)
    else:
        yield item


def _is_plain_iterable(item: Any) -> bool:
    """Tell whether a thing is there to be iterated: a model that happens to iterate is not."""
    is_model = hasattr(item, "model_dump") or hasattr(item, "__dataclass_fields__")
    return isinstance(item, Iterable) and not is_model


def _drained(items: AsyncIterable[Any]) -> Iterator[Any]:
    """Yield what an async iterable yields, from code that is not async."""
    import asyncio  # here, since it would be a tenth of the time of a small load

    loop = asyncio.new_event_loop()
    iterator = aiter(items)
    try:
        while True:
            try:
                yield loop.run_until_complete(anext(iterator))
            except StopAsyncIteration:
                return
    finally:
        if hasattr(iterator, "aclose"):
            loop.run_until_complete(iterator.aclose())
        loop.close()


def _arrow(item: Any) -> Iterator[ArrowRows | dict[str, Any]]:
    import pyarrow as pa

    try:
        if hasattr(item, "reset_index"):  # pandas: an index without a name is no data
            named = any(name is not None for name in item.index.names)
            reader = pa.Table.from_pandas(item, preserve_index=named).to_reader()
        else:
            reader = pa.RecordBatchReader.from_stream(item)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError):
        # a pandas column of mixed Python objects has no Arrow type, and its values are data all the same
        if not hasattr(item, "to_dict"):
            raise
        yield from item.astype(object).where(item.notna(), None).to_dict("records")
        return
    for batch in reader:
        for start in range(0, batch.num_rows, _ARROW_ROWS):
            yield ArrowRows(pa.Table.from_batches([batch.slice(start, _ARROW_ROWS)]))


def _files(pattern: str) -> Iterator[Opened]:
    if "://" in pattern or pattern.lower().endswith((".csv", ".tsv")):
        raise SourceError(
            f"{pattern!r} is no file of JSON or Parquet here; load duckdb.sql(\"FROM '{pattern}'\") instead."
        )
    pattern = str(Path(pattern).expanduser())
    # Path.glob takes no absolute pattern
    paths = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207
    if not paths:
        raise SourceError(f"No file matches {pattern!r}.")
    for path in map(Path, paths):
        if not path.is_file():
            raise SourceError(f"There is no file {str(path)!r}.")
        name = path.name.lower()
        if name.endswith(".parquet"):
            yield from _parquet(path)
        else:
            with _decompressed(path) as file:
                yield from _json(file, path.name)


def _parquet(path: Path) -> Iterator[ArrowRows]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ARROW_ROWS):
                yield ArrowRows(pa.Table.from_batches([batch]))
    except pa.ArrowInvalid as error:
        raise SourceError(f"{path.name} is no Parquet file: {error}") from error


def _decompressed(path: Path) -> IO[bytes]:
    """Open a file by what its first bytes say, not by its name."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic[:2] == b"\x1f\x8b":
        return gzip.open(path, "rb")  # type: ignore[return-value]  # a GzipFile reads like a file
    if magic == b"\x28\xb5\x2f\xfd":
        import pyarrow as pa

        stream: IO[bytes] = pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")
        return stream
    return path.open("rb")


def _json(file: IO[bytes], name: str) -> Iterator[RawLines]:
    """Yield the records of JSON lines, or of one JSON document: its items if it is an array."""
    head = file.read(_READ).removeprefix(b"\xef\xbb\xbf")
    if _is_document(head):
        yield from _document(_Rejoined(head, file), name)
        return
    rest, number = b"", 1
    while head:
        text, end, after = head.rpartition(b"\n")
        if end:
            text, rest = rest + text, after
            number += yield from _raw(text, name, number)
        else:
            rest += after
        head = file.read(_READ)
    yield from _raw(rest, name, number)


def _raw(text: bytes, name: str, number: int) -> Generator[RawLines, None, int]:
    """Yield a piece of a file, from a line on, without its blank lines and line ends of other systems.

    Returns how many lines the piece has.
    """
    if b"\r" not in text and (count := count_objects(text)):
        yield RawLines(text, count, name, number)
        return count
    lines = text.split(b"\n")
    run: list[bytes] = []  # of lines that stand together
    for at, line in enumerate([*lines, b""], number):
        if stripped := line.strip():
            run.append(stripped)
        elif run:
            yield RawLines(b"\n".join(run), len(run), name, at - len(run))
            run = []
    return len(lines)


def _is_document(head: bytes) -> bool:
    """Tell one JSON document from JSON lines: an array, or a first line that is not whole by itself."""
    start = head.lstrip()[:1]
    if start == b"[":
        return not _is_whole(head.lstrip().split(b"\n", 1)[0]) or head.lstrip().count(b"\n[") == 0
    return start == b"{" and not _is_whole(head.lstrip().split(b"\n", 1)[0])


def _is_whole(line: bytes) -> bool:
    try:
        return value_end(line, 0) == len(line.rstrip())
    except ValueError:
        return False


class _Rejoined:
    """A file with what was read of it already put back."""

    def __init__(self, head: bytes, file: IO[bytes]) -> None:
        self._head, self._file = head, file

    def read(self, size: int) -> bytes:
        """Return some bytes more: those put back first, all at once."""
        head, self._head = self._head, b""
        return head or self._file.read(size)


def _document(file: _Rejoined, name: str) -> Iterator[RawLines]:
    lines: list[bytes] = []
    size = 0
    try:
        for _, line in values(file.read):
            lines.append(line)
            size += len(line)
            if size >= _READ:
                yield RawLines(b"\n".join(lines), len(lines), name)
                lines, size = [], 0
    except ValueError as error:
        raise SourceError(f"{name} is neither JSON nor JSON lines: {error}.") from error
    if lines:
        yield RawLines(b"\n".join(lines), len(lines), name)
