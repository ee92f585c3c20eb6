"""The demo export is what its script makes, and holds the oddities that an importer must survive."""

from __future__ import annotations

import doctest
import importlib
import io
import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples" / "demo_export.zip"
DAY_FILE = re.compile(r"(.+)/(\d{4}-\d\d-\d\d)\.json")

Json = dict[str, Any]


@pytest.fixture(scope="module")
def maker() -> Iterator[Any]:
    """The script as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        yield importlib.import_module("examples.make_demo_export")


@pytest.fixture(scope="module")
def members() -> dict[str, Any]:
    """The committed export: what is in each file, by path."""
    with zipfile.ZipFile(DEMO) as archive:
        return {name: json.loads(archive.read(name)) for name in archive.namelist()}


@pytest.fixture(scope="module")
def messages(members: dict[str, Any]) -> list[Json]:
    """All messages, each with its folder and day."""
    found = []
    for path, items in members.items():
        if dated := DAY_FILE.fullmatch(path):
            found += [item | {"folder": dated[1], "day": dated[2]} for item in items if "ts" in item]
    return found


def key(message: Json) -> tuple[str, str]:
    return message["folder"], message["ts"]


def replies_of(messages: list[Json]) -> list[Json]:
    return [message for message in messages if message.get("thread_ts", message["ts"]) != message["ts"]]


def test_the_committed_export_is_up_to_date(maker: Any) -> None:
    """The screenplay makes the committed export: the same files in the same order with the same content."""
    made = maker.export_members(maker.read_screenplay())

    with zipfile.ZipFile(DEMO) as archive:
        assert list(made) == archive.namelist()
        for name in archive.namelist():
            assert made[name] == archive.read(name), f"{name}: run python examples/make_demo_export.py"


def test_making_it_twice_gives_the_same_bytes(maker: Any) -> None:
    """Neither the clock nor chance is in the ZIP: members are sorted, and all have one date."""
    made = maker.zipped(maker.export_members(maker.read_screenplay()))

    assert made == maker.zipped(maker.export_members(maker.read_screenplay()))
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert sorted(archive.namelist()) == archive.namelist()
        assert {maker.ZIP_DATE} == {info.date_time for info in archive.infolist()}


def test_the_script_says_what_it_made(tmp_path: Path) -> None:
    """Run as a plain script from anywhere, it writes the ZIP and prints one line."""
    out = tmp_path / "out.zip"
    script = ROOT / "examples" / "make_demo_export.py"
    done = subprocess.run(
        [sys.executable, "-I", str(script), str(out)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert f"{out}: 477 messages, 77 threads, 6 channels, 117 files" in done.stdout
    assert 1 == done.stdout.count("\n")
    assert zipfile.is_zipfile(out)


def test_size(messages: list[Json]) -> None:
    """Nearly 500 messages in 77 threads and 6 channels over 12 weeks, in a small file."""
    threads = {(message["folder"], message["thread_ts"]) for message in messages if "reply_count" in message}

    assert 477 == len(messages)
    assert 77 == len(threads)
    assert 6 == len({message["folder"] for message in messages})
    assert "2026-01-05" == min(message["day"] for message in messages)
    assert "2026-03-27" == max(message["day"] for message in messages)
    assert DEMO.stat().st_size < 150_000


def test_ts_identifies_a_message_in_its_channel(messages: list[Json]) -> None:
    """No `ts` occurs twice in a channel; all have six digits, are in order, and lie on their file's day."""
    assert len(messages) == len({key(message) for message in messages})
    assert all(re.fullmatch(r"\d{10}\.\d{6}", message["ts"]) for message in messages)
    assert sorted(map(key, messages)) == list(map(key, messages))
    for message in messages:
        posted = datetime.fromtimestamp(int(message["ts"][:10]), timezone.utc)
        assert f"{posted:%Y-%m-%d}" == message["day"]


def test_every_reply_has_its_parent(messages: list[Json]) -> None:
    """Each reply comes after a message that is there, or its tombstone; one is older than the export."""
    known = {key(message) for message in messages}
    parentless = [
        reply for reply in replies_of(messages) if (reply["folder"], reply["thread_ts"]) not in known
    ]

    assert ["1765793580.001900"] == [reply["thread_ts"] for reply in parentless]
    assert all(reply["thread_ts"] < reply["ts"] for reply in replies_of(messages))


