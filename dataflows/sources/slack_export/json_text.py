"""Parse a JSON file of Slack without access tokens and without text that no database stores."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

import orjson

_BOM = b"\xef\xbb\xbf"
_LONG_INTEGER = re.compile(rb"[0-9]{19}")
_PERHAPS_TOKEN = re.compile(rb"xox|\\u00[67]")  # the letters may be written as escapes
_SURROGATE = re.compile("[\ud800-\udfff]")
_TOKEN = re.compile(
    r"""
    (?P<before> [?] | &amp; | & | %(?:25)*3[Ff] | %(?:25)*26 )  # plain, in Slack's markup, inside another URL
    (?: t | token ) (?: = | %(?:25)*3[Dd] )
    xox[a-z] (?: [.]xox[a-z] )? -
    (?: (?! %(?:25)*(?:23|26) ) [^&\#\s"'<>|\\)\]}] )*
    (?P<after> &amp; | & | %(?:25)*26 )?
    """,
    re.VERBOSE,
)


def parsed(data: bytes) -> Any:
    """Return the JSON value in `data`, with the access tokens of its URLs removed.

    A byte order mark is skipped. Integers of any length keep their value. Half of a surrogate pair, which
    Slack writes where it cuts a text in the middle of an emoji, becomes U+FFFD, since UTF-8 has no such
    character.

    >>> parsed(b'[{"url": "https://files.slack.com/a.png?t=xoxe-1-2-3"}, 18446744073709551616]')
    [{'url': 'https://files.slack.com/a.png'}, 18446744073709551616]

    Raises:
        ValueError: When it is not JSON in UTF-8; the message gives line and column, never content.
    """
    data = data.removeprefix(_BOM)
    try:
        value = _loaded(data)
        return without_tokens(value) if _PERHAPS_TOKEN.search(data) else value
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None


def _loaded(data: bytes) -> Any:
    # orjson is five times as fast; it turns integers beyond 64 bits into floats and refuses lone surrogates.
    if not _LONG_INTEGER.search(data):
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            pass
    value = json.loads(data.decode("utf-8"), parse_constant=_no_such_number)
    return _over_strings(value, lambda text: _SURROGATE.sub("\ufffd", text))


def _no_such_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def without_tokens(value: Any) -> Any:
    """Return a JSON value without the `xox…` tokens in the URLs of its texts, at any depth.

    Exports carry `?t=xoxe-…` in the URL of every file: whoever has it can read the file. The rest of the
    URL stays as it is.

    >>> without_tokens({"files": [{"url": "https://files.slack.com/a?t=xoxe-1&pub=2"}]})
    {'files': [{'url': 'https://files.slack.com/a?pub=2'}]}
    >>> without_tokens("<https://files.slack.com/a?b=c&amp;t=xoxe-1|a file>, t=7")
    '<https://files.slack.com/a?b=c|a file>, t=7'
    """
    return _over_strings(value, _without_token)


def _without_token(text: str) -> str:
    while "xox" in text:
        shorter = _TOKEN.sub(lambda found: found["before"] if found["after"] else "", text)
        if shorter == text:
            break
        text = shorter  # once more: where two follow each other, the first match has taken the `&` between
    return text


def _over_strings(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): _over_strings(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [_over_strings(inner, change) for inner in value]
    return value
