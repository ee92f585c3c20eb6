"""Write a package: files of rows, synced and hashed, then sealed by renaming its folder."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from headrace.errors import HeadraceError
from headrace.loaders.contracts.target import Target
from headrace.loaders.database.crash_points import crash_point
from headrace.loaders.database.shortage import as_shortage, translating_errors
from headrace.loaders.packages import folders
from headrace.loaders.packages.folders import PART
from headrace.loaders.packages.package import (
    MANIFEST,
    RAW,
    REJECTED,
    DataFile,
    Package,
    manifest_of,
    sha256_of,
    signature,
)
from headrace.loaders.records import Rekey
from headrace.loaders.schema.observed import ObservedSchema, Rejected, Rows
from headrace.loaders.values.paths import RecordPath, show

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

OPEN_FILES = 64
"""Files of a package that are written at a time; a record of many lists has a table for each."""


@dataclass(slots=True)
class PackageWriter:
    """A package that is being written; a context manager that leaves nothing behind unless it was sealed."""

    store: Path
    target: Target
    source: str
    observed: ObservedSchema = field(default_factory=ObservedSchema)
    started: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    rejected: int = 0
    _files: list[tuple[RecordPath, Path]] = field(default_factory=list)
    _numbers: dict[RecordPath, int] = field(default_factory=dict)
    _parquet: dict[RecordPath, pq.ParquetWriter] = field(default_factory=dict)
    _folder: Path = field(init=False)

    def __enter__(self) -> PackageWriter:
        identity = f"{self.started:%Y%m%dT%H%M%S%f}-{os.urandom(4).hex()}"
        self._folder = self.store / f"{identity}{PART}"
        folders.claim(self._folder.with_suffix(""))
        with translating_errors(self.target.name, self.store):
            self._folder.mkdir(parents=True)
        crash_point("package.opened")
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        sealed = not self._folder.exists()
        if not sealed:
            for writer in self._parquet.values():
                with contextlib.suppress(OSError):  # a full disk: closing writes the footer
                    writer.close()
            shutil.rmtree(self._folder, ignore_errors=True)
        if not sealed or error is not None:  # interrupted just after it was sealed: it is recovery's
            folders.release(self._folder.with_suffix(""))
        if error is not None and not isinstance(error, HeadraceError):
            told = as_shortage(self.target.name, self.store, error)
            if told is not None:
                raise told from error

    def add_rows(self, rows: Rows) -> None:
        """Write the rows of the exact lane, a file of JSON lines for each table."""
        for table, table_rows in rows.items():
            path = self._new_file(table, "jsonl")
            with path.open("wb") as file:
                file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in table_rows)
            crash_point("package.written")

    def add_raw(self, lines: bytes) -> None:
        """Keep records as they came, in order: a contract may send some of them to quarantine."""
        with self._opened(RAW, "records.jsonl").open("ab") as file:
            file.write(lines + b"\n")
        crash_point("package.written")

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
            crash_point("package.written")

    def add_tables(self, tables: dict[RecordPath, pa.Table]) -> None:
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
            crash_point("package.written")

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
            files.append(DataFile(table, folder / path.name, path.stat().st_size, sha256_of(path)))
        package = Package(
            folder, self.target, self.observed, tuple(files), self.started,
            records, exact_records, self.rejected, self.source, cursor, tuple(rekeys),
        )  # fmt: skip
        crash_point("package.synced")
        manifest = self._folder / MANIFEST
        value = manifest_of(package)
        signed = {**value, "sha256": signature(value)}
        manifest.write_bytes(orjson.dumps(signed, option=orjson.OPT_INDENT_2))
        _sync(manifest)
        _sync(self._folder)
        crash_point("package.described")
        self._folder.rename(folder)
        crash_point("package.renamed")
        _sync(self.store)
        crash_point("package.sealed")
        return package

    def _opened(self, table: RecordPath, name: str) -> Path:
        path = self._folder / name
        if (table, path) not in self._files:
            self._files.append((table, path))
        return path

    def _new_file(self, table: RecordPath, ending: str) -> Path:
        number = self._numbers.setdefault(table, len(self._numbers))
        path = self._folder / f"{number}-{len(self._files)}.{ending}"
        self._files.append((table, path))
        return path


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
