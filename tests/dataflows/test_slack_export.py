"""Reading a Slack export: what lands, what is skipped the second time, what is refused."""

from __future__ import annotations

import gc
import io
import json
import os
import re
import stat
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import pytest
from hamilton import driver
from hypothesis import given
from hypothesis import strategies as st

from headrace.dataflows.sources import slack
from headrace.dataflows.sources.slack_export import archive
from headrace.dataflows.sources.slack_export.export import SlackExport, message_stream
from headrace.dataflows.sources.slack_export.json_text import parsed, without_tokens
from headrace.dataflows.sources.slack_export.message import MESSAGE_COLUMNS, posted_at, ts_text, ts_us
from headrace.errors import NotAnExport, SourceError
from headrace.loaders.records import Checkpoint, Record, Rekey
from tests.dataflows.slack_exports import Files, message, small_export, write_folder, write_zip

HOUSTON = Path(__file__).parents[2].parent / "shared" / "data" / "slack" / "houstondatavis_export.zip"
Landed = Iterable[tuple[str, str | None]]
Since = Mapping[str, str] | None


def read(export: SlackExport, landed: Landed = (), since: Since = None) -> list[Any]:
    """Return the stream of messages as one flat list."""
    return [
        item
        for page in message_stream(export, landed, since)
        for item in (page if isinstance(page, list) else [page])
    ]


def records(stream: list[Any]) -> list[Record]:
    return [item for item in stream if isinstance(item, dict)]


def rekeys(stream: list[Any]) -> list[tuple[str, str]]:
    return [(item.old, item.new) for item in stream if isinstance(item, Rekey)]


def checkpoint(stream: list[Any]) -> dict[str, str]:
    """Return the value of the one checkpoint, which must be the last item."""
    assert [stream[-1]] == [item for item in stream if isinstance(item, Checkpoint)]
    value: dict[str, str] = stream[-1].value
    return value


def opened(tmp_path: Path, files: Files, name: str = "export.zip") -> SlackExport:
    return SlackExport.open(write_zip(tmp_path / name, files))


# --- what lands ------------------------------------------------------------------------------------


def test_message_record(tmp_path: Path) -> None:
    """A message keeps all it says, with its channel and its exact time beside it."""
    [first, *_] = records(read(opened(tmp_path, small_export())))

    assert {
        "type": "message",
        "user": "U1",
        "ts": "1577836800.000100",
        "text": "hello",
        "channel_id": "C0000001",
        "channel_name": "general",
        "ts_us": 1577836800000100,
        "posted_at": datetime(2020, 1, 1, 0, 0, 0, 100),
    } == first


def test_zip_and_folder_are_one(tmp_path: Path) -> None:
    """A ZIP, a ZIP with a further top folder, and the folder give the same records and checkpoint."""
    files = {**small_export(), "canvases.json": [{"id": "F1"}]}
    exports = [
        SlackExport.open(write_zip(tmp_path / "flat.zip", files)),
        SlackExport.open(str(write_zip(tmp_path / "deep.zip", files, top="acme Slack export Jan 2020"))),
        SlackExport.open(write_folder(tmp_path / "folder", files)),
        SlackExport.open(write_folder(tmp_path / "outer" / "inner", files).parent),
    ]

    everything = [
        [read(export), list(export.channels()), list(export.users()), list(export.other_items())]
        for export in exports
    ]

    assert [everything[0]] * 4 == everything


def test_order_is_folder_then_file(tmp_path: Path) -> None:
    """Messages come by folder and day, in whatever order the archive holds them."""
    files = dict(reversed(small_export().items()))
    files["general/2019-12-31.json"] = [message("1577750400.000000")]

    found = [(record["channel_name"], record["ts"][:10]) for record in records(read(opened(tmp_path, files)))]

    assert [
        ("general", "1577750400"),
        ("general", "1577836800"),
        ("general", "1577836801"),
        ("random", "1577923200"),
    ] == found


