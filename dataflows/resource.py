"""`@resource`: a generator function becomes four Hamilton nodes.

    issues.cursor ──> issues.rows ──> issues.load ──> issues
    (last value)      (records)       (LoadedTable)   (ir.Table, what transforms name as a parameter)

So lineage is complete, and each step can be overridden or tested alone. The function itself stays a plain
generator: calling it is its unit test. A resource without `since` has no cursor node.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeVar, overload

import ibis.expr.types as ir
from hamilton.function_modifiers.base import NodeCreator
from hamilton.htypes import Collect, Parallelizable
from hamilton.node import DependencyType, Node

from headrace.dataflows import tables
from headrace.errors import UnknownColumn, UsageError
from headrace.loaders.commit import LoadedTable
from headrace.loaders.names import snake_case
from headrace.loaders.records import Item, Stream
from headrace.loaders.target import Landing, Target, make_target
from headrace.loaders.warehouse import Warehouse

if TYPE_CHECKING:
    from typing_extensions import Unpack

Extract = TypeVar("Extract", bound=Callable[..., Stream])

STEP, TABLE = "headrace.step", "headrace.table"
"""Tags of the nodes: the step (cursor, extract, load, table, child) and the table, as `schema.table`."""

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
        return iter(stream)


class _Resource(NodeCreator):
    """What `@resource` leaves on a function for Hamilton to find."""

    def __init__(
        self, cursor: str | None, table: str | None, children: Sequence[str], landing: Landing
    ) -> None:
        self.cursor = cursor
        self.children = children
        self.table = table
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

        target, takes_since = self.target(fn), "since" in inspect.signature(fn).parameters
        if takes_since and (
            target.strategy == "snapshot" or (target.strategy == "scd2" and not target.merge_key)
        ):
            raise UsageError(
                f"Resource {fn.__name__!r}: {target.strategy} takes what is absent for deleted, and a "
                "source read from `since` on leaves out what has not changed. Read everything on each run, "
                "or choose another merge_strategy."
            )

    def generate_nodes(self, fn: Callable[..., Any], config: dict[str, Any]) -> list[Node]:
        """Return the nodes; Hamilton calls this when the DAG is built."""
        name, target = fn.__name__, self.target(fn)
        _refuse_twins(fn, target)
        hints = typing.get_type_hints(fn, include_extras=True)
        _refuse_parallel(name, hints)
        _check_keys(target, self.cursor, _record_type(hints.get("return")))
        tags = {"module": fn.__module__, TABLE: target.name}
        parameters = inspect.signature(fn).parameters

        def node(
            last: str, type_: Any, call: Callable[..., Any], needs: dict[str, Any], step: str, cache: str
        ) -> Node:
            space = (name,) if step in ("cursor", "extract", "load") else ()
            inputs = {
                key: need if isinstance(need, tuple) else (need, _REQUIRED) for key, need in needs.items()
            }
            defaults = {
                key: parameters[key].default for key, (_, kind) in inputs.items() if kind is not _REQUIRED
            }
            return Node(
                last, type_, inspect.getdoc(fn) or "", call, input_types=inputs, namespace=space,
                tags={**tags, STEP: step, "cache.behavior": cache}, optional_values=defaults,
            )  # fmt: skip

        rows, load, cursor = f"{name}.rows", f"{name}.load", f"{name}.cursor"
        source = f"{fn.__module__}.{name}@{_code_version(fn)}"

        def read(**given: Any) -> Rows:
            if cursor in given:
                given["since"] = given.pop(cursor)
            return Rows(name, fn(**given))

        def land(**given: Any) -> LoadedTable:
            warehouse: Warehouse = given["warehouse"]
            return warehouse.load(
                given[rows], target, source=source, cursor=self.cursor, since=given.get(cursor)
            )

        def landed(**given: Any) -> ir.Table:
            return tables.table(given["warehouse"], target.schema, target.table)

        reads = {
            key: _dependency(hints, parameter) for key, parameter in parameters.items() if key != "since"
        }
        lands: dict[str, Any] = {"warehouse": Warehouse, rows: Rows}
        nodes = []
        if "since" in parameters:
            wanted = hints["since"]
            reads[cursor] = lands[cursor] = (Any, _REQUIRED)
            nodes.append(
                node(
                    "cursor", Any, lambda warehouse: _as_time(warehouse.cursor(target.name), wanted),
                    {"warehouse": Warehouse}, "cursor", "recompute",
                )
            )  # fmt: skip

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
    **landing: Unpack[Landing],
) -> Callable[[Extract], Extract]: ...
def resource(
    fn: Any = None, /, *, cursor: str | None = None, table: str | None = None, children: Sequence[str] = (),
    **landing: Unpack[Landing],
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
    decorate = _Resource(cursor, table, children, landing)
    return decorate if fn is None else decorate(fn)


def declared(fn: Callable[..., Any]) -> _Resource | None:
    """Return what `@resource` left on a function, if it did."""
    creators = getattr(fn, NodeCreator.get_lifecycle_name(), ())
    return next((creator for creator in creators if isinstance(creator, _Resource)), None)


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
