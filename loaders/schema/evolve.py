"""Plan what must change in the warehouse so that a package fits, and which value goes where.

Pure: a schema and a package's facts in, a plan out. Nothing here narrows, drops or renames. A value goes
into the column of its path if that column can hold it unchanged, widened if need be; else into a variant
column beside it. Which kinds get together does not depend on the order in which they came.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from headrace.loaders.schema.known import Column, RootSchema, Table
from headrace.loaders.schema.observed import ObservedColumn, ObservedSchema, ObservedTable
from headrace.loaders.values.casts import fits
from headrace.loaders.values.kinds import CLEAR, MENTIONS, NESTED, NULL, STRINGS, accepts, rank, spec
from headrace.loaders.values.paths import RESERVED, RecordPath, column_name, distinct, table_name


@dataclass(frozen=True, slots=True)
class CreateTable:
    """A table that is new, with its columns."""

    table: Table


@dataclass(frozen=True, slots=True)
class AddColumn:
    """A column that is new in a table that exists."""

    table: str
    column: Column


@dataclass(frozen=True, slots=True)
class WidenColumn:
    """A column whose type must hold more; `fresh` if it has held nothing but nulls."""

    table: str
    column: Column
    old_type: str
    fresh: bool


Change = CreateTable | AddColumn | WidenColumn

Misfits = frozenset[tuple[RecordPath, str]]
"""File columns, by table and name, with a value that is not the same value in its declared type."""


@dataclass(frozen=True, slots=True)
class FileColumn:
    """A file column that feeds a column of a table.

    Attributes:
        id: Its name in the files.
        kind: The kind of its values.
        take: `all` of its values; those that `fit` the declared type; or the `misfit` ones.
        declared: The declared type of the path's column, where it matters.
    """

    id: str
    kind: str
    take: str = "all"
    declared: str = ""


@dataclass(frozen=True, slots=True)
class TablePlan:
    """How one table of a package lands.

    Attributes:
        table: The table as it will be.
        sources: For each column that gets values, the file columns that hold them.
        file_columns: The kind of every column that the files may have, by its name there.
        cleared: The file columns that say that a null or an empty list was given, with their paths.
    """

    table: Table
    sources: dict[str, tuple[FileColumn, ...]]
    file_columns: dict[str, str]
    cleared: tuple[tuple[RecordPath, str], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a commit will do to the schema, and where the rows go; printable before it is done."""

    changes: tuple[Change, ...]
    tables: tuple[TablePlan, ...]

    @property
    def root(self) -> TablePlan:
        return self.tables[0]


def plan(
    root: str,
    schema: RootSchema,
    observed: ObservedSchema,
    hints: dict[RecordPath, str],
    misfits: Misfits = frozenset(),
    naming: str = "snake_case",
) -> Plan:
    """Return the plan that lets a package with these facts into the tables below `root`.

    Args:
        root: The root table's name.
        schema: What is there.
        observed: What the package holds.
        hints: Declared types, by path from the record's root.
        misfits: File columns with values that their declared column does not take.
        naming: How keys become names; see `names.NAMINGS`.
    """
    changes: list[Change] = []
    plans: dict[RecordPath, TablePlan] = {}
    nested, every = schema.nested(), _with_hinted_tables(observed, hints).tables
    names = _table_names(root, schema, every, naming)
    for found in every.values():
        parent = None if found.parent is None else names[found.parent]
        have = schema.tables.get(found.path)
        hinted = _hints_of(found.path, hints)
        refused = {name for table, name in misfits if table == found.path}
        old = have or Table(names[found.path], found.path, parent)
        wanted = _by_path(found, hinted, nested)
        want, sources = _columns(old, wanted, hinted, refused, naming, found.first_place)
        changes.extend([CreateTable(want)] if have is None else _diff(have, want))
        cleared = tuple((fact.path, fact.id) for fact in found.observed.values() if fact.kind in MENTIONS)
        plans[found.path] = TablePlan(want, sources, found.file_columns(), cleared)
    return Plan(tuple(changes), tuple(plans.values()))


def _table_names(
    root: str, schema: RootSchema, paths: Iterable[RecordPath], naming: str
) -> dict[RecordPath, str]:
    names = {path: table.name for path, table in schema.tables.items()}
    taken = set(schema.taken)
    for path in (path for path in paths if path not in names):
        names[path] = distinct(table_name(root, path, naming), taken if path else ())
        taken.add(names[path].lower())
    return names


def questions(
    schema: RootSchema, observed: ObservedSchema, hints: dict[RecordPath, str]
) -> list[tuple[RecordPath, ObservedColumn, str]]:
    """Return the file columns that may fit a declared type, with the type: their values tell."""
    asked = []
    for found in observed.tables.values():
        table = schema.tables.get(found.path)
        hinted = _hints_of(found.path, hints)
        for fact in found.observed.values():
            slots = table.at(fact.path) if table else []
            declared = slots[0].declared if slots else hinted.get(fact.path)
            if declared and _may_fit(fact.kind, declared):
                asked.append((found.path, fact, declared))
    return asked


def _may_fit(kind: str, declared: str) -> bool:
    if kind in (NULL, NESTED, *MENTIONS) or accepts(declared, frozenset(), kind):
        return False
    return fits(kind, declared, "x") != "false"


def describe(change: Change) -> str:
    """Return a change in one line.

    >>> describe(AddColumn("users", Column("age", ("age",), frozenset({"int"}))))
    'add column users.age BIGINT'
    """
    if isinstance(change, CreateTable):
        count = len(change.table.columns)
        return f"create table {change.table.name}, {count} column{'' if count == 1 else 's'}"
    if isinstance(change, AddColumn):
        return f"add column {change.table}.{change.column.name} {change.column.type}"
    return f"widen column {change.table}.{change.column.name} from {change.old_type} to {change.column.type}"


