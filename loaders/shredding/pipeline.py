"""Read, parse, flatten and write blocks side by side, in threads.

Blocks are parsed by threads side by side, each with what was learned from the blocks before; they are
flattened in order, so that ordinals, columns and names do not depend on which thread was faster.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from headrace.loaders.shredding.block_reader import Known, Parsed, parse
from headrace.loaders.shredding.columnar import ColumnarShredder, Tables

_PARSERS = 2
_LEARNED_FROM = 1 << 20
"""Bytes that are parsed before all others, so that not every block has to find the times anew."""

Lines = list[tuple[int, bytes]]
"""Records that the exact lane has to take, with their ordinals."""


@dataclass(frozen=True, slots=True)
class _Block:
    first: int
    text: bytes
    parsed: Future[Parsed]


class Pipeline:
    """Takes blocks of lines and gives their tables to a writer, in order; holds two or three at a time."""

    def __init__(
        self,
        shredder: ColumnarShredder,
        write: Callable[[Tables], None],
        shred_exactly: Callable[[Lines], Callable[[], None]],
    ) -> None:
        """Say who flattens blocks, who writes tables, and who takes the lines that need the exact lane.

        That one returns what is to be called in the thread that writes.
        """
        self._shredder = shredder
        self._write = write
        self._shred_exactly = shred_exactly
        self._known = Known()
        self._blocks: deque[_Block] = deque()
        self._written: deque[Future[None]] = deque()
        self._parsers = ThreadPoolExecutor(_PARSERS, "headrace-parse")
        self._writer = ThreadPoolExecutor(1, "headrace-write")

    def add(self, first: int, text: bytes, count: int) -> None:
        """Take a block of lines.

        Args:
            first: The ordinal of its first record in the load.
            text: The lines, a new line between two.
            count: How many there are.
        """
        if not first and (end := text.find(b"\n", _LEARNED_FROM)) > 0:
            ahead = text.count(b"\n", 0, end) + 1
            self._take(0, text[:end], ahead)
            self._drain()
            first, text, count = ahead, text[end + 1 :], count - ahead
        self._take(first, text, count)
        while len(self._blocks) > _PARSERS:
            self._flatten(self._blocks.popleft())

    def add_table(self, first: int, table: pa.Table) -> bool:
        """Take rows that are Arrow already; return False for rows that the exact lane must take."""
        self._drain()
        tables = self._shredder.shred_table(first, table)
        if tables is not None:
            self._submit(self._write, tables)
        return tables is not None

    def close(self, *, finish: bool) -> None:
        """End the threads; with `finish`, after all that was taken is written."""
        try:
            if finish:
                self._drain()
                while self._written:
                    self._written.popleft().result()
        finally:
            self._parsers.shutdown(cancel_futures=True)
            self._writer.shutdown(cancel_futures=True)

    def _take(self, first: int, text: bytes, count: int) -> None:
        parsed = self._parsers.submit(parse, text, count, self._known.copy(), self._shredder.unfit)
        self._blocks.append(_Block(first, text, parsed))

    def _drain(self) -> None:
        while self._blocks:
            self._flatten(self._blocks.popleft())

    def _flatten(self, block: _Block) -> None:
        parsed = block.parsed.result()
        self._known.learn(parsed.known)
        for tables in self._shredder.shred(block.first, block.text, parsed):
            self._submit(self._write, tables)
        if parsed.odd:
            self._submit(self._shred_exactly([(block.first + at, line) for at, line in parsed.odd]))

    def _submit(self, act: Callable[..., None], *given: object) -> None:
        self._written.append(self._writer.submit(act, *given))
        while len(self._written) > 1:
            self._written.popleft().result()
