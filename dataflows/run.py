"""Run a flow: build the DAG, load every resource, keep every transform as a table."""

from __future__ import annotations

import contextlib
import logging
import threading
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import ibis.expr.types as ir
from hamilton import driver
from hamilton.driver import Driver, Variable
from hamilton.htypes import check_input_type

from headrace.dataflows import tables
from headrace.dataflows.checks import DefinitionChecks
from headrace.dataflows.failures import named
from headrace.dataflows.flows import find_flow
from headrace.dataflows.nodes import STEP
from headrace.dataflows.notify import subscribers
from headrace.dataflows.overlap import OverlappedLoads, settled
from headrace.dataflows.progress import Progress
from headrace.errors import UsageError, did_you_mean
from headrace.loaders.commit import LoadedTable
from headrace.loaders.contracts.contract import Contract, Mode
from headrace.loaders.contracts.models import without_none
from headrace.loaders.loading import RunSettings, Subscriber
from headrace.loaders.values.paths import snake_case
from headrace.loaders.warehouse import Warehouse, connect
from headrace.masking import learn, mask_error, masked


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run did. A context manager that closes the warehouse.

    Attributes:
        warehouse: The open warehouse.
        loads: The load of each resource, by its name.
        tables: The table of each resource and transform, by its name, as an Ibis expression.
    """

    warehouse: Warehouse
    loads: dict[str, LoadedTable]
    tables: dict[str, ir.Table]

    def __repr__(self) -> str:
        loads = ", ".join(f"{name}: {done.counts.loaded:,} rows" for name, done in self.loads.items())
        return f"RunResult({self.warehouse!r}, {loads or 'no loads'}, tables: {', '.join(self.tables)})"

    def __getitem__(self, name: str) -> ir.Table:
        return self.tables[name]

    def __enter__(self) -> RunResult:
        return self

    def __exit__(self, *_: object) -> None:
        self.warehouse.close()


Flow = str | ModuleType | Sequence[ModuleType]
"""A flow's name, a module with resources and transforms, or several."""


def build(flow: Flow, config: Mapping[str, Any] | None = None) -> Driver:
    """Return the Hamilton driver of a flow, its definitions checked.

    Raises:
        UsageError: There is no such flow, or a definition in it cannot work.
    """
    return _build(_modules(flow), config or {}, OverlappedLoads(1))


def _build(
    modules: Sequence[ModuleType], config: Mapping[str, Any], loads: OverlappedLoads
) -> Driver:  # fmt: skip
    builder = driver.Builder().with_modules(*modules).with_adapters(DefinitionChecks(), loads)
    with _quiet_hamilton():
        return builder.with_config(dict(config)).build()


