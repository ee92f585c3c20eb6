"""Packages: sealed folders that hold one load, extracted and shredded but not yet committed.

    20260131T235959123456-7f3a9c01/
        manifest.json             what it is, and the hash of every file
        0-0.jsonl  1-0.jsonl      rows of tables 0 and 1, from the exact lane
        0-1.parquet               rows of table 0, from the columnar lane

While it is written the folder is called `<id>.part`. Sealing syncs the files, writes the manifest and
renames the folder: after that the package survives the process and the machine, and holds all that a
commit needs. A folder that is still `.part` was never sealed and counts for nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import orjson

from headrace.errors import HeadraceError, PackageDamaged
from headrace.loaders.crash import reach
from headrace.loaders.exact import Rejected, Rows
from headrace.loaders.facts import Facts
from headrace.loaders.forks import in_forked_children
from headrace.loaders.names import Path, show
from headrace.loaders.records import Rekey
from headrace.loaders.shortage import explained, told_of
from headrace.loaders.target import Target

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MANIFEST = "manifest.json"
REASON = "reason.txt"
"""The file in which a package that could not be committed says why."""

PART = ".part"
"""The ending of a folder that is not sealed yet, or not wholly removed."""

RAW: Path = (None, "raw")
REJECTED: Path = (None, "rejected")
"""Stand for a table's path at the files that hold no table: records as they came, and rejected ones."""

FORMAT = 1
_ID = re.compile(r"\d{8}T\d+-[0-9a-f]+")
OPEN_FILES = 64
"""Files of a package that are written at a time; a record of many lists has a table for each."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of a package.

    Attributes:
        table: The path of the table whose rows it holds.
        path: Where it is; the ending tells the format.
        bytes: Its size.
        sha256: The hash of its content, in hex.
    """

    table: Path
    path: FilePath
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Package:
    """A sealed package.

    Attributes:
        folder: Where it is; its name is the package's id.
        target: Where it lands, and how.
        facts: What it holds.
        files: Its files; a table without rows has none.
        started: UTC time at which extraction began.
        records: Records read, of which each became one row of the root table.
        exact_records: How many of them took the exact lane.
        rejected: How many of them cannot land and are kept aside.
        source: What made the records: the resource's full name and the hash of its code, as `name@hash`.
        cursor: What the next run gets as `since`, as JSON text; None leaves the stored one.
        rekeys: Keys to replace in the rows that are there already.
    """

    folder: FilePath
    target: Target
    facts: Facts
    files: tuple[DataFile, ...]
    started: datetime
    records: int
    exact_records: int
    rejected: int
    source: str
    cursor: str | None
    rekeys: tuple[Rekey, ...]

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    def files_of(self, table: Path) -> list[DataFile]:
        return [file for file in self.files if file.table == table]

    def first_rejected_keys(self) -> list[str]:
        """Return the keys of the first record that cannot land, for a message that says what there is."""
        for file in self.files_of(REJECTED):
            with file.path.open("rb") as lines:
                record = orjson.loads(orjson.loads(lines.readline())["raw"])
                return list(record) if isinstance(record, dict) else []
        return []

    def verify(self) -> None:
        """Check every file against the manifest.

        Raises:
            PackageDamaged: A file is missing, holds other bytes than were sealed, or was not sealed at all.
        """
        known = {MANIFEST, REASON, *(file.path.name for file in self.files)}
        for path in self.folder.iterdir():
            if path.name not in known:
                raise PackageDamaged(f"Package {self.id}: {path.name} was put into it after it was sealed.")
        for file in self.files:
            if not file.path.is_file():
                raise PackageDamaged(
                    f"Package {self.id}: {file.path.name} is missing; drop the package and load again."
                )
            if _sha256(file.path) != file.sha256:
                raise PackageDamaged(
                    f"Package {self.id}: {file.path.name} is not the file that was sealed; "
                    "drop the package and load again."
                )

    def drop(self) -> None:
        """Remove the folder; it loses its name first, since a half-removed package is none."""
        remove(self.folder)
        _open.discard(self.folder)
        reach("package.dropped")

    def leave(self) -> None:
        """Leave the folder to recovery: this process is at work on it no longer."""
        _open.discard(self.folder)