def test_channels_have_their_kind(tmp_path: Path) -> None:
    """The four lists become one table; an IM has no name; nested data stays as it came."""
    export = opened(
        tmp_path,
        {
            "channels.json": [
                {"id": "C1", "name": "general", "created": "1433558319", "topic": {"value": "all"}}
            ],
            "groups.json": [{"id": "G1", "name": "secret", "created": 1433558319, "members": ["U1"]}],
            "mpims.json": [{"id": "G2", "name": "mpdm-ada--bob-1"}],
            "dms.json": [{"id": "D1", "members": ["U1", "U2"]}],
        },
    )

    assert [
        {"id": "C1", "name": "general", "created": "1433558319", "topic": {"value": "all"}, "kind": "public"},
        {"id": "G1", "name": "secret", "created": 1433558319, "members": ["U1"], "kind": "private"},
        {"id": "G2", "name": "mpdm-ada--bob-1", "kind": "mpim"},
        {"id": "D1", "members": ["U1", "U2"], "kind": "im"},
    ] == list(export.channels())


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({"users.json": [{"id": "U1"}]}, ["U1"]),
        ({"org_users.json": [{"id": "U1"}, {"id": "W2"}]}, ["U1", "W2"]),
        ({"users.json": [{"id": "U1"}], "org_users.json": [{"id": "W2"}]}, ["W2", "U1"]),
        ({}, []),
    ],
)
def test_users_of_either_list(tmp_path: Path, lists: Files, expected: list[str]) -> None:
    """Users come from users.json, from org_users.json, or from both: then the workspace has the last word."""
    export = opened(tmp_path, {"channels.json": [], **lists})

    assert expected == [user["id"] for user in export.users()]


ODD_MESSAGES: dict[str, dict[str, Any]] = {
    "no type": {"ts": "1577836800.000100", "text": "x"},
    "bot without user": {
        "type": "message",
        "subtype": "bot_message",
        "bot_id": "B1",
        "ts": "1577836800.000100",
    },
    "tombstone": message("1577836800.000100", subtype="tombstone", hidden=True, reply_count=2),
    "inlined profile": message("1577836800.000100", user_profile={"real_name": "Ada", "name": "ada"}),
    "parent with replies": message("1577836800.000100", replies=[{"user": "U1", "ts": "1577836801.000000"}]),
    "whole seconds": message("1577836800"),
    "file comment": {
        "type": "message",
        "subtype": "file_comment",
        "ts": "1577836800.000100",
        "comment": {"id": 1},
    },
    "null everywhere": {"ts": "1577836800.000100", "text": None, "user": None, "bot_id": None},
}


@pytest.mark.parametrize("odd", ODD_MESSAGES.values(), ids=ODD_MESSAGES.keys())
def test_odd_messages_land_whole(tmp_path: Path, odd: dict[str, Any]) -> None:
    """What real exports hold lands as it is."""
    [record] = records(read(opened(tmp_path, {**small_export(), "general/2020-01-01.json": [odd]})))[:-1]

    assert odd == {key: value for key, value in record.items() if key in odd}
    assert {"channel_id", "channel_name", "ts_us", "posted_at"} <= record.keys()


def test_the_same_message_twice_is_yielded_twice(tmp_path: Path) -> None:
    """A reply also sent to the channel may be in two files: the merge decides, nothing is dropped here."""
    files = small_export()
    files["general/2020-01-03.json"] = [
        message("1577836800.000100", "hello, again", subtype="thread_broadcast", root={"text": "a copy"}),
        message("1577836800.000100", "hello, once more"),
    ]

    texts = [
        record["text"]
        for record in records(read(opened(tmp_path, files)))
        if record["ts"] == "1577836800.000100"
    ]

    assert ["hello", "hello, again", "hello, once more"] == texts


def test_every_other_item_is_accounted_for(tmp_path: Path) -> None:
    """What is no message, channel or user lands raw, with its place; the same again has the same key."""
    canvas = {"id": "F1", "title": "plan"}
    export = opened(
        tmp_path,
        {
            "channels.json": [{"name": "no id"}, {"id": "C1", "name": "general"}],
            "canvases.json": [canvas],
            "lists.json": [],
            "huddle_transcripts.json": [""],
            "file_conversations.json": {"F1": ["C1"]},
            "integration_logs.json": [{"user_id": "0", "date": "1433558319"}],
            "general/2020-01-01.json": [message("1577836800.000100"), canvas, "text", message("no time")],
            "general/canvas_in_the_conversation.json": [canvas],
        },
    )

    items = list(export.other_items())

    assert [
        (None, "canvases.json", canvas),
        (None, "channels.json", {"name": "no id"}),
        (None, "file_conversations.json", {"F1": ["C1"]}),
        (None, "huddle_transcripts.json", ""),
        (None, "integration_logs.json", {"user_id": "0", "date": "1433558319"}),
        ("general", "2020-01-01.json", canvas),
        ("general", "2020-01-01.json", "text"),
        ("general", "2020-01-01.json", message("no time")),
        ("general", "canvas_in_the_conversation.json", canvas),
    ] == [(item["folder"], item["file"], item["raw"]) for item in items]
    assert len(items) == len({item["id"] for item in items})
    assert items == list(export.other_items())