def test_parents_list_their_replies(messages: list[Json]) -> None:
    """Counts and lists of a parent agree with its replies, but for one reply that is gone."""
    present = Counter((reply["folder"], reply["thread_ts"]) for reply in replies_of(messages))
    known = {key(message) for message in messages}
    gone = 0
    for parent in (message for message in messages if "reply_count" in message):
        missing = [reply for reply in parent["replies"] if (parent["folder"], reply["ts"]) not in known]
        gone += len(missing)

        assert parent["reply_count"] == len(parent["replies"]) == present[key(parent)] + len(missing)
        assert parent["latest_reply"] == parent["replies"][-1]["ts"]
        assert parent["reply_users"] == list(dict.fromkeys(reply["user"] for reply in parent["replies"]))
        assert parent["reply_users_count"] == len(parent["reply_users"])
    assert 1 == gone


def test_deleted_messages_leave_a_tombstone(messages: list[Json]) -> None:
    """A deleted parent keeps its thread, a deleted reply its place in one."""
    parent, reply = sorted(
        (message for message in messages if message.get("subtype") == "tombstone"),
        key=lambda message: "reply_count" not in message,
    )

    assert 5 == parent["reply_count"]
    assert reply["thread_ts"] < reply["ts"]
    for tombstone in (parent, reply):
        assert ("USLACKBOT", True) == (tombstone["user"], tombstone["hidden"])
        assert "This message was deleted." == tombstone["text"]


def test_late_replies(messages: list[Json]) -> None:
    """Some replies come on a later day, some weeks after their parent: they lie in other files."""
    days = [(float(reply["ts"]) - float(reply["thread_ts"])) / 86400 for reply in replies_of(messages)]

    assert 30 <= sum(late > 1 for late in days)
    assert 10 <= sum(late > 7 for late in days)
    assert 2 <= sum(28 < late < 90 for late in days)


def test_broadcasts_carry_their_parent(messages: list[Json]) -> None:
    """A reply that was also sent to the channel has a copy of its parent, as it was, without its replies."""
    parents = {key(message): message for message in messages}
    broadcasts = [message for message in messages if message.get("subtype") == "thread_broadcast"]

    assert 5 == len(broadcasts)
    for message in broadcasts:
        parent = parents[message["folder"], message["thread_ts"]]
        assert message["root"].items() <= parent.items()
        assert parent["text"] == message["root"]["text"]


def test_two_channels_share_a_ts(messages: list[Json]) -> None:
    """Two threads in different channels have the same `ts`, which also ends in zeros."""
    counts = Counter(message["ts"] for message in messages)
    (shared,) = [ts for ts, count in counts.items() if count > 1]

    assert shared.endswith(".500000")
    assert 2 == sum("reply_count" in message for message in messages if message["ts"] == shared)
    assert 40 <= sum(message["ts"].endswith("0") for message in messages)


def test_kinds_of_messages(messages: list[Json]) -> None:
    """Each kind that an importer treats in its own way occurs."""
    subtypes = Counter(message.get("subtype") for message in messages)

    assert {
        None, "bot_message", "channel_archive", "channel_join", "channel_leave", "channel_name",
        "channel_purpose", "channel_topic", "me_message", "thread_broadcast", "tombstone",
    } == set(subtypes)  # fmt: skip
    assert 400 <= subtypes[None]
    least = {"reactions": 90, "edited": 13, "files": 7, "blocks": 100, "user_profile": 350}
    for field, count in least.items():
        assert count <= sum(field in message for message in messages), field


def test_bots(messages: list[Json]) -> None:
    """A webhook has no user and no text, only attachments or blocks; an app is a user with a profile."""
    webhook = [message for message in messages if message.get("subtype") == "bot_message"]
    apps = [message for message in messages if "bot_profile" in message]

    assert {""} == {message["text"] for message in webhook}
    assert all("user" not in message for message in webhook)
    assert 1 == sum("attachments" not in message for message in webhook)
    assert all("blocks" in message or "attachments" in message for message in webhook)
    assert {"U0DEMOSLUIC"} == {message["user"] for message in apps}


def test_people(members: dict[str, Any], messages: list[Json]) -> None:
    """Everybody is in users.json but Slack's own bot and a guest, who is described in messages only."""
    users = {user["id"]: user for user in members["users.json"]}
    guest = [message for message in messages if message.get("user") == "U0CONNMWANG"]

    assert {"U0CONNMWANG", "USLACKBOT"} == {message.get("user") for message in messages} - {None} - set(users)
    assert all("Mwangi Otieno-Ray" == message["user_profile"]["real_name"] for message in guest)
    assert ["leif"] == [user["name"] for user in users.values() if user["deleted"]]
    emails = [user["profile"]["email"] for user in users.values() if not user["is_bot"]]
    assert all(email.endswith(".example.org") for email in emails)


