"""Make the demo export: an official-format Slack export, made from the screenplay beside this file.

    python examples/make_demo_export.py [OUT.zip]

The same screenplay makes the same export, whenever and wherever it is run. What the author leaves open (the
second of a message, its id, whether it repeats the profile of its sender) follows from a hash of the message,
so that a line that is added or changed leaves all other messages as they were.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import uuid
import zipfile
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

if not __package__:  # run as a plain script
    sys.path.insert(0, str(Path(__file__).parent.parent))

from examples.demo_cast import ASSETS, CAST, TEAM, TOMBSTONE_USER, Json, Member, inline_profile, sender, users
from examples.screenplay import Channel, Line, ScreenplayError, read_channel
from examples.slack_markup import escape, mrkdwn, rich_text

HERE = Path(__file__).parent
SCREENPLAY = HERE / "demo_screenplay"
DEFAULT_OUT = HERE / "demo_export.zip"
SEED = "tarnwheel-1"  # another one makes other seconds and ids, and the same conversations
FAKE_TOKEN = "xoxe-0000-demo"  # opens nothing: it is here to be stripped
ZIP_DATE = (2026, 3, 28, 0, 0, 0)
MINUTE_US = 60_000_000

ANNOUNCED = {
    "channel_join": "{user} has joined the channel",
    "channel_leave": "{user} has left the channel",
    "channel_topic": "{user} set the channel topic: {text}",
    "channel_purpose": "{user} set the channel purpose: {text}",
    "channel_name": '{user} has renamed the channel from "{old}" to "{new}"',
    "channel_archive": "{user} archived the channel",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the export and say in one line what is in it."""
    parser = argparse.ArgumentParser(description="Make the synthetic demo export of headrace.")
    parser.add_argument("out", nargs="?", type=Path, default=DEFAULT_OUT, help="default: %(default)s")
    out: Path = parser.parse_args(arguments).out
    channels = read_screenplay()
    members = export_members(channels)
    out.write_bytes(zipped(members))
    lines = [line for channel in channels for line in channel.all_lines()]
    messages = sum(line.subtype != "gone" and line.who != "canvas" for line in lines)
    threads = sum(bool(line.replies) for line in lines)
    counts = f"{messages} messages, {threads} threads, {len(channels)} channels, {len(members)} files"
    print(f"{out}: {counts}, {out.stat().st_size // 1000} kB")


def read_screenplay(folder: Path = SCREENPLAY) -> list[Channel]:
    """All channels of the screenplay, by file name."""
    return [read_channel(path) for path in sorted(folder.glob("*.txt"))]


def export_members(channels: Sequence[Channel]) -> dict[str, bytes]:
    """The files of the export by their path in the ZIP, sorted."""
    channel_ids = {channel.name: channel.facts["id"] for channel in channels}
    objects: dict[str, object] = {
        "users.json": users(),
        "channels.json": [listing(channel) for channel in channels if "unlisted" not in channel.facts],
        "canvases.json": [
            canvas(line, channel) for channel in channels for line in channel.lines if line.who == "canvas"
        ],
        "integration_logs.json": integration_logs(),
        "huddle_transcripts.json": [""],  # what real exports hold when there was no huddle
    }
    for channel in channels:
        for day, messages in Composer(channel, channel_ids).days().items():
            objects[f"{channel.name}/{day}.json"] = messages
    return {path: json.dumps(objects[path], indent=4).encode("ascii") for path in sorted(objects)}


