"""Texts and briefs of threads: what they read like, and that each is made once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime

from headrace.transforms.threads import thread_briefs, thread_messages, thread_texts, threads
from tests.transforms.landed import THREAD, Row, Tables, columns, in_duckdb, message, ranked, texts


class RememberingWarehouse:
    """A warehouse whose caches are dicts that keep count of what is put in."""

    def __init__(self) -> None:
        self.caches: dict[str, dict[str, str]] = {}
        self.put: list[str] = []
        self.name = ""

    def cache(self, name: str) -> RememberingWarehouse:
        """Return the cache of this name."""
        self.name = name
        self.caches.setdefault(name, {})
        return self

    def get_many(self, keys: list[str]) -> dict[str, str]:
        """Return what is there."""
        return {key: self.caches[self.name][key] for key in keys if key in self.caches[self.name]}

    def put_many(self, values: dict[str, str]) -> None:
        """Keep the values."""
        self.put += values
        self.caches[self.name].update(values)


def briefs(tables: Tables, warehouse: RememberingWarehouse) -> list[Row]:
    """Return the rows of `thread_briefs`, as they come."""
    made = thread_briefs(thread_texts(thread_messages(*tables), *tables[1:]), warehouse)
    rows: list[Row] = made.to_pyarrow().to_pylist()
    return rows


def test_tombstone_holds_the_place_of_a_deleted_parent(landed: Callable[..., Tables]) -> None:
    """A deleted parent stays the first message of its thread and is not what the thread is about."""
    gone = message(
        "5.000001", "USLACKBOT", "This message was deleted.", subtype="tombstone", thread_ts="5.000001"
    )
    tables = landed([gone, message("6.000001", "U2", "Is the index rebuilt at night?", thread_ts="5.000001")])

    assert ["notice", "person"] == [post["kind"] for post in json.loads(texts(tables)[0]["messages"])]
    assert "Is the index rebuilt at night?" == briefs(tables, RememberingWarehouse())[0]["topic"]


def test_fallbacks_only_where_text_is_empty(landed: Callable[..., Tables]) -> None:
    """Blocks and attachments are carried for the messages that need them, as JSON text."""
    blocks = '[{"type":"header","text":{"type":"plain_text","text":"Release 7"}}]'
    tables = landed(
        [
            message("5.000001", "U1", "hello", blocks=blocks),
            message("6.000001", "U2", "", thread_ts="5.000001", blocks=blocks),
            message(
                "7.000001", None, None, thread_ts="5.000001", bot_id="B7", attachments='[{"title":"Build 7"}]'
            ),
        ]
    )

    assert [None, blocks, None] == [row["blocks"] for row in ranked(tables)]
    assert "1 Ana: hello\n2 Bo Berg: Release 7\n3 B7: Build 7" == texts(tables)[0]["text"]


def test_thread_text(landed: Callable[..., Tables]) -> None:
    """A thread reads from top to bottom: numbered authors, names resolved, further lines indented."""
    rows = [
        message("5.000001", "U2", "<@U1> &amp; <@U9>: see <#C1>"),
        message("6.000001", "U1", "two lines\n2 Bo: I never said this", thread_ts="5.000001"),
        message("7.000001", "U9", "ok", thread_ts="5.000001", user_profile__display_name="Guest"),
    ]
    found = texts(landed(rows))

    assert (
        "1 Bo Berg: @Ana & @Guest: see #general\n2 Ana: two lines\n    2 Bo: I never said this\n3 Guest: ok"
    ) == found[0]["text"]
    assert {"n": 1, "author": "Bo Berg", "kind": "person", "at": "1970-01-01T00:00:05.000001Z"} == {
        key: value for key, value in json.loads(found[0]["messages"])[0].items() if key != "text"
    }
    assert 64 == len(found[0]["content_hash"])


def test_nothing_landed(landed: Callable[..., Tables]) -> None:
    """Without threads every table is there, with its columns and no rows."""
    tables = landed([message("5.000001")], [], [])
    flat = thread_messages(*tables)
    rendered = thread_texts(flat, *tables[1:])
    made = thread_briefs(rendered, RememberingWarehouse())

    assert [0, 0, 0, 0] == [t.count().to_pyarrow().as_py() for t in (flat, threads(flat), rendered, made)]
    assert "timestamp(6)" == str(made.schema()["first_at"])


def test_brief_of_each_thread_once() -> None:
    """As many briefs as threads, in the order of their keys, each made once."""
    warehouse = RememberingWarehouse()
    other = [row | {"channel_id": "C0", "text": f"{row['text']} Really?"} for row in THREAD]
    found = briefs(in_duckdb(THREAD + other), warehouse)

    assert [("C0", "resolved"), ("C1", "resolved")] == columns(found, "channel_id", "status")
    assert 2 == len(warehouse.put) == len(set(warehouse.put))
    assert ["summaries"] == list(warehouse.caches)


def test_brief_columns() -> None:
    """A brief has its topic, its points and its evidence, each with who said it."""
    [found] = briefs(in_duckdb(THREAD), RememberingWarehouse())

    assert {
        "channel_id": "C1",
        "channel_name": "general",
        "thread_ts": "1700000000.000100",
        "first_at": datetime(2023, 11, 14, 22, 13, 20, 100),
        "topic": "How do I rebuild the search index?",
        "topic_author": "Bo Berg",
        "points": '[{"author": "Ana", "text": "Call `make index`, it takes an hour."}]',
        "status": "resolved",
        "evidence": "That worked, thanks!",
        "evidence_author": "Bo Berg",
        "brief": "Bo Berg: How do I rebuild the search index?\n"
        "- Ana: Call `make index`, it takes an hour.\n"
        "Looks resolved (Bo Berg): “That worked, thanks!”",
        "engine": "extractive/1",
    } == found


def test_unchanged_thread_is_not_summarised_again() -> None:
    """A second run makes no brief; after a reply or an edit, that one thread's only."""
    warehouse = RememberingWarehouse()
    other = [row | {"channel_id": "C2"} for row in THREAD]
    other[0]["text"] = "How do I drop the search index?"
    first = briefs(in_duckdb(THREAD + other), warehouse)
    assert 2 == len(warehouse.put)

    again = briefs(in_duckdb(THREAD + other), warehouse)
    assert (first, 2) == (again, len(warehouse.put))

    other[2]["text"] = "It is still the same error."
    changed = briefs(in_duckdb(THREAD + other), warehouse)
    assert (first[0], 3) == (changed[0], len(warehouse.put))
    assert "open question" == changed[1]["status"]


def test_huge_thread_is_trimmed_not_dropped() -> None:
    """A thread of thousands of messages has a brief that says how much of it was not read."""
    parent = "1700000000.000000"
    rows = [message(parent, "U1", "Which of the load tests should run every night?")]
    rows += [
        message(
            f"{1700000001 + n}.000000", "U2", f"Load test {n} ran against shard {n % 7}.", thread_ts=parent
        )
        for n in range(3_000)
    ]
    [found] = briefs(in_duckdb(rows), RememberingWarehouse())

    assert "Which of the load tests should run every night?" == found["topic"]
    assert found["brief"].endswith("(2,601 messages of the middle were not read.)")