def run(
    flow: Flow, *, into: str | Path | Warehouse, inputs: Mapping[str, Any] | None = None,
    outputs: Sequence[str] | None = None, contract: Contract | Mode | None = None,
    on_schema_change: Subscriber | str | Sequence[Subscriber | str] | None = None, progress: bool = True,
    wait: float = 0, full: bool = False, workers: int = 8,
) -> RunResult:  # fmt: skip
    """Load every resource of a flow and write every transform as a table beside them.

    Tables land in a schema named after the flow's first module. Transforms are the nodes that return an
    Ibis table; each takes the place of its older version at once.

    Args:
        flow: A module or several; or the name of a bundled flow, a file or a module.
        into: A path, a URL or an open warehouse.
        inputs: What the functions ask for and no node gives, by parameter name.
        outputs: The nodes to compute; default all. What they depend on is loaded too.
        contract: What the tables may become, in the place of the resources' own contracts; a mode as
            text stands for all three rules.
        on_schema_change: Functions or URLs (a webhook, Slack's incoming webhook) to tell, after the commit,
            of each load that changed a schema.
        progress: Whether to tell on standard error how far each resource is.
        wait: For how many seconds to wait while another process has the warehouse open.
        full: Whether to read every source from its beginning, whatever its cursor; that moves as usual.
        workers: How many resources are read at a time; 1 reads them one after the other.

    Raises:
        UsageError: A definition, an input or an output is wrong; nothing was read.
        SourceError: A source failed; the loads that did not are in the warehouse.
        FlowError: A transform raised, or its table cannot be computed; likewise.
        WarehouseLocked: Another process has the warehouse open; nothing was read.

    >>> from types import ModuleType
    >>> run(ModuleType("empty"), into=":memory:")
    Traceback (most recent call last):
    headrace.errors.UsageError: There is nothing to run in 'empty': no @resource, and no function that...
    """
    learn(inputs or {})
    modules = _modules(flow)
    loads = OverlappedLoads(workers)
    graph = _build(modules, {}, loads)
    variables = {variable.name: variable for variable in graph.list_available_variables()}
    wanted = _wanted(graph, variables, outputs)
    if not wanted:
        raise UsageError(
            f"There is nothing to run in {modules[0].__name__!r}: no @resource, and no function that returns "
            "an ibis Table."
        )
    opened = into if isinstance(into, Warehouse) else connect(into, report=Progress() if progress else None)
    if isinstance(contract, str):
        contract = Contract.of(contract)
    usual = opened.settings
    warehouse = opened.with_settings(
        RunSettings(
            report=loads.stoppable(usual.report),
            subscribers=(*usual.subscribers, *subscribers(on_schema_change)),
            contract=contract or usual.contract,
            wait=wait or usual.wait,
            full=full,
        )
    )
    given = {**(inputs or {}), "warehouse": warehouse}
    _check_inputs(graph, variables, wanted, given)
    schema = snake_case(modules[0].__name__.rpartition(".")[2])
    try:
        with _quiet_hamilton(), loads.supervised():
            _ = warehouse.connection  # the lock comes before any extraction, and nodes run in any order
            results = {name: settled(value) for name, value in graph.execute(wanted, inputs=given).items()}
            found = {
                name: _kept(warehouse, schema, name, results[name], variables[name].tags)
                for name in wanted
                if isinstance(results[name], ir.Table)
            }
    except BaseException as error:
        if opened is not into:
            # Nobody else can close it now, and a load that is being stopped must not open it again.
            opened.database.close(for_good=True)
        if not mask_error(error):  # its class makes the message, and nobody can change it
            raise RuntimeError(f"{type(error).__name__}: {masked(str(error))}") from None
        raise
    done = {name: value for name, value in results.items() if isinstance(value, LoadedTable)}
    return RunResult(opened, {name.rpartition(".")[0]: load for name, load in done.items()}, found)


def _kept(warehouse: Warehouse, schema: str, name: str, table: ir.Table, tags: Mapping[str, Any]) -> ir.Table:
    """Return a table of the warehouse: a resource's own, or the one that a transform is written to."""
    if STEP in tags:
        return table
    with named(name):
        tables.write(warehouse, schema, name, table)
    return tables.table(warehouse, schema, name)


@contextlib.contextmanager
def _quiet_hamilton() -> Iterator[None]:
    """Keep Hamilton from logging the traceback of an error that is raised as well."""
    logger = logging.getLogger("hamilton")
    with _guard:
        _levels.append(_levels[0] if _levels else logger.level)
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        with _guard:
            level = _levels.pop()
            if not _levels:
                logger.setLevel(level)


_guard = threading.Lock()
_levels: list[int] = []
"""For each run under way, in whichever thread, the level that Hamilton's logger had before the first."""