def zipped(members: dict[str, bytes]) -> bytes:
    """A ZIP whose bytes depend on its members only (and on zlib, whose releases may compress differently)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in members.items():
            info = zipfile.ZipInfo(path, date_time=ZIP_DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3  # Unix, also when made on Windows
            info.external_attr = 0o644 << 16
            archive.writestr(info, content, compresslevel=9)
    return buffer.getvalue()


class Composer:
    """Makes the messages of one channel: stamps each line with its `ts`, then links replies to parents."""

    def __init__(self, channel: Channel, channel_ids: dict[str, str]) -> None:
        self.channel, self.channel_ids = channel, channel_ids
        self.stamps: dict[str, int] = {}
        for line in channel.lines:
            after = self._stamp(line, after=None)
            for reply in line.replies:
                after = self._stamp(reply, after)
        if len(set(self.stamps.values())) < len(self.stamps):
            raise ScreenplayError(channel.name, "two messages have the same ts: change a minute")

    def days(self) -> dict[str, list[Json]]:
        """The messages by UTC day, in order of time."""
        days: dict[str, list[Json]] = {}
        spoken = [(line, parent) for parent in self.channel.lines for line in (parent, *parent.replies)]
        for line, parent in sorted(spoken, key=lambda pair: self.stamps[pair[0].place]):
            if line.who == "canvas":
                message = canvas(line, self.channel)
            elif line.subtype == "gone":
                continue
            else:
                message = self.message(line) | self.thread_fields(line, parent)
            days.setdefault(f"{line.minute:%Y-%m-%d}", []).append(message)
        return days

    def _stamp(self, line: Line, after: int | None) -> int:
        start = int(line.minute.timestamp()) * 1_000_000
        if (second := line.note("at")) is not None:
            stamp = start + int(float(second) * 1_000_000)
        else:
            stamp = start + spin(line, "ts") % MINUTE_US
            if spin(line, "zeros") % 10 == 0:
                stamp -= stamp % 1000  # more fractions that end in zeros, which careless readers lose
        if after is not None and stamp <= after:
            if start + MINUTE_US <= after:
                raise ScreenplayError(line.place, "a reply is older than the line above it")
            stamp = (after + start + MINUTE_US) // 2
        self.stamps[line.place] = stamp
        return stamp

    def ts(self, line: Line) -> str:
        """The id of a message in its channel: seconds and six digits, zeros kept."""
        seconds, fraction = divmod(self.stamps[line.place], 1_000_000)
        return f"{seconds}.{fraction:06d}"

    def message(self, line: Line) -> Json:
        """A message as it would be outside of a thread."""
        if line.subtype == "tombstone":
            return {
                "type": "message",
                "subtype": "tombstone",
                "user": TOMBSTONE_USER,
                "text": "This message was deleted.",
                "hidden": True,
                "ts": self.ts(line),
            }
        if line.subtype not in ("", "me_message", *ANNOUNCED):
            raise ScreenplayError(line.place, f"no subtype is called {line.subtype!r}")
        member = speaker(line.who, line.place)
        message: Json = {"type": "message", **sender(member), "ts": self.ts(line), "text": self._text(line)}
        if line.subtype:
            message |= {"subtype": line.subtype, **self._announced(line)}
        elif member.kind == "bot":
            message |= {} if member.id else {"subtype": "bot_message"}
        else:
            message["client_msg_id"] = str(uuid.UUID(int=spin(line, "id"), version=4))
            if member.kind == "guest" or spin(line, "profile") % 8:
                message |= inline_profile(member)
            if spin(line, "blocks") % 3 == 0:
                block_id = f"{spin(line, 'block') % 16**5:05x}"
                message["blocks"] = rich_text(line.text, self.channel_ids, block_id)
        return message | self._noted(line, member)

    def _text(self, line: Line) -> str:
        text = mrkdwn(line.text, self.channel_ids)
        if line.subtype not in ANNOUNCED:
            return text
        old, _, new = text.partition(" ")
        user = f"<@{CAST[line.who].id}>"
        return ANNOUNCED[line.subtype].format(user=user, text=text, old=old, new=new)

    def _announced(self, line: Line) -> Json:
        kind = line.subtype.removeprefix("channel_")
        if kind == "name":
            old, new = line.text.split()
            return {"old_name": old, "name": new}
        return {kind: line.text} if kind in ("topic", "purpose") else {}

    def _noted(self, line: Line, member: Member) -> Json:
        fields: Json = {}
        for kind, notes in line.notes.items():
            if kind == "react":
                fields["reactions"] = [reaction(note, line.place) for note in notes]
            elif kind == "edited":
                later = self.stamps[line.place] // 1_000_000 + 60 * int(notes[0].strip("+m"))
                fields["edited"] = {"user": member.id, "ts": f"{later}.000000"}
            elif kind == "file":
                fields |= {
                    "files": [file(note, line) for note in notes],
                    "upload": True,
                    "display_as_bot": False,
                }
            elif kind == "attachment":
                fields["attachments"] = [attachment(note, index) for index, note in enumerate(notes, start=1)]
            elif kind == "block":
                texts = [{"type": "mrkdwn", "text": escape(note), "verbatim": False} for note in notes]
                fields["blocks"] = [{"type": "section", "block_id": "g0", "text": text} for text in texts]
            elif kind not in ("at", "broadcast", "thread"):
                raise ScreenplayError(line.place, f"no note is called {kind!r}")
        return fields

    def thread_fields(self, line: Line, parent: Line) -> Json:
        """What ties a line to its thread: counts and replies for a parent, the parent's `ts` for a reply."""
        if (outside := line.note("thread")) is not None:
            thread_ts, who = outside.split()
            return {"thread_ts": thread_ts, "parent_user_id": CAST[who].id}
        if line is not parent:
            return {
                "thread_ts": self.ts(parent),
                **self._parent_user(parent),
                **self._broadcast(line, parent),
            }
        if not line.replies:
            return {}
        repliers = [self._author(reply) for reply in line.replies]
        replies = [
            {"user": who, "ts": self.ts(reply)} for who, reply in zip(repliers, line.replies, strict=True)
        ]
        return self._summary(line) | {"replies": replies}

    def _summary(self, parent: Line) -> Json:
        repliers = list(dict.fromkeys(self._author(reply) for reply in parent.replies))
        return {
            "thread_ts": self.ts(parent),
            "reply_count": len(parent.replies),
            "reply_users_count": len(repliers),
            "latest_reply": self.ts(parent.replies[-1]),
            "reply_users": repliers,
            "is_locked": False,
            "subscribed": False,
        }

    def _author(self, line: Line) -> str:
        if line.subtype == "tombstone":
            return TOMBSTONE_USER
        member = speaker(line.who, line.place)
        return member.id or member.bot_id

    def _parent_user(self, parent: Line) -> Json:
        author = self._author(parent)
        return {} if author.startswith("B") else {"parent_user_id": author}

    def _broadcast(self, line: Line, parent: Line) -> Json:
        if line.note("broadcast") is None:
            return {}
        root = {
            key: value for key, value in self.message(parent).items() if key not in ("blocks", "user_profile")
        }
        return {"subtype": "thread_broadcast", "root": root | self._summary(parent)}


