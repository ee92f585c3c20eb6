"""Turn Slack's mrkdwn into plain text: resolve tokens, unescape entities once, keep code as typed.

Slack escapes three characters (`&`, `<`, `>`) and writes mentions and links between `<` and `>`. So
tokens are read first, on the escaped text, and only what lies between them is unescaped: a person who
types `<@U1>` into a message has it stored as `&lt;@U1&gt;`, and it must stay what it is, no mention.

Marks of emphasis (`*bold*`, `_italic_`) stay as typed: without the original's layout nobody can tell
them from a glob or a name with underscores. Pure functions; nothing here raises on malformed input.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from headrace.transforms.slack_text.blocks import (
    attachments_mrkdwn,
    blocks_mrkdwn,
    files_mrkdwn,
    old_file_mrkdwn,
)

Names = Mapping[str, str]
"""What to show for an id: `{"U1": "Ana"}`."""

_NOBODY: Names = {}

# A `<` that opens no known token is text: old integrations did not escape theirs.
_TOKEN = re.compile(
    r"<(?:"
    r"(?P<kind>[@#])(?P<id>[A-Za-z0-9]+)"
    r"|!(?P<command>[^<>|\n]+)"
    r"|(?P<url>[A-Za-z][A-Za-z0-9+.-]*:[^<>|\s]+)"
    r")(?:\|(?P<label>[^<>]*))?>"
)
_SLACKBOT = "USLACKBOT"
_SCHEME = re.compile(r"^(?:https?://(?:www\.)?|mailto:|tel:)", re.IGNORECASE)
_NO_PAGE = re.compile(r"(?:mailto|tel):", re.IGNORECASE)

NO_TEXT = ("", "This content can't be displayed.", "This message contains interactive elements.")
"""What Slack writes as the text of a message whose words are elsewhere."""


def unescape(text: str) -> str:
    """Undo Slack's escaping, once: `&amp;lt;` is what somebody typed as `&lt;`.

    >>> unescape("a &lt; b &amp;&amp; c; &amp;lt; is an entity")
    'a < b && c; &lt; is an entity'
    """
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def plain_text(mrkdwn: str, users: Names = _NOBODY, channels: Names = _NOBODY) -> str:
    """Return mrkdwn as people read it on the screen.

    Args:
        mrkdwn: The `text` of a message, or of any mrkdwn field of a block or an attachment.
        users: Names by user or bot id. An unknown id shows the label that came with it, else itself.
        channels: Names by channel id, without `#`.

    >>> plain_text("<@U1>: see <https://x.org|the docs> in <#C1> &amp; <!here>", {"U1": "Ana"}, {"C1": "dev"})
    '@Ana: see the docs (https://x.org) in #dev & @here'
    """
    parts: list[str] = []
    end = 0
    for token in _TOKEN.finditer(mrkdwn):
        parts.append(unescape(mrkdwn[end : token.start()]))
        parts.append(_shown(token, users, channels))
        end = token.end()
    parts.append(unescape(mrkdwn[end:]))
    return "".join(parts)


def message_text(
    text: str | None,
    *,
    blocks: str | None = None,
    attachments: str | None = None,
    files: str | None = None,
    file: str | None = None,
    comment: str | None = None,
    users: Names = _NOBODY,
    channels: Names = _NOBODY,
) -> str:
    r"""Return what a message says, wherever Slack put it; "" when it says nothing.

    The first that has words wins: its text, its blocks, its attachments, the titles of its files, and the
    `file` and `comment` that one-file messages had before 2018.

    Args:
        text: Raw mrkdwn.
        blocks: JSON text, like the ones that follow. What is no JSON counts as absent.
        attachments: Of integrations, most often.
        files: Shown as `[file: title]`.
        file: As `files`, one of them.
        comment: What was said about `file`.
        users: Names by user or bot id.
        channels: Names by channel id.

    >>> message_text("", attachments='[{"title": "Build 7", "text": "failed on <@U1>"}]', users={"U1": "Ana"})
    'Build 7\nfailed on @Ana'
    >>> message_text(None, files='[{"name": "plan.pdf"}]')
    '[file: plan.pdf]'
    """
    own = (text or "").strip()
    elsewhere = own in NO_TEXT and (
        blocks_mrkdwn(_json(blocks))
        or attachments_mrkdwn(_json(attachments))
        or files_mrkdwn(_json(files))
        or old_file_mrkdwn(_json(file), _json(comment))
    )
    return plain_text(elsewhere or own, users, channels).strip()


def _shown(token: re.Match[str], users: Names, channels: Names) -> str:
    """Return the text of one token."""
    label = unescape(token["label"] or "").strip()
    if token["kind"] == "@":
        fallback = "Slackbot" if token["id"] == _SLACKBOT else label or token["id"]
        return "@" + users.get(token["id"], fallback).removeprefix("@")
    if token["kind"] == "#":
        return "#" + channels.get(token["id"], label or token["id"]).removeprefix("#")
    if token["command"] is not None:
        return _command_shown(unescape(token["command"]), label)
    return _link_shown(unescape(token["url"]), label)


def _link_shown(url: str, label: str) -> str:
    """Return a link: its label and its address, once where they are the same."""
    address = url.partition(":")[2] if _NO_PAGE.match(url) else url
    if not label or _bare(label) == _bare(address):
        return label or address
    return f"{label} ({address})"


def _bare(address: str) -> str:
    """Return an address as people shorten it."""
    return _SCHEME.sub("", address).rstrip("/")


def _command_shown(command: str, label: str) -> str:
    """Return the text of a `<!…>` token: a broadcast, a group of users or a date."""
    name, _, argument = command.partition("^")
    if name == "date":
        return label or _day(argument.partition("^")[0])
    if name == "subteam":
        return "@" + (label or argument).removeprefix("@")
    return "@" + (label or name).removeprefix("@")


def _day(seconds: str) -> str:
    """Return the day (UTC) of whole seconds since the epoch; the text itself where it is none."""
    try:
        return datetime.fromtimestamp(int(seconds), timezone.utc).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return seconds


def _json(text: str | None) -> Any:
    """Return the value of JSON text; None where it is absent or no JSON."""
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None
