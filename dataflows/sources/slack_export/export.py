"""Read a Slack export: what it holds, which folder is which channel, and what is new.

An export is a ZIP, or the folder that was in it: `channels.json`, `users.json` and the like at the top, and
for each channel a folder with one file a day, `general/2020-01-31.json`. They may lie in a further folder.

Where everything goes:

* a dict with a `ts` in a file named by a day is a message, in any folder, listed as a channel or not;
* a dict with an `id` in `channels.json`, `groups.json`, `mpims.json` or `dms.json` is a channel, and in
  `org_users.json` or `users.json` a user;
* every other item of every JSON file at the top or in a channel's folder is one of the `other_items`:
  canvases and lists among the messages, `canvases.json`, `integration_logs.json`, `huddle_transcripts.json`;
* other files, and files deeper than a channel's folder (downloaded attachments) or beside the export, are
  not read, and named in `SlackExport.ignored`.

`SlackExport.open` reads everything once, so that a damaged export is refused before anything is written.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from headrace.dataflows.sources.slack_export.archive import Archive, Member, Read, open_archive
from headrace.dataflows.sources.slack_export.json_text import parsed
from headrace.dataflows.sources.slack_export.message import is_message, message_record
from headrace.errors import NotAnExport, SourceError
from headrace.loaders.records import Checkpoint, Record, Rekey, Stream

CHANNEL_LISTS = {"channels.json": "public", "groups.json": "private", "mpims.json": "mpim", "dms.json": "im"}
"""The kind of the channels that each list holds."""

USER_LISTS = ("org_users.json", "users.json")
"""Where a user is in both, the workspace's own entry comes later, and so stays when they are merged."""

_LISTS = {*CHANNEL_LISTS, *USER_LISTS}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\.json")
_ID = re.compile(r"[CDG][A-Z0-9]{6,}")  # names of channels are in lower case


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One JSON file of an export, as it was when the export was opened.

    Attributes:
        member: How the archive finds it.
        folder: The folder of the channel, usually its name; empty at the top.
        name: The name of the file.
        crc: CRC-32 of its bytes.
        size: Bytes, uncompressed.
        items: Items in it; a document that is no list is one item.
        others: Those of them that are no message, channel or user.
    """

    member: Member
    folder: str
    name: str
    crc: int
    size: int
    items: int
    others: int

    @property
    def is_day(self) -> bool:
        """Whether it holds a day of a channel."""
        return bool(self.folder and _DAY.fullmatch(self.name))


@dataclass(frozen=True, slots=True, repr=False)
class SlackExport:
    """A Slack export that has been read once and found sound; nothing of it stays open or in memory.

    Attributes:
        archive: The ZIP or folder.
        files: Its JSON files, by folder and name.
        ignored: Files that are no part of an export, as `folder/name`.
        names: Pairs of name and id of the channels that the export lists.
        previous_names: Pairs of a name that a channel had before and the id of the channel.
    """

    archive: Archive
    files: tuple[ExportFile, ...]
    ignored: tuple[str, ...]
    names: tuple[tuple[str, str], ...]
    previous_names: tuple[tuple[str, str], ...]

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> SlackExport:
        """Open the export at `path` and check all of it: every file is read and parsed once.

        Raises:
            NotAnExport: When it is no export or a damaged one; the message tells what, where and what to do.
        """
        archive = open_archive(path)
        top = _top(archive)
        files: list[ExportFile] = []
        ignored: list[str] = []
        channels: list[Record] = []
        with archive.reading() as read:
            for member in archive.members:
                parts = member.parts[len(top) :]
                in_place = member.parts[: len(top)] == top and len(parts) <= 2
                if not in_place or not parts[-1].endswith(".json"):
                    ignored.append("/".join(member.parts))
                    continue
                file, own = _checked(archive, read, member, "/".join(parts[:-1]), parts[-1])
                files.append(file)
                if not file.folder and file.name in CHANNEL_LISTS:
                    channels.extend(own)
        return cls(
            archive,
            tuple(sorted(files, key=lambda file: (file.folder, file.name))),
            tuple(ignored),
            tuple(_named(channels, lambda channel: [channel["id"], channel.get("name")])),
            tuple(_named(channels, lambda channel: channel.get("previous_names"))),
        )

    def __repr__(self) -> str:
        days = [file for file in self.files if file.is_day]
        messages = sum(file.items - file.others for file in days)
        return (
            f"SlackExport({self.archive.path.name!r}: {self._count(CHANNEL_LISTS)} channels, "
            f"{self._count(USER_LISTS)} users, {messages} messages in {len(self.folders())} folders)"
        )

    def _count(self, lists: Iterable[str]) -> int:
        return sum(file.items - file.others for file in self._top_files(lists))

    def _top_files(self, names: Iterable[str]) -> list[ExportFile]:
        return [file for name in names for file in self.files if (file.folder, file.name) == ("", name)]

    def folders(self) -> dict[str, list[ExportFile]]:
        """Return the days of each channel's folder, folders and days in order."""
        days: dict[str, list[ExportFile]] = {}
        for file in self.files:
            if file.is_day:
                days.setdefault(file.folder, []).append(file)
        return days

    def channels(self) -> Iterator[Record]:
        """Yield the channels that the export lists, each with its `kind`: public, private, mpim or im."""
        with self.archive.reading() as read:
            for file in self._top_files(CHANNEL_LISTS):
                for channel in self._own(read, file):
                    yield {**channel, "kind": CHANNEL_LISTS[file.name]}

    def users(self) -> Iterator[Record]:
        """Yield the users of the organisation, if it lists them, and then those of the workspace."""
        with self.archive.reading() as read:
            for file in self._top_files(USER_LISTS):
                yield from self._own(read, file)

    def messages(self, days: Mapping[str, Iterable[ExportFile]], ids: Mapping[str, str]) -> Iterator[Record]:
        """Yield the messages of some folders, one file in memory at a time.

        Args:
            days: What to read, as `folders` gives it.
            ids: The id of each folder's channel.
        """
        with self.archive.reading() as read:
            for folder, files in days.items():
                for file in files:
                    for message in self._own(read, file):
                        yield message_record(message, ids[folder], folder)

    def other_items(self) -> Iterator[Record]:
        """Yield what is no message, channel or user, as it is; the key is made of its place and content."""
        with self.archive.reading() as read:
            for file in self.files:
                if file.others:
                    for item in _items(_document(self.archive, read, file)):
                        if not _is_own(file.folder, file.name, item):
                            yield _other_item(file, item)

    def _own(self, read: Read, file: ExportFile) -> Iterator[Record]:
        for item in _items(_document(self.archive, read, file)):
            if _is_own(file.folder, file.name, item):
                yield item