def test_files_that_are_no_part_of_an_export(tmp_path: Path) -> None:
    """What systems and tools add is passed over; attachments are ignored, whatever they are called."""
    files = small_export()
    noise: dict[str, Any] = {
        "__MACOSX/general/._2020-01-01.json": b"\x00\x05",
        "general/._2020-01-01.json": b"\x00\x05",
        ".DS_Store": b"\x00",
        "general/.DS_Store": b"\x00",
        "Thumbs.db": b"\x00",
        "empty-channel/": b"",
        "README.txt": "read me",
        "general/attachments/F1-2020-01-01.json": b"not JSON",
        "__uploads/F1/2020-01-01.json": b"not JSON",
    }

    export = opened(tmp_path, {**files, **noise})

    assert read(opened(tmp_path, files, "plain.zip")) == read(export)
    assert (
        "README.txt",
        "__uploads/F1/2020-01-01.json",
        "general/attachments/F1-2020-01-01.json",
    ) == export.ignored


@pytest.mark.parametrize("name", ["2020-plans", "-", "größe", "日本語", "a_b-c", "ひ-7"])
def test_names_in_any_alphabet(tmp_path: Path, name: str) -> None:
    """A channel may begin with a digit and be written in any alphabet."""
    files = {"channels.json": [{"id": "C0000009", "name": name}], f"{name}/2020-01-01.json": [message("1.0")]}

    for export in (opened(tmp_path, files), SlackExport.open(write_folder(tmp_path / "folder", files))):
        [record] = records(read(export))
        assert ("C0000009", name) == (record["channel_id"], record["channel_name"])


def test_decomposed_names_are_the_same_names(tmp_path: Path) -> None:
    """A ZIP made on a Mac writes `ö` as two characters and still means the channel with `ö`."""
    files = {
        "channels.json": [{"id": "C0000009", "name": "größe"}],
        "gro\u0308ße/2020-01-01.json": [message("1.0")],
    }

    [record] = records(read(opened(tmp_path, files)))

    assert ("C0000009", "größe") == (record["channel_id"], record["channel_name"])


