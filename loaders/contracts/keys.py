"""Resolve the columns that a definition names: key, merge key, order and deletion mark (pure).

A definition may name a column by its path in the record (`user.id`), by its identifier (`user__id`) or by the
key as the source writes it (`userId`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.errors import LoadError, UnknownColumn
from headrace.loaders.contracts.target import Target
from headrace.loaders.schema.evolve import TablePlan
from headrace.loaders.schema.known import Column, Table
from headrace.loaders.values.paths import find_key, parse_hint, snake_case


@dataclass(frozen=True, slots=True)
class Keys:
    """The columns of a root table by which a merge compares its rows.

    Attributes:
        primary: The columns that identify a record.
        merge: The columns whose values name the groups that a load replaces whole.
        dedup_sort: The column whose greatest value wins; None for the last record.
        hard_delete: The column that marks deleted records; None also where no record has ever had it.
    """

    primary: tuple[str, ...]
    merge: tuple[str, ...]
    dedup_sort: str | None
    hard_delete: str | None


def find_column(table: Table, name: str) -> Column | None:
    """Return the column that a definition names, variants aside; None where there is none."""
    columns = [column for column in table.columns if not column.variant]
    by_path = {column.path: column for column in columns}
    by_name = {column.name: column for column in columns}
    return by_path.get(parse_hint(name)) or by_name.get(name) or by_name.get(snake_case(name))


def resolve_keys(target: Target, root: TablePlan, rejected_keys: Sequence[str]) -> Keys:
    """Return the columns that a definition names, each checked to be there.

    Args:
        target: The definition.
        root: The plan of its root table.
        rejected_keys: The keys of a record that cannot land, for a message about a table without columns.

    Raises:
        UnknownColumn: The table has no such column.
        LoadError: The values of a key stand in several columns.
    """

    def column(name: str) -> str:
        found = find_column(root.table, name)
        if found is None:
            known = [one.name for one in root.table.columns if not one.variant]
            raise UnknownColumn(target.name, name, known or rejected_keys)
        return found.name

    primary = tuple(map(column, target.primary_key))
    if target.write_disposition == "merge":
        for name, found in zip(target.primary_key, primary, strict=True):
            _refuse_variants(target, root, name, found)
    return Keys(
        primary,
        tuple(map(column, target.merge_key)),
        column(target.dedup_sort) if target.dedup_sort else None,
        _deletion_mark(root.table, target.hard_delete),
    )


def is_misnamed(target: Target, rejected_keys: Sequence[str]) -> bool:
    """Tell whether a record without its key does not even have the key with a null."""
    first_steps = [name.split(".")[0].split("__")[0] for name in target.primary_key]
    return any(find_key(rejected_keys, step) is None for step in first_steps)


def _deletion_mark(table: Table, name: str | None) -> str | None:
    """Return the column that marks deleted records. Sources send it with those only, so it may be missing."""
    names = [column.name for column in table.columns if not column.variant]
    return None if name is None else find_key(names, snake_case(name))


def _refuse_variants(target: Target, root: TablePlan, name: str, found: str) -> None:
    column = root.table.column(found)
    spread = [
        one.name for one in root.table.at(column.path) if one.name != found and root.sources.get(one.name)
    ]
    if spread:
        full = f"{target.name}.{found}"
        raise LoadError(
            f"The key column {full!r} is {column.type}, and the records hold values that need "
            f"{', '.join(spread)} as well. Make them one type in the resource; or declare it, "
            f"columns={{{name!r}: 'VARCHAR'}}, and if it is there already: "
            f"`headrace schema retype {full} VARCHAR`."
        )