def spin(line: Line, purpose: str) -> int:
    """A number of 128 bits that depends on the seed, the line and the purpose, and on nothing else."""
    key = "\n".join((SEED, purpose, line.who, line.minute.isoformat(), line.text))
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:16], "big")


def speaker(who: str, place: str) -> Member:
    """The member of the cast with that key."""
    if who not in CAST:
        raise ScreenplayError(place, f"nobody is called {who!r}; the cast is {', '.join(CAST)}")
    return CAST[who]


def reaction(note: str, place: str) -> Json:
    """One emoji and who gave it, from `tada nadia tomek`."""
    name, *fans = note.split()
    return {"name": name, "users": [speaker(who, place).id for who in fans], "count": len(fans)}


def file(note: str, line: Line) -> Json:
    """The metadata of an uploaded file, from `name type bytes [token]`; a deleted file keeps only its id."""
    name, mimetype, *rest = note.split()
    file_id = f"F0{spin(line, name) % 36**6:09X}"
    if mimetype == "tombstone":
        return {"id": file_id, "mode": "tombstone"}
    token = f"?t={FAKE_TOKEN}" if "token" in rest else ""
    created = int(line.minute.timestamp())
    return {
        "id": file_id,
        "created": created,
        "timestamp": created,
        "name": name,
        "title": name.rpartition(".")[0].replace("-", " "),
        "mimetype": mimetype,
        "filetype": name.rpartition(".")[2],
        "user": CAST[line.who].id,
        "user_team": TEAM,
        "size": int(rest[0]),
        "mode": "hosted",
        "is_external": False,
        "is_public": True,
        "url_private": f"{ASSETS}/files-pri/{TEAM}-{file_id}/{name}{token}",
        "url_private_download": f"{ASSETS}/files-pri/{TEAM}-{file_id}/download/{name}{token}",
        "permalink": f"https://tarnwheel.example.org/files/{CAST[line.who].id}/{file_id}/{name}",
    }


def attachment(note: str, index: int) -> Json:
    """One attachment of a bot, from `title|text|colour`."""
    title, text, colour = note.split("|")
    return {
        "id": index,
        "color": colour.removeprefix("#"),
        "fallback": f"{escape(title)}: {escape(text)}",
        "title": escape(title),
        "text": escape(text),
    }


def canvas(line: Line, channel: Channel) -> Json:
    """A canvas: in `canvases.json` and, as in real exports, among the messages, without `ts` and `type`."""
    created = int(line.minute.timestamp())
    return {
        "id": f"F0{spin(line, 'canvas') % 36**6:09X}",
        "created": created,
        "timestamp": created,
        "name": line.text.replace(" ", "_"),
        "title": line.text,
        "mimetype": "application/vnd.slack-docs",
        "filetype": "quip",
        "user": CAST["sam"].id,
        "size": 1834,
        "mode": "quip",
        "channels": [channel.facts["id"]],
    }


def listing(channel: Channel) -> Json:
    """One entry of `channels.json`; its members are the people who spoke."""
    created, _, creator = channel.facts["created"].partition(" by ")
    seconds = int(datetime.fromisoformat(created).replace(tzinfo=timezone.utc).timestamp())
    speakers = {CAST[line.who].id for line in channel.all_lines() if line.who in CAST} - {""}
    set_by = {"creator": CAST[creator].id, "last_set": seconds}
    return {
        "id": channel.facts["id"],
        "name": channel.name,
        "created": seconds,
        "creator": CAST[creator].id,
        "is_archived": "archived" in channel.facts,
        "is_general": channel.name == "general",
        "members": sorted(speakers),
        "topic": {"value": escape(channel.facts.get("topic", ""))} | set_by,
        "purpose": {"value": escape(channel.facts.get("purpose", ""))} | set_by,
    }


def integration_logs() -> list[Json]:
    """What `integration_logs.json` holds: who added which bot, with seconds as text."""
    added = (
        ("1715594400", "gauge", "incoming-webhook"),
        ("1718012345", "sluice", "chat:write,channels:read"),
    )
    return [
        {
            "user_id": CAST["yorgos"].id,
            "user_name": "yorgos",
            "date": date,
            "change_type": "added",
            "app_type": bot,
            "app_id": f"A0DEMO{bot[:5].upper()}",
            "scope": scope,
        }
        for date, bot, scope in added
    ]


if __name__ == "__main__":
    main()
