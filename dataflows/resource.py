"""Make four Hamilton nodes of a generator function: `@resource`.

    issues.cursor ──> issues.rows ──> issues.load ──> issues
    (last value)      (records)       (LoadedTable)   (ir.Table, what transforms name as a parameter)

So lineage is complete, and each step can be overridden or tested alone. The function itself stays a plain
generator: calling it is its unit test. A resource without `since` has no cursor node; one that is read in
partitions has another, `issues.each`, which lists them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import logging
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeVar, overload

import ibis.expr.types as ir
from hamilton.function_modifiers.base import NodeCreator
from hamilton.htypes import Collect, Parallelizable
from hamilton.node import DependencyType, Node

from headrace.dataflows import tables
from headrace.errors import UnknownColumn, UsageError
from headrace.loaders.commit import LoadedTable
from headrace.loaders.contracts.target import Landing, Target, make_target
from headrace.loaders.reading.containers import opened
from headrace.loaders.reading.parts import Pace, Partitions, as_values, is_partitioned
from headrace.loaders.reading.patience import refuse_stuck_pages
from headrace.loaders.records import Item, Stream
from headrace.loaders.values.paths import snake_case
from headrace.loaders.warehouse import Warehouse
from headrace.masking import learn, mask_record

if TYPE_CHECKING:
    from typing_extensions import Unpack

Extract = TypeVar("Extract", bound=Callable[..., Stream])

STEP, TABLE = "headrace.step", "headrace.table"
"""Tags of nodes: the step (cursor, each, extract, load, table, child) and the table, as `schema.table`."""

Each = Sequence[Any] | Callable[..., Iterable[Any]]
"""The partitions of a resource, JSON each; or a function of inputs and nodes that returns them."""

_REQUIRED = DependencyType.REQUIRED
_USUAL = Pace()

# Where a node fails, Hamilton logs what it was given.
logging.getLogger("hamilton.execution.graph_functions").addFilter(mask_record)


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
        self.target(fn)
        if self.cursor is not None and "since" not in inspect.signature(fn).parameters:
            raise UsageError(
                f"Resource {fn.__name__!r} has cursor={self.cursor!r} and takes no `since`, so it would read "
                "everything on each run. Add the parameter `since`, or leave the cursor out."
            )
        self._validate_parts(fn)

        target, takes_since = self.target(fn), "since" in inspect.signature(fn).parameters
        if takes_since and (
            target.strategy == "snapshot" or (target.strategy == "scd2" and not target.merge_key)
        ):
            raise UsageError(
                f"Resource {fn.__name__!r}: {target.strategy} takes what is absent for deleted, and a "
                "source read from `since` on leaves out what has not changed. Read everything on each run, "
                "or choose another merge_strategy."
            )

    def _validate_parts(self, fn: Callable[..., Any]) -> None:
        """Refuse parts where a load is only right as a whole, and partitions that nobody takes."""
        target, name = self.target(fn), fn.__name__
        if self.pace.row_order is not None and self.cursor is None:
            raise UsageError(f"Resource {name!r}: row_order is the order of the cursor; name it, cursor=…")
        if self.pace.row_order is not None and target.needs_whole:
            raise UsageError(
                f"Resource {name!r}: row_order cuts a long load into parts, and {target.needs_whole} needs "
                "the whole load. Leave row_order out, or choose another way of landing."
            )
        if self.each is None:
            return
        if target.strategy in ("replace", "snapshot") or (target.strategy == "scd2" and not target.merge_key):
            raise UsageError(
                f"Resource {name!r}: each= lands one partition after the other, and {target.strategy} needs "
                "the whole load. Loop over them in the function, or choose another way of landing."
            )
        if "part" not in inspect.signature(fn).parameters:
            raise UsageError(
                f"Resource {name!r}: each= gives the partitions one by one as the parameter `part`; add it."
            )

    def generate_nodes(self, fn: Callable[..., Any], config: dict[str, Any]) -> list[Node]:
        """Return the nodes; Hamilton calls this when the DAG is built."""
        name, target = fn.__name__, self.target(fn)
        _refuse_twins(fn, target)
        each = _each_function(self.each, name)
        hints = typing.get_type_hints(fn, include_extras=True)
        _refuse_parallel(name, hints)
        _check_keys(target, self.cursor, _record_type(hints.get("return")))
        tags = {"module": fn.__module__, TABLE: target.name}
        parameters = inspect.signature(fn).parameters

        def node(
            last: str, type_: Any, call: Callable[..., Any], needs: dict[str, Any], step: str, cache: str
        ) -> Node:
            space = (name,) if step in ("cursor", "each", "extract", "load") else ()
            inputs = {
                key: need if isinstance(need, tuple) else (need, _REQUIRED) for key, need in needs.items()
            }
            optional = [key for key, (_, kind) in inputs.items() if kind is not _REQUIRED]
            of = inspect.signature(each).parameters if step == "each" and each else parameters
            defaults = {key: of[key].default for key in optional}
            return Node(
                last, type_, inspect.getdoc(fn) or "", call, input_types=inputs, namespace=space,
                tags={**tags, STEP: step, "cache.behavior": cache}, optional_values=defaults,
            )  # fmt: skip

        rows, load, cursor, partitions = (f"{name}.{step}" for step in ("rows", "load", "cursor", "each"))
        wanted, takes_since = hints.get("since"), "since" in parameters
        source = f"{fn.__module__}.{name}@{_code_version(fn)}"

        def records(**given: Any) -> Any:
            stream = fn(**given)
            if stream is None:
                raise UsageError(f"Resource {name!r} returned None; let it yield records, or return them.")
            if isinstance(stream, str):  # the whole of the stream, so that it names files
                return opened(stream)
            has_keys = bool(target.primary_key) and isinstance(stream, Iterator)
            return refuse_stuck_pages(target.name, stream) if has_keys else stream

        def read(**given: Any) -> Rows:
            learn(given)
            if each is None:
                if cursor in given:
                    given["since"] = given.pop(cursor)
                return Rows(name, records(**given))
            round_ = Partitions(as_values(given.pop(partitions), name), takes_since, given.pop(cursor))

            def read_one(part: Any, since: Any) -> Any:
                return records(**given, part=part, **({"since": since} if takes_since else {}))

            return Rows(name, round_.stream(read_one, lambda value: _as_time(value, wanted)))

        def land(**given: Any) -> LoadedTable:
            warehouse: Warehouse = given["warehouse"]
            since = None if each else given.get(cursor)
            return warehouse.load(
                given[rows], target, source=source, cursor=self.cursor, since=since, pace=self.pace
            )

        def last_cursor(warehouse: Warehouse) -> Any:
            kept = warehouse.cursor(target.name)
            if each is None:  # what was kept while there were partitions says nothing of the whole
                return None if is_partitioned(kept) else _as_time(kept, wanted)
            return kept

        def landed(**given: Any) -> ir.Table:
            return tables.table(given["warehouse"], target.schema, target.table)

        reads = {
            key: _dependency(hints, parameter)
            for key, parameter in parameters.items()
            if key != "since" and not (key == "part" and each)
        }
        lands: dict[str, Any] = {"warehouse": Warehouse, rows: Rows}
        nodes = []
        if takes_since or each:
            reads[cursor] = lands[cursor] = (Any, _REQUIRED)
            nodes.append(node("cursor", Any, last_cursor, {"warehouse": Warehouse}, "cursor", "recompute"))
        if each:
            reads[partitions] = (list, _REQUIRED)
            nodes.append(node("each", list, each, _needs(each), "each", "recompute"))

        def child(of: str) -> Callable[..., ir.Table]:
            return lambda **given: tables.child(given["warehouse"], target.schema, target.table, of)

        below = [
            node(
                f"{name}__{snake_case(of)}", ir.Table, child(of),
                {"warehouse": Warehouse, load: LoadedTable}, "child", "recompute",
            )
            for of in self.children
        ]  # fmt: skip
        return [
            *nodes,
            *below,
            node("rows", Rows, read, reads, "extract", "disable"),
            node("load", LoadedTable, land, lands, "load", "recompute"),
            node(name, ir.Table, landed, {"warehouse": Warehouse, load: LoadedTable}, "table", "recompute"),
        ]


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


def _each_function(each: Each | None, name: str) -> Callable[..., Iterable[Any]] | None:
    """Return `each=` as a function: that of a node."""
    if each is None or callable(each):
        return each
    values = as_values(each, name)
    return lambda: values


def _needs(each: Callable[..., Any]) -> dict[str, Any]:
    """Return what a function of partitions takes, as Hamilton connects it."""
    hints = typing.get_type_hints(each, include_extras=True)
    parameters = inspect.signature(each).parameters
    return {key: _dependency(hints, parameter) for key, parameter in parameters.items()}


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