def message_stream(
    export: SlackExport, landed: Iterable[tuple[str, str | None]], since: Mapping[str, str] | None
) -> Stream:
    """Yield the messages of the folders that are new or changed, and marks for what is known about the rest.

    First a `Rekey` for each channel that was landed under its name and whose id is known now, then the
    messages, then one `Checkpoint`: the digest of each folder that was ever read, by `folder/channel id`.

    Args:
        export: The export to read.
        landed: Pairs of id and name of every channel in the warehouse.
        since: The value of the last checkpoint.
    """
    seen = dict(since or {})
    first = not seen
    days = export.folders()
    known = known_ids(export, landed, seen)
    for name, channel_id in known.items():
        unnamed = f"{name}/{by_name(name)}"
        # Without a checkpoint nobody knows which names were landed; with one, only these were.
        if name != channel_id and (first or unnamed in seen):
            yield Rekey("channel_id", by_name(name), channel_id)
            seen.pop(unnamed, None)
    ids = {folder: channel_of(folder, known) for folder in days}
    digests = {f"{folder}/{ids[folder]}": digest(files) for folder, files in days.items()}
    changed = {
        folder: files
        for folder, files in days.items()
        if seen.get(key := f"{folder}/{ids[folder]}") != digests[key]
    }
    yield from export.messages(changed, ids)
    yield Checkpoint({**seen, **digests})


def known_ids(
    export: SlackExport, landed: Iterable[tuple[str, str | None]], since: Mapping[str, str]
) -> dict[str, str]:
    """Return the id of every channel name that stands for one channel.

    The first that knows a name decides: the channels of this export, the channels landed before, names that
    channels of this export had earlier, and the channel to which an earlier run assigned the folder. A name
    that means two channels there is left out: better a channel known by its name than a wrong one.
    """
    assigned = (key.partition("/")[::2] for key in since)
    levels: list[Iterable[tuple[str, str]]] = [
        export.names,
        [(name, channel_id) for channel_id, name in landed if name],
        export.previous_names,
        [(folder, channel_id) for folder, channel_id in assigned if channel_id != by_name(folder)],
    ]
    known: dict[str, str | None] = {}
    for level in levels:
        found: dict[str, set[str]] = {}
        for name, channel_id in level:
            found.setdefault(unicodedata.normalize("NFC", name), set()).add(channel_id)
        for name, ids in found.items():
            known.setdefault(name, ids.pop() if len(ids) == 1 else None)
    return {name: channel_id for name, channel_id in known.items() if channel_id}


