"""Write the brief of a thread from its own sentences: no network, no model, always the same.

A brief says what a thread is about and who asked, up to three key sentences with their authors, and whether
it came to an answer, with the sentence that shows it. Every word is quoted from the thread. It takes a
fraction of a millisecond per message; of a huge thread its beginning, its end and the most telling of its
middle are read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from headrace.transforms.summaries.key_sentences import Post, key_sentences, sentences_of
from headrace.transforms.summaries.openings import opening_of
from headrace.transforms.summaries.outcomes import Status, outcome_of
from headrace.transforms.summaries.sentences import LONGEST, terms

ENGINE = "extractive/1"
"""Name and version of the summariser; briefs that another version made are made again."""

_HEAD, _MIDDLE, _TAIL = 100, 200, 100
_SHOWN_AS: dict[Status, str] = {"resolved": "Looks resolved", "open question": "Open question"}


@dataclass(frozen=True, slots=True)
class Point:
    """A key sentence and who said it."""

    author: str
    text: str


@dataclass(frozen=True, slots=True)
class Brief:
    """What a thread comes to.

    Attributes:
        topic: The question or the statement that opens it; ends in `…` where it was cut.
        topic_author: Name of who opened it; "" where nobody speaks.
        points: Up to three key sentences, in the order of the thread.
        status: "resolved", "open question" or "discussion": a hint.
        evidence: The sentence that shows the status, as it stands in the thread; "" for a discussion.
        evidence_author: Name of who said it.
        left_out: Messages of the middle that were not read, the thread being huge.
        engine: Name and version of what made the brief.
    """

    topic: str
    topic_author: str
    points: tuple[Point, ...]
    status: Status
    evidence: str = ""
    evidence_author: str = ""
    left_out: int = 0
    engine: str = ENGINE

    def as_json(self) -> str:
        """Return the brief as JSON text."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Brief:
        """Return the brief that `as_json` wrote."""
        values = json.loads(text)
        return cls(**values | {"points": tuple(Point(**point) for point in values["points"])})

    def as_text(self) -> str:
        """Return the brief for people to read, on a few lines."""
        lines = [f"{self.topic_author}: {self.topic}" if self.topic_author else self.topic]
        lines += [f"- {point.author}: {point.text}" for point in self.points]
        if self.evidence:
            lines.append(f"{_SHOWN_AS[self.status]} ({self.evidence_author}): “{self.evidence}”")
        if self.left_out:
            lines.append(f"({self.left_out:,} messages of the middle were not read.)")
        return "\n".join(lines)


def summarise(posts: Sequence[Post]) -> Brief:
    """Return the brief of a thread.

    >>> thread = [
    ...     Post(1, "Ana", "Hi! How do I rebuild the parser after a grammar change?"),
    ...     Post(2, "Bo", "Run `make parser` in the source tree, it writes a new gram.c."),
    ...     Post(1, "Ana", "That worked, thanks!"),
    ... ]
    >>> print(summarise(thread).as_text())
    Ana: How do I rebuild the parser after a grammar change?
    - Bo: Run `make parser` in the source tree, it writes a new gram.c.
    Looks resolved (Ana): “That worked, thanks!”
    """
    read = _trimmed(posts)
    said = sentences_of(read)
    opening = opening_of(read, said)
    outcome = outcome_of(read, said, opening)
    shown = () if outcome.evidence is None else (outcome.evidence,)
    points = key_sentences(said, topic=opening.sentences, opening=opening.posts, without=shown)
    evidence = None if outcome.evidence is None else said[outcome.evidence]
    return Brief(
        topic=opening.topic,
        topic_author=opening.author,
        points=tuple(Point(point.author, point.text) for point in points),
        status=outcome.status,
        evidence=evidence.text if evidence else "",
        evidence_author=evidence.author if evidence else "",
        left_out=len(posts) - len(read),
    )


def _trimmed(posts: Sequence[Post]) -> list[Post]:
    """Return what is read of a thread: all of it, or its ends and the most telling of its middle."""
    if len(posts) <= _HEAD + _MIDDLE + _TAIL:
        return list(posts)
    middle = range(_HEAD, len(posts) - _TAIL)
    words = {
        index: set(terms(posts[index].text[:LONGEST])) for index in middle if posts[index].kind == "person"
    }
    holders: dict[str, int] = {}
    for spoken in words.values():
        for word in spoken:
            holders[word] = holders.get(word, 0) + 1
    telling = {
        index: sum(holders[word] - 1 for word in spoken) / (5 + len(spoken))
        for index, spoken in words.items()
    }
    best = sorted(telling, key=lambda index: (-telling[index], index))[:_MIDDLE]
    return [*posts[:_HEAD], *(posts[index] for index in sorted(best)), *posts[len(posts) - _TAIL :]]
