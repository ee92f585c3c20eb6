"""Slack's mrkdwn as plain text, and what a message says when its text is empty."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.transforms.slack_text.mrkdwn import NO_TEXT, message_text, plain_text, unescape

USERS = {"U1": "Ana", "W2": "Bo Berg", "B3": "Builds"}
CHANNELS = {"C1": "general"}


def said(parts: dict[str, str | None]) -> str:
    """Return what a message of these columns says."""
    return message_text(
        parts.get("text"),
        blocks=parts.get("blocks"),
        attachments=parts.get("attachments"),
        files=parts.get("files"),
        file=parts.get("file"),
        comment=parts.get("comment"),
        users=USERS,
        channels=CHANNELS,
    )


@pytest.mark.parametrize(
    ("mrkdwn", "text"),
    [
        ("hello", "hello"),
        ("<@U1>", "@Ana"),
        ("<@U1|ana.lima>", "@Ana"),  # the name of today wins over the one it came with
        ("<@W2> and <@B3>", "@Bo Berg and @Builds"),
        ("<@U9|guest>", "@guest"),
        ("<@U9>", "@U9"),
        ("<@USLACKBOT>", "@Slackbot"),
        ("<#C1>", "#general"),
        ("<#C1|old-name>", "#general"),
        ("<#C9|elsewhere>", "#elsewhere"),
        ("<#C9|>", "#C9"),
        ("<!here>", "@here"),
        ("<!channel|@channel>", "@channel"),
        ("<!everyone>", "@everyone"),
        ("<!subteam^S1|@oncall>", "@oncall"),
        ("<!subteam^S1>", "@S1"),
        ("<!date^1392734382^Posted {date_num}^https://x.org|Posted 2014-02-18>", "Posted 2014-02-18"),
        ("<!date^1392734382^{date_num}>", "2014-02-18"),
        ("<!date^later^{date_num}>", "later"),
        ("<https://x.org/a?b=1&amp;c=2>", "https://x.org/a?b=1&c=2"),
        ("<https://x.org|the docs>", "the docs (https://x.org)"),
        ("<http://www.x.org/|x.org>", "x.org"),  # Slack made a link of what was typed
        ("<https://x.org|a &amp; b>", "a & b (https://x.org)"),
        ("<mailto:ana@x.org|ana@x.org>", "ana@x.org"),
        ("<mailto:ana@x.org|Ana>", "Ana (ana@x.org)"),
        ("<tel:+15550100|+1 555 0100>", "+1 555 0100 (+15550100)"),
        ("a &lt; b &amp;&amp; c &gt; d", "a < b && c > d"),
        ("&amp;lt;", "&lt;"),  # unescaped once
        ("&lt;@U1&gt;", "<@U1>"),  # typed, hence no mention
        ("&amp;lt;@U1&amp;gt;", "&lt;@U1&gt;"),
        ("a < b and c > d", "a < b and c > d"),  # an integration that does not escape
        ("`<@U1>` ```x &lt; 1\n  y```", "`@Ana` ```x < 1\n  y```"),
        ("*bold* _it_ snake_case_name *.py", "*bold* _it_ snake_case_name *.py"),
        (":tada: &gt; quoted", ":tada: > quoted"),
        ("<@U1><@W2>", "@Ana@Bo Berg"),
        ("<>", "<>"),
        ("<@>", "<@>"),
        ("<@U1", "<@U1"),
    ],
)
def test_plain_text(mrkdwn: str, text: str) -> None:
    """Tokens are resolved, entities unescaped once, and everything else stays as typed."""
    assert text == plain_text(mrkdwn, USERS, CHANNELS)


@given(st.text())
@example("<@U1> & &amp; <https://x.org|y> &lt;")
def test_what_was_typed_comes_back(typed: str) -> None:
    """Escaping as Slack does and rendering gives what was typed: no token is found in it, nothing is lost."""
    escaped = typed.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    assert (typed, typed) == (unescape(escaped), plain_text(escaped, USERS, CHANNELS))


@given(st.text())
def test_any_text_renders(text: str) -> None:
    """Malformed mrkdwn and malformed JSON are rendered, never an error."""
    plain_text(text)
    message_text("", blocks=text, attachments=text, files=text, file=text, comment=text)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "text", "elements", "fields", "rows", "title", "blocks", "style", "indent"]
            )
            | st.text(max_size=3),
            inner
            | st.sampled_from(["rich_text", "rich_text_list", "section", "table", "context", "link", "date"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_any_json_renders(value: Any) -> None:
    """JSON of any shape in the place of blocks, attachments or files is passed over where it is not known."""
    text = json.dumps(value)
    for name in ("blocks", "attachments", "files", "file", "comment"):
        assert isinstance(said({name: text}), str)


RICH = [
    {
        "type": "rich_text",
        "elements": [
            {
                "type": "rich_text_section",
                "elements": [
                    {"type": "user", "user_id": "U1"},
                    {"type": "text", "text": " if a < b & c, see "},
                    {"type": "link", "url": "https://x.org/?a|b", "text": "the docs"},
                    {"type": "text", "text": " or "},
                    {"type": "text", "text": "make all", "style": {"code": True}},
                    {"type": "text", "text": " in "},
                    {"type": "channel", "channel_id": "C1"},
                    {"type": "emoji", "name": "tada"},
                    {"type": "broadcast", "range": "here"},
                    {"type": "text", "text": " "},
                    {"type": "usergroup", "usergroup_id": "S1"},
                    {"type": "text", "text": " "},
                    {"type": "date", "timestamp": 1392734382, "format": "{date_num}"},
                ],
            },
            {
                "type": "rich_text_list",
                "style": "ordered",
                "offset": 1,
                "elements": [
                    {"type": "rich_text_section", "elements": [{"type": "text", "text": "one"}]},
                    {"type": "rich_text_section", "elements": [{"type": "text", "text": "two"}]},
                ],
            },
            {
                "type": "rich_text_list",
                "style": "bullet",
                "indent": 1,
                "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "deep"}]}],
            },
            {"type": "rich_text_quote", "elements": [{"type": "text", "text": "said\nbefore"}]},
            {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "x = 1 < 2\n"}]},
        ],
    }
]
RICH_TEXT = """\
@Ana if a < b & c, see the docs (https://x.org/?a%7Cb) or `make all` in #general:tada:@here @S1 2014-02-18
2. one
3. two
    • deep
> said
> before
```
x = 1 < 2
```"""


@pytest.mark.parametrize(
    ("blocks", "text"),
    [
        (RICH, RICH_TEXT),
        ([{"type": "header", "text": {"type": "plain_text", "text": "a &amp; <@U1>"}}], "a & <@U1>"),
        ([{"type": "section", "text": {"type": "mrkdwn", "text": "ask <@U1>"}}], "ask @Ana"),
        ([{"type": "section", "fields": [{"text": "one"}, {"text": "two"}]}], "one\ntwo"),
        (
            [{"type": "context", "elements": [{"type": "image", "alt_text": "logo"}, {"text": "by <@U1>"}]}],
            "logo by @Ana",
        ),
        ([{"type": "image", "alt_text": "a chart", "title": {"text": "Visits"}}], "Visits"),
        ([{"type": "image", "alt_text": "a chart"}], "a chart"),
        ([{"type": "video", "title": {"text": "Intro"}, "description": {"text": "of us"}}], "Intro\nof us"),
        ([{"type": "markdown", "text": "# Title"}], "# Title"),
        (
            [
                {
                    "type": "table",
                    "rows": [[{"text": "a"}, {"type": "rich_text", "elements": []}, {"text": "b"}]],
                }
            ],
            "a |  | b",
        ),
        ([{"type": "divider"}, {"type": "header", "text": {"text": "after"}}], "after"),
    ],
)
def test_blocks(blocks: list[dict[str, Any]], text: str) -> None:
    """A message without text says what its blocks say."""
    assert text == message_text("", blocks=json.dumps(blocks), users=USERS, channels=CHANNELS)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"text": "hi <@U1>", "blocks": [{"type": "header", "text": {"text": "no"}}]}, "hi @Ana"),
        ({"text": " \n", "files": [{"title": "plan"}]}, "[file: plan]"),
        ({"text": NO_TEXT[1], "blocks": [{"type": "header", "text": {"text": "yes"}}]}, "yes"),
        ({"text": NO_TEXT[1]}, NO_TEXT[1]),
        ({"blocks": [{"type": "divider"}], "attachments": [{"text": "below"}]}, "below"),
        ({"attachments": [{"pretext": "p", "title": "t", "text": "x", "fallback": "f"}]}, "p\nt\nx"),
        ({"attachments": [{"fallback": "only <@U1>"}, {"fallback": "[no preview available]"}]}, "only @Ana"),
        (
            {"attachments": [{"fields": [{"title": "State", "value": "red"}, {"value": "alone"}]}]},
            "State: red\nalone",
        ),
        ({"attachments": [{"blocks": [{"type": "section", "text": {"text": "inside"}}]}]}, "inside"),
        (
            {"files": [{"title": "", "name": "a&amp;b.pdf"}, {"name": "c.png"}]},
            "[file: a&b.pdf]\n[file: c.png]",
        ),
        ({"files": [{"mode": "tombstone"}], "file": {"name": "old.txt"}}, "[file: old.txt]"),
        ({"file": {"title": "old"}, "comment": {"comment": "look at <@U1>'s"}}, "look at @Ana's"),
        ({}, ""),
        ({"text": "null", "blocks": None}, "null"),
    ],
)
def test_message_text(parts: dict[str, Any], text: str) -> None:
    """The first part that has words is what the message says."""
    as_landed = {name: part if name == "text" else json.dumps(part) for name, part in parts.items()}

    assert text == said(as_landed)
