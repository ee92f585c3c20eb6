"""Build Slack threads from landed messages: four nodes, each named by the table it gives.

    messages, users, channels ─> thread_messages ─┬─> threads
                                                  └─> thread_texts ─> thread_briefs

The engine filters, joins and ranks; Python assembles text. Order inside an aggregate is the engine's
own affair, so nothing here depends on it: a message has a position, and text is put together by it. The
expressions use no arrays and no string aggregates and give the same on DuckDB and SQLite.

What a thread is. Its key is `(channel_id, thread_ts)`: two channels can hold the same `ts`. It exists once
a reply of it has landed. A parent counts even when it was landed before its first reply, without a
`thread_ts` of its own; without a landed parent the replies are still a thread. A parent alone, whose
`reply_count` promises replies that have not landed, is no thread yet: what it says without its answers would
be summed up as a question that nobody answered. Messages Slack wrote itself (a tombstone in the place of a
deleted parent, somebody joining) keep their place.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from headrace.transforms.slack_text.mrkdwn import NO_TEXT, message_text
from headrace.transforms.summaries.briefs import ENGINE, Brief, summarise
from headrace.transforms.summaries.key_sentences import Post

FALLBACKS = ("blocks", "attachments", "files", "file", "comment")
"""Columns of JSON text that say what a message shows when its text is empty."""

_COLUMNS = (
    *("channel_name", "ts", "ts_us", "posted_at", "position", "is_parent", "is_broadcast", "is_bot"),
    *("author", "author_number", "author_name", "subtype", "text"),
)
_ROWS_AT_ONCE = 10_000
_BRIEFS_AT_ONCE = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

# Slack's own messages about a channel; `channel_…` and `group_…` are found by their prefix.
_NOTICES = frozenset(
    {"tombstone", "pinned_item", "unpinned_item", "bot_add", "bot_remove", "bot_enable", "bot_disable"}
    | {"reminder_add", "welcome_party", "huddle_thread", "sh_room_created", "joiner_notification"}
)

_TEXTS = pa.schema(
    [
        ("channel_id", pa.string()),
        ("channel_name", pa.string()),
        ("thread_ts", pa.string()),
        ("first_at", pa.timestamp("us")),
        ("text", pa.string()),
        ("messages", pa.string()),
        ("content_hash", pa.string()),
    ]
)
_BRIEFS = pa.schema(
    [
        ("channel_id", pa.string()),
        ("channel_name", pa.string()),
        ("thread_ts", pa.string()),
        ("first_at", pa.timestamp("us")),
        ("topic", pa.string()),
        ("topic_author", pa.string()),
        ("points", pa.string()),
        ("status", pa.string()),
        ("evidence", pa.string()),
        ("evidence_author", pa.string()),
        ("brief", pa.string()),
        ("engine", pa.string()),
    ]
)


class Cache(Protocol):
    """Texts by key that outlive a run. Two functions, both in bulk: it may be a table."""

    def get_many(self, keys: list[str]) -> dict[str, str]:
        """Return the values of the keys that are there."""

    def put_many(self, values: dict[str, str]) -> None:
        """Keep the values; what a key had before gives way."""


class Warehouse(Protocol):
    """As much of a warehouse as briefs need."""

    def cache(self, name: str) -> Cache:
        """Return the cache of this name, empty where nothing was kept yet."""


def thread_messages(messages: ir.Table, users: ir.Table, channels: ir.Table) -> ir.Table:
    """Every message of a thread, its parent included, with its position and its author's name.

    One row per `(channel_id, ts)`. `position` counts from 0 by `ts`. `author` is a user, else a bot, else
    the name a bot gave itself; `author_number` counts from 1 by first appearance in the thread, so who
    starts it is 1. The columns of `FALLBACKS` are NULL where `text` says something.

        thread_ts  ts        position  is_parent  author_number  author_name  text
        5.000001   5.000001         0       true              1  Ana          Where are the docs?
        5.000001   5.000002         1      false              2  Bo           In the wiki.
        5.000001   5.000003         2      false              1  Ana          Thanks!
    """
    named = _with_names(_thread_rows(messages), users, channels)
    thread = ["channel_id", "thread_ts"]
    ranked = named.mutate(
        position=ibis.row_number().over(group_by=thread, order_by=["ts_us", "ts"]),
        # One name per person and thread, though Slack sends a stranger's profile with some messages only.
        author_name=_first_said(
            named.known_name,
            named.inlined_name.max().over(group_by=[*thread, "author"]),
            named.username,
            named.author,
        ),
        channel_name=ibis.coalesce(named.channel_name.max().over(group_by=thread), named.channel_id),
    )
    appeared = ranked.mutate(_first=ranked.position.min().over(group_by=[*thread, "author"]))
    numbered = appeared.mutate(author_number=ibis.dense_rank().over(group_by=thread, order_by="_first") + 1)
    return numbered.select(*thread, *_COLUMNS, *FALLBACKS)


def threads(thread_messages: ir.Table) -> ir.Table:
    """Every thread with its size and its pace.

    One row per `(channel_id, thread_ts)`. `messages` counts the parent; `people` are distinct authors, bots
    included. `starter` wrote the parent, and `first_reply_seconds` is counted from it in whole
    microseconds: both are NULL where the parent has not landed. `first_at` and `last_at` are UTC.

    >>> from datetime import datetime
    >>> rows = {
    ...     "channel_id": ["C1"] * 2, "channel_name": ["docs"] * 2, "thread_ts": ["5.000001"] * 2,
    ...     "ts_us": [5_000_001, 7_500_001], "posted_at": [datetime(2026, 1, 31)] * 2,
    ...     "is_parent": [True, False], "author": ["U1", "U2"], "author_name": ["Ana", "Bo"],
    ... }
    >>> found = threads(ibis.memtable(rows)).select("messages", "people", "starter", "first_reply_seconds")
    >>> found.to_pyarrow().to_pylist()
    [{'messages': 2, 'people': 2, 'starter': 'Ana', 'first_reply_seconds': 2.5}]
    """
    rows = thread_messages
    by_thread = rows.group_by("channel_id", "thread_ts").agg(
        channel_name=rows.channel_name.max(),
        first_at=rows.posted_at.min(),
        last_at=rows.posted_at.max(),
        messages=rows.count(),
        people=rows.author.nunique(),
        starter=rows.author_name.max(where=rows.is_parent),
        _asked_us=rows.ts_us.max(where=rows.is_parent),
        _answered_us=rows.ts_us.min(where=~rows.is_parent),
    )
    waited = (by_thread._answered_us - by_thread._asked_us) / 1_000_000
    return by_thread.mutate(first_reply_seconds=waited.cast("float64")).drop("_asked_us", "_answered_us")


def thread_texts(thread_messages: ir.Table, users: ir.Table, channels: ir.Table) -> ir.Table:
    r"""Every thread as text that people and summarisers read: `1 Ana: …\n2 Bo: …`.

    One row per `(channel_id, thread_ts)`, in that order. The number of a line is its author's; further lines
    of a message are indented, so that no message can pass for two. `messages` is JSON text, a list of
    `{n, author, kind, at, text}` with `kind` one of "person", "bot", "notice" and `at` in UTC.
    `content_hash` is the SHA-256 of `messages`, in hex.

    Messages and texts are held in memory, as Arrow.
    """
    user_names, channel_names = _names_of_users(users), _names_of(channels)
    rows = _rows(thread_messages.order_by("channel_id", "thread_ts", "position"))
    texts = [
        _thread_text(list(members), user_names, channel_names)
        for _, members in itertools.groupby(rows, key=lambda row: (row["channel_id"], row["thread_ts"]))
    ]
    return ibis.memtable(pa.Table.from_pylist(texts, schema=_TEXTS))


def thread_briefs(thread_texts: ir.Table, warehouse: Any) -> ir.Table:
    """Every thread's brief: its topic, up to three points and whether it came to an answer.

    One row per `(channel_id, thread_ts)`, in that order. `points` is JSON text, a list of `{author, text}`;
    `status` is "resolved", "open question" or "discussion": a hint, whose grounds `evidence` quotes (NULL for
    a discussion); `brief` is all of it on a few lines. A brief is kept in the cache "summaries" by the
    SHA-256 of what it sums up and of the engine's name, so a thread that has not changed is not summarised
    again, and one that changed is.

    Args:
        thread_texts: As the node of that name gives it.
        warehouse: A `Warehouse`; the annotation is wider so that anything with its method will do.
    """
    keys = ["channel_id", "channel_name", "thread_ts", "first_at", "messages"]
    texts = thread_texts.select(*keys).order_by("channel_id", "thread_ts").to_pyarrow()
    summaries: Cache = warehouse.cache("summaries")
    briefs = [
        _brief_row(row, brief)
        for batch in texts.to_batches(max_chunksize=_BRIEFS_AT_ONCE)
        for row, brief in _summarised(batch.to_pylist(), summaries)
    ]
    return ibis.memtable(pa.Table.from_pylist(briefs, schema=_BRIEFS))


def _thread_rows(messages: ir.Table) -> ir.Table:
    """Return the messages of threads, each once, with the columns the rest needs."""
    replies = messages.filter(messages.thread_ts.notnull() & (messages.thread_ts != messages.ts))
    keys = replies.select(_channel="channel_id", _thread="thread_ts").distinct()
    key = ibis.coalesce(messages.thread_ts, messages.ts)
    rows = messages.semi_join(keys, [messages.channel_id == keys._channel, key == keys._thread])
    # A broadcast comes with the channel's history and again with its thread. Merged tables hold it once;
    # of what was appended, the copy edited last counts.
    newest = [
        ibis.desc(ibis.coalesce(rows.edited__ts, "")),
        *map(_orderable, (rows.subtype, rows.text, rows.user)),
    ]
    once = rows.mutate(_copy=ibis.row_number().over(group_by=["channel_id", "ts"], order_by=newest))
    once = once.filter(once._copy == 0)
    silent = ibis.coalesce(once.text.strip(), "").isin(NO_TEXT)
    return once.select(
        "channel_id",
        "ts",
        "ts_us",
        "posted_at",
        "subtype",
        "text",
        "username",
        thread_ts=ibis.coalesce(once.thread_ts, once.ts),
        channel_name=_said(once.channel_name),
        is_parent=ibis.coalesce(once.thread_ts, once.ts) == once.ts,
        is_broadcast=ibis.coalesce(once.subtype, "") == "thread_broadcast",
        from_bot=(ibis.coalesce(once.subtype, "") == "bot_message")
        | (once.user.isnull() & once.bot_id.notnull()),
        author=_first_said(once.user, once.bot_id, once.username, ibis.literal("unknown")),
        inlined_name=_first_said(
            once.user_profile__display_name, once.user_profile__real_name, once.user_profile__name
        ),
        **{name: ibis.ifelse(silent, once[name].cast("string"), ibis.null("string")) for name in FALLBACKS},
    )


def _with_names(rows: ir.Table, users: ir.Table, channels: ir.Table) -> ir.Table:
    """Return rows with the names that users and channels have today, NULL where they are not known."""
    people = users.select(
        _user="id",
        user_is_bot=users.is_bot,
        known_name=_first_said(
            users.profile__display_name, users.real_name, users.profile__real_name, users.name
        ),
    )
    places = channels.select(_channel="id", known_channel=_said(channels.name))
    joined = rows.left_join(people, rows.author == people._user)
    joined = joined.left_join(places, joined.channel_id == places._channel)
    return joined.mutate(
        channel_name=ibis.coalesce(joined.known_channel, joined.channel_name),
        is_bot=joined.from_bot | ibis.coalesce(joined.user_is_bot, False),
    )


def _said(text: ir.StringColumn) -> ir.StringColumn:
    """Return text, NULL where it is empty."""
    return text.strip().nullif("")


def _first_said(*texts: ir.StringValue) -> ir.StringValue:
    """Return the first that is not empty."""
    return ibis.coalesce(*map(_said, texts))


def _orderable(text: ir.StringColumn) -> ir.StringColumn:
    """Return text without NULL, which engines sort first or last as they like."""
    return ibis.coalesce(text, "")


def _rows(table: ir.Table) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table; as Python objects only a batch at a time."""
    for batch in table.to_pyarrow().to_batches(max_chunksize=_ROWS_AT_ONCE):
        yield from batch.to_pylist()


