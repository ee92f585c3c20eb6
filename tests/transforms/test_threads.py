"""Messages of threads: their keys, order, numbers and names, the same on every engine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.transforms.threads import thread_messages, threads
from tests.transforms.landed import THREAD, Row, Tables, columns, in_duckdb, in_sqlite, message, ranked, texts


def test_reply_joins_parent_that_had_no_replies_when_landed(landed: Callable[..., Tables]) -> None:
    """The parent of a thread is the row whose ts is the thread's, even without a thread_ts of its own."""
    rows = ranked(landed(THREAD))

    assert [
        ("1700000000.000100", "1700000000.000100", 0, True),
        ("1700000000.000100", "1700000060.000200", 1, False),
        ("1700000000.000100", "1700000120.000300", 2, False),
    ] == columns(rows, "thread_ts", "ts", "position", "is_parent")


def test_ts_is_text(landed: Callable[..., Tables]) -> None:
    """A ts that ends in zeros, and one that differs in its last digit only, is neither rounded nor merged."""
    parent, close = "1433558319.000000", "1433558319.000001"
    rows = ranked(
        landed(
            [
                message(parent),
                message("1433558320.100000", "U2", thread_ts=parent),
                message(close),
                message("1433558320.100001", "U2", thread_ts=close),
            ]
        )
    )

    assert [
        (parent, parent),
        (parent, "1433558320.100000"),
        (close, close),
        (close, "1433558320.100001"),
    ] == columns(rows, "thread_ts", "ts")


def test_plain_message_is_no_thread(landed: Callable[..., Tables]) -> None:
    """A message that nobody replied to is in no thread."""
    assert [] == ranked(landed([message("5.000001"), message("6.000001", "U2")]))


def test_parent_without_landed_replies_is_no_thread_yet(landed: Callable[..., Tables]) -> None:
    """A parent whose replies have not landed is not summed up as a question without answers."""
    assert [] == ranked(landed([message("5.000001", thread_ts="5.000001", reply_count=3)]))


def test_thread_without_parent_is_kept(landed: Callable[..., Tables]) -> None:
    """Replies whose parent never landed are a thread; who started it and when is not known."""
    tables = landed(
        [message("7.000001", "U2", thread_ts="5.000001"), message("8.500000", "U1", thread_ts="5.000001")]
    )
    found = threads(thread_messages(*tables)).to_pyarrow().to_pylist()

    assert [(0, 1), (1, 2)] == columns(ranked(tables), "position", "author_number")
    assert [("5.000001", 2, 2, None, None)] == columns(
        found, "thread_ts", "messages", "people", "starter", "first_reply_seconds"
    )


def test_two_channels_share_a_ts(landed: Callable[..., Tables]) -> None:
    """The key of a thread is its channel and its ts: equal ts in two channels are two threads."""
    rows = [message("5.000001", channel_id=channel) for channel in ("C1", "C2")]
    rows += [message("6.000001", "U2", thread_ts="5.000001", channel_id=channel) for channel in ("C1", "C2")]
    found = threads(thread_messages(*landed(rows))).order_by("channel_id").to_pyarrow().to_pylist()

    assert [("C1", "5.000001", 2), ("C2", "5.000001", 2)] == columns(
        found, "channel_id", "thread_ts", "messages"
    )


def test_starter_is_number_one(landed: Callable[..., Tables]) -> None:
    """Authors are numbered from 1 by first appearance in the thread, whatever their ids are."""
    rows = [message("5.000001", "U3")]
    rows += [
        message(f"{n}.000001", user, thread_ts="5.000001")
        for n, user in enumerate(("U2", "U3", "U1", "U2"), 6)
    ]
    rows += [message("20.000001", "U2"), message("21.000001", "U1", thread_ts="20.000001")]

    assert [("U2", 1), ("U1", 2), ("U3", 1), ("U2", 2), ("U3", 1), ("U1", 3), ("U2", 2)] == columns(
        ranked(landed(rows)), "author", "author_number"
    )


