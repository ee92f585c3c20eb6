"""Compare a package with its contract and return the violations (pure)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from headrace.loaders.contracts.contract import Contract
from headrace.loaders.contracts.target import Target
from headrace.loaders.schema.evolve import Misfits, Plan, TablePlan
from headrace.loaders.schema.known import RootSchema
from headrace.loaders.schema.observed import ObservedColumn, ObservedSchema, ObservedTable
from headrace.loaders.values.kinds import MENTIONS, NESTED
from headrace.loaders.values.paths import RecordPath, column_name, parse_hint


@dataclass(frozen=True, slots=True)
class MissingValue:
    """Which rows of a table lack a value: those with none in `values`, if they have some in `within`.

    Attributes:
        values: The file columns of which one has the value, or the JSON that it is part of.
        within: The file columns of which one shows that the dict around it is there; None if it must be.
        lists: The paths of the tables whose rows show that, too.
    """

    values: tuple[str, ...]
    within: tuple[str, ...] | None
    lists: tuple[RecordPath, ...]


@dataclass(frozen=True, slots=True)
class Violation:
    """Something in a package that its contract does not let in.

    Attributes:
        rule: `tables`, `columns`, `types` or `required`.
        mode: What the contract does about it.
        table: The path of the table.
        fact: The file column at fault; None for a whole table, or a value that is not there.
        declared: The declared type that only some of the column's values miss; "" where all are at fault.
        path: Where it stands in a record.
        reason: What is wrong, in a sentence.
        lack: Which rows are at fault, where it is a value that is not there.
    """

    rule: str
    mode: str
    table: RecordPath
    fact: ObservedColumn | None
    declared: str
    path: RecordPath
    reason: str
    lack: MissingValue | None = None


def violations(
    contract: Contract,
    before: RootSchema,
    observed: ObservedSchema,
    planned: Plan,
    hinted: frozenset[RecordPath],
) -> list[Violation]:
    """Return what the contract does not let in.

    Args:
        contract: The contract.
        before: What is there.
        observed: What the package holds.
        planned: What would become of it if everything were let in.
        hinted: The declared paths, from the record's root.
    """
    found: list[Violation] = []
    if contract.evolves:
        return found
    plans = {one.table.path: one for one in planned.tables}
    for table in observed.tables.values():
        known = table.path in before.tables or any(path[: len(table.path)] == table.path for path in hinted)
        if not known and contract.tables != "evolve" and (table.path or contract.tables == "freeze"):
            reason = f"the table {plans[table.path].table.name!r} is new"
            found.append(Violation("tables", contract.tables, table.path, None, "", table.path, reason))
            continue
        found.extend(_in_table(contract, before, table, plans[table.path], hinted))
    return found


def requirements(target: Target, observed: ObservedSchema) -> list[Violation]:
    """Return what would be wrong at each path that needs a value, if a row lacked it: the files tell.

    Only declared columns are asked for: of a list, or a dict, nothing tells that it is there and empty.
    """
    if target.contract.types == "evolve":
        return []
    declared, required = target.known(), [parse_hint(path) for path in target.required]
    found = []
    for path in required:
        at = max((end for end, step in enumerate(path, 1) if step is None), default=0)
        table = observed.tables.get(path[:at])
        if table is None or path not in declared:
            continue
        dicts = (path[at:end] for end in range(len(path) - 1, at, -1) if path[:end] not in required)
        lack = _lack(observed, table, path[at:], next(dicts, None))
        reason = "a value is required, and there is none"
        found.append(Violation("required", target.contract.types, table.path, None, "", path, reason, lack))
    return found


def _lack(
    observed: ObservedSchema, table: ObservedTable, path: RecordPath, around: RecordPath | None
) -> MissingValue:
    held = [fact for fact in table.observed.values() if fact.id and fact.kind not in MENTIONS]
    values = tuple(
        fact.id
        for fact in held
        if fact.path == path or (fact.kind == "json" and fact.path == path[: len(fact.path)])
    )
    if around is None:
        return MissingValue(values, None, ())
    within = tuple(fact.id for fact in held if fact.path[: len(around)] == around != fact.path)
    above = (*table.path, *around)
    lists = [one.path for one in observed.tables.values() if one.parent == table.path]
    return MissingValue(values, within, tuple(one for one in lists if one[: len(above)] == above))


def without(observed: ObservedSchema, found: list[Violation]) -> ObservedSchema:
    """Return the facts as if what was found were not there: tables with all below them, and columns."""
    tables = [violation.table for violation in found if violation.fact is None and violation.lack is None]
    columns = {
        (violation.table, violation.fact)
        for violation in found
        if violation.fact is not None and not violation.declared
    }
    return ObservedSchema(
        {
            path: replace(
                table,
                observed={key: fact for key, fact in table.observed.items() if (path, fact) not in columns},
            )
            for path, table in observed.tables.items()
            if not any(path[: len(gone)] == gone for gone in tables)
        }
    )


def remaining(misfits: Misfits, found: list[Violation]) -> Misfits:
    """Return the misfits that the contract lets into variant columns."""
    settled = {(one.table, one.fact.id) for one in found if one.fact is not None and one.declared}
    return frozenset(misfits - settled)


def _in_table(
    contract: Contract,
    before: RootSchema,
    table: ObservedTable,
    planned: TablePlan,
    hinted: frozenset[RecordPath],
) -> Iterator[Violation]:
    have = before.tables.get(table.path)
    for fact in table.observed.values():
        path = (*table.path, *fact.path)
        is_known = path in hinted or (have is not None and bool(have.at(fact.path)))
        if not is_known and contract.columns != "evolve" and (have is not None or contract.closed):
            if fact.kind not in (*MENTIONS, NESTED):
                reason = f"the column {_name(planned, fact)!r} is new"
                yield Violation("columns", contract.columns, table.path, fact, "", path, reason)
        elif is_known and contract.types != "evolve" and fact.id and fact.kind not in MENTIONS:
            yield from _in_column(contract, before, table.path, fact, planned)


def _name(planned: TablePlan, fact: ObservedColumn) -> str:
    columns = planned.table.at(fact.path)
    return columns[0].name if columns else column_name(fact.path)  # no column where lists or dicts are


def _in_column(
    contract: Contract, before: RootSchema, table: RecordPath, fact: ObservedColumn, planned: TablePlan
) -> Iterator[Violation]:
    """Yield what a file column does beyond filling the plain column of its path as that was."""
    main = planned.table.at(fact.path)[0]
    have = before.tables.get(table)
    old = have.at(fact.path) if have is not None else []
    widened = bool(old) and bool(old[0].kinds) and old[0].type != main.type
    path = (*table, *fact.path)
    for column, sources in planned.sources.items():
        for source in sources:
            if source.id != fact.id:
                continue
            was = old[0].type if widened else main.type
            reason = f"{main.name!r} is {was}, and the value is {fact.kind.removeprefix('iso_')}"
            if column != main.name and source.take != "fit":
                declared = source.declared if source.take == "misfit" else ""
                yield Violation("types", contract.types, table, fact, declared, path, reason)
            elif column == main.name and widened and fact.kind not in old[0].kinds:
                yield Violation("types", contract.types, table, fact, "", path, reason)