def test_names_without_the_utf8_flag(tmp_path: Path) -> None:
    """Tools that write UTF-8 names without saying so are understood."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("channels.json", "[]")
        archive.writestr("groesse!/2020-01-01.json", json.dumps([message("1.0")]))  # as many bytes as größe!
    raw = buffer.getvalue().replace(b"groesse!", "größe!".encode())
    path = tmp_path / "unflagged.zip"
    path.write_bytes(raw)

    [record] = records(read(SlackExport.open(path)))

    assert "größe!" == record["channel_name"]


def test_byte_order_mark(tmp_path: Path) -> None:
    """A file that begins with a byte order mark is read."""
    files = {**small_export(), "channels.json": b"\xef\xbb\xbf" + json.dumps([{"id": "C9"}]).encode()}

    assert ["C9"] == [channel["id"] for channel in opened(tmp_path, files).channels()]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (rb'"cut \ud83d"', "cut \ufffd"),  # half an emoji, where Slack cuts a text
        (rb'"whole \ud83d\ude00"', "whole \U0001f600"),
        (b"[18446744073709551617, -9223372036854775809]", [18446744073709551617, -9223372036854775809]),
        (b'"1433558319000002000000"', "1433558319000002000000"),
        (b"null", None),
    ],
)
def test_json_values_survive(data: bytes, expected: Any) -> None:
    """Long integers stay what they are; what UTF-8 cannot say becomes the replacement character."""
    assert expected == parsed(data)


# --- time ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ts", "expected"),
    [
        ("1433558319.000002", 1433558319000002),
        ("1433558319", 1433558319000000),
        ("1433558319.", 1433558319000000),
        ("1433558319.5", 1433558319500000),
        ("1433558319.0000029", 1433558319000002),  # below a microsecond: dropped, not rounded
        ("0000000000.000000", 0),
        ("253402300799.999999", 253402300799999999),
        ("253402300800.000000", None),  # the year 10000
        ("9999999999999.0", None),
        ("-1.0", None),
        ("1e9", None),
        ("١٤٣٣", None),  # digits, but not Slack's
        ("", None),
        (1433558319, None),
        (1433558319.000002, None),
        (None, None),
    ],
)
def test_ts_us(ts: Any, expected: int | None) -> None:
    """A `ts` is read digit by digit; everything else is no `ts`."""
    assert expected == ts_us(ts)


@given(st.integers(0, 253_402_300_799_999_999))
def test_ts_round_trip(microseconds: int) -> None:
    """No microsecond is lost between number, text and time, over all years that there are."""
    when = posted_at(microseconds)

    assert microseconds == ts_us(ts_text(microseconds))
    assert ts_text(microseconds).endswith(f".{when.microsecond:06d}")
    assert microseconds == (when - datetime(1970, 1, 1)) // timedelta(microseconds=1)


# --- tokens ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://files.slack.com/a.png?t=xoxe-1-2-a", "https://files.slack.com/a.png"),
        ("https://files.slack.com/a.png?t=xoxe-1&x=y", "https://files.slack.com/a.png?x=y"),
        ("https://files.slack.com/a.png?x=y&t=xoxp-1", "https://files.slack.com/a.png?x=y"),
        ("https://files.slack.com/a?x=y&t=xoxb-1&z=1#top", "https://files.slack.com/a?x=y&z=1#top"),
        ("https://files.slack.com/a?t=xoxe-1#top", "https://files.slack.com/a#top"),
        ("https://files.slack.com/a?t=xoxe-1&t=xoxe-2&t=xoxe-3", "https://files.slack.com/a"),
        ("https://files.slack.com/a?x=1&t=xoxe-1&t=xoxe-2&y=2", "https://files.slack.com/a?x=1&y=2"),
        ("https://files.slack.com/a?t=xoxe.xoxp-1-Mi0x_y", "https://files.slack.com/a"),
        ("https://slack.com/api/x?token=xoxp-1-2&ts=1", "https://slack.com/api/x?ts=1"),
        ("<https://files.slack.com/a?t=xoxe-1|a file>!", "<https://files.slack.com/a|a file>!"),
        ("<https://files.slack.com/a?t=xoxe-1&amp;x=y>", "<https://files.slack.com/a?x=y>"),
        (
            "https://slack-imgs.com/?url=https%3A%2F%2Ffiles.slack.com%2Fa%3Ft%3Dxoxe-1%26x%3Dy&o=1",
            "https://slack-imgs.com/?url=https%3A%2F%2Ffiles.slack.com%2Fa%3Fx%3Dy&o=1",
        ),
        ("two: https://a/?t=xoxe-1 https://b/?t=xoxe-2.", "two: https://a/ https://b/"),
        ("https://example.org/?t=42&x=xoxe", "https://example.org/?t=42&x=xoxe"),
        ("is ?t=1 about xoxe tokens", "is ?t=1 about xoxe tokens"),
    ],
)
def test_tokens_leave_urls(text: str, expected: str) -> None:
    """Access tokens are cut out of URLs, and the URL still works; nothing else is touched."""
    assert expected == without_tokens(text)
    assert expected == without_tokens(expected)


def test_tokens_are_gone_at_any_depth(tmp_path: Path) -> None:
    """No token lands from any part of an export, however deep, escaped or odd its place."""
    url = "https://files.slack.com/files-pri/T1-F1/a.png?t=xoxe-1234-secret"
    deep: Any = url
    for _ in range(50):
        deep = [{"url": deep}]
    files = small_export()
    files["users.json"][0]["profile"]["image_24"] = url
    files["channels.json"][0]["topic"] = {"value": url}
    files["canvases.json"] = [{url: [url]}]
    files["general/2020-01-01.json"] = [message("1.0", url, files=[{"url_private": url}], blocks=deep)]
    files["random/2020-01-02.json"] = json.dumps([message("1.0", url)]).replace("xoxe", r"\u0078\u006fxe")

    export = opened(tmp_path, files)
    landed = repr([read(export), [*export.channels()], [*export.users()], [*export.other_items()]])

    assert "secret" not in landed
    assert landed.count("https://files.slack.com/files-pri/T1-F1/a.png") == 8


# --- which folder is which channel -----------------------------------------------------------------

CHANNEL_CASES: dict[str, tuple[dict[str, Any], list[tuple[str, str | None]], str, str]] = {
    "listed by name": ({"channels.json": [{"id": "C1", "name": "a"}]}, [], "a", "C1"),
    "listed as a group": ({"groups.json": [{"id": "G1", "name": "a"}]}, [], "a", "G1"),
    "listed wins over landed": ({"channels.json": [{"id": "C1", "name": "a"}]}, [("C2", "a")], "a", "C1"),
    "landed before": ({}, [("C2", "a"), ("D3", None)], "a", "C2"),
    "landed wins over a previous name": (
        {"channels.json": [{"id": "C1", "name": "b", "previous_names": ["a"]}]},
        [("C1", "b"), ("C2", "a")],
        "a",
        "C2",
    ),
    "a previous name": (
        {"channels.json": [{"id": "C1", "name": "b", "previous_names": ["a"]}]},
        [],
        "a",
        "C1",
    ),
    "a direct message, listed": ({"dms.json": [{"id": "D1", "members": []}]}, [], "D1", "D1"),
    "a direct message, not listed": ({}, [], "D024BFF1M", "D024BFF1M"),
    "a group of people": ({"mpims.json": [{"id": "G5", "name": "mpdm-a--b-1"}]}, [], "mpdm-a--b-1", "G5"),
    "unknown": ({}, [("C1", "b")], "a", "name:a"),
    "two landed channels of this name": ({}, [("C1", "a"), ("C2", "a")], "a", "name:a"),
    "odd names in the list": (
        {"channels.json": [{"id": "C1", "name": 7, "previous_names": "a"}]},
        [],
        "a",
        "name:a",
    ),
}


@pytest.mark.parametrize(
    ("lists", "landed", "folder", "expected"), CHANNEL_CASES.values(), ids=CHANNEL_CASES.keys()
)
def test_channel_of_a_folder(
    tmp_path: Path, lists: Files, landed: list[tuple[str, str | None]], folder: str, expected: str
) -> None:
    """Messages carry no channel id: the folder tells, by this export, the warehouse, or its own name."""
    files = {"channels.json": [], **lists, f"{folder}/2020-01-01.json": [message("1.0")]}

    [record] = records(read(opened(tmp_path, files), landed))

    assert (expected, folder) == (record["channel_id"], record["channel_name"])


def test_rows_keyed_by_name_move_once_the_id_is_known(tmp_path: Path) -> None:
    """A folder of an unlisted channel is keyed by name until an export lists it, under any of its names."""
    folder = {"old/2020-01-01.json": [message("1.0")]}
    unlisted = opened(tmp_path, {"channels.json": [], **folder}, "1.zip")
    listed = opened(
        tmp_path,
        {"channels.json": [{"id": "C0000001", "name": "new", "previous_names": ["old"]}], **folder},
        "2.zip",
    )

    first = read(unlisted)
    second = read(listed, [("C0000001", "new")], checkpoint(first))
    third = read(unlisted, [("C0000001", "new")], checkpoint(second))

    assert ["name:old"] == [record["channel_id"] for record in records(first)]
    assert [("name:old", "C0000001")] == rekeys(second)
    assert isinstance(second[0], Rekey)
    assert ["C0000001"] == [record["channel_id"] for record in records(second)]
    assert ["old/C0000001"] == list(checkpoint(second))
    assert ([], []) == (rekeys(third), records(third))  # its folder was assigned before


def test_rekeys_without_a_checkpoint(tmp_path: Path) -> None:
    """When no checkpoint tells which names were landed, every name of a known channel is moved."""
    found = rekeys(read(opened(tmp_path, small_export()), [("C0000003", "landed"), ("D0000004", None)]))

    assert {
        ("name:general", "C0000001"),
        ("name:random", "C0000002"),
        ("name:off-topic", "C0000002"),
        ("name:landed", "C0000003"),
    } == set(found)
    assert len(set(found)) == len(found)


# --- what is new -----------------------------------------------------------------------------------


def test_the_same_export_twice(tmp_path: Path) -> None:
    """The second time nothing is read and the checkpoint stays."""
    first = read(opened(tmp_path, small_export()))
    second = read(
        SlackExport.open(write_folder(tmp_path / "unzipped", small_export())), (), checkpoint(first)
    )

    assert 3 == len(records(first))
    assert [first[-1]] == second


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"random/2020-01-03.json": [message("2.0")]}, {"random"}),
        ({"general/2020-01-01.json": [message("1577836800.000100", "edited")]}, {"general"}),
        ({"third/2020-01-01.json": [message("3.0")]}, {"third"}),
        ({"users.json": [{"id": "U2"}]}, set()),
        ({"random/canvas_in_the_conversation.json": []}, set()),
    ],
)
def test_a_newer_export_yields_changed_folders(tmp_path: Path, change: Files, expected: set[str]) -> None:
    """Only folders whose days differ are read again; the others stay in the checkpoint."""
    first = read(opened(tmp_path, small_export()))
    second = read(opened(tmp_path, {**small_export(), **change}, "newer.zip"), (), checkpoint(first))

    assert expected == {record["channel_name"] for record in records(second)}
    assert checkpoint(first).keys() <= checkpoint(second).keys()
    assert [second[-1]] == read(
        opened(tmp_path, {**small_export(), **change}, "again.zip"), (), checkpoint(second)
    )


def test_two_workspaces_with_the_same_folder(tmp_path: Path) -> None:
    """Each workspace's `general` is remembered under its own channel; neither hides the other."""
    one = opened(tmp_path, small_export(), "one.zip")
    files = small_export()
    files["channels.json"] = [{"id": "C0000077", "name": "general"}, {"id": "C0000078", "name": "random"}]
    two = opened(tmp_path, files, "two.zip")

    first = read(one)
    second = read(two, [("C0000001", "general")], checkpoint(first))

    assert {"C0000077", "C0000078"} == {record["channel_id"] for record in records(second)}
    assert [second[-1]] == read(one, (), checkpoint(second)) == read(two, (), checkpoint(second))


