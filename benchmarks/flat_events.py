"""Flat events: 16 columns, some 270 bytes a record, with the drift that real streams have.

From 30 % on, one `code` in a hundred is text (0.7 % of all); `referrer` is new at 40 %, `campaign` at 60 %.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

_PATHS = [
    "/",
    "/pricing",
    "/docs/start",
    "/docs/guide/loading",
    "/blog/2026/01",
    "/account/orders",
    "/search",
]
_NAMES = ["page_view", "click", "purchase", "sign_up", "scroll", "search"]
_COUNTRIES = ["DE", "FR", "US", "BR", "IN", "JP", "NG", "SE"]
_DEVICES = ["mobile", "desktop", "tablet"]
_CODES = [200, 201, 204, 301, 304, 400, 404, 500]
_ODD_CODES = ["E_TIMEOUT", "E_RESET", "N/A"]
_REFERRERS = ["search", "mail", "partner", "social", "direct"]
_FIRST_DAY = date(2025, 1, 1)
_DAY_MS = 86_400_000
_STEP_MS = 1_700  # so that a million events last some 20 days


def lines(random: Random, rows: int) -> Iterator[bytes]:
    """Yield `rows` events, in the order of their time."""
    drift, referrers, campaigns = rows * 3 // 10, rows * 4 // 10, rows * 6 // 10
    number, today, day = random.random, -1, ""
    for at in range(rows):
        days, ms = divmod(at * _STEP_MS + int(number() * _STEP_MS), _DAY_MS)
        if days != today:
            today, day = days, (_FIRST_DAY + timedelta(days)).isoformat()
        time = f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"
        bits = random.getrandbits(96)  # one draw, cut into choices: this loop makes ten million rows
        odd = at >= drift and number() < 0.01
        code = f'"{_ODD_CODES[bits % 3]}"' if odd else _CODES[bits % 8]
        referrer = f',"referrer":"{_REFERRERS[bits % 5]}"' if at >= referrers else ""
        campaign = f',"campaign":"c{bits % 40}"' if at >= campaigns else ""
        yield (
            f'{{"event_id":{at},"ts":"{day}T{time}Z","day":"{day}","user_id":{(bits >> 8) % 100_000},'
            f'"session":"{bits & 0xFFFFFFFF:08x}","name":"{_NAMES[(bits >> 32) % 6]}",'
            f'"path":"{_PATHS[(bits >> 40) % 7]}","country":"{_COUNTRIES[(bits >> 48) % 8]}",'
            f'"device":"{_DEVICES[(bits >> 56) % 3]}","amount":{int(number() * 1e5) / 100},'
            f'"duration_ms":{(bits >> 64) % 9000},"ok":{"true" if number() < 0.97 else "false"},'
            f'"code":{code},"score":{number():.4f}{referrer}{campaign}}}'
        ).encode()
