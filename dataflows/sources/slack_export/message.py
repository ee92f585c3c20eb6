"""Make a record of a Slack message: its time, its channel, and the columns of every message table."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from headrace.loaders.records import Record

MESSAGE_COLUMNS: dict[str, str] = {
    "channel_id": "VARCHAR",
    "channel_name": "VARCHAR",
    "ts": "VARCHAR",
    "ts_us": "BIGINT",
    "posted_at": "TIMESTAMP",
    "thread_ts": "VARCHAR",
    "type": "VARCHAR",
    "subtype": "VARCHAR",
    "user": "VARCHAR",
    "bot_id": "VARCHAR",
    "username": "VARCHAR",
    "text": "VARCHAR",
    "hidden": "BOOLEAN",
    "parent_user_id": "VARCHAR",
    "reply_count": "BIGINT",
    "reply_users_count": "BIGINT",
    "latest_reply": "VARCHAR",
    "edited.user": "VARCHAR",
    "edited.ts": "VARCHAR",
    "user_profile.real_name": "VARCHAR",
    "user_profile.display_name": "VARCHAR",
    "user_profile.name": "VARCHAR",
    # A different shape in every message, or keyed by ids: one JSON column each, not hundreds of columns.
    "assistant_app_thread": "JSON",
    "attachments": "JSON",
    "blocks": "JSON",
    "bot_profile": "JSON",
    "comment": "JSON",
    "file": "JSON",
    "files": "JSON",
    "icons": "JSON",
    "item": "JSON",
    "metadata": "JSON",
    "pinned_info": "JSON",
    "room": "JSON",
    "root": "JSON",
    "x_files": "JSON",
}
"""Columns that the table of messages has from its first load, by path; `JSON` keeps nested data as it is."""

_TS = re.compile(r"([0-9]{1,12})(?:\.([0-9]*))?")
_EPOCH = datetime(1970, 1, 1)
_LAST_SECOND = 253_402_300_799  # the end of the year 9999, the last that a datetime can tell


def ts_us(ts: Any) -> int | None:
    """Return the microseconds since 1970 (UTC) that a Slack `ts` stands for; None where it is no `ts`.

    Read digit by digit, never through a float. Digits beyond the sixth are below a microsecond and dropped.

    >>> ts_us("1433558319.000002"), ts_us("1433558319"), ts_us("1433558319.5")
    (1433558319000002, 1433558319000000, 1433558319500000)
    >>> ts_us("yesterday"), ts_us(1433558319.000002)
    (None, None)
    """
    found = _TS.fullmatch(ts) if isinstance(ts, str) else None
    if found is None or int(found[1]) > _LAST_SECOND:
        return None
    return int(found[1]) * 1_000_000 + int((found[2] or "")[:6].ljust(6, "0"))


def ts_text(microseconds: int) -> str:
    """Return the `ts` that Slack writes for a number of microseconds since 1970.

    >>> ts_text(1433558319000002)
    '1433558319.000002'
    """
    seconds, fraction = divmod(microseconds, 1_000_000)
    return f"{seconds}.{fraction:06d}"


def posted_at(microseconds: int) -> datetime:
    """Return the time of a `ts_us`: naive, in UTC, exact to the microsecond.

    >>> posted_at(1433558319000002)
    datetime.datetime(2015, 6, 6, 2, 38, 39, 2)
    """
    return _EPOCH + timedelta(microseconds=microseconds)


def is_message(item: Any) -> bool:
    """Tell whether an item of a day's file is a message: exports put canvases and lists there as well.

    >>> is_message({"ts": "1433558319.000002"}), is_message({"id": "F1", "title": "a canvas"}), is_message("")
    (True, False, False)
    """
    return isinstance(item, dict) and ts_us(item.get("ts")) is not None


def message_record(message: Record, channel_id: str, channel_name: str) -> Record:
    """Return the record of a message: all that Slack says, and where and when it was posted.

    >>> message_record({"ts": "1433558319.000002", "text": "hi"}, "C1", "general")
    {'ts': '1433558319.000002', 'text': 'hi', 'channel_id': 'C1', 'channel_name': 'general',
     'ts_us': 1433558319000002, 'posted_at': datetime.datetime(2015, 6, 6, 2, 38, 39, 2)}

    Raises:
        ValueError: When it has no `ts`; see `is_message`.
    """
    microseconds = ts_us(message.get("ts"))
    if microseconds is None:
        raise ValueError("A message needs a `ts` such as '1433558319.000002'.")
    return {
        **message,
        "channel_id": channel_id,
        "channel_name": channel_name,
        "ts_us": microseconds,
        "posted_at": posted_at(microseconds),
    }
