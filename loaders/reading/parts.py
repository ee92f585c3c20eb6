"""Cut a long load into parts, so that a process that dies loses only the open part.

A part is a package and a load of its own, committed with the cursor reached before the source is asked for
more. It ends at the first border after so many records or seconds. A border is where the cursor covers all
that came before and nothing that comes after: a `Checkpoint`, the end of a partition, or a rise of the
cursor column in a source that declares its order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from headrace.errors import UsageError

_KEPT_AS = "partitions"


@dataclass(frozen=True, slots=True)
class Pace:
    """How a stream is read: where its parts end, and how long its source may be silent.

    Attributes:
        part_records: Records after which a part ends at the next border.
        part_seconds: Seconds after which it does, whichever comes first.
        row_order: `asc` where records come in the order of the cursor column, so that a part may end
            wherever its value rises. A record out of that order is an error.
        timeout: Seconds that the source may take for one record; None waits for ever.

    >>> Pace(part_records=0)
    Traceback (most recent call last):
    headrace.errors.UsageError: part_records is 0; it must be greater than 0.
    """

    part_records: int = 100_000
    part_seconds: float = 60.0
    row_order: str | None = None
    timeout: float | None = None

    def __post_init__(self) -> None:
        for name in ("part_records", "part_seconds", "timeout"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} is {value!r}; it must be greater than 0.")
        if self.row_order not in (None, "asc"):
            raise UsageError(f"There is no row_order {self.row_order!r}; 'asc' is the only one, or none.")


@dataclass(frozen=True, slots=True)
class Enter:
    """Says, within a stream, that a partition begins: its records rise from a cursor of their own."""

    partitions: Partitions
    value: Any
    since: Any


@dataclass(frozen=True, slots=True)
class Leave:
    """Says, within a stream, that the partition is done."""


@dataclass(slots=True)
class Partitions:
    """The partitions of a resource: which are done in this round, and how far each has got.

    What is kept of it is the resource's cursor. A round is over when all are done; the next begins anew.

    Attributes:
        values: The partitions, each JSON.
        keeps_since: Whether each has a cursor.
        kept: The stored cursor of the resource; one that is not of partitions counts for nothing.
        open: The partition that is being read, as JSON; None between two.

    >>> partitions = Partitions(["eu", "us"], keeps_since=True)
    >>> partitions.enter("eu"); partitions.leave(7); partitions.state(None)
    {'partitions': {'done': ['eu'], 'since': [['eu', 7]]}}
    """

    values: list[Any]
    keeps_since: bool
    kept: Any = None
    open: str | None = None
    _done: dict[str, Any] = field(default_factory=dict)
    _since: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for value in self.values:
            if not _is_json(value):
                raise UsageError(f"each= gave the partition {value!r}; JSON must hold it: make it text.")
        if is_partitioned(self.kept):
            state = self.kept[_KEPT_AS]
            self._done = {_key(value): value for value in state["done"]}
            self._since = {_key(value): (value, since) for value, since in state["since"]}
        self._close_round()

    def stream(self, read: Callable[[Any, Any], Any], as_time: Callable[[Any], Any]) -> Iterator[Any]:
        """Yield what `read(partition, since)` gives for each partition that is not done, between marks."""
        done = set(self._done)
        for key, value in {_key(value): value for value in self.values}.items():
            if key not in done:
                since = as_time(self._since[key][1]) if key in self._since else None
                yield Enter(self, value, since)
                yield read(value, since)
                yield Leave()

    def enter(self, value: Any) -> None:
        """Begin a partition."""
        self.open = _key(value)
        self._since.setdefault(self.open, (value, None))

    def leave(self, cursor: Any) -> None:
        """Note that the open partition is done and got as far as `cursor`."""
        if self.open is None:
            return
        self._reach(cursor)
        self._done[self.open] = self._since[self.open][0]
        self.open = None
        self._close_round()

    def state(self, cursor: Any) -> dict[str, Any]:
        """Return what is to be kept when the open partition has got as far as `cursor`."""
        if self.open is not None:
            self._reach(cursor)
        since = [[value, plain(at)] for value, at in self._since.values() if at is not None]
        return {_KEPT_AS: {"done": list(self._done.values()), "since": since}}

    def _reach(self, cursor: Any) -> None:
        if self.keeps_since and self.open is not None:
            self._since[self.open] = (self._since[self.open][0], cursor)

    def _close_round(self) -> None:
        if all(_key(value) in self._done for value in self.values):
            self._done.clear()


def is_partitioned(cursor: Any) -> bool:
    """Tell whether a stored cursor is that of a resource with partitions."""
    return isinstance(cursor, dict) and list(cursor) == [_KEPT_AS]


def plain(value: Any) -> Any:
    """Return a time as ISO text, and anything else as it is."""
    isoformat = getattr(value, "isoformat", None)
    return value if isoformat is None else isoformat()


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _is_json(value: Any) -> bool:
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError):
        return False


def as_values(given: Iterable[Any], name: str) -> list[Any]:
    """Return the partitions that `each=` names.

    Raises:
        UsageError: It is one text, or nothing that can be gone through.
    """
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise UsageError(f"Resource {name!r}: each= takes a list of partitions, not {given!r}.")
    return list(given)
