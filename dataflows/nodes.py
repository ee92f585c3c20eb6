"""Make the Hamilton nodes of one resource: a small function for each of them.

issues.cursor ──┐
issues.each ────┴─> issues.rows ──> issues.load ──> issues, issues__labels
"""

from __future__ import annotations

import hashlib
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any, Literal

import ibis.expr.types as ir
from hamilton.node import DependencyType, Node

from headrace.dataflows import tables
from headrace.errors import UsageError
from headrace.loaders.commit import LoadedTable
from headrace.loaders.contracts.target import Target
from headrace.loaders.reading.containers import opened
from headrace.loaders.reading.parts import Pace, Partitions, as_values, is_partitioned
from headrace.loaders.reading.patience import refuse_stuck_pages
from headrace.loaders.records import Item, Stream
from headrace.loaders.values.paths import snake_case
from headrace.loaders.warehouse import Warehouse
from headrace.masking import learn

STEP, TABLE = "headrace.step", "headrace.table"
"""Tags of nodes: the step, and the table as `schema.table`."""

Step = Literal["cursor", "each", "extract", "load", "table", "child"]

EachFunction = Callable[..., Iterable[Any]]
"""Returns the partitions of a resource."""

Needs = dict[str, tuple[Any, DependencyType]]
"""What a node takes, as Hamilton connects it: names, each with its type."""

_REQUIRED = DependencyType.REQUIRED


class Rows:
    """The records of a resource, for one consumer: a generator read twice would be empty the second time."""

    def __init__(self, resource: str, stream: Stream) -> None:
        self._resource = resource
        self._stream: Stream | None = stream

    def __repr__(self) -> str:
        return f"Rows({self._resource!r})"

    def __iter__(self) -> Iterator[Item | list[Item]]:
        stream, self._stream = self._stream, None
        if stream is None:
            raise UsageError(
                f"The rows of {self._resource!r} were read already, and a generator gives them once. "
                f"Name the landed table {self._resource!r} as the parameter instead."
            )
        # a frame, a dict or bytes are a container to be opened, and iterating them gives something else
        whole: Any = stream
        return iter(stream if isinstance(stream, (list, tuple, Iterator)) else [whole])


@dataclass(frozen=True)
class Definition:
    """A resource as its nodes see it.

    Attributes:
        fn: The function that yields the records.
        target: Where the records land, and how.
        cursor: The key whose greatest value is the next run's `since`.
        children: The lists whose tables are nodes.
        each: Returns the partitions; None for a resource without.
        pace: Where a long load may be cut, and how long the source may be silent.
    """

    fn: Callable[..., Any]
    target: Target
    cursor: str | None
    children: Sequence[str]
    each: EachFunction | None
    pace: Pace

    @property
    def name(self) -> str:
        return self.fn.__name__

    @cached_property
    def hints(self) -> dict[str, Any]:
        """The types of the function's parameters and of what it returns."""
        return typing.get_type_hints(self.fn, include_extras=True)

    @cached_property
    def parameters(self) -> typing.Mapping[str, inspect.Parameter]:
        return inspect.signature(self.fn).parameters

    @property
    def takes_since(self) -> bool:
        return "since" in self.parameters

    @property
    def has_cursor(self) -> bool:
        """Whether there is a node for the last cursor: of the whole, or of each partition."""
        return self.takes_since or self.each is not None

    @cached_property
    def source(self) -> str:
        """What made the records, for the catalogue: the full name and the hash of the code."""
        return f"{self.fn.__module__}.{self.name}@{_code_version(self.fn)}"

    def node_name(self, last: str) -> str:
        """Return the name of one of the nodes: `orders.rows`."""
        return f"{self.name}.{last}"


def nodes_of(one: Definition) -> list[Node]:
    """Return every node of a resource."""
    return [
        *([cursor_node(one)] if one.has_cursor else []),
        *([each_node(one, one.each)] if one.each is not None else []),
        *(child_node(one, of) for of in one.children),
        rows_node(one),
        load_node(one),
        table_node(one),
    ]


def cursor_node(one: Definition) -> Node:
    """Return the node that gives the last committed cursor."""

    def last_cursor(warehouse: Warehouse) -> Any:
        kept = warehouse.cursor(one.target.name)
        if one.each is not None:
            return kept
        # what was kept while there were partitions says nothing of the whole
        return None if is_partitioned(kept) else _as_time(kept, one.hints.get("since"))

    return _node(one, "cursor", "cursor", Any, last_cursor, {"warehouse": (Warehouse, _REQUIRED)})


def each_node(one: Definition, each: EachFunction) -> Node:
    """Return the node that lists the partitions."""
    hints = typing.get_type_hints(each, include_extras=True)
    parameters = inspect.signature(each).parameters
    needs = {key: _dependency(hints, parameter) for key, parameter in parameters.items()}
    return _node(one, "each", "each", list, each, needs, of=parameters)


