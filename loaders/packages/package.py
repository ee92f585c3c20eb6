"""Describe a sealed package: one load, extracted and shredded but not yet committed.

    20260131T235959123456-7f3a9c01/
        manifest.json             what it is, and the hash of every file
        0-0.jsonl  1-0.jsonl      rows of tables 0 and 1, from the exact lane
        0-1.parquet               rows of table 0, from the columnar lane

While it is written the folder is called `<id>.part`. Sealing syncs the files, writes the manifest and
renames the folder: after that the package survives the process and the machine, and holds all that a
commit needs. A folder that is still `.part` was never sealed and counts for nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from headrace.errors import PackageDamaged
from headrace.loaders.contracts.target import Target
from headrace.loaders.database.crash_points import crash_point
from headrace.loaders.packages import folders
from headrace.loaders.records import Rekey
from headrace.loaders.schema.observed import ObservedSchema
from headrace.loaders.values.paths import RecordPath

MANIFEST = "manifest.json"


RAW: RecordPath = (None, "raw")
REJECTED: RecordPath = (None, "rejected")
"""Stand for a table's path at the files that hold no table: records as they came, and rejected ones."""

FORMAT = 1


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of a package.

    Attributes:
        table: The path of the table whose rows it holds.
        path: Where it is; the ending tells the format.
        bytes: Its size.
        sha256: The hash of its content, in hex.
    """

    table: RecordPath
    path: Path
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

    folder: Path
    target: Target
    observed: ObservedSchema
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

    def files_of(self, table: RecordPath) -> list[DataFile]:
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
        known = {MANIFEST, folders.REASON, *(file.path.name for file in self.files)}
        for path in self.folder.iterdir():
            if path.name not in known:
                raise PackageDamaged(f"Package {self.id}: {path.name} was put into it after it was sealed.")
        for file in self.files:
            if not file.path.is_file():
                raise PackageDamaged(
                    f"Package {self.id}: {file.path.name} is missing; drop the package and load again."
                )
            if sha256_of(file.path) != file.sha256:
                raise PackageDamaged(
                    f"Package {self.id}: {file.path.name} is not the file that was sealed; "
                    "drop the package and load again."
                )

    def drop(self) -> None:
        """Remove the folder; it loses its name first, since a half-removed package is none."""
        folders.remove(self.folder)
        folders.release(self.folder)
        crash_point("package.dropped")

    def release(self) -> None:
        """Leave the folder to recovery: this process is at work on it no longer."""
        folders.release(self.folder)


def read_package(folder: Path) -> Package:
    """Return the sealed package in `folder`.

    Raises:
        PackageDamaged: There is no manifest, or not one that this version reads.
    """
    try:
        value = orjson.loads((folder / MANIFEST).read_bytes())
        if value["format"] != FORMAT:
            raise PackageDamaged(
                f"Package {folder.name} has format {value['format']}; this headrace reads format {FORMAT}. "
                "Install the headrace that wrote it (pip install --upgrade headrace), then "
                "`headrace packages retry`."
            )
        if value.pop("sha256") != signature(value):
            raise PackageDamaged(f"Package {folder.name}: {MANIFEST} is not the one that was sealed.")
        if value["id"] != folder.name:
            raise PackageDamaged(f"Package {folder.name}: it was sealed as {value['id']} and renamed.")
        return Package(
            folder=folder,
            target=Target.from_json(value["target"]),
            observed=ObservedSchema.from_json(value["tables"]),
            files=tuple(
                DataFile(
                    tuple(file["table"]), folder / Path(file["name"]).name, file["bytes"], file["sha256"]
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


def manifest_of(package: Package) -> dict[str, Any]:
    """Return what a package's manifest says, its signature aside."""
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
        "tables": package.observed.to_json(),
        "files": [
            {"table": file.table, "name": file.path.name, "bytes": file.bytes, "sha256": file.sha256}
            for file in package.files
        ],
    }


def signature(manifest: dict[str, Any]) -> str:
    """Return the hash of a manifest's content, in hex."""
    return hashlib.sha256(orjson.dumps(manifest)).hexdigest()


def sha256_of(path: Path) -> str:
    """Return the hash of a file's content, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