def test_the_checkpoint_comes_after_the_messages(tmp_path: Path) -> None:
    """Whoever stops early has no checkpoint that claims what was not yielded."""
    stream = read(opened(tmp_path, small_export()))

    assert isinstance(stream[-1], Checkpoint)
    assert not any(isinstance(item, Checkpoint) for item in stream[:-1])


# --- what is refused -------------------------------------------------------------------------------


def zip_with(name: str, content: bytes = b"[]", **attributes: int) -> Callable[[Path], Path]:
    """Return a writer of the small export with one more member, of any name and attributes."""

    def write(folder: Path) -> Path:
        path = write_zip(folder / "odd.zip", small_export())
        info = zipfile.ZipInfo("x")
        info.filename = name  # ZipInfo() would tidy the name
        for key, value in attributes.items():
            setattr(info, key, value)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(info, content)
        return path

    return write


def zip_of(files: Files) -> Callable[[Path], Path]:
    return lambda folder: write_zip(folder / "odd.zip", files)


def bytes_of(content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "odd.zip"
        path.write_bytes(content)
        return path

    return write


def cut_short(folder: Path) -> Path:
    path = write_zip(folder / "odd.zip", small_export())
    path.write_bytes(path.read_bytes()[:-200])
    return path


def flipped_bit(folder: Path) -> Path:
    """Write a ZIP whose last message differs from what its CRC says."""
    path = folder / "odd.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in small_export().items():
            archive.writestr(name, json.dumps(content))
    path.write_bytes(path.read_bytes().replace(b"tea?", b"Tea?"))
    return path


def marked_encrypted(folder: Path) -> Path:
    """Write a ZIP whose first member claims to need a password."""
    path = write_zip(folder / "odd.zip", small_export())
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    return path


def bomb(folder: Path) -> Path:
    """Write a ZIP of 100 MB of spaces in 0.1 MB."""
    return write_zip(
        folder / "odd.zip", {**small_export(), "general/2020-01-09.json": b"[" + b" " * 10**8 + b"]"}
    )


def understated(folder: Path) -> Path:
    """Write a ZIP with a member that is larger than it says."""
    path = write_zip(
        folder / "odd.zip", {**small_export(), "general/2020-01-09.json": b"[" + b" " * 10**6 + b"]"}
    )
    size = (10**6 + 2).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, (10).to_bytes(4, "little")))
    return path


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda folder: folder / "gone.zip", "gone.zip' does not exist"),
    "an empty folder": (lambda folder: folder, "not a Slack export: it has no channels.json"),
    "empty file": (bytes_of(b""), "is not a ZIP"),
    "another format": (bytes_of(b"\x1f\x8b\x08 not a zip"), "is not a ZIP: give the ZIP that Slack sent"),
    "cut short": (cut_short, r"damaged or cut short \([0-9,]+ bytes\): download it again"),
    "flipped bit": (flipped_bit, "'random/2020-01-02.json' is damaged .*CRC"),
    "password": (marked_encrypted, "'channels.json' is protected by a password"),
    "bomb": (bomb, "refused as a ZIP bomb"),
    "understated size": (understated, "'general/2020-01-09.json' is damaged"),
    "compression": (zip_with("general/x.json", compress_type=zipfile.ZIP_LZMA), "compressed by method 14"),
    "an empty ZIP": (zip_of({}), "not a Slack export: it has no channels.json"),
    "some other ZIP": (zip_of({"README.md": "hi", "src/main.py": ""}), "not a Slack export"),
    "only users": (zip_of({"users.json": []}), "not a Slack export"),
    "a channel's folder": (zip_of({"2020-01-01.json": []}), "Give the ZIP as Slack sent it"),
    "two exports": (
        zip_of({f"{top}/{name}": value for top in "ab" for name, value in small_export().items()}),
        "holds more than one export: 'b/general/2020-01-01.json'",
    ),
    "an export in an export": (
        zip_of({**small_export(), **{f"old/{name}": value for name, value in small_export().items()}}),
        "more than one export: 'old/general/2020-01-01.json'",
    ),
    "parent folder": (zip_with("../evil.json"), "holds '../evil.json', a name that could lead out of it"),
    "parent folder, deep": (zip_with("general/../../evil.json"), "could lead out of it"),
    "parent folder among hidden files": (zip_with("__MACOSX/../../evil"), "could lead out of it"),
    "absolute": (zip_with("/etc/passwd"), "'/etc/passwd', a name that could lead out of it"),
    "drive letter": (zip_with("C:/evil.json"), "'C:/evil.json', a name that could lead out of it"),
    "backslash": (zip_with("..\\evil.json"), "could lead out of it"),
    "symbolic link": (
        zip_with("general/2020-02-02.json", b"/etc/passwd", external_attr=(stat.S_IFLNK | 0o777) << 16),
        "'general/2020-02-02.json' is a symbolic link",
    ),
    "not JSON": (
        zip_of({**small_export(), "general/2020-01-01.json": b'[{"ts": "1.0"},\n oops]'}),
        "'general/2020-01-01.json' is not valid JSON: .* at line 2, column 2",
    ),
    "cut JSON": (zip_of({**small_export(), "users.json": b'[{"id": "U1"'}), "'users.json' is not valid JSON"),
    "not UTF-8": (zip_of({**small_export(), "users.json": b'["\xff"]'}), "valid JSON: not UTF-8 at byte 2"),
    "NaN": (zip_of({**small_export(), "users.json": b"[NaN]"}), "'users.json' is not valid JSON: NaN"),
    "too deep": (zip_of({**small_export(), "x.json": b"[" * 200_000}), "'x.json' .*: nested too deeply"),
    "channels no list": (zip_of({**small_export(), "channels.json": {}}), "'channels.json' is not a list"),
    "day no list": (
        zip_of({**small_export(), "general/2020-01-01.json": {"messages": []}}),
        "'general/2020-01-01.json' is not a list",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("write", "expected"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], Path], expected: str
) -> None:
    """What is no sound export is refused as a whole, before a record is yielded, in words that help."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(NotAnExport, match=expected):
        SlackExport.open(write(tmp_path))


def test_an_empty_path_is_refused() -> None:
    """An empty text is not taken for the folder that happens to be the current one."""
    with pytest.raises(NotAnExport, match="path of the export is empty"):
        SlackExport.open("")


def test_the_same_member_twice_is_refused(tmp_path: Path) -> None:
    """Two members of one name could show one content to a check and another to a reader."""
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = zip_with("channels.json")(tmp_path)

    with pytest.raises(NotAnExport, match=r"holds 'channels\.json' twice"):
        SlackExport.open(path)


def test_one_file_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that would fill the memory is refused, in a ZIP and in a folder; an attachment is not read."""
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 10_000)
    attached = {**small_export(), "general/attachments/film.mov": b"." * 20_000}
    large = {**small_export(), "general/2020-01-09.json": b"[" + b" " * 20_000 + b"]"}

    assert 3 == len(records(read(opened(tmp_path, attached))))
    for path in (write_zip(tmp_path / "large.zip", large), write_folder(tmp_path / "large", large)):
        with pytest.raises(
            NotAnExport, match=r"2020-01-09.json' has 20,002 bytes, more than the limit of 10,000"
        ):
            SlackExport.open(path)