@dataclass(slots=True)
class PackageWriter:
    """A package that is being written; a context manager that leaves nothing behind unless it was sealed."""

    store: FilePath
    target: Target
    source: str
    facts: Facts = field(default_factory=Facts)
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    rejected: int = 0
    _files: list[tuple[Path, FilePath]] = field(default_factory=list)
    _numbers: dict[Path, int] = field(default_factory=dict)
    _parquet: dict[Path, pq.ParquetWriter] = field(default_factory=dict)
    _folder: FilePath = field(init=False)

    def __enter__(self) -> PackageWriter:
        identity = f"{self.started:%Y%m%dT%H%M%S%f}-{os.urandom(4).hex()}"
        self._folder = self.store / f"{identity}{PART}"
        _open.add(self._folder.with_suffix(""))
        with explained(self.target.name, self.store):
            self._folder.mkdir(parents=True)
        reach("package.opened")
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        sealed = not self._folder.exists()
        if not sealed:
            for writer in self._parquet.values():
                with contextlib.suppress(OSError):  # a full disk: closing writes the footer
                    writer.close()
            shutil.rmtree(self._folder, ignore_errors=True)
        if not sealed or error is not None:  # interrupted just after it was sealed: it is recovery's
            _open.discard(self._folder.with_suffix(""))
        if error is not None and not isinstance(error, HeadraceError):
            told = told_of(self.target.name, self.store, error)
            if told is not None:
                raise told from error

    def add_rows(self, rows: Rows) -> None:
        """Write the rows of the exact lane, a file of JSON lines for each table."""
        for table, table_rows in rows.items():
            path = self._new_file(table, "jsonl")
            with path.open("wb") as file:
                file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in table_rows)
            reach("package.written")

    def add_raw(self, lines: bytes) -> None:
        """Keep records as they came, in order: a contract may send some of them to quarantine."""
        with self._opened(RAW, "records.jsonl").open("ab") as file:
            file.write(lines + b"\n")
        reach("package.written")

    def reject(self, rejected: Iterable[Rejected]) -> None:
        """Keep records that cannot land, with the reason."""
        lines = [
            orjson.dumps(
                {"record": one.ordinal, "path": show(one.path), "rule": one.rule, "reason": one.reason,
                 "raw": one.line.decode()},
                option=orjson.OPT_APPEND_NEWLINE,
            )
            for one in rejected
        ]  # fmt: skip
        if lines:
            self.rejected += len(lines)
            with self._opened(REJECTED, "rejected.jsonl").open("ab") as file:
                file.writelines(lines)
            reach("package.written")

    def add_tables(self, tables: dict[Path, pa.Table]) -> None:
        """Write the tables of the columnar lane: into one Parquet file each, as long as the columns stay."""
        import pyarrow.parquet as pq  # here, since a small load never needs it

        for table, data in tables.items():
            writer = self._parquet.pop(table, None)
            if writer is None or writer.schema != data.schema:
                if writer is not None:
                    writer.close()
                if len(self._parquet) >= OPEN_FILES:
                    self._parquet.pop(next(iter(self._parquet))).close()
                # lz4 without statistics reads back fastest: every row is read once, and numbers seldom repeat
                texts = [one.name for one in data.schema if one.type == "string"]
                writer = pq.ParquetWriter(
                    self._new_file(table, "parquet"), data.schema, compression="lz4", use_dictionary=texts,
                    write_statistics=False, store_schema=False,
                )  # fmt: skip
            self._parquet[table] = writer  # the last, as the one used last
            writer.write_table(data, row_group_size=max(1, data.num_rows))
            reach("package.written")

    def seal(
        self, *, records: int, exact_records: int, cursor: str | None = None, rekeys: Iterable[Rekey] = ()
    ) -> Package:
        """Make the package durable and return it."""
        folder = self._folder.with_suffix("")
        files = []
        for writer in self._parquet.values():
            writer.close()
        for table, path in self._files:
            _sync(path)
            files.append(DataFile(table, folder / path.name, path.stat().st_size, _sha256(path)))
        package = Package(
            folder, self.target, self.facts, tuple(files), self.started,
            records, exact_records, self.rejected, self.source, cursor, tuple(rekeys),
        )  # fmt: skip
        reach("package.synced")
        manifest = self._folder / MANIFEST
        value = _manifest(package)
        signed = {**value, "sha256": _sha256_of(value)}
        manifest.write_bytes(orjson.dumps(signed, option=orjson.OPT_INDENT_2))
        _sync(manifest)
        _sync(self._folder)
        reach("package.described")
        self._folder.rename(folder)
        reach("package.renamed")
        _sync(self.store)
        reach("package.sealed")
        return package

    def _opened(self, table: Path, name: str) -> FilePath:
        path = self._folder / name
        if (table, path) not in self._files:
            self._files.append((table, path))
        return path

    def _new_file(self, table: Path, ending: str) -> FilePath:
        number = self._numbers.setdefault(table, len(self._numbers))
        path = self._folder / f"{number}-{len(self._files)}.{ending}"
        self._files.append((table, path))
        return path


