"""Write what a message shows beside its text (blocks, attachments, files) as mrkdwn.

Everything becomes mrkdwn first, so that names are resolved and entities unescaped in one place, once
(`mrkdwn`). Inputs are parsed JSON of any shape: what is not as Slack documents it is passed over, never an
error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

_NO_PREVIEW = "[no preview available]"


def blocks_mrkdwn(blocks: Any) -> str:
    r"""Return the words of Block Kit blocks, a line or more per block.

    >>> blocks_mrkdwn([{"type": "header", "text": {"type": "plain_text", "text": "Release"}},
    ...                {"type": "section", "text": {"type": "mrkdwn", "text": "ask <@U1>"}}])
    'Release\nask <@U1>'
    """
    return _lines(_block(block) for block in _dicts(blocks))


def attachments_mrkdwn(attachments: Any) -> str:
    r"""Return what attachments show; the fallback of one only where it shows nothing.

    >>> attachments_mrkdwn([{"fallback": "Build 7 failed", "title": "Build 7", "text": "failed"}])
    'Build 7\nfailed'
    """
    return _lines(_attachment(attachment) for attachment in _dicts(attachments))


def files_mrkdwn(files: Any) -> str:
    r"""Return the titles of files, a line each.

    >>> files_mrkdwn([{"title": "The plan", "name": "plan.pdf"}, {"name": "b.png"}])
    '[file: The plan]\n[file: b.png]'
    """
    titles = (_text(file, "title") or _text(file, "name") for file in _dicts(files))
    return _lines(f"[file: {title}]" for title in titles if title)


def old_file_mrkdwn(file: Any, comment: Any) -> str:
    """Return what messages about one file had before 2018: the comment on it, else its title.

    >>> old_file_mrkdwn({"title": "plan.pdf"}, {"comment": "page 2 is old"})
    'page 2 is old'
    """
    said = _text(comment, "comment") if isinstance(comment, dict) else ""
    return said or files_mrkdwn([file])


def _block(block: dict[str, Any]) -> str:
    """Return the words of one block; of a type not known here, its `text`."""
    kind = block.get("type")
    if kind == "rich_text":
        return _lines(_rich(element) for element in _dicts(block.get("elements")))
    if kind == "image":
        return _object(block.get("title")) or _literal(_text(block, "alt_text"))
    if kind == "video":
        return _lines([_object(block.get("title")), _object(block.get("description"))])
    if kind == "context":
        return " ".join(filter(None, (_element(element) for element in _dicts(block.get("elements")))))
    if kind == "table":
        return _lines(_row(row) for row in block.get("rows") or [] if isinstance(row, list))
    return _lines([_object(block.get("text")), *(_object(field) for field in _dicts(block.get("fields")))])


def _element(element: dict[str, Any]) -> str:
    """Return the words of an element of a context block: a text or an image."""
    return _object(element) or _literal(_text(element, "alt_text"))


def _row(cells: list[Any]) -> str:
    """Return one row of a table, its cells apart from each other."""
    rich = "rich_text"
    return " | ".join(_block(cell) if cell.get("type") == rich else _object(cell) for cell in _dicts(cells))


def _object(value: Any) -> str:
    """Return a text object as mrkdwn; a markdown block has its text as a plain string."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        return ""
    text = _text(value, "text")
    return _literal(text) if value.get("type") == "plain_text" else text


def _rich(element: dict[str, Any]) -> str:
    """Return one part of a rich text block: a paragraph, a list, a quotation or code."""
    kind = element.get("type")
    if kind == "rich_text_list":
        return _rich_list(element)
    text = "".join(_inline(part) for part in _dicts(element.get("elements"))).strip("\n")
    if kind == "rich_text_preformatted":
        return f"```\n{text}\n```"
    if kind == "rich_text_quote":
        return "\n".join(f"&gt; {line}" for line in text.split("\n"))
    return text


def _rich_list(element: dict[str, Any]) -> str:
    """Return a list with its bullets or numbers, indented as deep as it is nested."""
    depth, offset = element.get("indent"), element.get("offset")
    indent = "    " * (min(depth, 8) if isinstance(depth, int) else 0)
    first = 1 + (offset if isinstance(offset, int) else 0)
    ordered = element.get("style") == "ordered"
    return "\n".join(
        f"{indent}{f'{number}.' if ordered else '•'} {_rich(item)}"
        for number, item in enumerate(_dicts(element.get("elements")), start=first)
    )


def _inline(part: dict[str, Any]) -> str:
    """Return one piece of a rich text paragraph. Its text is not escaped yet, unlike a message's."""
    kind = part.get("type")
    text = _escaped(_text(part, "text"))
    if kind == "link":
        url = _escaped(_text(part, "url")).replace("|", "%7C")
        return f"<{url}|{text}>" if text else f"<{url}>"
    if kind == "user":
        return f"<@{_text(part, 'user_id')}>"
    if kind == "channel":
        return f"<#{_text(part, 'channel_id')}>"
    if kind == "usergroup":
        return f"<!subteam^{_text(part, 'usergroup_id')}>"
    if kind == "broadcast":
        return f"<!{_text(part, 'range')}>"
    if kind == "emoji":
        return f":{_text(part, 'name')}:"
    if kind == "date":
        return _escaped(_text(part, "fallback")) or f"<!date^{part.get('timestamp', '')}>"
    style = part.get("style")
    coded = isinstance(style, dict) and style.get("code")
    return f"`{text}`" if coded and text else text


def _attachment(attachment: dict[str, Any]) -> str:
    """Return what one attachment shows."""
    lines = [_text(attachment, key) for key in ("pretext", "title", "text")]
    for field in _dicts(attachment.get("fields")):
        title, value = _text(field, "title"), _text(field, "value")
        lines.append(f"{title}: {value}" if title and value else title or value)
    shown = _lines(lines) or blocks_mrkdwn(attachment.get("blocks"))
    fallback = _text(attachment, "fallback")
    return shown or ("" if fallback == _NO_PREVIEW else fallback)


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON list; nothing where it is no list."""
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def _text(value: dict[str, Any], key: str) -> str:
    """Return the string at `key`; "" where there is none."""
    text = value.get(key)
    return text if isinstance(text, str) else ""


def _lines(parts: Iterable[str]) -> str:
    """Return the parts that say something, from a line each on."""
    return "\n".join(part for part in parts if part.strip())


def _escaped(text: str) -> str:
    """Escape as Slack does, so that unescaping gives the same text back."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _literal(text: str) -> str:
    """Return text in which `<@U1>` is no mention; its entities are escaped already."""
    return text.replace("<", "&lt;").replace(">", "&gt;")
