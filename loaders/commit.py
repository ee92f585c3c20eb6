"""Commit one package in one transaction: all of a load is in the warehouse, or none of it.

The transaction holds the changes of schema, the rows of every table, what went to quarantine, the cursor
and the catalogue. A package that was committed already is recognised by its id and counts once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field, replace
from operator import add
from typing import TYPE_CHECKING

from headrace.errors import LoadError
from headrace.loaders.catalogue import lookup, quarantine, recording, tables
from headrace.loaders.catalogue.quarantine import SetAside
from headrace.loaders.catalogue.tables import Counts
from headrace.loaders.catalogue.upgrades import upgrade
from headrace.loaders.contracts.keys import Keys, is_misnamed, resolve_keys
from headrace.loaders.contracts.violations import remaining, requirements, violations, without
from headrace.loaders.database import quoting
from headrace.loaders.database.crash_points import crash_point
from headrace.loaders.database.queries import number
from headrace.loaders.database.shortage import as_shortage
from headrace.loaders.database.transaction import transaction
from headrace.loaders.packages.package import Package
from headrace.loaders.schema.evolve import Change, Misfits, Plan, TablePlan, plan, questions
from headrace.loaders.schema.known import RootSchema, Table
from headrace.loaders.sql import comments, merging, staging, upsert
from headrace.loaders.sql.merging import WINNERS, Merge
from headrace.loaders.sql.staging import Staged
from headrace.loaders.values.paths import RecordPath

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """A load that is in the warehouse.

    Attributes:
        load_id: Its number, as every row it wrote has it in `_hr_load_id`.
        schema: The schema of the warehouse.
        table: The root table.
        counts: The rows of the root table; children are not counted.
        rows: Rows written, by table name.
        changes: What changed in the schema.
        bytes: The size of the package's files.
        earlier: The numbers of the parts that were committed before, where a long load was cut.
    """

    load_id: int
    schema: str
    table: str
    counts: Counts
    rows: dict[str, int] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    bytes: int = 0
    earlier: tuple[int, ...] = ()

    def after(self, earlier: LoadedTable | None) -> LoadedTable:
        """Return this part and those before it as one load: its number, and the sum of what they wrote."""
        if earlier is None:
            return self
        rows = {
            table: earlier.rows.get(table, 0) + self.rows.get(table, 0) for table in earlier.rows | self.rows
        }
        return replace(
            self,
            counts=Counts(*map(add, astuple(earlier.counts), astuple(self.counts))),
            rows=rows,
            changes=(*earlier.changes, *self.changes),
            bytes=earlier.bytes + self.bytes,
            earlier=(*earlier.earlier, earlier.load_id),
        )


def commit(connection: duckdb.DuckDBPyConnection, package: Package) -> LoadedTable:
    """Put a sealed package into the warehouse, in one transaction.

    Raises:
        PackageDamaged: A file is not the one that was sealed.
        UnknownColumn: A key names a column that neither the package nor the table has.
        ContractViolation: The contract freezes what the package would change.
        LoadError: DuckDB refused, or the rows do not add up; nothing was written.
    """
    import duckdb

    package.verify()
    try:
        try:
            return _in_transaction(connection, package)
        except duckdb.OutOfMemoryException:
            with _one_thread(connection):  # which needs less
                return _in_transaction(connection, package)
    except duckdb.Error as error:
        told = as_shortage(package.target.name, package.folder.parents[1], error)
        raise told or LoadError(
            f"{package.target.name}: DuckDB refused, and nothing was written: {error}"
        ) from error


def _in_transaction(connection: duckdb.DuckDBPyConnection, package: Package) -> LoadedTable:
    with transaction(connection):
        crash_point("commit.begun")
        loaded = _commit(connection, package)
        crash_point("commit.recorded")
    crash_point("commit.committed")
    return loaded


@contextlib.contextmanager
def _one_thread(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    threads = number(connection, "SELECT current_setting('threads')")
    connection.execute("SET threads = 1")
    try:
        yield
    finally:
        connection.execute(f"SET threads = {threads}")


def _commit(connection: duckdb.DuckDBPyConnection, package: Package) -> LoadedTable:
    target = package.target
    upgrade(connection)
    done = lookup.find_load(connection, package.id)
    if done is not None:
        return LoadedTable(done, target.schema, target.table, Counts(package.records, 0, 0, package.records))
    before = lookup.read_schema(connection, target.schema, target.table)
    load_id = lookup.next_load(connection)
    planned, aside = _judged(connection, package, before, load_id)
    staged = {one.table.path: _staged(package, one, aside.table) for one in planned.tables}
    merge = _merge(package, planned, before, staged[()], load_id)
    crash_point("commit.planned")

    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoting.ident(target.schema)}")
    for change in planned.changes:
        connection.execute(staging.change_schema(target.schema, change))
        crash_point("commit.altered")
    _make_room(connection, package, staged, merge, _tables(before, planned))
    crash_point("commit.cleared")
    rows = {}
    for one in staged.values():
        rows[one.plan.table.name] = number(connection, _insert(package, one, staged, merge, load_id))
        crash_point("commit.rows")
    loaded = rows[planned.root.table.name]
    if merge is not None:
        loaded += number(connection, f"SELECT count(*) FROM {WINNERS} WHERE gone")
    for table in _temporary(connection):
        connection.execute(f"DROP TABLE temp.main.{quoting.ident(table)}")

    given = package.records - aside.records
    counts = Counts(package.records, loaded, aside.records, given - loaded if merge else 0)
    if not counts.balanced or given < loaded:
        raise LoadError(f"{target.name}: {counts} does not add up; nothing was written. Please report this.")
    if texts := comments.wanted(target, planned):
        have = comments.present(connection, target.schema)
        _run(connection, comments.statements(target.schema, texts, have))
    _run(connection, recording.record_columns(target.schema, target.table, planned, before, load_id))
    crash_point("commit.described")
    _run(connection, recording.record_load(package, planned, load_id, counts, aside.discarded))
    return LoadedTable(load_id, target.schema, target.table, counts, rows, planned.changes, package.bytes)


def _judged(
    connection: duckdb.DuckDBPyConnection, package: Package, before: RootSchema, load_id: int
) -> tuple[Plan, SetAside]:
    """Return the plan that the contract allows, and what it set aside.

    `plan` runs up to three times. The first plan says which file columns feed declared columns; DuckDB then
    finds the values that do not fit there, and the second plan gives these a variant column. If the contract
    forbids some of what the second plan adds, the third plan leaves it out.
    """
    target, observed, hints = package.target, package.observed, package.target.hints()
    planned = plan(target.table, before, observed, hints, naming=target.naming)
    staged = {one.table.path: _staged(package, one, None) for one in planned.tables}
    misfits: Misfits = frozenset(
        (table, fact.id)
        for table, fact, declared in questions(before, observed, hints)
        if _any(connection, staged[table], staging.misfit(fact.kind, declared, fact.id))
    )
    if misfits:
        planned = plan(target.table, before, observed, hints, misfits, target.naming)
    found = violations(target.contract, before, observed, planned, target.known()) + [
        one
        for one in requirements(target, observed)
        if one.lack and _any(connection, staged[one.table], quarantine.lacks(one.lack, staged))
    ]
    aside = quarantine.put_aside(connection, package, found, staged, load_id)
    if found:
        allowed, misfits = without(observed, found), remaining(misfits, found)
        planned = plan(target.table, before, allowed, hints, misfits, target.naming)
    return planned, aside


def _any(connection: duckdb.DuckDBPyConnection, staged: Staged, where: str) -> bool:
    return bool(number(connection, f"SELECT EXISTS (SELECT 1 FROM {staging.relation(staged)} WHERE {where})"))


def _staged(package: Package, one: TablePlan, left_out: str | None) -> Staged:
    path = one.table.path
    hashed = not path and package.target.strategy == "scd2"
    return Staged(one, package.files_of(path), hashed, left_out)


def _keys(package: Package, planned: Plan, before: RootSchema) -> Keys | None:
    """Return the columns of the definition, checked; None where there is nothing to check them against."""
    if not package.records and not (before.tables and before.tables[()].columns):
        return None  # nothing came, and nothing ever has
    rejected_keys = package.first_rejected_keys()
    if (
        package.records
        and package.records == package.rejected
        and not is_misnamed(package.target, rejected_keys)
    ):
        return None  # no record has its key: all of them are in quarantine
    return resolve_keys(package.target, planned.root, rejected_keys)


def _merge(package: Package, planned: Plan, before: RootSchema, root: Staged, load_id: int) -> Merge | None:
    """Return the merge; None for a load that is no merge, or has nothing to merge."""
    keys = _keys(package, planned, before)  # also of a load that is no merge: a wrong key is a mistake
    if keys is None or package.target.write_disposition != "merge":
        return None
    return Merge(
        schema=package.target.schema,
        tables=_tables(before, planned),
        root=root,
        key=keys.primary,
        merge_key=keys.merge,
        dedup_sort=keys.dedup_sort,
        hard_delete=keys.hard_delete,
        load_id=load_id,
        moment=tables.utc(package.started),
    )


def _make_room(
    connection: duckdb.DuckDBPyConnection,
    package: Package,
    staged: dict[RecordPath, Staged],
    merge: Merge | None,
    tables: Sequence[Table],
) -> None:
    """Choose what lands, and remove what gives way to it."""
    target = package.target
    if target.write_disposition == "replace":
        for table in tables:
            connection.execute(f"DELETE FROM {quoting.ident(target.schema, table.name)}")
    if merge is None:
        return
    for rekey in package.rekeys:
        if rekey.column in target.primary_key:
            column = merge.key[target.primary_key.index(rekey.column)]
            statements = merging.rekey(target.schema, tables, merge.key, column, rekey.old, rekey.new)
            _run(connection, statements)
    connection.execute(merging.choose_winners(merge))
    if target.merge_strategy == "upsert":
        _run(connection, upsert.make_room(merge, staged))
    else:
        _run(connection, merging.STRATEGIES[target.merge_strategy](merge))


def _insert(
    package: Package, one: Staged, staged: dict[RecordPath, Staged], merge: Merge | None, load_id: int
) -> str:
    is_root = one.plan.table.parent is None
    if merge is not None and is_root and package.target.merge_strategy == "upsert":
        return upsert.insert_root(merge, staged)
    return merging.insert_rows(merge, package.target.schema, one, load_id)


def _tables(before: RootSchema, planned: Plan) -> list[Table]:
    """Return every table of the root, the root first: those of this load and those it does not touch."""
    touched = {one.table.path: one.table for one in planned.tables}
    every = {**before.tables, **touched}
    return [every[()], *(table for path, table in every.items() if path)]


def _temporary(connection: duckdb.DuckDBPyConnection) -> list[str]:
    found = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE temporary AND starts_with(table_name, '_hr_')"
    )
    return [str(name) for (name,) in found.fetchall()]


def _run(connection: duckdb.DuckDBPyConnection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.execute(statement)
