"""List, check and read the files of an export, in a ZIP or a folder, without unpacking them.

Refused with `NotAnExport`:

* a path that is missing, empty, or neither a folder nor a ZIP; a ZIP that is damaged or cut short;
* a name that is not plain and relative: `..`, a leading slash, a drive letter, a backslash, a NUL;
* the same name twice; a password; a compression that Slack does not use;
* a symbolic link in a ZIP; in a folder, a link to another folder or to anything outside of it;
* a ZIP bomb: a ZIP that grows more than `MAX_RATIO` times, or, when it is to be read, a file of more than
  `MAX_FILE_BYTES`.

Left out without a word, as no part of any export: folders, hidden files (a name that begins with a dot,
such as `.DS_Store`) and what operating systems add (`__MACOSX`, `Thumbs.db`, `desktop.ini`).
"""

from __future__ import annotations

import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from headrace.errors import NotAnExport

MAX_FILE_BYTES = 256 * 2**20
"""The largest single file, uncompressed: a file is held in memory while it is read. A day of a channel
rarely has 1 MB, and 256 MB are some 200,000 messages."""

MAX_RATIO = 250
"""How many times its own size a ZIP may grow. Exports grow 5 to 50 times, bombs 1,000 times and more."""

UNSUSPICIOUS_BYTES = 64 * 2**20
"""Up to this total, uncompressed, the ratio is not looked at."""

_JUNK = {"__MACOSX", "Thumbs.db", "desktop.ini"}
_ENCRYPTED, _UTF8_NAME = 0x1, 0x800
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    KeyError,
    ValueError,  # a name that is not UTF-8 though the ZIP says so
)


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive.

    Attributes:
        path: The name by which the archive finds it.
        parts: The same for people and keys: folders and file name from the top, Unicode in NFC. ZIPs made
            on a Mac hold the decomposed form, and both must name the same channel.
        size: Bytes, uncompressed, as the archive declares them.
    """

    path: str
    parts: tuple[str, ...]
    size: int


Read: TypeAlias = Callable[[Member], bytes]


@dataclass(frozen=True, slots=True)
class Archive:
    """The files of a ZIP or a folder. Nothing stays open between two calls, so there is nothing to close.

    Attributes:
        path: Where it is, absolute.
        members: Its files, in the order of their parts.
    """

    path: Path
    members: tuple[Member, ...]

    @contextmanager
    def reading(self) -> Iterator[Read]:
        """Open the archive and give a function that returns the bytes of a member.

        Raises:
            NotAnExport: By the function, when a member is too large, is damaged (the CRC is checked), or has
                gone since.
        """
        if self.path.is_dir():
            yield partial(_read_file, self.path)
        else:
            with _opened_zip(self.path) as opened:
                yield partial(_read_zip_member, self.path, opened)


def open_archive(path: str | os.PathLike[str]) -> Archive:
    """List the files of the ZIP or folder at `path`, having checked what the module promises."""
    if not os.fspath(path):
        raise NotAnExport("The path of the export is empty: give the ZIP that Slack sent, or its folder.")
    place = Path(path).expanduser().absolute()
    try:
        mode = place.stat().st_mode
    except FileNotFoundError:
        raise NotAnExport(
            f"{str(path)!r} does not exist: give the ZIP that Slack sent, or its folder."
        ) from None
    except OSError as error:
        raise NotAnExport(f"{str(path)!r} cannot be opened: {error.strerror}.") from error
    if stat.S_ISDIR(mode):
        found = list(_folder_members(place.resolve()))
    elif stat.S_ISREG(mode):
        found = _zip_members(place)
    else:
        raise NotAnExport(f"{str(path)!r} is neither a file nor a folder: give the ZIP that Slack sent.")
    return Archive(place, tuple(sorted(found, key=lambda member: (member.parts, member.path))))


def plain_parts(name: str) -> tuple[str, ...] | None:
    r"""Return the parts of a plain relative name; None when it could lead out of its folder.

    >>> plain_parts("./general/2020-01-31.json")
    ('general', '2020-01-31.json')
    >>> [plain_parts(name) for name in ("../x", "/etc/passwd", "C:x", "a\\b", "")]
    [None, None, None, None, None]
    """
    if not name or name.startswith("/") or re.match(r"[A-Za-z]:", name) or re.search(r"[\\\0]", name):
        return None
    # Bytes that are no UTF-8 arrive from the disk as lone surrogates, which no database stores.
    name = re.sub("[\ud800-\udfff]", "\ufffd", name)
    parts = tuple(part for part in unicodedata.normalize("NFC", name).split("/") if part not in ("", "."))
    return None if ".." in parts else parts


def _is_junk(parts: tuple[str, ...]) -> bool:
    return not parts or any(part in _JUNK or part.startswith(".") for part in parts)


# --- ZIP -------------------------------------------------------------------------------------------


@contextmanager
def _opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        opened = zipfile.ZipFile(path)
    except _DAMAGED as error:
        raise NotAnExport(_why_not_a_zip(path, error)) from error
    with opened:
        yield opened


def _why_not_a_zip(path: Path, error: Exception) -> str:
    try:
        with path.open("rb") as file:
            begins_as_zip = file.read(4) == b"PK\x03\x04"
    except OSError:
        return f"{path.name!r} cannot be read: {error}."
    if begins_as_zip:
        return f"{path.name!r} is damaged or cut short ({path.stat().st_size:,} bytes): download it again."
    return f"{path.name!r} is not a ZIP: give the ZIP that Slack sent, or the folder that was in it."


def _zip_members(path: Path) -> list[Member]:
    with _opened_zip(path) as opened:
        infos = opened.infolist()
    members: dict[str, Member] = {}
    for info in infos:
        name = _zip_name(info)
        parts = plain_parts(name)
        if parts is None:
            raise NotAnExport(
                f"{path.name!r} holds {_shown(name)}, a name that could lead out of it: refused."
            )
        if name.endswith("/") or _is_junk(parts):
            continue
        if problem := _zip_problem(info):
            raise NotAnExport(f"{path.name!r}: {_shown(name)} {problem}")
        if info.filename in members:
            raise NotAnExport(f"{path.name!r} holds {_shown(name)} twice: unzip it and give the folder.")
        members[info.filename] = Member(info.filename, parts, info.file_size)
    total, packed = sum(member.size for member in members.values()), path.stat().st_size
    if total > max(UNSUSPICIOUS_BYTES, MAX_RATIO * packed):
        raise NotAnExport(
            f"{path.name!r} would grow from {packed:,} to {total:,} bytes, more than {MAX_RATIO} times: "
            "refused as a ZIP bomb. If you trust it, unzip it and give the folder."
        )
    return list(members.values())


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Return the name as it was meant: many tools write UTF-8 without the flag that says so."""
    if info.flag_bits & _UTF8_NAME:
        return info.orig_filename
    try:
        return info.orig_filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.orig_filename