def test_links_in_folders(tmp_path: Path) -> None:
    """A link that leads out of the folder, or to a folder, is refused; one to a file inside is read."""
    folder = write_folder(tmp_path / "export", small_export())
    inside = folder / "general" / "2020-01-05.json"
    inside.symlink_to(folder / "random" / "2020-01-02.json")

    assert 4 == len(records(read(SlackExport.open(folder))))

    outside = write_folder(tmp_path / "elsewhere", {"2020-01-06.json": []})
    for target in (outside / "2020-01-06.json", outside, folder / "random", folder / "nowhere.json"):
        link = folder / "general" / "2020-01-06.json"
        link.symlink_to(target)
        with pytest.raises(NotAnExport, match=r"'general/2020-01-06\.json' is a symbolic link that leads"):
            SlackExport.open(folder)
        link.unlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes are a thing of POSIX")
def test_pipes_never_block(tmp_path: Path) -> None:
    """A pipe is neither an export nor read as one of its files."""
    folder = write_folder(tmp_path / "export", small_export())
    os.mkfifo(folder / "general" / "2020-01-07.json")

    assert 3 == len(records(read(SlackExport.open(folder))))
    with pytest.raises(NotAnExport, match="neither a file nor a folder"):
        SlackExport.open(folder / "general" / "2020-01-07.json")


