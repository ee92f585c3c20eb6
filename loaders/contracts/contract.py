"""Declare what a table may become, and what happens to a record that would make it more.

evolve          let it: the default
freeze          stop before anything is written
quarantine      keep the record aside, with its path, rule and reason; the others land
discard_value   leave the value out, and count it
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from headrace.errors import UsageError, did_you_mean

Mode = Literal["evolve", "freeze", "quarantine", "discard_value"]
MODES = get_args(Mode)


@dataclass(frozen=True, slots=True)
class Contract:
    """What may change in a root table and its children.

    Attributes:
        tables: Whether child tables may be added; and the root table, if it is not there yet.
        columns: Whether columns may be added. A table that this load creates may have any column, unless
            the contract is `closed`.
        types: Whether a value may widen its column or go into a variant column; and be missing where a model
            or an ODCS file requires one.
        closed: Whether the declared columns are all there are, from the first load on; so it is for a
            contract that was made from a model.

    >>> Contract(columns="quarantin")
    Traceback (most recent call last):
    headrace.errors.UsageError: A contract's columns cannot be 'quarantin'; did you mean 'quarantine'?
    """

    tables: Mode = "evolve"
    columns: Mode = "evolve"
    types: Mode = "evolve"
    closed: bool = False

    def __post_init__(self) -> None:
        for rule in ("tables", "columns", "types"):
            mode = getattr(self, rule)
            if mode not in MODES:
                raise UsageError(f"A contract's {rule} cannot be {mode!r}; {did_you_mean(str(mode), MODES)}")

    @property
    def evolves(self) -> bool:
        """Whether it allows everything, so that nothing need be checked."""
        return (self.tables, self.columns, self.types) == ("evolve",) * 3

    @classmethod
    def of(cls, mode: Mode, *, closed: bool = False) -> Contract:
        """Return the contract that has one mode for tables, columns and types.

        >>> Contract.of("freeze").columns
        'freeze'
        """
        return cls(mode, mode, mode, closed)

    @property
    def quarantines(self) -> bool:
        """Whether it may need the raw records."""
        return "quarantine" in (self.tables, self.columns, self.types)


HELD_TO = Contract.of("quarantine", closed=True)
"""The contract of a table that a model describes: what the model does not have goes to quarantine."""