def _zip_problem(info: zipfile.ZipInfo) -> str | None:
    if info.flag_bits & _ENCRYPTED:
        return "is protected by a password: unzip it and give the folder."
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a symbolic link: refused."
    if info.compress_type not in _METHODS:
        return f"is compressed by method {info.compress_type}: unzip it and give the folder."
    return None


def _read_zip_member(path: Path, opened: zipfile.ZipFile, member: Member) -> bytes:
    _refuse_large(path, member)
    try:
        with opened.open(member.path) as file:
            # With a bound, a file that is larger than it declares is never inflated; its CRC is then wrong.
            return file.read(member.size + 1)
    except _DAMAGED as error:
        raise NotAnExport(
            f"{path.name!r}: {_shown(member.path)} is damaged ({error}): download the export again."
        ) from error


# --- folder ----------------------------------------------------------------------------------------


def _folder_members(root: Path) -> Iterator[Member]:
    for top, folders, files in os.walk(root, onerror=partial(_refuse_unreadable, root)):
        folders[:] = [folder for folder in folders if not _is_junk((folder,))]
        names = [*files, *(folder for folder in folders if Path(top, folder).is_symlink())]
        for name in names:
            place = Path(top, name)
            parts = plain_parts(place.relative_to(root).as_posix())
            if parts is None:
                raise NotAnExport(f"{root.name!r} holds {_shown(name)}, a name that no export has: refused.")
            if _is_junk(parts):
                continue
            if place.is_symlink() and not (place.resolve().is_relative_to(root) and place.is_file()):
                raise NotAnExport(
                    f"{root.name!r}: {_shown('/'.join(parts))} is a symbolic link that leads to a folder or "
                    "out of the export: put a copy in its place."
                )
            if not place.is_file():
                continue  # a pipe or a socket: opening it could wait for ever
            yield Member(str(place.relative_to(root)), parts, place.stat().st_size)


def _refuse_unreadable(root: Path, error: OSError) -> None:
    # Without this, os.walk would pass over the folder in silence.
    raise NotAnExport(
        f"{root.name!r}: {_shown(str(error.filename))} cannot be read: {error.strerror}."
    ) from error


def _read_file(root: Path, member: Member) -> bytes:
    _refuse_large(root, member)
    try:
        with (root / member.path).open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise NotAnExport(
            f"{root.name!r}: {_shown(member.path)} cannot be read: {error.strerror}."
        ) from error


def _refuse_large(path: Path, member: Member) -> None:
    if member.size > MAX_FILE_BYTES:
        raise NotAnExport(
            f"{path.name!r}: {_shown(member.path)} has {member.size:,} bytes, more than the limit of "
            f"{MAX_FILE_BYTES:,} for one file: refused."
        )


def _shown(name: str) -> str:
    """Quote a name for a message: on one line and not endless."""
    return repr(name if len(name) <= 120 else name[:117] + "...")
