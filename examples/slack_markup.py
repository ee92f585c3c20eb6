"""From the author's notation to what Slack stores: mrkdwn text and rich-text blocks.

The author writes `<@tomek>`, `<#general>` and plain `&`, `<`, `>`; Slack stores ids and escapes the three.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from examples.demo_cast import CAST, Json

TOKEN = (
    r"<@(?P<user>\w+)>|<#(?P<channel>[\w-]+)>|<!(?P<range>channel|here|everyone)>"
    r"|<(?P<url>(?:https?://|mailto:)[^>|]+)(?:\|(?P<label>[^>]+))?>"
)
MENTION = re.compile(TOKEN)
RICH = re.compile(rf"`(?P<code>[^`\n]+)`|\*(?P<bold>[^*\n]+)\*|:(?P<emoji>[a-z][a-z0-9_]*):|{TOKEN}")
FENCE = re.compile(r"```\n?(.*?)\n?```", re.DOTALL)


def mrkdwn(text: str, channel_ids: Mapping[str, str]) -> str:
    """The `text` of a message.

    >>> mrkdwn("<@sam>: `a < b && c` was &lt; once, see <https://a.example.org/?x&y|there>", {})
    '<@U0DEMOSAM00>: `a &lt; b &amp;&amp; c` was &amp;lt; once, see <https://a.example.org/?x&amp;y|there>'
    """
    return _replace(MENTION, text, escape, lambda found: _stored(found, channel_ids))


def escape(text: str) -> str:
    """Escape as Slack does: the ampersand first, these three characters and no other."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def rich_text(text: str, channel_ids: Mapping[str, str], block_id: str) -> list[Json]:
    """The `blocks` of a message as Slack's editor makes them; nothing is escaped in there."""
    elements: list[Json] = []
    for index, part in enumerate(FENCE.split(text)):
        if index % 2:
            elements.append({"type": "rich_text_preformatted", "elements": [_text(part)], "border": 0})
        elif part.strip("\n"):
            elements.append(
                {"type": "rich_text_section", "elements": list(_section(part.strip("\n"), channel_ids))}
            )
    return [{"type": "rich_text", "block_id": block_id, "elements": elements}]


def _replace(
    pattern: re.Pattern[str], text: str, plain: Callable[[str], str], found: Callable[..., str]
) -> str:
    done, position = "", 0
    for match in pattern.finditer(text):
        done += plain(text[position : match.start()]) + found(match)
        position = match.end()
    return done + plain(text[position:])


def _stored(token: re.Match[str], channel_ids: Mapping[str, str]) -> str:
    if token["user"]:
        return f"<@{CAST[token['user']].id}>"
    if token["channel"]:
        return f"<#{channel_ids[token['channel']]}|{token['channel']}>"
    if token["range"]:
        return f"<!{token['range']}>"
    label = f"|{escape(token['label'])}" if token["label"] else ""
    return f"<{escape(token['url'])}{label}>"


def _section(text: str, channel_ids: Mapping[str, str]) -> Iterator[Json]:
    position = 0
    for token in RICH.finditer(text):
        if position < token.start():
            yield _text(text[position : token.start()])
        yield _element(token, channel_ids)
        position = token.end()
    if position < len(text):
        yield _text(text[position:])


def _element(token: re.Match[str], channel_ids: Mapping[str, str]) -> Json:
    if token["user"]:
        return {"type": "user", "user_id": CAST[token["user"]].id}
    if token["channel"]:
        return {"type": "channel", "channel_id": channel_ids[token["channel"]]}
    if token["range"]:
        return {"type": "broadcast", "range": token["range"]}
    if token["emoji"]:
        return {"type": "emoji", "name": token["emoji"]}
    if token["url"]:
        label = {"text": token["label"]} if token["label"] else {}
        return {"type": "link", "url": token["url"]} | label
    style = "code" if token["code"] else "bold"
    return _text(token[style]) | {"style": {style: True}}


def _text(text: str) -> Json:
    return {"type": "text", "text": text}
