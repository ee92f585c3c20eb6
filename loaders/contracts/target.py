"""Declare where a stream of records lands, and how."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from typing import Any, Literal, TypedDict, cast, get_args

from headrace.errors import UsageError, did_you_mean
from headrace.loaders.contracts.contract import HELD_TO, MODES, Contract, Mode
from headrace.loaders.contracts.models import is_model, model_columns, model_required
from headrace.loaders.schema.known import VERSIONED
from headrace.loaders.values.kinds import TYPED_BY_NAME
from headrace.loaders.values.paths import NAMINGS, Naming, RecordPath, parse_hint, snake_case

Disposition = Literal["append", "replace", "merge"]
DISPOSITIONS = get_args(Disposition)
_MERGING = ("merge_strategy", "merge_key", "dedup_sort", "hard_delete")
Strategy = Literal["delete-insert", "upsert", "insert-only", "scd2", "snapshot"]
STRATEGIES = get_args(Strategy)
_TYPE_ALIASES = {
    "BOOL": "BOOLEAN", "INT": "BIGINT", "INTEGER": "BIGINT", "FLOAT": "DOUBLE", "STRING": "VARCHAR",
    "TEXT": "VARCHAR", "DATETIME": "TIMESTAMP", "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ", "BYTEA": "BLOB",
}  # fmt: skip
NO_TYPES = ("NESTED", "ANY")
"""What stands in the place of a type and leaves it to inference."""
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")


@dataclass(frozen=True, slots=True)
class Target:
    """One root table and how records get into it; refuses what cannot work before anything is read.

    Attributes:
        table: The root table's name; child tables begin with it.
        schema: The schema of the warehouse that holds it.
        primary_key: The columns that identify a record, as the source names them.
        write_disposition: `append` adds rows; `replace` empties the table first; `merge` puts a record in
            the place of the one with the same key, child rows included.
        columns: Types that override inference, by path (`"price"`, `"user.zip"`, `"items[].sku"`). Such
            columns are there from the first load on, whether or not a record has them. `NESTED` is no
            column: it shreds the JSON that a text holds. `ANY` leaves a column's type to inference.
        max_nesting: How many levels of dicts and lists are shredded; what lies deeper stays JSON.
        merge_strategy: `delete-insert` puts records in the place of old ones; `upsert` keeps what a record
            does not mention; `insert-only` keeps the old ones; `scd2` keeps every version with its times;
            `snapshot` also deletes what the source no longer has.
        merge_key: Columns whose values name groups of rows: a load replaces each group it holds whole.
        dedup_sort: The column whose greatest value wins among records with one key; else the last record.
        hard_delete: The column that says, if true or not null, that the record was deleted.
        contract: What the table may become.
        required: Paths of `columns`, and of dicts above them, at which a record needs a value: without one it
            breaks the contract, as its `types` say. Below a dict that is not required, where that is there.
        naming: `snake_case`, or `direct` for names just as the keys are.
        description: What the table is; its comment in the warehouse.
        descriptions: What columns are, by path; their comments.
        tags: Words attached to columns, by path (`pii`, `key`, `entity:user`); added to their comments.

    >>> Target("orders", write_disposition="merge")
    Traceback (most recent call last):
    headrace.errors.UsageError: Table 'orders': merge needs primary_key=(...), the columns that identify...
    """

    table: str
    schema: str = "main"
    primary_key: tuple[str, ...] = ()
    write_disposition: Disposition = "append"
    columns: Mapping[str, str] = field(default_factory=dict)
    max_nesting: int | None = None
    merge_strategy: Strategy = "delete-insert"
    merge_key: tuple[str, ...] = ()
    dedup_sort: str | None = None
    hard_delete: str | None = None
    contract: Contract = field(default_factory=Contract)
    required: tuple[str, ...] = ()
    naming: Naming = "snake_case"
    description: str = ""
    descriptions: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (self.table, self.schema):
            if not name or snake_case(name) != name:
                raise UsageError(f"{name!r} is no name for a table or schema; {snake_case(name)!r} would be.")
        if self.schema == "_headrace":
            raise UsageError("The schema _headrace holds headrace's own catalogue; choose another.")
        if self.write_disposition not in DISPOSITIONS:
            hint = did_you_mean(self.write_disposition, DISPOSITIONS)
            raise UsageError(f"Table {self.table!r}: no write_disposition {self.write_disposition!r}; {hint}")
        if self.naming not in NAMINGS:
            raise UsageError(
                f"Table {self.table!r}: no naming {self.naming!r}; {did_you_mean(self.naming, NAMINGS)}"
            )
        if self.merge_strategy not in STRATEGIES:
            hint = did_you_mean(self.merge_strategy, STRATEGIES)
            raise UsageError(f"Table {self.table!r}: no merge_strategy {self.merge_strategy!r}; {hint}")
        merging = [name for name in _MERGING if getattr(self, name) not in ((), None, "delete-insert")]
        if self.write_disposition != "merge" and merging:
            raise UsageError(
                f"Table {self.table!r}: {merging[0]} is for merging; add write_disposition='merge'."
            )
        only_groups = self.merge_key and self.merge_strategy == "delete-insert"
        if self.write_disposition == "merge" and not self.primary_key and not only_groups:
            raise UsageError(
                f"Table {self.table!r}: merge needs primary_key=(...), the columns that identify a record."
            )
        if len(set(self.primary_key)) < len(self.primary_key):
            raise UsageError(f"Table {self.table!r}: primary_key names a column twice: {self.primary_key}.")
        for path, type_ in self.columns.items():
            known_type(self.table, path, type_)

    @property
    def name(self) -> str:
        """The name that state and messages use: `schema.table`."""
        return f"{self.schema}.{self.table}"

    @property
    def strategy(self) -> str:
        """The merge strategy, or the disposition where it is no merge."""
        return self.merge_strategy if self.write_disposition == "merge" else self.write_disposition

    @property
    def needs_whole(self) -> str | None:
        """What compares the records of a whole load, so that it cannot land in parts; or None."""
        if self.strategy in ("replace", "snapshot", "scd2"):
            return self.strategy
        return next((name for name in ("merge_key", "dedup_sort") if getattr(self, name)), None)

    @property
    def compares_whole(self) -> bool:
        """Whether a load says of every row of the table that it stays, changes or goes."""
        versions_all = self.strategy == "scd2" and not self.merge_key
        return self.strategy in ("replace", "snapshot") or versions_all

    def hints(self) -> dict[RecordPath, str]:
        """Return the declared types by path from the record's root, in DuckDB's spelling."""
        declared = {path: type_ for path, type_ in self._types() if type_ not in NO_TYPES}
        return declared | VERSIONED if self.strategy == "scd2" else declared

    def known(self) -> frozenset[RecordPath]:
        """Return the paths that the definition names, with a type or without."""
        return frozenset(path for path, _ in self._types()) | frozenset(self.hints())

    def needed_keys(self) -> tuple[str, ...]:
        """Return the keys without which a record cannot be merged."""
        return self.primary_key if self.write_disposition == "merge" else ()

    def paths_of(self, type_: str) -> list[RecordPath]:
        """Return the paths that a hint gives this type."""
        return [path for path, found in self._types() if found == type_]

    def _types(self) -> Iterator[tuple[RecordPath, str]]:
        for path, type_ in self.columns.items():
            yield parse_hint(path), known_type(self.table, path, type_)

    def to_json(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "schema": self.schema,
            "primary_key": self.primary_key,
            "write_disposition": self.write_disposition,
            "columns": dict(self.columns),
            "max_nesting": self.max_nesting,
            "merge_strategy": self.merge_strategy,
            "merge_key": self.merge_key,
            "dedup_sort": self.dedup_sort,
            "hard_delete": self.hard_delete,
            "contract": asdict(self.contract),
            "required": self.required,
            "naming": self.naming,
            "description": self.description,
            "descriptions": dict(self.descriptions),
            "tags": {path: list(tags) for path, tags in self.tags.items()},
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Target:
        """Return a target from what any earlier headrace wrote; a field that is missing has its default."""
        known = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        for name in ("primary_key", "merge_key", "required"):
            known[name] = tuple(known.get(name, ()))
        known["tags"] = {path: tuple(tags) for path, tags in known.get("tags", {}).items()}
        contract = known.get("contract", {})
        known["contract"] = Contract(
            **{name: contract[name] for name in Contract.__dataclass_fields__ if name in contract}
        )
        return cls(**known)


class Landing(TypedDict, total=False):
    """How records land: the options that `load` and `@resource` share. `Target` explains each.

    `columns` may also be a dataclass, a TypedDict or a pydantic model, from which types are taken; `contract`
    may be such a model, which is then held to, the path of an ODCS file, or a mode for all three rules.
    """

    primary_key: str | Sequence[str] | None
    write_disposition: Disposition
    columns: Mapping[str, str] | type[Any] | None
    max_nesting: int | None
    merge_strategy: Strategy
    merge_key: str | Sequence[str] | None
    dedup_sort: str | None
    hard_delete: str | None
    contract: Contract | type[Any] | Mode | str | PathLike[str] | None
    naming: Naming
    description: str
    descriptions: Mapping[str, str]
    tags: Mapping[str, Sequence[str]]


def make_target(table: str, schema: str, landing: Landing) -> Target:
    """Return a target from options as users write them: one key as a string, columns as a model.

    >>> make_target("orders", "main", {"primary_key": "id"}).primary_key
    ('id',)
    """
    options: dict[str, Any] = dict(landing)
    for name in options:
        if name not in Landing.__annotations__:
            hint = did_you_mean(name, Landing.__annotations__)
            raise UsageError(f"Table {table!r}: there is no option {name!r}; {hint}")
    for name in ("primary_key", "merge_key"):
        options[name] = _as_key(options.get(name))
    columns, contract = options.get("columns") or {}, options.get("contract") or Contract()
    declared = dict(columns) if isinstance(columns, Mapping) else model_columns(columns)
    if isinstance(contract, str) and contract in MODES:
        contract = Contract.of(cast("Mode", contract))
    elif isinstance(contract, (str, PathLike)):
        from headrace.loaders.contracts.odcs_reading import read_contract  # here: it needs an extra

        tables = read_contract(contract)
        if table not in tables:
            raise UsageError(f"{contract} has no contract for {table!r}; {did_you_mean(table, tables)}")
        written = tables[table]
        declared, contract = {**written.columns, **declared}, written.contract
        options["primary_key"] = options["primary_key"] or written.primary_key
        options["required"] = written.required
        options["description"] = options.get("description") or written.description
        options["descriptions"] = {**written.descriptions, **options.get("descriptions", {})}
        options["tags"] = {**written.tags, **options.get("tags", {})}
    elif is_model(contract):
        options["required"] = model_required(contract)
        declared, contract = {**model_columns(contract), **declared}, HELD_TO
    elif not isinstance(contract, Contract):
        raise UsageError(f"Table {table!r}: {contract!r} is no Contract, model or path of a contract.")
    options["tags"] = {path: tuple(tags) for path, tags in options.get("tags", {}).items()}
    return Target(table, schema, **{**options, "columns": declared, "contract": contract})


def _as_key(names: str | Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else tuple(names)


def known_type(table: str, path: str, type_: str) -> str:
    """Return a declared type in DuckDB's spelling, or `NESTED` or `ANY`.

    Args:
        table: What messages call the table.
        path: What they call the column.
        type_: The type as it was written.

    Raises:
        UsageError: There is no such type.

    >>> known_type("orders", "price", "decimal(18, 2)")
    'DECIMAL(18,2)'
    """
    name = type_.strip().upper()
    name = _TYPE_ALIASES.get(name, name)
    if name in TYPED_BY_NAME or name in NO_TYPES:
        return name
    if match := _DECIMAL.fullmatch(name):
        return f"DECIMAL({match[1]},{match[2]})"
    hint = did_you_mean(name, [*TYPED_BY_NAME, "DECIMAL(18,2)"])
    raise UsageError(f"Table {table!r}, column {path!r}: no type {type_!r}; {hint}")