def rows_node(one: Definition) -> Node:
    """Return the node that calls the function: its records are not read yet."""
    cursor, partitions = one.node_name("cursor"), one.node_name("each")

    def read(**given: Any) -> Rows:
        learn(given)
        if one.each is None:
            if cursor in given:
                given["since"] = given.pop(cursor)
            return Rows(one.name, _records(one, given))
        values = as_values(given.pop(partitions), one.name)
        round_ = Partitions(values, one.takes_since, given.pop(cursor))

        def read_one(part: Any, since: Any) -> Any:
            return _records(one, {**given, "part": part, **({"since": since} if one.takes_since else {})})

        return Rows(one.name, round_.stream(read_one, lambda value: _as_time(value, one.hints.get("since"))))

    needs: Needs = {
        key: _dependency(one.hints, parameter)
        for key, parameter in one.parameters.items()
        if key != "since" and not (key == "part" and one.each is not None)
    }
    if one.has_cursor:
        needs[cursor] = (Any, _REQUIRED)
    if one.each is not None:
        needs[partitions] = (list, _REQUIRED)
    return _node(one, "rows", "extract", Rows, read, needs, cache="disable")


def load_node(one: Definition) -> Node:
    """Return the node that loads the records."""
    rows, cursor = one.node_name("rows"), one.node_name("cursor")

    def land(**given: Any) -> LoadedTable:
        warehouse: Warehouse = given["warehouse"]
        since = None if one.each is not None else given.get(cursor)
        return warehouse.load(
            given[rows], one.target, source=one.source, cursor=one.cursor, since=since, pace=one.pace
        )

    needs: Needs = {"warehouse": (Warehouse, _REQUIRED), rows: (Rows, _REQUIRED)}
    if one.has_cursor:
        needs[cursor] = (Any, _REQUIRED)
    return _node(one, "load", "load", LoadedTable, land, needs)


def table_node(one: Definition) -> Node:
    """Return the node that gives the landed table, by the name of the resource."""

    def landed(**given: Any) -> ir.Table:
        return tables.table(given["warehouse"], one.target.schema, one.target.table)

    return _node(one, one.name, "table", ir.Table, landed, _after_the_load(one))


def child_node(one: Definition, of: str) -> Node:
    """Return the node that gives the table of a list inside the records."""

    def landed(**given: Any) -> ir.Table:
        return tables.child(given["warehouse"], one.target.schema, one.target.table, of)

    return _node(one, f"{one.name}__{snake_case(of)}", "child", ir.Table, landed, _after_the_load(one))


def _after_the_load(one: Definition) -> Needs:
    return {"warehouse": (Warehouse, _REQUIRED), one.node_name("load"): (LoadedTable, _REQUIRED)}


def _node(
    one: Definition, last: str, step: Step, type_: Any, call: Callable[..., Any], needs: Needs, *,
    of: typing.Mapping[str, inspect.Parameter] | None = None, cache: str = "recompute",
) -> Node:  # fmt: skip
    """Return a node; tables bear their own names, the other steps stand in the namespace of the resource."""
    parameters = one.parameters if of is None else of
    optional = [key for key, (_, kind) in needs.items() if kind is not _REQUIRED]
    return Node(
        last,
        type_,
        inspect.getdoc(one.fn) or "",
        call,
        input_types=needs,
        namespace=() if step in ("table", "child") else (one.name,),
        tags={
            "module": one.fn.__module__,
            TABLE: one.target.name,
            STEP: step,
            "cache.behavior": cache,
        },
        optional_values={key: parameters[key].default for key in optional},
    )


def _records(one: Definition, given: dict[str, Any]) -> Any:
    """Call the function; refuse what is no stream."""
    stream = one.fn(**given)
    if stream is None:
        raise UsageError(f"Resource {one.name!r} returned None; let it yield records, or return them.")
    if isinstance(stream, str):  # the whole of the stream, so that it names files
        return opened(stream)
    has_keys = bool(one.target.primary_key) and isinstance(stream, Iterator)
    return refuse_stuck_pages(one.target.name, stream) if has_keys else stream


def _dependency(hints: dict[str, Any], parameter: inspect.Parameter) -> tuple[Any, DependencyType]:
    if parameter.name not in hints:
        raise UsageError(
            f"Parameter {parameter.name!r} of a resource needs a type; Hamilton connects nodes by it."
        )
    return hints[parameter.name], DependencyType.from_parameter(parameter)


def _as_time(value: Any, wanted: Any) -> Any:
    """Return a cursor, which JSON keeps as text, as the time that `since` is declared to be."""
    options = (
        typing.get_args(wanted)
        if isinstance(wanted, types.UnionType) or typing.get_args(wanted)
        else (wanted,)
    )
    if isinstance(value, str) and datetime in options:
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    if isinstance(value, str) and date in options:
        return date.fromisoformat(value)
    return value


def _code_version(fn: Callable[..., Any]) -> str:
    """Return a hash of the function's source, or of its byte code where there is no source."""
    try:
        code = inspect.getsource(fn).encode()
    except OSError:
        code = fn.__code__.co_code
    return hashlib.sha256(code).hexdigest()[:12]
