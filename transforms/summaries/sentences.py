"""Split chat into sentences and words.

Chat is not prose: lines end without a full stop, code stands between words, and half a sentence is a link.
A line never continues the sentence before it; code is never cut; quoted lines (`> …`) are somebody else's
words and yield nothing. Scripts that put no blank after a full stop, or none between words, are cut as well:
words of those are pairs of neighbouring characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 4_000
"""Characters of a message that are read; what follows is a log or a paste."""

_FENCE = re.compile(r"```.*?```", re.DOTALL)
_INLINE_CODE = re.compile(r"`[^`\n]+`")
_QUOTED_LINE = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_MARKER = re.compile(r"^(?:[-*+•◦▪–]|\(?\d{1,3}[.)])\s+")

# Closing marks belong to the sentence. Western stops end one before a blank, Eastern ones anywhere.
_STOP = re.compile(r"(?<![.!?…])[.!?…؟۔।॥։።]+[)\]\"'”’»*_]*(?=\s)|[。！？｡]+[」』）”’]*")
_SHORT = re.compile(
    r"\b(?:(?i:e\.g|i\.e|eg|ie|vs|cf|approx|z\.b|d\.h|bzw)|Mr|Mrs|Ms|Dr|Prof|St|Jr)\.$|(?<![\w.])[A-Z]\.$"
)
_SHORT_BEFORE_NUMBER = re.compile(r"\b(?:no|nr|fig|sec|ch|pp?|vol)\.$", re.IGNORECASE)
_SHORT_BEFORE_SMALL = re.compile(
    r"(?:\b(?:etc|al|inc|ltd|co|corp|dept|est|min|max|a\.m|p\.m|u\.s)\.|\.\.|…)$", re.IGNORECASE
)

# Addresses, mentions and emoji say nothing about the words around them.
_NO_WORDS = re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://\S+|@\w+|:[a-z0-9_+-]+:", re.IGNORECASE)
# Whatever is neither blank nor a mark of punctuation: `\w` would cut Devanagari at its vowel signs.
_WORD = re.compile(
    r"[^\s\x00-/:-@\[-^`{-\xa9\xab-\xb1\xb4\xb6-\xb8\xbb\xbf\xd7\xf7\u2000-\u206f\u3000-\u303f"
    r"\u060c\u061b\u061f\u06d4\u0964\u0965\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]+"
)
# Thai, Lao, Burmese, Khmer, kana and Han: scripts that leave no blank between words.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")

_STOPWORDS = frozenset(
    """a about above after again all also am an and any anybody anyone anything are as at be because been
    before being below between both but by can could did do does doing done down during each else even ever
    every few for from further get gets getting go goes going gonna got had has have having he hello her here
    hers hey hi him his how i if in into is it its itself just kind kinda know let like lot lots made make
    makes many maybe me mean more most much my myself no nor not now of off ok okay on once one only or other
    our ours out over own please pls quite rather really said same say see she should since so some somebody
    someone something sort sorta still stuff such sure than that the their theirs them then there these they
    thing things think this those through to too try trying under until up us use very want was way we well
    were what when where whether which while who whom why will with within without would yeah yep yes yet you
    your yours don doesn didn isn aren wasn weren won wouldn couldn shouldn haven hasn hadn cannot ll re ve
    """.split()  # noqa: SIM905 (as a list it would be a page long)
)
_SMALL_TALK = frozenset(
    """aha awesome cheers cool excellent fine folks good great guys haha hm hmm hmmm indeed interesting lol
    lovely love morning nice nope oh oops perfect question quick right sorry team thank thanks thx ty wow
    welcome yay yup agree agreed idea ideas help thoughts thought advice everyone everybody
    friends people anyways anyway btw fyi imo iirc afaik""".split()  # noqa: SIM905
)


def sentences(text: str) -> list[str]:
    r"""Return the sentences of a message, each as it stands there.

    Fenced code and quoted lines yield none. Bullets and numbers of lists are left off.

    >>> sentences("It broke, e.g. on v1.2. Try `a. b`!\n1. restart\n> who said this?\n```x = 1. \n```")
    ['It broke, e.g. on v1.2.', 'Try `a. b`!', 'restart']
    >>> sentences("テストが失敗する。なぜ？")
    ['テストが失敗する。', 'なぜ？']
    """
    bare = _QUOTED_LINE.sub("", _FENCE.sub("\n", text)[:LONGEST])
    lines = (_MARKER.sub("", line.strip()) for line in bare.split("\n"))
    return [sentence for line in lines for sentence in _of_line(line) if sentence]


def terms(sentence: str) -> dict[str, int]:
    """Return how often each word with a meaning of its own is said, in the order of first use.

    Words are in lower case, without plural or tense as far as three English endings tell.

    >>> terms("The tests failed, and the test was failing: why?")
    {'test': 2, 'fail': 2}
    """
    counts: dict[str, int] = {}
    for word in _words(sentence):
        counts[word] = counts.get(word, 0) + 1
    return counts


def length(sentence: str) -> int:
    """Return how many words a sentence has; two unspaced characters count as one word."""
    text = _NO_WORDS.sub(" ", sentence)
    unspaced = sum(len(run) for run in _UNSPACED.findall(text))
    return len(_WORD.findall(_UNSPACED.sub(" ", text))) + (unspaced + 1) // 2


def _of_line(line: str) -> Iterator[str]:
    """Yield the sentences of one line."""
    code = [match.span() for match in _INLINE_CODE.finditer(line)] if "`" in line else []
    start = 0
    for stop in _STOP.finditer(line):
        end = stop.end()
        if any(first < end < last for first, last in code) or _goes_on(line, start, stop):
            continue
        yield line[start:end].strip()
        start = end
    yield line[start:].strip()


def _goes_on(line: str, start: int, stop: re.Match[str]) -> bool:
    """Tell whether a full stop ends an abbreviation rather than the sentence."""
    if not stop.group().startswith((".", "…")):
        return False
    said = line[max(start, stop.start() - 12) : stop.start()] + stop.group()
    following = line[stop.end() :].lstrip()[:1]
    return bool(
        _SHORT.search(said)
        or (following.isdigit() and _SHORT_BEFORE_NUMBER.search(said))
        or (following.islower() and _SHORT_BEFORE_SMALL.search(said))
    )


def _words(sentence: str) -> Iterator[str]:
    """Yield the words that carry meaning."""
    for word in _WORD.findall(_NO_WORDS.sub(" ", sentence.lower())):
        runs = _UNSPACED.findall(word)
        if runs:
            for run in runs:
                yield from (run[at : at + 2] for at in range(max(1, len(run) - 1)))
        elif (
            len(word) > 1
            and word not in _STOPWORDS
            and word not in _SMALL_TALK
            and any(map(str.isalnum, word))
        ):
            yield _stem(word)


def _stem(word: str) -> str:
    """Return an English word without `-s`, `-ed` or `-ing`; others stay as they are, most often."""
    if not word.isascii() or not word.isalpha() or len(word) < 4:
        return word
    for ending, rest in (("ing", 4), ("ed", 4), ("s", 3)):
        if word.endswith(ending) and len(word) - len(ending) >= rest and not word.endswith("ss"):
            return word[: -len(ending)]
    return word