def _columns(
    table: Table,
    paths: dict[RecordPath, dict[str, str]],
    hints: dict[RecordPath, str],
    refused: Collection[str],
    naming: str,
    came: Callable[[RecordPath], float],
) -> tuple[Table, dict[str, tuple[FileColumn, ...]]]:
    """Return the table with room for everything found, and which file columns feed which column."""
    columns = {column.name: column for column in table.columns}
    taken = {name.lower() for name in columns} | set(RESERVED)
    # Of two paths that wish for one name, the one that came first gets it.
    names: dict[RecordPath, str] = {}
    for path in sorted((path for path in paths if not table.at(path)), key=came):
        wished = column_name(path, naming)
        names[path] = wished if path[:1] == (None,) else distinct(wished, taken)
        taken.add(names[path].lower())
    sources: dict[str, list[FileColumn]] = {}
    for path, observed in paths.items():
        slots = table.at(path) or [Column(names[path], path, frozenset(), hints.get(path))]
        for at, source in _placed(slots, observed, taken, refused):
            sources.setdefault(slots[at].name, []).append(source)
        columns.update((slot.name, slot) for slot in slots)
    return replace(table, columns=tuple(columns.values())), {
        name: tuple(feeding) for name, feeding in sources.items()
    }


def _placed(
    slots: list[Column], observed: dict[str, str], taken: set[str], refused: Collection[str]
) -> list[tuple[int, FileColumn]]:
    """Give every kind a slot, growing `slots` where none fits; return which slot gets what."""
    placed: list[tuple[int, FileColumn]] = []
    declared = slots[0].declared
    for kind, stands_for in sorted(
        _standing(slots, observed).items(), key=lambda pair: (rank(pair[1]), pair[0])
    ):
        take = "all"
        if declared and _may_fit(stands_for, declared):
            placed.append((0, FileColumn(observed[kind], kind, "fit", declared)))
            if observed[kind] not in refused:
                continue
            take = "misfit"
        at = _slot_for(slots, stands_for)
        if at is None:
            name = distinct(f"{slots[0].name}__v_{spec(stands_for).suffix}", taken)
            taken.add(name.lower())
            slots.append(Column(name, slots[0].path, frozenset(), variant=True))
            at = len(slots) - 1
        slots[at] = replace(slots[at], kinds=slots[at].kinds | {stands_for})
        placed.append((at, FileColumn(observed[kind], kind, take, declared or "")))
    return placed


def _standing(slots: list[Column], kinds: Collection[str]) -> dict[str, str]:
    """Return each kind with the one that it stands for beside the others.

    Strings that find no column of their sort stay together: all one sort of time, or all text. Whole numbers
    beside fractions are fractions: JSON does not tell 3 from 3.0.
    """
    settled = [slot for slot in slots if slot.kinds or slot.declared]
    homeless = [kind for kind in kinds if kind in STRINGS and _slot_for(settled, kind) is None]
    standing = {kind: kind for kind in kinds}
    if len(homeless) > 1 or _slot_for(settled, "text") is not None:
        standing.update(dict.fromkeys(homeless, "text"))
    if "int" in kinds and "double" in kinds:
        standing["int"] = "double"
    return standing


def _slot_for(slots: list[Column], kind: str) -> int | None:
    fits = (at for at, slot in enumerate(slots) if accepts(slot.declared, slot.kinds, kind))
    return next(fits, None)


def _by_path(
    found: ObservedTable, hints: dict[RecordPath, str], nested: Collection[RecordPath]
) -> dict[RecordPath, dict[str, str]]:
    """Return the file columns of each path by kind; hinted paths come first, found or not.

    A path that is only ever null gets a column too, unless it is where dicts or lists are.
    """
    paths: dict[RecordPath, dict[str, str]] = {path: {} for path in hints}
    for fact in found.observed.values():
        is_nested = (fact.path, NESTED) in found.observed or (*found.path, *fact.path) in nested
        if fact.kind in (NULL, CLEAR) and not is_nested:
            paths.setdefault(fact.path, {})
        elif fact.kind not in (NULL, NESTED, *MENTIONS):
            paths.setdefault(fact.path, {})[fact.kind] = fact.id
    return paths


def _hints_of(table: RecordPath, hints: dict[RecordPath, str]) -> dict[RecordPath, str]:
    """Return the hints for the columns of one table, by their path within it."""
    return {path[len(table) :]: type_ for path, type_ in hints.items() if _table_of(path) == table}


def _table_of(path: RecordPath) -> RecordPath:
    """Return the path of the table in which a value at `path` lands: up to its last step into a list."""
    if path[:1] == (None,):
        return ()
    after_last_list = max((at + 1 for at, step in enumerate(path) if step is None), default=0)
    return path[:after_last_list]


def _with_hinted_tables(observed: ObservedSchema, hints: dict[RecordPath, str]) -> ObservedSchema:
    """Return the facts with a table, empty if need be, for every hinted path."""
    tables = dict(observed.tables)
    for path in hints:
        table = _table_of(path)
        parents = [table[: at + 1] for at, step in enumerate(table) if step is None]
        for parent, child in zip([(), *parents], parents, strict=False):
            tables.setdefault(child, ObservedTable(child, parent))
    return ObservedSchema(tables)


def _diff(have: Table, want: Table) -> Iterable[Change]:
    known = {column.name: column for column in have.columns}
    for column in want.columns:
        old = known.get(column.name)
        if old is None:
            yield AddColumn(want.name, column)
        elif old.type != column.type:
            yield WidenColumn(want.name, column, old.type, fresh=not old.kinds)
