"""Mask secrets in what headrace says and stores about a run.

What counts as one is told by its name: the inputs of a run, the attributes of the clients among them and the
variables of the environment that are called token, password, api_key… are known here by their values, and
so are the credentials within a URL. Every message of headrace's own has them masked when it is made, and the
errors that it passes on when they pass.

It has limits. A secret under a name that says nothing is not known, nor is one of fewer than six characters;
one that was encoded is not found again, URL encoding aside. And what a source yields is data: a token in a
record, or in a cursor, lands as it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    import logging  # which no load needs

MASK = "***"
SHORTEST = 6
"""Characters below which a value is no secret: masking `true` or `main` would spoil every message."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET = {
    "apikey", "auth", "authorization", "cookie", "credential", "credentials", "dsn", "passphrase", "passwd",
    "password", "pwd", "secret", "secrets", "token", "webhook",
}  # fmt: skip
_KEYS = {"access", "account", "api", "encryption", "private", "secret", "service", "signing"}
_USER = re.compile(r"(?<=://)([^\s/:@]*):([^\s/@]+)(?=@)")
_PARAMETER = re.compile(r"(?<=[?&])([\w.\-]+)=([^\s&#'\"]+)")
_NO_SECRETS = frozenset({"PWD", "OLDPWD"})
"""The shell's variables for the folder it is in: `pwd` is a password elsewhere."""
_DEPTH = 3
_NO_DATA = (type, FunctionType, MethodType, ModuleType)

_known: set[str] = set()


def is_secret(name: str) -> bool:
    """Tell whether a name says that its value is a secret.

    >>> [is_secret(name) for name in ("token", "GITHUB_TOKEN", "apiKey", "db_password", "key")]
    [True, True, True, True, True]
    >>> [is_secret(name) for name in ("primary_key", "max_tokens", "tokenizer", "author", "monkey")]
    [False, False, False, False, False]
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    has_key = words[-1:] == ["key"] and (len(words) == 1 or words[-2] in _KEYS)
    return has_key or not _SECRET.isdisjoint(words)


def learn(named: Mapping[str, Any]) -> None:
    """Know the secrets among named values from now on, those within clients and URLs too."""
    for name, value in named.items():
        _known.update(_within(value, is_secret(name), _DEPTH))


def masked(text: str) -> str:
    """Return a text with every secret in it masked.

    >>> masked("GET https://ann:opensesame@example.com/items?page=2&api_key=abc failed")
    'GET https://ann:***@example.com/items?page=2&api_key=*** failed'
    """
    for value in sorted(_known.union(_of_environment()), key=len, reverse=True):
        text = text.replace(value, MASK)
    text = _USER.sub(rf"\1:{MASK}", text)
    return _PARAMETER.sub(lambda found: f"{found[1]}={MASK}" if is_secret(found[1]) else found[0], text)


def mask_error(error: BaseException) -> bool:
    """Mask the message of an error, and of all that led to it, where they are; tell whether its own could be.

    One whose message cannot be changed leaves the chain; its name and its masked message take its place.
    """
    seen: set[int] = set()
    pending: list[BaseException] = [error]
    while pending:
        one = pending.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        _mask(one)
        for link in ("__cause__", "__context__"):
            led = getattr(one, link)
            if led is not None and not _mask(led):
                instead = RuntimeError(f"{type(led).__name__}: {masked(str(led))}")
                setattr(one, link, instead.with_traceback(led.__traceback__))
            elif led is not None:
                pending.append(led)
    return _mask(error)


def mask_record(record: logging.LogRecord) -> bool:
    """Mask what a logger is given, its error included, and let it pass: a filter for `Logger.addFilter`."""
    record.msg, record.args = masked(record.getMessage()), ()
    if record.exc_info and record.exc_info[1] is not None:
        mask_error(record.exc_info[1])
    return True


def _mask(error: BaseException) -> bool:
    """Mask the message of one error; tell whether that worked."""
    if masked(str(error)) != str(error):
        error.args = tuple(masked(part) if isinstance(part, str) else part for part in error.args)
        if isinstance(error, OSError) and isinstance(error.filename, str):
            error.filename = masked(error.filename)
    notes = getattr(error, "__notes__", None)
    if notes:
        notes[:] = map(masked, notes)
    return masked(str(error)) == str(error)


def _within(value: Any, secret: bool, depth: int) -> Iterator[str]:
    """Yield the secrets in a value; lists are data, and are not gone through."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str):
        yield from _in_text(value, secret)
    elif depth and isinstance(value, tuple) and secret:
        for part in value:
            yield from _within(part, True, depth - 1)
    elif depth and isinstance(value, Mapping):
        for name, part in list(value.items())[:100]:
            yield from _within(part, secret or is_secret(str(name)), depth - 1)
    elif depth and not isinstance(value, _NO_DATA):
        slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        for name in {**getattr(value, "__dict__", {}), **dict.fromkeys(slots)}:
            yield from _within(getattr(value, name, None), secret or is_secret(name), depth - 1)


def _in_text(text: str, secret: bool) -> Iterator[str]:
    found = [text, *text.split()[-1:]] if secret else []  # `Bearer …`
    found += [password for _, password in _USER.findall(text)]
    found += [value for name, value in _PARAMETER.findall(text) if is_secret(name)]
    for one in found:
        if len(one) >= SHORTEST:
            yield from (one, quote(one, safe=""))


def _of_environment() -> set[str]:
    return {
        value
        for name in list(os.environ)  # other threads may change it
        if len(value := os.environ.get(name, "")) >= SHORTEST and name not in _NO_SECRETS and is_secret(name)
    }