def channel_of(folder: str, known: Mapping[str, str]) -> str:
    """Return the id of a folder's channel; where nobody knows it, a key made of the name.

    >>> [channel_of(folder, {"general": "C024BE91L"}) for folder in ("general", "D024BFF1M", "old-name")]
    ['C024BE91L', 'D024BFF1M', 'name:old-name']
    """
    return known.get(folder) or (folder if _ID.fullmatch(folder) else by_name(folder))


def by_name(name: str) -> str:
    """Return the key of a channel of which only the name is known."""
    return f"name:{name}"


def digest(files: Iterable[ExportFile]) -> str:
    """Return 32 hex digits that change when a file is added, removed, renamed or edited.

    Made of names, CRCs and sizes, and so the same for a ZIP and for the folder that was in it.
    """
    lines = sorted(f"{file.name} {file.crc:08x} {file.size}\n" for file in files)
    return hashlib.blake2b("".join(lines).encode(), digest_size=16).hexdigest()


def _named(channels: Iterable[Record], names: Callable[[Record], Any]) -> Iterator[tuple[str, str]]:
    for channel in channels:
        found = names(channel)
        for name in found if isinstance(found, list) else []:
            if name and isinstance(name, str):
                yield name, channel["id"]


def _top(archive: Archive) -> tuple[str, ...]:
    """Return the folder that holds the lists: where the export begins."""
    tops = {member.parts[:-1] for member in archive.members if member.parts[-1] in _LISTS}
    days = [member.parts for member in archive.members if _DAY.fullmatch(member.parts[-1])]
    lists_channels = any(member.parts[-1] in CHANNEL_LISTS for member in archive.members)
    if not tops or not (days or lists_channels):
        raise NotAnExport(
            f"{archive.path.name!r} is not a Slack export: it has no channels.json, and no users.json beside "
            "folders of days. Give the ZIP as Slack sent it, or the folder that holds channels.json."
        )
    top = min(tops, key=lambda parts: (len(parts), parts))
    for day in days:
        channel, owner = day[:-1], day[:-2]
        if channel != top and (day[: len(top)] != top or (owner != top and owner in tops)):
            raise NotAnExport(
                f"{archive.path.name!r} holds more than one export: {'/'.join(day)!r} does not belong to the "
                f"one in {'/'.join(top) or '.'!r}. Give each on its own."
            )
    return top


def _checked(
    archive: Archive, read: Read, member: Member, folder: str, name: str
) -> tuple[ExportFile, list[Record]]:
    """Read a file for the first time; return what to remember, and its channels, users or messages."""
    data = read(member)
    document = _parsed(archive, member, data)
    must_be_list = bool(_DAY.fullmatch(name)) if folder else name in _LISTS
    if must_be_list and not isinstance(document, list):
        raise NotAnExport(
            f"{archive.path.name!r}: {'/'.join(member.parts)!r} is not a list at line 1, column 1, as "
            "in every export. Take the file from the original export, or export again."
        )
    items = _items(document)
    own = [item for item in items if _is_own(folder, name, item)]
    others = len(items) - len(own)
    return ExportFile(member, folder, name, zlib.crc32(data), len(data), len(items), others), own


def _document(archive: Archive, read: Read, file: ExportFile) -> Any:
    """Read a file again; what was checked is what lands."""
    data = read(file.member)
    if (zlib.crc32(data), len(data)) != (file.crc, file.size):
        where = f"{archive.path.name!r}: {'/'.join(file.member.parts)!r}"
        raise SourceError(f"{where} has changed since the export was opened: run it again.")
    return _parsed(archive, file.member, data)


def _parsed(archive: Archive, member: Member, data: bytes) -> Any:
    try:
        return parsed(data)
    except ValueError as error:
        raise NotAnExport(
            f"{archive.path.name!r}: {'/'.join(member.parts)!r} is not valid JSON: {error}. "
            "Take the file from the original export, or export again."
        ) from error


def _items(document: Any) -> list[Any]:
    return document if isinstance(document, list) else [document]


def _is_own(folder: str, name: str, item: Any) -> bool:
    """Tell whether an item is what its file is for: a message, a channel or a user."""
    if folder:
        return bool(_DAY.fullmatch(name)) and is_message(item)
    return name in _LISTS and isinstance(item, dict) and isinstance(item.get("id"), str) and bool(item["id"])


def _other_item(file: ExportFile, item: Any) -> Record:
    raw = json.dumps(item, sort_keys=True)
    key = hashlib.blake2b(f"{file.folder}/{file.name} {raw}".encode(), digest_size=16).hexdigest()
    return {"id": key, "folder": file.folder or None, "file": file.name, "raw": item}