def test_a_file_that_changes_after_the_check(tmp_path: Path) -> None:
    """What was checked is what lands: a file that has changed since is refused while it is read."""
    folder = write_folder(tmp_path / "export", small_export())
    export = SlackExport.open(folder)
    (folder / "general" / "2020-01-01.json").write_text("[]")

    with pytest.raises(SourceError, match=r"'general/2020-01-01\.json' has changed since"):
        read(export)


def test_messages_of_errors_hold_no_content(tmp_path: Path) -> None:
    """An error names the place and never quotes what people wrote."""
    files = {**small_export(), "general/2020-01-01.json": b'[{"text": "secret" oops]'}

    with pytest.raises(NotAnExport) as caught:
        opened(tmp_path, files)

    assert "secret" not in str(caught.value)


# --- the object ------------------------------------------------------------------------------------


def test_repr_counts_and_shows_no_content(tmp_path: Path) -> None:
    """The repr tells the file's name and how much is in it."""
    expected = "SlackExport('export.zip': 2 channels, 1 users, 3 messages in 2 folders)"

    assert expected == repr(opened(tmp_path, small_export()))


def test_nothing_stays_open(tmp_path: Path) -> None:
    """Neither an export nor a reader that stopped half-way leaves a file open."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        export = opened(tmp_path, small_export())
        stream = iter(message_stream(export, [], {"x": "y"}))
        next(stream)
        del stream, export
        with pytest.raises(NotAnExport):
            SlackExport.open(flipped_bit(tmp_path))
        gc.collect()

    assert [] == [str(warning.message) for warning in caught]


def test_a_relative_path_survives_a_change_of_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An export opened by a relative path is found again from another folder."""
    write_zip(tmp_path / "export.zip", small_export())
    monkeypatch.chdir(tmp_path)
    export = SlackExport.open("export.zip")
    monkeypatch.chdir(tmp_path.parent)

    assert 3 == len(records(read(export)))


