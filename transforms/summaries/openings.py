"""Find what a thread is about: the question that opens it, or its first sentence.

The opening is what its starter writes before anybody else does. A question that says nothing by itself
("Does anyone know anything about this?") is told with the sentence it points at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from headrace.transforms.summaries.key_sentences import Post, Sentence
from headrace.transforms.summaries.sentences import length

LONGEST_TOPIC = 300
"""Characters; a longer topic ends in `…`."""

_GREETING = re.compile(
    r"^(?:hi|hello|hey|hiya|howdy|good (?:morning|afternoon|evening)|morning|hola|hallo|salut|bonjour)"
    r"(?:,? (?:all|everyone|everybody|team|folks|guys|there|friends|again|y'all|@\w+))*\s*[,!.:;–-]*\s+"
    r"(?=\S+\s+\S+\s+\S)",
    re.IGNORECASE,
)
_WHO = r"(?:i|we|you|one|someone|somebody|anyone|anybody)"
_ASKS = re.compile(
    "^(?:(?:so|ok|okay|and|but|also|quick question)[,: ]+)*(?:"
    + "|".join(
        (
            r"how (?:do|does|can|could|should|would|to)\b",
            r"why (?:do|does|is|are|did|would)\b",
            r"(?:what|where|when|who|which) (?:is|are|do|does|did|can|should|would|will|owns|knows)\b",
            r"(?:is|are) there (?:an?|any|some)\b",
            rf"(?:can|could|should|may|do|does|did|would|has|have|is) {_WHO}\b",
            r"any(?:one|body) (?:know|have|has|seen|else|tried|use|using|here)\b",
            r"any (?:idea|clue|pointer|update|news|thought)s?\b",
            r"(?:i'm |i am |i was |just |was )?wondering (?:if|how|why|whether|what)\b",
        )
    )
    + ")",
    re.IGNORECASE,
)
_POINTS_AWAY = re.compile(r"\b(?:this|that|it|these|those|here)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Opening:
    """How a thread begins.

    Attributes:
        topic: What it is about, in its starter's words.
        author: Name of the starter.
        n: Number of the starter; 0 where nobody speaks.
        asks: Whether the topic is a question.
        posts: Indexes of the messages that open the thread.
        sentences: Indexes of the sentences the topic is made of.
    """

    topic: str
    author: str
    n: int
    asks: bool
    posts: range
    sentences: tuple[int, ...]


def opening_of(posts: Sequence[Post], said: Sequence[Sentence]) -> Opening:
    """Return how a thread begins; notices begin nothing.

    >>> from headrace.transforms.summaries.key_sentences import sentences_of
    >>> posts = [Post(1, "Ana", "Hi all! Does anyone know about this? The nightly build is red.")]
    >>> opening_of(posts, sentences_of(posts)).topic
    'Does anyone know about this? The nightly build is red.'
    """
    spoken = [index for index, post in enumerate(posts) if post.kind != "notice"]
    if not spoken:
        return Opening(_clipped(posts[0].text) if posts else "", "", 0, False, range(0), ())
    first = spoken[0]
    starter = posts[first]
    others = (index for index in spoken if posts[index].n != starter.n)
    opening = range(first, next(others, len(posts)))
    inside = [index for index, sentence in enumerate(said) if sentence.post in opening]
    asks, chosen = _topic(said, inside)
    topic = " ".join(said[index].text for index in chosen) or starter.text
    return Opening(_clipped(_GREETING.sub("", topic)), starter.author, starter.n, asks, opening, chosen)


def asks(sentence: Sentence) -> bool:
    """Tell whether a sentence is a question, with a question mark or without.

    >>> asks(Sentence("how do I reset my token", 0, 1, "Ana", False, {}))
    True
    """
    text = _GREETING.sub("", sentence.text)
    return sentence.is_question or (not text.endswith((":", "!", ".")) and _ASKS.match(text) is not None)


def _topic(said: Sequence[Sentence], inside: Sequence[int]) -> tuple[bool, tuple[int, ...]]:
    """Return whether the topic is a question, and the indexes of its sentences."""
    questions = [index for index in inside if asks(said[index])]
    clear = [index for index in questions if not _is_vague(said[index])]
    if clear:
        return True, (clear[0],)
    if questions:
        return True, _with_neighbour(said, inside, questions[0])
    telling = [index for index in inside if len(said[index].words) >= 2 and length(said[index].text) >= 3]
    return False, tuple((telling or list(inside))[:1])


def _is_vague(question: Sentence) -> bool:
    """Tell whether a question needs what stands beside it to be understood."""
    return len(question.words) < (3 if _POINTS_AWAY.search(question.text) else 2)


def _with_neighbour(said: Sequence[Sentence], inside: Sequence[int], question: int) -> tuple[int, ...]:
    """Return a question and the sentence it points at: the one before where that says something."""
    before, after = question - 1, question + 1
    if before in inside and len(said[before].words) >= 2:
        return before, question
    return (question, after) if after in inside else (question,)


def _clipped(text: str) -> str:
    """Return text on one line, cut between words where it is too long."""
    line = " ".join(text.split())
    if len(line) <= LONGEST_TOPIC:
        return line
    return line[:LONGEST_TOPIC].rsplit(" ", 1)[0] + "…"
