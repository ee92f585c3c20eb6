"""Read the conversations of the demo export, which are written as a screenplay.

A file is one channel. First its facts, then its days, each with who said what:

    name: help-data
    id: C0DEMOHELPD
    created: 2024-05-13 by tomek

    == 2026-01-06 Tue

    10:42 ines: A message in the channel. It may mention <@tomek> or <#general>,
      and go on over several lines, which begin with two spaces.
    @ react eyes tomek haruka
    > 10:55 tomek: A reply in its thread.
    > +3d 09:10 ines: A reply three days later.
    13:40 sam [channel_join]:

A line with `@` is a note on the message above it: `react NAME WHO…`, `edited +4m`, `broadcast` (the reply is
shown in the channel as well), `file NAME TYPE BYTES [token]`, `attachment TITLE|TEXT|COLOUR`, `block TEXT`,
`at SECONDS` (within the minute), `thread TS WHO` (a reply to a message that is not in the export).
In brackets stands the subtype; `[tombstone]` is a deleted message, `[gone]` a reply that its parent still
lists and the export no longer has. Times are UTC. A line that begins with `#` is a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
FACT = re.compile(r"(name|id|created|archived|unlisted|topic|purpose): (.+)")
DAY = re.compile(r"== (\d{4}-\d\d-\d\d) (\w{3})")
SPOKEN = re.compile(
    r"(?P<reply>> )?(?:\+(?P<days>\d+)d )?(?P<time>\d\d:\d\d) "
    r"(?P<who>\w+)(?: \[(?P<subtype>\w+)\])?:(?: (?P<text>.*))?"
)
NOTE = re.compile(r"@ (\w+) ?(.*)")


class ScreenplayError(ValueError):
    """A line that is not understood; the message says where it is and what was expected."""

    def __init__(self, place: str, expected: str) -> None:
        self.place, self.expected = place, expected
        super().__init__(place, expected)

    def __str__(self) -> str:
        return f"{self.place}: {self.expected}"


@dataclass
class Line:
    """One message as it was written, with its notes and, below a parent, its replies in order.

    Attributes:
        who: The key of a person or bot of the cast, or `canvas`.
        minute: UTC, without seconds.
        text: In the author's notation: `<@tomek>`, `<#general>`, plain `<` and `&`.
        notes: The words after `@`, by kind, in the order written.
        place: File and line number, for errors.
    """

    who: str
    subtype: str
    minute: datetime
    text: str
    place: str
    notes: dict[str, list[str]] = field(default_factory=dict)
    replies: list[Line] = field(default_factory=list)

    def note(self, kind: str) -> str | None:
        """The first note of a kind, None when there is none; a note without words is the empty text."""
        return self.notes[kind][0] if kind in self.notes else None


@dataclass
class Channel:
    """One channel: the facts of its head and its top-level lines, each with the replies below it."""

    facts: dict[str, str]
    lines: list[Line]

    @property
    def name(self) -> str:
        return self.facts["name"]

    def all_lines(self) -> Iterator[Line]:
        """Every line, each parent before its replies."""
        for line in self.lines:
            yield line
            yield from line.replies


def read_channel(path: Path) -> Channel:
    """Read one file of the screenplay."""
    return parse_channel(path.read_text(encoding="utf-8"), path.name)


def parse_channel(text: str, title: str) -> Channel:
    r"""Read the text of one channel; `title` names it in errors.

    >>> pond = "name: pond\n== 2026-01-06 Tue\n09:00 ines: Frogs?\n> +1d 10:00 sam: Two."
    >>> channel = parse_channel(pond, "pond.txt")
    >>> [(line.who, f"{line.minute:%d. %H:%M}", line.text) for line in channel.all_lines()]
    [('ines', '06. 09:00', 'Frogs?'), ('sam', '07. 10:00', 'Two.')]
    """
    channel = Channel({}, [])
    day: datetime | None = None
    last: Line | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        place = f"{title}:{number}"
        if not raw.strip() or raw.startswith("#"):
            continue
        if raw.startswith("  ") and last is not None:
            last.text += ("\n" if last.text else "") + raw[2:]
        elif day is None and (fact := FACT.fullmatch(raw)):
            channel.facts[fact[1]] = fact[2]
        elif dated := DAY.fullmatch(raw):
            day = _day(dated[1], dated[2], place)
        elif last is not None and (note := NOTE.fullmatch(raw)):
            last.notes.setdefault(note[1], []).append(note[2])
        elif day is not None and (spoken := SPOKEN.fullmatch(raw)):
            last = _line(spoken, day, place)
            _thread(channel, spoken, place).append(last)
        else:
            raise ScreenplayError(
                place, f"expected a fact, '== DATE DAY', 'HH:MM who: text' or '@ note', not {raw!r}"
            )
    return channel


def _day(date: str, weekday: str, place: str) -> datetime:
    day = datetime.fromisoformat(date).replace(tzinfo=timezone.utc)
    if weekday != WEEKDAYS[day.weekday()]:
        raise ScreenplayError(place, f"{date} is a {WEEKDAYS[day.weekday()]}, not a {weekday}")
    return day


def _line(spoken: re.Match[str], day: datetime, place: str) -> Line:
    hours, minutes = spoken["time"].split(":")
    minute = day + timedelta(days=int(spoken["days"] or 0), hours=int(hours), minutes=int(minutes))
    return Line(spoken["who"], spoken["subtype"] or "", minute, spoken["text"] or "", place)


def _thread(channel: Channel, spoken: re.Match[str], place: str) -> list[Line]:
    """The list that a line belongs to: the channel's, or the replies of its newest line."""
    if not spoken["reply"]:
        return channel.lines
    if not channel.lines:
        raise ScreenplayError(place, "a reply needs a message above it")
    return channel.lines[-1].replies
