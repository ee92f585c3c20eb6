"""Make four Hamilton nodes of a generator function: `@resource`.

    issues.cursor ──> issues.rows ──> issues.load ──> issues
    (last value)      (records)       (LoadedTable)   (ir.Table, what transforms name as a parameter)

So lineage is complete, and each step can be overridden or tested alone. The function itself stays a plain
generator: calling it is its unit test. A resource without `since` has no cursor node; one that is read in
partitions has another, `issues.each`, which lists them.
"""

from __future__ import annotations

import dataclasses
import inspect
import logging
import sys
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from hamilton.function_modifiers.base import NodeCreator
from hamilton.htypes import Collect, Parallelizable
from hamilton.node import Node

from headrace.dataflows.nodes import Definition, EachFunction, nodes_of
from headrace.errors import UnknownColumn, UsageError
from headrace.loaders.contracts.target import Landing, Target, make_target
from headrace.loaders.reading.parts import Pace, as_values
from headrace.loaders.records import Stream
from headrace.loaders.values.paths import snake_case
from headrace.masking import mask_record

if TYPE_CHECKING:
    from typing_extensions import Unpack

Extract = TypeVar("Extract", bound=Callable[..., Stream])

Each = Sequence[Any] | Callable[..., Iterable[Any]]
"""The partitions of a resource, JSON each; or a function of inputs and nodes that returns them."""

_USUAL = Pace()

# Where a node fails, Hamilton logs what it was given.
logging.getLogger("hamilton.execution.graph_functions").addFilter(mask_record)


class _Resource(NodeCreator):
    """What `@resource` leaves on a function for Hamilton to find."""

    def __init__(
        self, cursor: str | None, table: str | None, children: Sequence[str], each: Each | None, pace: Pace,
        landing: Landing,
    ) -> None:  # fmt: skip
        self.cursor = cursor
        self.children = children
        self.table = table
        self.each = each
        self.pace = pace
        self.landing = landing

    def target(self, fn: Callable[..., Any]) -> Target:
        """Return where the records of `fn` land: a schema named after its module."""
        module = fn.__module__.rpartition(".")[2]
        schema = "main" if module == "__main__" else snake_case(module)
        landing: Landing = {"description": inspect.getdoc(fn) or "", **self.landing}
        return make_target(self.table or fn.__name__, schema, landing)

    def validate(self, fn: Callable[..., Any]) -> None:
        """Refuse a definition that cannot work, when the module is read."""
        name, target, parameters = fn.__name__, self.target(fn), inspect.signature(fn).parameters
        if self.cursor is not None and "since" not in parameters:
            raise UsageError(
                f"Resource {name!r} has cursor={self.cursor!r} and takes no `since`, so it would read "
                "everything on each run. Add the parameter `since`, or leave the cursor out."
            )
        if self.pace.row_order is not None and self.cursor is None:
            raise UsageError(f"Resource {name!r}: row_order is the order of the cursor; name it, cursor=…")
        if self.pace.row_order is not None and target.needs_whole:
            raise UsageError(
                f"Resource {name!r}: row_order cuts a long load into parts, and {target.needs_whole} needs "
                "the whole load. Leave row_order out, or choose another way of landing."
            )
        if self.each is not None and target.compares_whole:
            raise UsageError(
                f"Resource {name!r}: each= lands one partition after the other, and {target.strategy} needs "
                "the whole load. Loop over them in the function, or choose another way of landing."
            )
        if self.each is not None and "part" not in parameters:
            raise UsageError(
                f"Resource {name!r}: each= gives the partitions one by one as the parameter `part`; add it."
            )
        if "since" in parameters and target.compares_whole and target.strategy != "replace":
            raise UsageError(
                f"Resource {name!r}: {target.strategy} takes what is absent for deleted, and a "
                "source read from `since` on leaves out what has not changed. Read everything on each run, "
                "or choose another merge_strategy."
            )

    def generate_nodes(self, fn: Callable[..., Any], config: dict[str, Any]) -> list[Node]:
        """Return the nodes; Hamilton calls this when the DAG is built."""
        name, target = fn.__name__, self.target(fn)
        _refuse_twins(fn, target)
        definition = Definition(
            fn, target, self.cursor, self.children, _each_function(self.each, name), self.pace
        )
        _refuse_parallel(name, definition.hints)
        _check_keys(target, self.cursor, _record_type(definition.hints.get("return")))
        return nodes_of(definition)