def test_broadcast_counts_once(landed: Callable[..., Tables]) -> None:
    """A reply sent to the channel too comes twice and is one message: the copy edited last."""
    reply = message("6.000001", "U2", "use teh index", thread_ts="5.000001", subtype="thread_broadcast")
    edited = reply | {"text": "use the index", "edited__ts": "7.000000"}
    rows = ranked(landed([edited, message("5.000001"), reply]))

    assert [(0, False, "hello there"), (1, True, "use the index")] == columns(
        rows, "position", "is_broadcast", "text"
    )


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"user": "U1"}, "Ana"),  # the name people chose
        ({"user": "U2"}, "Bo Berg"),  # no chosen name: the real one
        ({"user": "U3"}, "cy"),  # neither: the handle
        ({"user": "U9", "user_profile__display_name": "Guest"}, "Guest"),  # of another workspace
        ({"user": "U9", "user_profile__display_name": " ", "user_profile__real_name": "G. Uest"}, "G. Uest"),
        ({"user": "U9", "username": "guest"}, "guest"),
        ({"user": None, "bot_id": "B7", "username": "Builds"}, "Builds"),
        ({"user": None, "bot_id": "B7"}, "B7"),
        ({"user": None, "username": "webhook"}, "webhook"),
        ({"user": ""}, "unknown"),
    ],
)
def test_author_name(landed: Callable[..., Tables], row: Row, name: str) -> None:
    """An author is shown by the best name there is, and by the id where there is none."""
    rows = ranked(landed([message("5.000001") | row, message("6.000001", "U1", thread_ts="5.000001")]))

    assert name == rows[0]["author_name"]


def test_one_name_per_stranger(landed: Callable[..., Tables]) -> None:
    """A stranger's profile that came with one message names all of theirs in the thread."""
    rows = [
        message("5.000001", "U9"),
        message("6.000001", "U9", thread_ts="5.000001", user_profile__display_name="Guest"),
    ]

    assert ["Guest", "Guest"] == [row["author_name"] for row in ranked(landed(rows))]


def test_bots_are_told_from_people(landed: Callable[..., Tables]) -> None:
    """A bot is known by the subtype, by having no user, or by its user's record."""
    rows = [
        message("5.000001", "U1"),
        message("6.000001", "U2", thread_ts="5.000001", subtype="bot_message"),
        message("7.000001", None, thread_ts="5.000001", bot_id="B7"),
        message("8.000001", "UBOT", thread_ts="5.000001"),
        message("9.000001", "U3", thread_ts="5.000001", bot_id="B8"),
    ]

    assert [False, True, True, True, False] == [bool(row["is_bot"]) for row in ranked(landed(rows))]


def test_thread_in_numbers(landed: Callable[..., Tables]) -> None:
    """A thread has its size, its people, its pace and its starter; broadcasts and parents count once."""
    found = threads(thread_messages(*landed(THREAD))).to_pyarrow().to_pylist()

    assert [
        {
            "channel_id": "C1",
            "channel_name": "general",
            "thread_ts": "1700000000.000100",
            "first_at": datetime(2023, 11, 14, 22, 13, 20, 100),
            "last_at": datetime(2023, 11, 14, 22, 15, 20, 300),
            "messages": 3,
            "people": 2,
            "starter": "Bo Berg",
            "first_reply_seconds": 60.0001,
        }
    ] == found


@pytest.mark.parametrize(
    ("channel", "known", "name"),
    [("C1", "old-general", "general"), ("C9", "left-behind", "left-behind"), ("D1", None, "D1")],
)
def test_channel_name(landed: Callable[..., Tables], channel: str, known: str | None, name: str) -> None:
    """A channel has the name it has today, else the one its messages came with, else its id."""
    rows = [row | {"channel_id": channel, "channel_name": known} for row in THREAD]

    assert {name} == {row["channel_name"] for row in ranked(landed(rows))}