# --- real and large exports ------------------------------------------------------------------------


@pytest.mark.skipif(not HOUSTON.exists(), reason="the public export of 2016 is not beside the repository")
def test_a_real_export() -> None:
    """Every item of a real export lands, and none of it a second time."""
    export = SlackExport.open(HOUSTON)
    stream = read(export)
    with zipfile.ZipFile(HOUSTON) as archive:
        expected = Counter(
            name.split("/")[0]
            for name in archive.namelist()
            if re.search(r"/\d{4}-\d\d-\d\d\.json$", name)
            for _ in json.loads(archive.read(name))
        )

    assert expected == Counter(record["channel_name"] for record in records(stream))
    assert (1382, 16, 71) == (len(records(stream)), len(list(export.channels())), len(list(export.users())))
    assert (16, 0) == (len({record["channel_id"] for record in records(stream)}), "xoxe" in repr(stream))
    assert not [record for record in records(stream) if record["channel_id"].startswith("name:")]
    assert ["integration_logs.json"] * 3 == [item["file"] for item in export.other_items()]
    assert () == export.ignored
    assert [stream[-1]] == read(export, (), checkpoint(stream))


def test_a_large_export_is_quick(tmp_path: Path) -> None:
    """12,600 messages of 2 kB over 33 channels are checked and read in seconds."""
    blocks = [{"type": "rich_text", "elements": [{"type": "text", "text": "word " * 20}] * 10}]
    files: dict[str, Any] = {"channels.json": [], "users.json": []} | {
        f"channel-{channel}/2020-01-{day:02}.json": [
            message(f"15778368{day:02}.{channel:02}{number:04}", "https://a/?t=xoxe-1", blocks=blocks)
            for number in range(20)
        ]
        for channel in range(33)
        for day in range(1, 20)
    }
    path = write_zip(tmp_path / "large.zip", files)

    started = time.perf_counter()
    found = sum(isinstance(item, dict) for item in message_stream(SlackExport.open(path), [], None))

    assert 33 * 19 * 20 == found
    assert time.perf_counter() - started < 10


# --- the resources ---------------------------------------------------------------------------------


def test_the_resources_are_plain_generators(tmp_path: Path) -> None:
    """Called by hand, each resource gives its records; hinted columns belong to them."""
    export = slack.slack_export(write_zip(tmp_path / "export.zip", small_export()))
    landed = ibis.memtable({"id": ["C0000001", "D0000001"], "name": ["general", None]})

    assert ["C0000001", "C0000002"] == [channel["id"] for channel in slack.channels(export)]
    assert ["U1"] == [user["id"] for user in slack.users(export)]
    assert 3 == len(records(list(slack.messages(export, landed, None))))
    assert [] == list(slack.other_items(export))
    assert {"channel_id", "ts", "ts_us", "posted_at"} <= MESSAGE_COLUMNS.keys()


@pytest.mark.parametrize("as_type", [str, Path])
def test_the_node_takes_text_and_path(tmp_path: Path, as_type: type) -> None:
    """Hamilton accepts the path of an export as text and as a Path."""
    path = write_zip(tmp_path / "export.zip", small_export())
    built = driver.Builder().with_modules(slack).build()

    found = built.execute(["slack_export"], inputs={"export": as_type(path)})["slack_export"]

    assert "export.zip" == found.archive.path.name
