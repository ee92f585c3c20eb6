"""Messages as Slack sends them: nested blocks, reactions, threads, files; 9 tables, some 0.75 KB a record."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import orjson

_WORDS = (
    "the release is ready for review please have a look at this when you can we should move to next week "
    "thanks deploy failed again on staging looks good merged invoice customer asked about export numbers "
    "for march does anyone know why query takes so long büro café déjà vu 東京 schedule lunch 🎉 done"
).split()
_EMOJI = ["+1", "eyes", "tada", "white_check_mark", "heart", "rocket", "thinking_face"]
_FILES = [("png", "image/png"), ("pdf", "application/pdf"), ("csv", "text/csv"), ("mov", "video/quicktime")]
_FIRST = 1_700_000_000


def lines(random: Random, rows: int) -> Iterator[bytes]:
    """Yield `rows` messages, in the order of their time."""
    users = [f"U{random.getrandbits(36):09X}" for _ in range(300)]
    channels = [f"C{random.getrandbits(36):09X}" for _ in range(40)]
    for at in range(rows):
        yield orjson.dumps(_message(random, at, users, channels))


def _message(random: Random, at: int, users: list[str], channels: list[str]) -> dict[str, Any]:
    number, pick = random.random, random.choice
    user, ts = pick(users), f"{_FIRST + at * 7}.{int(number() * 1e6):06}"
    text = " ".join(random.choices(_WORDS, k=5 + int(number() ** 2 * 40)))
    message: dict[str, Any] = {
        "type": "message",
        "channel": pick(channels),
        "user": user,
        "ts": ts,
        "client_msg_id": f"{random.getrandbits(128):032x}",
        "team": "T0123ABCD",
        "text": text,
        "blocks": [_block(random, text, users)],
    }
    if number() < 0.45:
        message["reactions"] = [_reaction(random, name, users) for name in random.sample(_EMOJI, 1 + at % 3)]
    if number() < 0.15:
        repliers = random.sample(users, 1 + int(number() * 4))
        message |= {
            "thread_ts": ts,
            "reply_count": len(repliers) + int(number() * 9),
            "reply_users_count": len(repliers),
            "reply_users": repliers,
            "latest_reply": f"{_FIRST + at * 7 + 3600}.{int(number() * 1e6):06}",
            "is_locked": False,
            "subscribed": number() < 0.2,
        }
    elif number() < 0.4:
        message |= {"thread_ts": f"{_FIRST + at * 5}.000100", "parent_user_id": pick(users)}
    if number() < 0.06:
        message["files"] = [_file(random, at, user) for _ in range(1 + int(number() * 2))]
    if number() < 0.05:
        message["attachments"] = [_attachment(random, at)]
    if number() < 0.08:
        message["edited"] = {"user": user, "ts": f"{_FIRST + at * 7 + 60}.000000"}
    return message


def _block(random: Random, text: str, users: list[str]) -> dict[str, Any]:
    half = len(text) // 2
    elements: list[dict[str, Any]] = [{"type": "text", "text": text[:half]}]
    if random.random() < 0.4:
        elements.append({"type": "user", "user_id": random.choice(users)})
    if random.random() < 0.2:
        elements.append({"type": "link", "url": f"https://example.com/t/{random.getrandbits(24)}"})
    elements.append({"type": "text", "text": text[half:], "style": {"bold": random.random() < 0.1}})
    sections = [{"type": "rich_text_section", "elements": elements}]
    if random.random() < 0.1:
        quote = [{"type": "text", "text": text[:20]}]
        sections.append({"type": "rich_text_quote", "elements": quote})
    return {"type": "rich_text", "block_id": f"{random.getrandbits(24):06x}", "elements": sections}


def _reaction(random: Random, name: str, users: list[str]) -> dict[str, Any]:
    who = random.sample(users, 1 + int(random.random() ** 2 * 6))
    return {"name": name, "users": who, "count": len(who)}


def _file(random: Random, at: int, user: str) -> dict[str, Any]:
    end, mime = random.choice(_FILES)
    name = f"F{random.getrandbits(36):09X}"
    return {
        "id": name,
        "created": _FIRST + at * 7,
        "name": f"file-{at}.{end}",
        "title": f"File {at}",
        "mimetype": mime,
        "filetype": end,
        "user": user,
        "size": random.getrandbits(22),
        "is_external": False,
        "url_private": f"https://files.example.com/files-pri/T0123ABCD-{name}/file-{at}.{end}",
    }


def _attachment(random: Random, at: int) -> dict[str, Any]:
    return {
        "id": 1,
        "fallback": f"Issue {at}",
        "title": f"Issue {at}: {' '.join(random.choices(_WORDS, k=5))}",
        "title_link": f"https://example.com/issues/{at}",
        "color": f"{random.getrandbits(24):06x}",
        "service_name": "Tracker",
    }
