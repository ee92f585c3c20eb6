"""Decide whether a thread came to an answer, and name the sentence that shows it.

Patterns over English phrases, so a hint and never a fact; other languages are known by their question marks
only. Precision comes first: what is said under a condition, about the future, in the negative or in doubt
("will ping when I'm done", "it should be fixed tomorrow", "thanks in advance") shows nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from headrace.transforms.summaries.key_sentences import Post, Sentence
from headrace.transforms.summaries.openings import Opening, asks

Status: TypeAlias = Literal["resolved", "open question", "discussion"]

LONGEST_EVIDENCE = 300
"""Characters; evidence is quoted whole, so a longer sentence of a reply is none."""


def _any_of(*phrases: str) -> re.Pattern[str]:
    """Return one pattern for phrases, each of them a regular expression."""
    return re.compile("|".join(phrases), re.IGNORECASE)


_MADE = r"(?:fixed|resolved|solved|sorted|merged|deployed|released|shipped)"
# What may follow "is solved", so that "are solved problems" is not heard.
_END = (
    r"(?=$|[^\w ]| (?:in|by|with|via|on|to|for|at|as|now|again|already|today|yesterday|here|too)\b| [^\w ])"
)
_WELL = r"(?:now|again|fine|great|perfectly|well|like a charm)"
_IT = r"(?:it|that|this|which|everything|all)"

# From anybody: something was done, or works again.
_SETTLED = _any_of(
    rf"^(?:{_MADE}|done|approved|lgtm)(?:[!.✅ ]|:\w+:)*$",  # "Done!"
    rf"^{_MADE} (?:it|this|that|now|in|by|with|via|today)\b",  # "Fixed in 1.4"
    rf"\b(?:i|we|they|you)(?:'ve| have)? (?:just |now |finally )?{_MADE}\b",  # "I just deployed 1.4"
    rf"\b(?:is|are|'s|was|were|been|got|now) (?:all |now |just |finally )?{_MADE}{_END}",  # "it's now fixed"
    r"\b(?:works?|working|builds|passes|passing|green|good|fine) (?:now|again)\b",
    r"(?:\b(?:is|are)|'s|'re) (?:now )?(?:(?:up|back|running)(?: and running)? again|back (?:up|online))\b",
    r"\bnow (?:it )?(?:works|builds|passes)\b",
    r"\b(?:figured|sorted) (?:it|this|that) out\b",
    r"^(?:ah|oh|ok|update|never ?mind)?[,:. ]*(?:i )?found it\b(?! (?:hard|odd|strange|interesting|useful))",
    r"\bincident (?:is |was )?(?:closed|over)\b",
    r"\bgot (?:it|this|that) (?:working|to work|sorted|fixed|running)\b",
    r"\bi(?:'ve| have)? successfully \w+",  # "I've successfully built it with this setup"
    r"\b(?:problem|issue|bug|mystery) (?:is )?(?:fixed|solved|resolved|gone)\b",
    r"\bclosing (?:this|the (?:issue|ticket|thread))\b",
    r"\ball (?:good|set|clear|sorted) now\b",
    r"\blet'?s go with\b",
)
# From anybody, in the negative too: "we decided not to".
_DECIDED = _any_of(
    r"\b(?:we|they)(?:'ve| have)? (?:decided|agreed|settled) ", r"^(?:decision|resolution|outcome)$"
)
# From the one who asked: an answer helped. From others the same words tell of their own case.
_HELPED = _any_of(
    rf"\b{_IT}(?: \w+)? (?:worked|works {_WELL}|did it|did the trick|helped|helps)\b",
    rf"\b{_IT}(?: \w+)? (?:fixed|solved|resolved|explains|answers) (?:it|that|this|my|the|our|everything)\b",
    rf"\b{_IT}(?: was|'s| is) (?:exactly |indeed )?it$",
    rf"\b{_IT}(?: was|'s| is) (?:indeed )?(?:the|my) (?:issue|problem|cause|culprit|fix|answer|mistake)",
    rf"\b{_IT}(?: was|'s| is) (?:exactly )?what i (?:need|needed|wanted|was looking for)\b",
    r"^worked\b|\bworked (?:like a charm|perfectly|great|fine|for me|first time)\b",
)
# From the one who asked, after somebody answered: the weakest hint.
_PLEASED = r"(?:ah|oh|ok|okay|great|awesome|perfect|cool|nice|brilliant|excellent|amazing|lovely|super)"
_THANKS = _any_of(
    rf"^(?:{_PLEASED}\b[,.! ]*)*"
    r"(?:(?:many )?thanks|thank you|thx|ty|cheers|got it|makes (?:total )?sense|perfect|good to know)\b"
)
# Thanks for the trouble or for what is to come, and thanks with a "but".
_THANKS_ONLY = _any_of(
    r"\b(?:in advance|anyway|though|but|will|try|trying|later|tomorrow|soon|hope|if|let me)\b|'ll\b",
    r"\bfor (?:look|check|your|report|rais|ask|let|shar|join)",
    r"\bfor the (?:report|heads|quick|repl|resp|offer|remind|ping)",
)
# From anybody: what was thought settled is not.
_TROUBLE = _any_of(
    r"\bstill (?:not?|isn't|doesn't|does not|can't|the same|broken|stuck|red|down)\b",
    r"\bstill an? (?:issue|problem|error)\b",
    r"\bstill (?:get|see|have|hav|fail|hang|crash|happen|break)",
    r"(?:\b(?:not|never)|n't|\bno longer) (?:\w+ )?(?:work|working|help|helped|fixed|solved|resolved)\b",
    r"\bsame (?:error|problem|issue|result)\b|\bno luck\b|\bspoke too soon\b|\bback to square one\b",
    r"\b(?:broke|broken|failing|fails|failed|down|crashed|red) again\b",
    r"\b(?:reverted|rolled back|reopened|reopening)\b",
)
_CONDITION = _any_of(r"\b(?:if|when|whenever|once|until|till|unless|as soon as)\b")
_UNREAL = _any_of(
    _CONDITION.pattern,
    r"n't\b|\b(?:not|never|no|cannot|yet|almost|nearly|partially)\b",
    r"'ll\b|\b(?:will|would|should|could|might|may|to be|needs? to|going to|gonna|soon|tomorrow|waiting)\b",
    r"\b(?:maybe|perhaps|probably|hope|hopefully|hoping|try|trying|wish|thought|assumed|supposed|whether)\b",
    r"\b(?:used to|previously|before|since)\b",
)
_BUT = _any_of(r"\b(?:but|however|except|although|though)\b")
_CLAUSE_END = _any_of(r"[,;:()–—]|\s-\s|\b(?:and|so|but|because|however)\b")
_REMINDS = _any_of(
    r"^any (?:other |more |further )?(?:idea|update|news|thought|suggestion|luck|progress)s?\b"
)
# Replies that are no answer.
_ECHO = _any_of(
    r"^(?:\+1|same(?: here| question| problem| issue)*|me too|us too|sorry|following|bump|ditto|good question"
    r"|no idea|no clue|not sure|dunno|idk|i (?:don't|do not) know|i have no idea"
    r"|any (?:update|news|luck|idea)s?\??|👀|👍|:[a-z0-9_+-]+:|[.!, ])+$"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a thread stands.

    Attributes:
        status: "resolved", "open question" or "discussion".
        evidence: Index of the sentence that shows it; None for a discussion.
    """

    status: Status
    evidence: int | None = None


