"""Read channels, users, messages and other items from an official Slack export.

One input, `export`: the path of the ZIP that Slack sent, or of the folder that was in it. Importing the same
export twice changes nothing, and importing a newer one adds and updates; where two exports differ about a
message, the one imported last is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ibis.expr.types as ir

from headrace.dataflows.resource import resource
from headrace.dataflows.sources.slack_export.export import SlackExport, message_stream
from headrace.dataflows.sources.slack_export.message import MESSAGE_COLUMNS
from headrace.loaders.records import Record, Stream

CHANNEL_COLUMNS = {
    "id": "VARCHAR",
    "name": "VARCHAR",
    "kind": "VARCHAR",
    "creator": "VARCHAR",
    "is_archived": "BOOLEAN",
    "is_general": "BOOLEAN",
    "topic.value": "VARCHAR",
    "topic.creator": "VARCHAR",
    "purpose.value": "VARCHAR",
    "purpose.creator": "VARCHAR",
    "properties": "JSON",
}

USER_COLUMNS = {
    "id": "VARCHAR",
    "team_id": "VARCHAR",
    "name": "VARCHAR",
    "real_name": "VARCHAR",
    "deleted": "BOOLEAN",
    "is_bot": "BOOLEAN",
    "tz": "VARCHAR",
    "profile.real_name": "VARCHAR",
    "profile.display_name": "VARCHAR",
    "profile.email": "VARCHAR",
    "profile.title": "VARCHAR",
    "profile.fields": "JSON",
    "profile.status_emoji_display_info": "JSON",
}

OTHER_COLUMNS = {"id": "VARCHAR", "folder": "VARCHAR", "file": "VARCHAR", "raw": "JSON"}


def slack_export(export: str | Path) -> SlackExport:
    """The export at this path, read once as a whole and found sound."""
    return SlackExport.open(export)


@resource(primary_key="id", write_disposition="merge", columns=CHANNEL_COLUMNS)
def channels(slack_export: SlackExport) -> Iterator[Record]:
    """One row per channel of any kind: public, private, mpim (a group of people) or im (two people)."""
    yield from slack_export.channels()


@resource(primary_key="id", write_disposition="merge", columns=USER_COLUMNS)
def users(slack_export: SlackExport) -> Iterator[Record]:
    """One row per person or bot of the workspace and, on Enterprise Grid, of the organisation."""
    yield from slack_export.users()


@resource(primary_key=("channel_id", "ts"), write_disposition="merge", columns=MESSAGE_COLUMNS)
def messages(slack_export: SlackExport, channels: ir.Table, since: dict[str, str] | None) -> Stream:
    """One row per message, replies included, from the folders that have changed since the last load."""
    landed = channels.select("id", "name").to_pyarrow().to_pydict()
    yield from message_stream(slack_export, zip(landed["id"], landed["name"], strict=True), since)


@resource(primary_key="id", write_disposition="merge", columns=OTHER_COLUMNS)
def other_items(slack_export: SlackExport) -> Iterator[Record]:
    """One row per item that is no message, channel or user: canvases, lists, logs; as it is, in `raw`."""
    yield from slack_export.other_items()