def _names_of_users(users: ir.Table) -> dict[str, str]:
    """Return the names to show for user ids."""
    name = _first_said(users.profile__display_name, users.real_name, users.profile__real_name, users.name)
    return {row["id"]: row["shown"] for row in _rows(users.select("id", shown=name)) if row["shown"]}


def _names_of(channels: ir.Table) -> dict[str, str]:
    """Return the names of channels by their ids."""
    return {row["id"]: row["name"] for row in _rows(channels.select("id", "name")) if row["name"]}


def _thread_text(
    rows: list[dict[str, Any]], users: dict[str, str], channels: dict[str, str]
) -> dict[str, Any]:
    """Return one row of `thread_texts` from the messages of a thread, in order."""
    strangers = {row["author"]: row["author_name"] for row in rows}
    names = {**strangers, **users}
    posts = [
        _post(row, message_text(row["text"], **_fallbacks(row), users=names, channels=channels))
        for row in rows
    ]
    messages = json.dumps(posts, ensure_ascii=False, separators=(",", ":"))
    first = rows[0]
    return {
        "channel_id": first["channel_id"],
        "channel_name": first["channel_name"],
        "thread_ts": first["thread_ts"],
        "first_at": first["posted_at"],
        "text": "\n".join(f"{post['n']} {post['author']}: {_indented(post['text'])}" for post in posts),
        "messages": messages,
        "content_hash": _sha256(messages),
    }


