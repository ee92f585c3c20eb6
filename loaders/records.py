"""Define what a stream consists of: records, and two marks that a source may put between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

Record: TypeAlias = dict[str, Any]
"""A JSON-like dict, as a source yields it."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Says that every record up to here is covered by this cursor value.

    The last checkpoint of a load is committed with its rows and is what the next run gets as `since`. A long
    load may be cut here into parts, each committed before the source is asked for more.

    Attributes:
        value: Anything that JSON holds; None leaves the cursor as it is.
        durable: Whether to commit here and now: the code after `yield Checkpoint(durable=True)` runs once
            everything before it is in the warehouse, so it may acknowledge a message or delete a file.
    """

    value: Any = None
    durable: bool = False


@dataclass(frozen=True, slots=True)
class Rekey:
    """Says that rows landed earlier under one value of a key column belong to another.

    Applied to the rows that are already in the warehouse, in the transaction of the load and before its
    own rows are merged. Where a row with the new key is there already, the old one gives way.

    Attributes:
        column: A column of the primary key, as the source names it.
        old: The value to replace.
        new: The value to put in its place.
    """

    column: str
    old: str
    new: str


Item: TypeAlias = Record | Checkpoint | Rekey
Stream: TypeAlias = Iterable[Item | list[Item]]
"""What a resource yields: records one by one or in pages, with marks between them."""
