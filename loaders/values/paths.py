"""Make identifiers of the keys of records, and never give two sources one name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Container
from typing import Literal

RecordPath = tuple["str | None", ...]
"""Where a value stands in a record: dict keys, and None for a step into a list. `$.items[].sku` is
`("items", None, "sku")`."""

SYSTEM_COLUMNS = ("_hr_id", "_hr_parent_id", "_hr_root_id", "_hr_index", "_hr_load_id")
LONGEST = 200
"""Characters of an identifier, a suffix aside; DuckDB has no limit, the databases it copies to have some."""

RESERVED = (*SYSTEM_COLUMNS, "_hr_valid_from", "_hr_valid_to", "_hr_hash")
"""Names that no key of a record gets."""

_REDUCED = str.maketrans("+-*@|", "x_xal")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def snake_case(key: str) -> str:
    """Return the identifier for one key of a record.

    >>> [snake_case(key) for key in ("HTMLParser", "with space", "+1", "1st", "trail_", "a__b", "")]
    ['html_parser', 'with_space', 'x1', '_1st', 'trailx', 'a__b', '_empty']
    """
    parts = [part for part in key.strip().split("__") if part]
    return "__".join(map(_snake_part, parts)) or "_empty"


def _snake_part(part: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_]+", "_", part.translate(_REDUCED))
    name = re.sub(r"([^_])([A-Z][a-z]+)", r"\1_\2", name)
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()
    if name[0].isdigit():
        name = f"_{name}"
    stem = name.rstrip("_")
    return re.sub(r"_+", "_", stem + "x" * (len(name) - len(stem)))


def direct(key: str) -> str:
    """Return a key as the identifier it is; an empty one has a name all the same.

    >>> direct("HTMLParser"), direct("")
    ('HTMLParser', '_empty')
    """
    return key or "_empty"


Naming = Literal["snake_case", "direct"]
NAMINGS: dict[str, Callable[[str], str]] = {"snake_case": snake_case, "direct": direct}
"""Ways to make an identifier of a key."""


def table_name(root: str, path: RecordPath, naming: str = "snake_case") -> str:
    """Return the wished name of the table at `path` below the table `root`.

    >>> table_name("orders", ("items", None, "opts", None)), table_name("t", ("m", None, None))
    ('orders__items__opts', 't__m__list')
    """
    parts = [root]
    for before, step in zip((None, *path), path, strict=False):
        if step is not None:
            parts.append(NAMINGS[naming](step))
        elif before is None:
            parts.append("list")
    return "__".join(parts)


def column_name(path: RecordPath, naming: str = "snake_case") -> str:
    """Return the wished name of the column at `path` in its table; an item that is no dict is `value`."""
    if len(path) == 2 and path[0] is None:  # a column that a disposition needs
        return f"_hr_{path[1]}"
    return "__".join(NAMINGS[naming](step) for step in path if step is not None) or "value"


def distinct(wished: str, taken: Container[str]) -> str:
    """Return `wished`, or with the first suffix `_2`, `_3`… that is free; DuckDB's names ignore case.

    >>> distinct("user_id", {"user_id"})
    'user_id_2'
    """
    wished = _short(wished)
    name, number = wished, 1
    while name.lower() in taken:
        number += 1
        name = f"{wished}_{number}"
    return name


def _short(name: str) -> str:
    """Return a name cut to `LONGEST`, a hash of the whole in the place of its end."""
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def find_key(keys: Collection[str], wished: str) -> str | None:
    """Return the key that a definition means: itself, or the one that has this name as a column.

    >>> find_key(["userId", "name"], "user_id")
    'userId'
    """
    return wished if wished in keys else next((key for key in keys if snake_case(key) == wished), None)


def show(path: RecordPath) -> str:
    """Return a path as people write it.

    >>> show(("items", None, "unit price"))
    '$.items[]["unit price"]'
    """
    steps = []
    for step in path:
        if step is None:
            steps.append("[]")
        elif _PLAIN_KEY.fullmatch(step):
            steps.append(f".{step}")
        else:
            escaped = step.replace("\\", "\\\\").replace('"', '\\"')
            steps.append(f'["{escaped}"]')
    return "$" + "".join(steps)


def parse_hint(text: str) -> RecordPath:
    """Return the path that a hint names: keys joined by dots, `[]` for a step into a list.

    >>> parse_hint("items[].sku"), parse_hint("price")
    (('items', None, 'sku'), ('price',))
    """
    path: list[str | None] = []
    for part in text.split("."):
        key = part
        while key.endswith("[]"):
            key = key[:-2]
        path.append(key)
        path.extend([None] * ((len(part) - len(key)) // 2))
    return tuple(path)


def as_hint(path: RecordPath) -> str | None:
    """Return the hint that means `path`; None where no hint can say it, as for a key with a dot.

    >>> as_hint(("items", None, "unit price")), as_hint(("a.b",))
    ('items[].unit price', None)
    """
    plain = "".join("[]" if step is None else f".{step}" for step in path).removeprefix(".")
    quoted = show(path).removeprefix("$").removeprefix(".")
    return next((text for text in (plain, quoted) if parse_hint(text) == path), None)