@overload
def resource(fn: Extract, /) -> Extract: ...
@overload
def resource(
    *,
    cursor: str | None = ...,
    table: str | None = ...,
    children: Sequence[str] = ...,
    each: Each | None = ...,
    row_order: str | None = ...,
    part_records: int = ...,
    part_seconds: float = ...,
    timeout: float | None = ...,
    **landing: Unpack[Landing],
) -> Callable[[Extract], Extract]: ...
def resource(
    fn: Any = None, /, *, cursor: str | None = None, table: str | None = None, children: Sequence[str] = (),
    each: Each | None = None, row_order: str | None = None, part_records: int = _USUAL.part_records,
    part_seconds: float = _USUAL.part_seconds, timeout: float | None = None, **landing: Unpack[Landing],
) -> Any:  # fmt: skip
    """Make a generator function a resource: a stream of records that lands in a table named after it.

    The function's parameters are Hamilton inputs or nodes. One called `since` gets the last committed
    cursor, None on the first run.

    Args:
        fn: The function, where the decorator is used without arguments.
        cursor: The key whose greatest value is the next run's `since`. Without it, a function that takes
            `since` yields `Checkpoint`s.
        table: The table, where it is not to be called like the function.
        children: Lists whose tables transforms name as parameters: `children=("items",)` of `orders` makes
            the node `orders__items`.
        each: Partitions (regions, repositories, months), JSON each, or a function of inputs and nodes that
            returns them. The function gets one after the other as its parameter `part`, and `since` is the
            partition's own. After a crash, those that are committed are not read again.
        row_order: `asc` where records come in the order of the cursor, so that a long load may be cut
            wherever it rises. Else it may be cut at `Checkpoint`s and between partitions.
        part_records: Records after which a long load is cut at the next such place, and committed.
        part_seconds: Seconds after which it is.
        timeout: Seconds that the source may take for one record; None waits for ever.
        **landing: How the records land: `primary_key`, `write_disposition`, `columns`, `contract`… as
            `Target` explains them.

    Raises:
        UsageError: The definition cannot work; the message says how to mend it.

    >>> @resource(primary_key="id", write_disposition="merge")
    ... def issues(github: list) -> Iterator[dict]:
    ...     yield from github
    >>> list(issues([{"id": 1}]))
    [{'id': 1}]
    """
    pace = Pace(part_records, part_seconds, row_order, timeout)
    decorate = _Resource(cursor, table, children, each, pace, landing)
    return decorate if fn is None else decorate(fn)


def declared(fn: Callable[..., Any]) -> _Resource | None:
    """Return what `@resource` left on a function, if it did."""
    creators = getattr(fn, NodeCreator.get_lifecycle_name(), ())
    return next((creator for creator in creators if isinstance(creator, _Resource)), None)


def _each_function(each: Each | None, name: str) -> EachFunction | None:
    """Return `each=` as a function: that of a node."""
    if each is None or callable(each):
        return each
    values = as_values(each, name)
    return lambda: values


def _refuse_twins(fn: Callable[..., Any], target: Target) -> None:
    """Refuse two resources of one module for one table; see `checks` for those of several modules."""
    for other in list(vars(sys.modules[fn.__module__]).values()) if fn.__module__ in sys.modules else ():
        if (
            not inspect.isfunction(other)
            or other.__name__ == fn.__name__
            or other.__module__ != fn.__module__
        ):
            continue
        twin = declared(other)
        if twin is not None and twin.target(other).name == target.name:
            raise UsageError(
                f"Two resources load the table {target.name!r}: {fn.__name__!r} and {other.__name__!r}. "
                "Give one of them another table=, or make them one function."
            )


def _refuse_parallel(name: str, hints: dict[str, Any]) -> None:
    for parameter, hint in hints.items():
        if typing.get_origin(hint) in (Parallelizable, Collect):
            raise UsageError(
                f"Resource {name!r}: {parameter} is {typing.get_origin(hint).__name__}, and a resource is "
                "one stream. Put the parallel block before it and let the resource read what it collects."
            )


def _check_keys(target: Target, cursor: str | None, record: type | None) -> None:
    """Refuse a key that the record's declared type (a TypedDict or a dataclass) does not have."""
    if record is None:
        return
    known = [*typing.get_type_hints(record), *target.columns]
    for column in (*target.primary_key, *([cursor] if cursor else [])):
        if column.partition(".")[0] not in known:
            raise UnknownColumn(target.name, column, known)


def _record_type(returned: Any) -> type | None:
    arguments = typing.get_args(returned)
    record = arguments[0] if arguments else None
    is_typed = isinstance(record, type) and (dataclasses.is_dataclass(record) or typing.is_typeddict(record))
    return record if is_typed else None