def parse_inputs(flow: Flow, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return inputs given as text, on a command line, in the types that the flow's functions ask for.

    A list is written with commas.

    Raises:
        UsageError: A text is not of the type that is asked for, or no text can be.
    """
    learn(texts)
    types = {variable.name: variable.type for variable in build(flow).list_available_variables()}
    return {name: _parsed(name, text, types.get(name)) for name, text in texts.items()}


_READERS: dict[Any, Callable[[str], Any]] = {
    int: int, float: float, bool: {"true": True, "false": False}.__getitem__, Path: Path, Decimal: Decimal,
    date: date.fromisoformat, datetime: datetime.fromisoformat, list: lambda text: text.split(","),
}  # fmt: skip


def _parsed(name: str, text: str, type_: Any) -> Any:
    type_ = without_none(type_)
    try:
        if typing.get_origin(type_) in (list, Sequence):
            read = _READERS.get(typing.get_args(type_)[0], str)
            return [read(item) for item in text.split(",")]
        return _READERS.get(type_, str)(text)
    except (ValueError, KeyError, ArithmeticError):
        raise UsageError(f"--{name.replace('_', '-')} takes {_shown(type_)}, not {text!r}.") from None


def _shown(type_: Any) -> str:
    """Return a type as it is written; Python 3.10 has another name for one that may be None."""
    options = typing.get_args(type_)
    if type(None) in options:
        return " | ".join([*(_shown(option) for option in options if option is not type(None)), "None"])
    return type_.__name__ if isinstance(type_, type) and not typing.get_args(type_) else str(type_)


def _modules(flow: Flow) -> list[ModuleType]:
    if isinstance(flow, str):
        return find_flow(flow)
    return [flow] if isinstance(flow, ModuleType) else list(flow)


def _wanted(graph: Driver, variables: Mapping[str, Variable], outputs: Sequence[str] | None) -> list[str]:
    """Return the nodes to compute: every load and table, or the outputs and the loads they are made of."""
    if outputs is None:
        return [
            *_in_order(graph, [name for name in variables if variables[name].tags.get(STEP) == "load"]),
            *(
                name for name, variable in variables.items()
                if _is_table(variable) and not variable.is_external_input
            ),
        ]  # fmt: skip
    for name in outputs:
        if name not in variables or variables[name].is_external_input:
            raise UsageError(f"The flow has no output {name!r}; {did_you_mean(name, variables)}")
    upstream = graph.what_is_upstream_of(*outputs)
    loads = [variable.name for variable in upstream if variable.tags.get(STEP) == "load"]
    return [*_in_order(graph, [name for name in loads if name not in outputs]), *outputs]


def _in_order(graph: Driver, loads: Sequence[str]) -> list[str]:
    """Return the loads with those first that need no other, so that these need not wait for their turn."""

    def needed(load: str) -> int:
        return sum(other.name in loads for other in graph.what_is_upstream_of(load))

    return sorted(loads, key=needed)


def _is_table(variable: Variable) -> bool:
    return isinstance(variable.type, type) and issubclass(variable.type, ir.Table)


def _check_inputs(
    graph: Driver, variables: Mapping[str, Variable], wanted: Sequence[str], given: Mapping[str, Any]
) -> None:
    """Refuse missing and misspelt inputs by name, before anything is opened."""
    external = {name for name, variable in variables.items() if variable.is_external_input}
    unknown = [name for name in given if name not in external and name != "warehouse"]
    if unknown:
        raise UsageError(
            f"The flow takes no input {unknown[0]!r}; {did_you_mean(unknown[0], external - {'warehouse'})}"
        )
    for name, value in given.items():
        if value is not None and not check_input_type(variables[name].type, value):
            raise UsageError(f"The input {name!r} must be {_shown(variables[name].type)}, not {value!r}.")
    needed = {variable.name for variable in graph.what_is_upstream_of(*wanted) if variable.is_external_input}
    optional = graph.graph.get_nodes()
    required = {
        name for node in optional for name, (_, kind) in node.input_types.items() if kind.name == "REQUIRED"
    }
    missing = sorted(name for name in needed & required if name not in given)
    for name in missing:
        parent = next((found for found in variables if name.startswith(f"{found}__")), None)
        if parent is not None:
            raise UsageError(
                f"{name!r} is no node. If it is a child table of {parent!r}, say so there: "
                f"@resource(children=({name.removeprefix(f'{parent}__')!r},))."
            )
    if missing:
        raise UsageError(
            f"The flow needs the input{'s' if len(missing) > 1 else ''} {', '.join(missing)}: "
            f"inputs={{{missing[0]!r}: …}}, or --{missing[0].replace('_', '-')} on the command line."
        )
