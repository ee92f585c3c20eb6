"""Define every error that headrace raises on purpose, grouped by what the caller does next.

HeadraceError
├── UsageError              fix the call or the definition: nothing was read or written
│   ├── UnknownColumn       a key or a cursor names a column that is not there
│   └── MissingExtra        an optional library is not installed
├── SourceError             extraction failed: of this load, only parts that were sealed before are written
│   ├── SourceUnavailable   it was silent, broke off or is down: try again later
│   └── NotAnExport         the file given is not what its source expects
├── FlowError               a transform raised: the loads before it are in the warehouse
├── LoadError               the records cannot be landed as asked: the warehouse is as it was
│   ├── ContractViolation   a frozen table met new data: change the contract or the records
│   ├── LoadPending         the records are kept and committed later: do not load them again
│   ├── Shortage            the disk, the memory or a limit does not suffice: make room and try again
│   └── PackageDamaged      a file of a package is not the one that was sealed
├── WarehouseUnreadable     the file cannot be opened: mend its permissions or its disk
└── WarehouseLocked         another process has the warehouse open: try again later
"""

from __future__ import annotations

from collections.abc import Iterable

from headrace.masking import masked

TEMPORARY = 75
"""The exit code of what may work later, EX_TEMPFAIL of sysexits.h."""


class HeadraceError(Exception):
    """The root of the tree; `exit_code` is what the command line leaves with."""

    exit_code = 1

    @property
    def retryable(self) -> bool:
        """Whether the same call may work later, with nothing mended."""
        return self.exit_code == TEMPORARY

    def __init__(self, *parts: object) -> None:
        super().__init__(*(masked(part) if isinstance(part, str) else part for part in parts))


class UsageError(HeadraceError):
    """The call or the definition is wrong; nothing was read or written."""

    exit_code = 2


class UnknownColumn(UsageError):
    """A key or a cursor names a column that the records do not have."""

    def __init__(self, table: str, column: str, known: Iterable[str]) -> None:
        self.table, self.column, self.known = table, column, sorted(known)
        super().__init__(table, column, self.known)  # so that it pickles across processes

    def __str__(self) -> str:
        return f"Table {self.table!r} has no column {self.column!r}; {did_you_mean(self.column, self.known)}"


class MissingExtra(UsageError):
    """An optional library is needed and not installed."""

    def __init__(self, purpose: str, extra: str) -> None:
        self.purpose, self.extra = purpose, extra
        super().__init__(purpose, extra)

    def __str__(self) -> str:
        return f"{self.purpose} needs an extra: pip install 'headrace[{self.extra}]'."


class SourceError(HeadraceError):
    """Extraction failed; of this load, only the parts that were sealed before are in the warehouse."""


class SourceUnavailable(SourceError):
    """The source was silent too long, broke off or is down; the same call may work later."""

    exit_code = TEMPORARY


class NotAnExport(SourceError):
    """The file or folder is not what the source expects; nothing was written."""


class FlowError(HeadraceError):
    """A function of the flow raised, or its table cannot be computed; the cause is chained."""


class LoadError(HeadraceError):
    """The records cannot be landed as asked; the warehouse is as it was."""


class ContractViolation(LoadError):
    """A frozen table met data that its contract does not let in; nothing was written."""

    exit_code = 3


class LoadPending(LoadError):
    """The records were read and are kept as a package, which is committed when the warehouse is next used."""

    exit_code = TEMPORARY


class Shortage(LoadError):
    """The disk, the memory or a limit of the machine does not suffice; the same call works once it does."""

    exit_code = TEMPORARY


class PackageDamaged(LoadError):
    """A file of a package is missing or is not the one that was sealed."""


class WarehouseUnreadable(HeadraceError):
    """The system does not let the file be opened: it is a folder, or permission is missing."""


class WarehouseLocked(HeadraceError):
    """Another process has the warehouse open; the same call may work later."""

    exit_code = TEMPORARY


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a message that helps with a misspelt name.

    >>> did_you_mean("updated", ["id", "updated_at"])
    "did you mean 'updated_at'?"
    >>> did_you_mean("x", ["id", "name"])
    'known: id, name.'
    """
    import difflib  # here: only a mistake needs it

    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}."