def _fallbacks(row: dict[str, Any]) -> dict[str, str | None]:
    return {name: row[name] for name in FALLBACKS}


def _post(row: dict[str, Any], text: str) -> dict[str, Any]:
    """Return a message as summarisers get it."""
    at = _EPOCH + timedelta(microseconds=row["ts_us"])
    return {
        "n": row["author_number"],
        "author": row["author_name"],
        "kind": _kind(row["subtype"] or "", bool(row["is_bot"])),
        "at": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "text": text,
    }


def _kind(subtype: str, is_bot: bool) -> str:
    """Return who speaks: a person, a bot, or Slack about the channel."""
    if subtype in _NOTICES or subtype.startswith(("channel_", "group_")):
        return "notice"
    return "bot" if is_bot else "person"


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")


def _summarised(rows: list[dict[str, Any]], summaries: Cache) -> list[tuple[dict[str, Any], Brief]]:
    """Return each row with its brief; those that are not in the cache are made and kept."""
    keys = [_sha256(f"{ENGINE}\n{row['messages']}") for row in rows]
    kept = summaries.get_many(sorted(set(keys)))
    made = {
        key: summarise(_posts(row["messages"])).as_json()
        for key, row in zip(keys, rows, strict=True)
        if key not in kept
    }
    if made:
        summaries.put_many(made)
    texts = {**kept, **made}
    return [(row, Brief.from_json(texts[key])) for key, row in zip(keys, rows, strict=True)]


def _posts(messages: str) -> list[Post]:
    """Return the messages that `_post` made."""
    return [Post(post["n"], post["author"], post["text"], post["kind"]) for post in json.loads(messages)]


def _brief_row(row: dict[str, Any], brief: Brief) -> dict[str, Any]:
    """Return one row of `thread_briefs`."""
    points = [{"author": point.author, "text": point.text} for point in brief.points]
    return {
        **{name: row[name] for name in ("channel_id", "channel_name", "thread_ts", "first_at")},
        "topic": brief.topic,
        "topic_author": brief.topic_author or None,
        "points": json.dumps(points, ensure_ascii=False),
        "status": brief.status,
        "evidence": brief.evidence or None,
        "evidence_author": brief.evidence_author or None,
        "brief": brief.as_text(),
        "engine": brief.engine,
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