def outcome_of(posts: Sequence[Post], said: Sequence[Sentence], opening: Opening) -> Outcome:
    """Return how a thread stands by its end.

    >>> from headrace.transforms.summaries.key_sentences import sentences_of
    >>> from headrace.transforms.summaries.openings import opening_of
    >>> posts = [Post(1, "Ana", "Why is CI red?"), Post(2, "Bo", "A stale cache. Fixed it, try again.")]
    >>> said = sentences_of(posts)
    >>> outcome = outcome_of(posts, said, opening_of(posts, said))
    >>> outcome.status, said[outcome.evidence].text
    ('resolved', 'Fixed it, try again.')
    """
    later = [index for index, sentence in enumerate(said) if sentence.post not in opening.posts]
    settled = thanked = None
    for index in later:
        sentence = said[index]
        if len(sentence.text) > LONGEST_EVIDENCE:
            continue
        by_starter = sentence.n == opening.n
        if asks(sentence):
            thanked = None if by_starter else thanked
        elif _claims(sentence, _TROUBLE, real=False):
            settled = thanked = None
        elif _is_settled(sentence) or (by_starter and _claims(sentence, _HELPED)):
            settled = index
        elif by_starter and opening.asks and _is_thanks(sentence):
            thanked = index
    if settled is not None:
        return Outcome("resolved", settled)
    if thanked is not None:
        return Outcome("resolved", thanked)
    unanswered = _unanswered(posts, said, opening, later)
    return Outcome("discussion") if unanswered is None else Outcome("open question", unanswered)


def _is_settled(sentence: Sentence) -> bool:
    """Tell whether a sentence says that something was done or decided."""
    return _claims(sentence, _SETTLED) or _claims(sentence, _DECIDED, real=False)


def _claims(sentence: Sentence, pattern: re.Pattern[str], *, real: bool = True) -> bool:
    """Tell whether a clause of the sentence says so, here and now and under no condition.

    `real` refuses negatives and doubt as well, in which trouble is told.
    """
    text = sentence.text.replace("’", "'")
    for start, end in _clauses(text):
        clause = text[start:end].strip(" .!?*_~")
        doubted = _CONDITION.search(text[:start]) or (_UNREAL if real else _CONDITION).search(clause)
        taken_back = real and _BUT.search(text[end:])
        if pattern.search(clause) and not doubted and not taken_back:
            return True
    return False


def _clauses(text: str) -> list[tuple[int, int]]:
    """Return where the clauses of a sentence begin and end."""
    ends = [match.span() for match in _CLAUSE_END.finditer(text)]
    starts = [0, *(end for _, end in ends)]
    return list(zip(starts, [*(start for start, _ in ends), len(text)], strict=True))


def _is_thanks(sentence: Sentence) -> bool:
    """Tell whether a sentence thanks for an answer rather than for the trouble."""
    text = sentence.text.replace("’", "'")
    return len(text.split()) <= 10 and bool(_THANKS.search(text)) and not _THANKS_ONLY.search(text)


def _unanswered(
    posts: Sequence[Post], said: Sequence[Sentence], opening: Opening, later: Sequence[int]
) -> int | None:
    """Return the last sentence that wants an answer, unless somebody else spoke after it."""
    wanting = [index for index in opening.sentences if asks(said[index])][:1]
    wanting += [index for index in later if _wants_answer(said[index])]
    if not wanting:
        return None
    last = wanting[-1]
    asked = said[last]
    for post in posts[asked.post + 1 :]:
        if post.n != asked.n and post.kind == "person" and not _ECHO.match(post.text.strip()):
            return None
    return last


def _wants_answer(sentence: Sentence) -> bool:
    """Tell whether a sentence asks something of its own or says that it does not work."""
    if len(sentence.text) > LONGEST_EVIDENCE or sentence.is_bot:
        return False
    if asks(sentence):
        return bool(sentence.words) or _REMINDS.match(sentence.text) is not None
    return _claims(sentence, _TROUBLE, real=False)
