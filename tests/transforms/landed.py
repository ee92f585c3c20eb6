"""Slack tables as a load leaves them, in two engines, and the transforms over them as rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, TypeAlias

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from headrace.transforms.threads import FALLBACKS, thread_messages, thread_texts

Row: TypeAlias = dict[str, Any]
Tables: TypeAlias = tuple[ir.Table, ir.Table, ir.Table]

TEXTS = ("channel_id", "channel_name", "ts", "thread_ts", "user", "bot_id", "username", "subtype", "text")
PROFILE = ("user_profile__real_name", "user_profile__display_name", "user_profile__name")
MESSAGES = pa.schema(
    [(name, pa.string()) for name in (*TEXTS, *FALLBACKS, *PROFILE, "edited__ts")]
    + [("ts_us", pa.int64()), ("reply_count", pa.int64()), ("posted_at", pa.timestamp("us"))]
)
USERS = pa.schema(
    [
        (name, pa.string())
        for name in ("id", "name", "real_name", "profile__display_name", "profile__real_name")
    ]
    + [("is_bot", pa.bool_()), ("deleted", pa.bool_())]
)
CHANNELS = pa.schema(
    [("id", pa.string()), ("name", pa.string()), ("kind", pa.string()), ("is_archived", pa.bool_())]
)
PEOPLE: list[Row] = [
    {
        "id": "U1",
        "name": "ana.lima",
        "real_name": "Ana Lima",
        "profile__display_name": "Ana",
        "is_bot": False,
    },
    {"id": "U2", "name": "bo", "real_name": "Bo Berg", "profile__display_name": "", "is_bot": False},
    {"id": "U3", "name": "cy", "real_name": None, "is_bot": None},
    {"id": "UBOT", "name": "deploys", "real_name": "Deploys", "is_bot": True},
]
PLACES: list[Row] = [{"id": "C1", "name": "general", "kind": "public"}, {"id": "D1", "kind": "im"}]


def message(ts: str, user: str | None = "U1", text: str | None = "hello there", **more: Any) -> Row:
    """Return a row of `messages`, in channel C1 unless `more` says otherwise."""
    seconds, fraction = ts.split(".")
    ts_us = int(seconds) * 1_000_000 + int(fraction)
    posted_at = datetime(1970, 1, 1) + timedelta(microseconds=ts_us)
    own = {"channel_id": "C1", "ts": ts, "ts_us": ts_us, "posted_at": posted_at, "user": user, "text": text}
    return own | more


def arrow(messages: list[Row], users: list[Row], channels: list[Row]) -> list[pa.Table]:
    """Return the three inputs as Arrow tables."""
    return [
        pa.Table.from_pylist(rows, schema=schema)
        for rows, schema in ((messages, MESSAGES), (users, USERS), (channels, CHANNELS))
    ]


def in_duckdb(messages: list[Row], users: list[Row] = PEOPLE, channels: list[Row] = PLACES) -> Tables:
    """Return the three inputs as DuckDB tables, JSON columns typed as JSON."""
    con = ibis.duckdb.connect()
    landed = arrow(messages, users, channels)
    con.create_table("landed", landed[0])
    con.raw_sql(
        "CREATE TABLE messages AS SELECT * REPLACE ("
        + ", ".join(f'"{name}"::JSON AS "{name}"' for name in FALLBACKS)
        + ") FROM landed"
    )
    return (
        con.table("messages"),
        con.create_table("users", landed[1]),
        con.create_table("channels", landed[2]),
    )


def in_sqlite(messages: list[Row], users: list[Row] = PEOPLE, channels: list[Row] = PLACES) -> Tables:
    """Return the three inputs as SQLite tables."""
    con = ibis.sqlite.connect()
    landed = arrow(messages, users, channels)
    first, second, third = (
        con.create_table(name, table)
        for name, table in zip(("messages", "users", "channels"), landed, strict=True)
    )
    return first, second, third


THREAD = [
    message("1700000000.000100", "U2", "How do I rebuild the search index?"),
    message("1700000060.000200", "U1", "Call `make index`, it takes an hour.", thread_ts="1700000000.000100"),
    message("1700000120.000300", "U2", "That worked, thanks!", thread_ts="1700000000.000100"),
]


def ranked(tables: Tables) -> list[Row]:
    """Return the rows of `thread_messages`, in the order of threads."""
    found = thread_messages(*tables).order_by("channel_id", "thread_ts", "position")
    rows: list[Row] = found.to_pyarrow().to_pylist()
    return rows


def columns(rows: list[Row], *names: str) -> list[tuple[Any, ...]]:
    """Return some columns of rows."""
    return [tuple(row[name] for name in names) for row in rows]


def texts(tables: Tables) -> list[Row]:
    """Return the rows of `thread_texts`, as they come."""
    rows: list[Row] = thread_texts(thread_messages(*tables), *tables[1:]).to_pyarrow().to_pylist()
    return rows