@pytest.mark.parametrize("dialect", ["duckdb", "sqlite", "postgres", "datafusion", "bigquery", "snowflake"])
def test_expressions_are_portable(dialect: str) -> None:
    """Ranking is plain SQL anywhere: no arrays, no order inside aggregates, no function of ours."""
    flat = thread_messages(*(table.unbind() for table in in_sqlite(THREAD)))
    sql = ibis.to_sql(threads(flat), dialect=dialect).upper()

    assert "ROW_NUMBER()" in sql
    assert [] == [word for word in ("ARRAY", "STRING_AGG", "GROUP_CONCAT", "LISTAGG", "IBIS") if word in sql]


def conversations() -> st.SearchStrategy[list[Row]]:
    """Return messages of few channels and few moments, so that threads, strangers and copies abound."""
    ts = st.sampled_from(["5.000000", "5.000001", "50.000000", "6.100000", "7.000010", "9.000000"])
    maybe = st.none() | st.just("")
    row = st.builds(
        message,
        ts,
        maybe | st.sampled_from(["U1", "U2", "U3", "U9", "UBOT"]),
        maybe | st.sampled_from(["Why is it red?", "Fixed, thanks!", " ", "\n", "<@U9> ünï 漢字"]),
        channel_id=st.sampled_from(["C1", "C2", "C3", "C4", "C5"]),
        channel_name=st.none() | st.just("two"),
        thread_ts=st.none() | ts,
        bot_id=st.none() | st.just("B1"),
        subtype=st.none() | st.sampled_from(["thread_broadcast", "channel_join", "bot_message"]),
        user_profile__display_name=maybe | st.just("Guest"),
        edited__ts=st.none() | st.just("9.000000"),
        attachments=st.none() | st.just('[{"text":"a < b"}]'),
    )
    return st.lists(row, max_size=40, unique_by=lambda row: (row["channel_id"], row["ts"]))


@settings(max_examples=8, deadline=None)
@given(conversations(), st.randoms(use_true_random=False))
def test_order_of_landing_changes_nothing(rows: list[Row], random: Any) -> None:
    """However messages were landed, in whatever order and twice, threads and their texts are the same."""
    shuffled = [*rows, *rows]
    random.shuffle(shuffled)

    assert (ranked(in_duckdb(rows)), texts(in_duckdb(rows))) == (
        ranked(in_duckdb(shuffled)),
        texts(in_duckdb(shuffled)),
    )


@settings(max_examples=8, deadline=None)
@given(conversations())
def test_engines_agree(rows: list[Row]) -> None:
    """DuckDB and SQLite give the same threads and the same texts."""
    duck, lite = in_duckdb(rows), in_sqlite(rows)

    def numbers(tables: Tables) -> list[Row]:
        found: list[Row] = (
            threads(thread_messages(*tables)).order_by("channel_id", "thread_ts").to_pyarrow().to_pylist()
        )
        return found

    assert (ranked(duck), numbers(duck), texts(duck)) == (ranked(lite), numbers(lite), texts(lite))


@given(conversations())
@settings(max_examples=8, deadline=None)
def test_positions_and_numbers_have_no_gaps(rows: list[Row]) -> None:
    """In every thread positions are 0, 1, 2… by ts, and new authors get the next number."""
    by_thread: dict[tuple[str, str], list[Row]] = {}
    for row in ranked(in_duckdb(rows)):
        by_thread.setdefault((row["channel_id"], row["thread_ts"]), []).append(row)

    for members in by_thread.values():
        seen: list[str] = []
        for position, row in enumerate(members):
            if row["author"] not in seen:
                seen.append(row["author"])
            assert (position, 1 + seen.index(row["author"])) == (row["position"], row["author_number"])
        assert [row["ts_us"] for row in members] == sorted(row["ts_us"] for row in members)