def test_channels(members: dict[str, Any], messages: list[Json]) -> None:
    """One folder is in no list, one channel is archived, names have digits, hyphens and other letters."""
    channels = {channel["name"]: channel for channel in members["channels.json"]}

    assert {"general", "help-data", "incidents", "random-źródło", "release-2"} == set(channels)
    assert {"meter-trial"} == {message["folder"] for message in messages} - set(channels)
    assert ["release-2"] == [name for name, channel in channels.items() if channel["is_archived"]]


def test_items_that_are_no_messages(members: dict[str, Any]) -> None:
    """A canvas lies among the messages without `ts` and `type`; other lists lie at the top."""
    items = [item for path, items in members.items() if DAY_FILE.fullmatch(path) for item in items]
    (canvas,) = [item for item in items if "ts" not in item]

    assert "type" not in canvas
    assert [canvas] == members["canvases.json"]
    assert {
        "canvases.json", "channels.json", "huddle_transcripts.json", "integration_logs.json", "users.json",
    } == {path for path in members if "/" not in path}  # fmt: skip


@pytest.mark.parametrize(
    "stored",
    [
        "&lt;= produced",
        "`gap &gt; 15 min &amp;&amp; next_ts &lt; now()`",
        "`&amp;amp;lt;` would be twice",
        "```\nselect",
        "<@U0DEMOTOMEK>",
        "<@U0CONNMWANG>",
        "<#C0DEMOHELPD|help-data>",
        "<!here>",
        "<!channel>",
        "<https://notebooks.example.org/sallow-rating|Notebook>",
        "<https://manuals.example.org/historian#export>",
        "<mailto:help@radar.example.org|their help desk>",
        "梅が咲きました。",
        "Η πηγή ξέρει.",
        "Szczęśliwego Nowego Roku!",
        "WÅ‚adysÅ‚aw",
    ],
)
def test_texts_hold(messages: list[Json], stored: str) -> None:
    """Mentions, links, escapes, code and other alphabets, as Slack stores them."""
    assert any(stored in message["text"] for message in messages)


def test_nothing_is_left_of_the_notation(messages: list[Json]) -> None:
    """Every `<` of a text begins a mention or a link that Slack knows."""
    known = re.compile(r"<(@[UW]\w+|#C\w+\|[^>]+|!(here|channel)|(https://|mailto:)[^>]+)>")

    for message in messages:
        assert "<" not in known.sub("", message["text"])


def test_one_file_link_has_a_token(messages: list[Json]) -> None:
    """One URL carries an access token, which opens nothing and is there to be stripped."""
    files = [file for message in messages for file in message.get("files", ())]
    tokens = [file["url_private"] for file in files if "?t=" in file.get("url_private", "")]

    assert 1 == len(tokens)
    assert tokens[0].endswith("?t=xoxe-0000-demo")
    assert ["tombstone"] == [file["mode"] for file in files if "name" not in file]


def test_every_week_has_messages(messages: list[Json]) -> None:
    """Twelve weeks, none of them empty: a chart of messages per week is worth drawing."""
    weeks = Counter((int(message["ts"][:10]) // 86400 + 3) // 7 for message in messages)

    assert 12 == len(weeks)
    assert 10 <= min(weeks.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("== 2026-01-06 Wed", "t.txt:1: 2026-01-06 is a Tue, not a Wed"),
        ("== 2026-01-06 Tue\n\n> 10:00 sam: Yes.", "t.txt:3: a reply needs a message above it"),
        ("== 2026-01-06 Tue\nsam says hello", "t.txt:2: expected a fact"),
        ("== 2026-01-06 Tue\n10:00 samuel: Hello", "t.txt:2: nobody is called 'samuel'"),
        ("== 2026-01-06 Tue\n10:00 sam: Hello\n@ wink", "t.txt:2: no note is called 'wink'"),
        ("== 2026-01-06 Tue\n10:00 sam [sings]: Hello", "t.txt:2: no subtype is called 'sings'"),
        ("== 2026-01-06 Tue\n10:00 sam: A\n> 09:00 ines: B", "t.txt:3: a reply is older"),
    ],
)
def test_mistakes_in_the_screenplay_are_located(maker: Any, text: str, expected: str) -> None:
    """An author learns in which line of which file a mistake is."""
    screenplay = importlib.import_module("examples.screenplay")

    with pytest.raises(screenplay.ScreenplayError) as raised:
        maker.Composer(screenplay.parse_channel(text, "t.txt"), {}).days()
    assert str(raised.value).startswith(expected)


@pytest.mark.parametrize("module", ["screenplay", "slack_markup"])
@pytest.mark.usefixtures("maker")
def test_examples_in_docstrings(module: str) -> None:
    """The examples in the docstrings do what they say."""
    results = doctest.testmod(importlib.import_module(f"examples.{module}"))

    assert (0, 1) == (results.failed, min(results.attempted, 1))
