"""Choose the sentences that say most of a thread, each with its author.

A sentence is central when it shares words with many others: the sum of its cosines with all of them, which
is where a random walk over the graph of similar sentences settles (TextRank without its damping). That sum is
one product with the sum of all vectors, so the cost is linear in the words of a thread, not quadratic in
its sentences. What was chosen already takes from what is left (maximal marginal relevance), so that three
points are three.

Equal scores are settled by position: the same thread gives the same sentences, always.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from headrace.transforms.summaries.sentences import length, sentences, terms

Vector: TypeAlias = dict[str, float]

LONGEST_POINT = 60
"""Words; a sentence that is longer is a log line, and not what anyone would quote."""

_FEWEST_WORDS = 4
_COMFORTABLE = 25  # words from which on a sentence is less and less likely to be a point
_DIVERSITY = 0.6  # how much of its likeness to a chosen sentence a sentence loses
_SAME = 0.8  # likeness from which on two sentences are one
_SAME_AUTHOR = 0.85
_FROM_OPENING = 0.8  # the opening sets the words of a thread, so it is central by itself
_QUESTION = 0.75
_FROM_BOT = 0.5


@dataclass(frozen=True, slots=True)
class Post:
    """A message as a summariser reads it.

    Attributes:
        n: Number of its author, from 1 by first appearance; two authors may share a name.
        author: Name to show.
        text: Plain text.
        kind: "person", "bot", or "notice": Slack about the channel, in which nobody speaks.
    """

    n: int
    author: str
    text: str
    kind: str = "person"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and where it stands.

    Attributes:
        text: As it stands in the message.
        post: 0-based index of its message among those that were read.
        n: Number of its author.
        author: Name of its author.
        is_bot: Whether a bot said it.
        words: Meaning words and how often they occur.
    """

    text: str
    post: int
    n: int
    author: str
    is_bot: bool
    words: dict[str, int]

    @property
    def is_question(self) -> bool:
        """Whether it ends in a question mark, of any script."""
        return self.text.rstrip(" )\"'”’»*_~").endswith(("?", "？", "؟"))


def sentences_of(posts: Sequence[Post]) -> list[Sentence]:
    """Return the sentences of a thread, in order; notices have none.

    >>> [s.text for s in sentences_of([Post(1, "Ana", "It broke. Why?"), Post(2, "Bo", "joined", "notice")])]
    ['It broke.', 'Why?']
    """
    return [
        Sentence(text, index, post.n, post.author, post.kind == "bot", terms(text))
        for index, post in enumerate(posts)
        if post.kind != "notice"
        for text in sentences(post.text)
    ]


def key_sentences(
    said: Sequence[Sentence],
    *,
    topic: Collection[int],
    opening: Collection[int],
    without: Collection[int] = (),
    most: int = 3,
) -> list[Sentence]:
    """Return up to `most` sentences that say most, in the order of the thread.

    Args:
        said: All sentences of the thread.
        topic: Indexes of what the reader has seen already: not told again, and what it asks counts more.
        opening: Indexes of the messages that open the thread.
        without: Indexes of more sentences not to tell.
        most: How many to choose.
    """
    told = {said[index].text for index in (*topic, *without)}
    weights = _weights(said)
    vectors = [_unit(sentence.words, weights) for sentence in said]
    asked = _unit(_total([said[index].words for index in sorted(topic)]), weights)
    centre = _total(vectors)
    scores = {
        index: (_dot(vector, centre) + _dot(vector, asked)) * _worth(sentence, opening)
        for index, (sentence, vector) in enumerate(zip(said, vectors, strict=True))
        if sentence.text not in told and _could_be_point(sentence)
    }
    return [said[index] for index in sorted(_diverse(scores, said, vectors, asked, most))]


def _diverse(
    scores: dict[int, float], said: Sequence[Sentence], vectors: Sequence[Vector], seen: Vector, most: int
) -> list[int]:
    """Choose one after the other the sentence that adds most to what was seen before."""
    chosen: list[int] = []
    likeness = {index: _dot(vectors[index], seen) for index in scores}
    while len(chosen) < most and scores:
        authors = {said[index].n for index in chosen}
        gains = {
            index: score
            * (1 - _DIVERSITY * likeness[index])
            * (_SAME_AUTHOR if said[index].n in authors else 1)
            for index, score in scores.items()
        }
        best = max(gains, key=lambda index: (round(gains[index], 9), -index))
        if gains[best] <= 0:
            break
        chosen.append(best)
        del scores[best]
        for index in scores:
            likeness[index] = max(likeness[index], _dot(vectors[index], vectors[best]))
        scores = {index: score for index, score in scores.items() if likeness[index] < _SAME}
    return chosen


def _could_be_point(sentence: Sentence) -> bool:
    """Tell small talk and pasted logs from what could be quoted."""
    if sentence.text.endswith((":", "：")):  # it announces what is not quoted
        return False
    return len(sentence.words) >= 2 and _FEWEST_WORDS <= length(sentence.text) <= LONGEST_POINT


def _worth(sentence: Sentence, opening: Collection[int]) -> float:
    """Return how likely a sentence of its kind is a point, from 0 to 1."""
    worth = min(1.0, _COMFORTABLE / length(sentence.text))
    worth *= _FROM_OPENING if sentence.post in opening else 1
    worth *= _QUESTION if sentence.is_question else 1
    return worth * (_FROM_BOT if sentence.is_bot else 1)


def _weights(said: Sequence[Sentence]) -> dict[str, float]:
    """Return how telling each word is: less so, the more sentences have it."""
    holders: dict[str, int] = {}
    for sentence in said:
        for word in sentence.words:
            holders[word] = holders.get(word, 0) + 1
    return {word: math.log(1 + len(said) / count) for word, count in holders.items()}


def _unit(words: Mapping[str, float], weights: Mapping[str, float]) -> Vector:
    """Return a vector of length 1 over words; empty where there are none."""
    vector = {word: count * weights[word] for word, count in words.items()}
    size = math.sqrt(sum(value * value for value in vector.values()))
    return {word: value / size for word, value in vector.items()}


def _total(vectors: Iterable[Mapping[str, float]]) -> Vector:
    """Return the sum of vectors."""
    total: Vector = {}
    for vector in vectors:
        for word, value in vector.items():
            total[word] = total.get(word, 0.0) + value
    return total


def _dot(left: Vector, right: Vector) -> float:
    """Return the cosine of two unit vectors."""
    return sum(value * right[word] for word, value in left.items() if word in right)
