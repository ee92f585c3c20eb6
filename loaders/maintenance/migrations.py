"""Declare changes of a schema as small values; `migrate` applies them.

Loads only ever widen. The catalogue maps a place in the records to a table or column, whatever that is
called: so later loads follow a rename. What is dropped while the source still sends it comes back, empty of
the past, with an event of its own; leave it out in the resource, or hold the table to a contract.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RenameColumn:
    """A column gets another name, and its variant columns with it; later loads land in it as before."""

    table: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class DropColumn:
    """A column goes with its values, and its variant columns with it.

    It comes back, with an event, as soon as a record has its key again.
    """

    table: str
    column: str


@dataclass(frozen=True, slots=True)
class RetypeColumn:
    """A column gets another type, in which every stored value is the same; from now on it is declared."""

    table: str
    column: str
    type: str


@dataclass(frozen=True, slots=True)
class RenameTable:
    """A child table gets another name; with `below`, those below it that begin with its name do too.

    A root table is looked up by the name that its resource gives it, so only the resource can rename it.
    """

    table: str
    new: str
    below: bool = False


@dataclass(frozen=True, slots=True)
class DropTable:
    """A child table goes, with all below it. It comes back, with an event, if records have such lists."""

    table: str


Migration = RenameColumn | DropColumn | RetypeColumn | RenameTable | DropTable
"""A change that is declared. Tables are written `schema.table`; the schema `main` may be left out."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a migration does.

    Attributes:
        line: It in one line, for people.
        statements: The SQL that does it.
        event: Its row in `schema_changes`: change, schema, table, column, old, new, source path.
    """

    line: str
    statements: tuple[str, ...]
    event: tuple[str | None, ...]