def read_package(folder: FilePath) -> Package:
    """Return the sealed package in `folder`.

    Raises:
        PackageDamaged: There is no manifest, or not one that this version reads.
    """
    try:
        value = orjson.loads((folder / MANIFEST).read_bytes())
        if value["format"] != FORMAT:
            raise PackageDamaged(f"Package {folder.name}: format {value['format']} is not {FORMAT}.")
        if value.pop("sha256") != _sha256_of(value):
            raise PackageDamaged(f"Package {folder.name}: {MANIFEST} is not the one that was sealed.")
        if value["id"] != folder.name:
            raise PackageDamaged(f"Package {folder.name}: it was sealed as {value['id']} and renamed.")
        return Package(
            folder=folder,
            target=Target.from_json(value["target"]),
            facts=Facts.from_json(value["tables"]),
            files=tuple(
                DataFile(
                    tuple(file["table"]), folder / FilePath(file["name"]).name, file["bytes"], file["sha256"]
                )
                for file in value["files"]
            ),
            started=datetime.fromisoformat(value["started"]),
            records=value["records"],
            exact_records=value["exact_records"],
            rejected=value["rejected"],
            source=value["source"],
            cursor=value["cursor"],
            rekeys=tuple(Rekey(**rekey) for rekey in value["rekeys"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PackageDamaged(f"Package {folder.name}: {MANIFEST} cannot be read: {error!r}.") from error


def pending(store: FilePath) -> list[FilePath]:
    """Return the folders of the sealed packages in `store`, oldest first."""
    return [path for path in _folders(store) if _ID.fullmatch(path.name)]


def unsealed(store: FilePath) -> list[FilePath]:
    """Return the folders in `store` that were never sealed, or not wholly removed."""
    return [path for path in _folders(store) if path.name.endswith(PART)]


def _folders(store: FilePath) -> list[FilePath]:
    try:
        return sorted(path for path in store.iterdir() if path.is_dir())
    except FileNotFoundError:  # the last to use it removes it, at any time
        return []


def remove(folder: FilePath) -> None:
    """Remove a package's folder; if that ends half-way, what is left is swept up with the unsealed."""
    gone = folder.with_name(f"{folder.name}{PART}")
    with contextlib.suppress(OSError):
        folder.rename(gone)
    reach("package.forgotten")
    shutil.rmtree(gone, ignore_errors=True)


def is_open(folder: FilePath) -> bool:
    """Tell whether this process is at work on a package, sealed or not."""
    return folder.with_suffix("") in _open


_open: set[FilePath] = set()
"""The folders, as they are called once sealed, of the packages that this process has not dropped yet."""

in_forked_children(_open.clear)


def _manifest(package: Package) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "id": package.id,
        "target": package.target.to_json(),
        "started": package.started.isoformat(),
        "records": package.records,
        "exact_records": package.exact_records,
        "rejected": package.rejected,
        "source": package.source,
        "cursor": package.cursor,
        "rekeys": [{"column": rekey.column, "old": rekey.old, "new": rekey.new} for rekey in package.rekeys],
        "tables": package.facts.to_json(),
        "files": [
            {"table": file.table, "name": file.path.name, "bytes": file.bytes, "sha256": file.sha256}
            for file in package.files
        ],
    }


def _sha256_of(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(manifest)).hexdigest()


def _sha256(path: FilePath) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _sync(path: FilePath) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
