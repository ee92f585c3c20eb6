"""Set records aside: keep them whole, with the place, the rule and the reason.

They are rows of `_headrace.quarantine`, written in the transaction of their load, and can be replayed once
the contract or the code has changed.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.errors import ContractViolation
from headrace.loaders.catalogue.tables import QUARANTINE, TABLES, insert
from headrace.loaders.contracts.violations import MissingValue, Violation
from headrace.loaders.database.queries import number
from headrace.loaders.database.quoting import ident, literal
from headrace.loaders.packages.package import RAW, REJECTED, Package
from headrace.loaders.sql.staging import Staged, json_lines, misfit, relation
from headrace.loaders.values.kinds import decode
from headrace.loaders.values.paths import RecordPath, show

if TYPE_CHECKING:
    import duckdb


_BAD = "temp.main._hr_bad"
_REJECTED_TYPES = {
    "record": "BIGINT", "path": "VARCHAR", "rule": "VARCHAR", "reason": "VARCHAR", "raw": "VARCHAR",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SetAside:
    """What of a package does not land.

    Attributes:
        records: How many records went to quarantine.
        discarded: How many values were left out.
        table: A temporary table with the ordinals `i` of the records that the contract put aside.
    """

    records: int
    discarded: int
    table: str | None


def put_aside(
    connection: duckdb.DuckDBPyConnection,
    package: Package,
    found: Sequence[Violation],
    staged: dict[RecordPath, Staged],
    load_id: int,
) -> SetAside:
    """Write what does not land into quarantine, and count what is discarded.

    Raises:
        ContractViolation: Something that the contract freezes is in the package.
    """
    for violation in found:
        if violation.mode == "freeze":
            _refuse(connection, package, violation, staged)
    rejected = _keep_rejected(connection, package, load_id)
    kept = [violation for violation in found if violation.mode == "quarantine"]
    discarded = sum(
        number(connection, f"SELECT count(*) FROM {_offending(violation, staged)}")
        for violation in found
        if violation.mode == "discard_value"
    )
    if not kept:
        return SetAside(rejected, discarded, None)
    return SetAside(rejected + _keep_violating(connection, package, kept, staged, load_id), discarded, _BAD)


def lacks(lack: MissingValue, staged: dict[RecordPath, Staged]) -> str:
    """Return the condition under which a row lacks a value that it needs."""
    missing = f"NOT ({_any_of(lack.values)})"
    if lack.within is None:
        return missing
    lists = [f"i IN (SELECT p FROM {relation(staged[path])})" for path in lack.lists]
    return f"{missing} AND ({' OR '.join([_any_of(lack.within), *lists])})"


def _any_of(columns: Sequence[str]) -> str:
    return " OR ".join(f"{ident(column)} IS NOT NULL" for column in columns) or "false"


def _offending(violation: Violation, staged: dict[RecordPath, Staged]) -> str:
    """Return a relation of the rows at fault: the record's ordinal `i` and the value."""
    one = staged[violation.table]
    record = "i" if one.plan.table.parent is None else "r"
    if violation.lack is not None:
        where = lacks(violation.lack, staged)
        return f"(SELECT {record} AS i, NULL AS value FROM {relation(one)} WHERE {where})"
    if violation.fact is None:
        return f"(SELECT {record} AS i, NULL AS value FROM {relation(one)})"
    fact = violation.fact
    if not fact.id:  # only ever null: no row is at fault
        return "(SELECT CAST(NULL AS BIGINT) AS i, NULL AS value WHERE false)"
    at_fault = f"{ident(fact.id)} IS NOT NULL"
    if violation.declared:
        at_fault = misfit(fact.kind, violation.declared, fact.id)
    value = f"CAST({decode(fact.kind, ident(fact.id))} AS VARCHAR) AS value"
    return f"(SELECT {record} AS i, {value} FROM {relation(one)} WHERE {at_fault})"


def _refuse(
    connection: duckdb.DuckDBPyConnection,
    package: Package,
    violation: Violation,
    staged: dict[RecordPath, Staged],
) -> None:
    first = connection.execute(
        f"SELECT i, value FROM {_offending(violation, staged)} ORDER BY i LIMIT 1"
    ).fetchone()
    if first is None:
        return
    record, value = first
    shown = "" if value is None else f" {str(value)[:80]!r}"
    place = show(violation.path).removeprefix("$")
    frozen = "types" if violation.lack else violation.rule
    raise ContractViolation(
        f"{package.target.name}: {violation.reason}{shown} - at `$[{record}]{place}`. The contract freezes "
        f"{frozen}: allow it with Contract({frozen}='evolve'), keep such records aside with "
        "'quarantine', or mend the resource. Nothing was written."
    )


def _keep_rejected(connection: duckdb.DuckDBPyConnection, package: Package, load_id: int) -> int:
    files = package.files_of(REJECTED)
    if not files:
        return 0
    target = package.target
    return number(
        connection,
        f"INSERT INTO {QUARANTINE} ({', '.join(TABLES['quarantine'])}) "
        f"SELECT {load_id}, {literal(target.schema)}, {literal(target.table)}, "
        f"record, path, rule, reason, raw, NULL FROM {json_lines(files, _REJECTED_TYPES)}",
    )


def _keep_violating(
    connection: duckdb.DuckDBPyConnection,
    package: Package,
    kept: Sequence[Violation],
    staged: dict[RecordPath, Staged],
    load_id: int,
) -> int:
    """Keep each record once, with the first rule that it broke."""
    parts = [f"SELECT i, {at} AS broke FROM {_offending(one, staged)}" for at, one in enumerate(kept)]
    already = "(SELECT record FROM _headrace.quarantine WHERE load_id = " + str(load_id) + ")"
    connection.execute(
        f"CREATE TEMP TABLE {_BAD} AS SELECT i, min(broke) AS broke FROM ({' UNION ALL '.join(parts)}) "
        f"WHERE i NOT IN {already} GROUP BY i"
    )
    broke = dict(connection.execute(f"SELECT i, broke FROM {_BAD}").fetchall())
    target = package.target
    with package.files_of(RAW)[0].path.open("rb") as lines:
        rows = (
            [load_id, target.schema, target.table, ordinal, show(kept[broke[ordinal]].path),
             kept[broke[ordinal]].rule, kept[broke[ordinal]].reason, line.decode().rstrip("\n"), None]
            for ordinal, line in enumerate(lines) if ordinal in broke
        )  # fmt: skip
        while batch := list(itertools.islice(rows, 500)):
            connection.execute(insert("quarantine", batch))
    return len(broke)
