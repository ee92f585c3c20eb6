"""Synthetic Slack exports for tests, written from plain dicts."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Files = Mapping[str, Any]
"""Content by path inside the export: bytes and text are written as they are, anything else as JSON."""


def small_export() -> dict[str, Any]:
    """Return the smallest export that has every usual part: two channels, a user, three messages."""
    return {
        "channels.json": [
            {"id": "C0000001", "name": "general", "is_archived": False, "members": ["U1"]},
            {"id": "C0000002", "name": "random", "is_archived": True, "previous_names": ["off-topic"]},
        ],
        "users.json": [{"id": "U1", "name": "ada", "profile": {"real_name": "Ada"}}],
        "general/2020-01-01.json": [
            message("1577836800.000100", "hello"),
            message("1577836801.000200", "world"),
        ],
        "random/2020-01-02.json": [message("1577923200.000300", "tea?")],
    }


def message(ts: str, text: str = "", **more: Any) -> dict[str, Any]:
    """Return a message by user U1, as an export holds it."""
    return {"type": "message", "user": "U1", "ts": ts, "text": text, **more}


def write_zip(path: Path, files: Files, *, top: str = "") -> Path:
    """Write a ZIP, with everything under the folder `top` if given; return its path."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"{top}/{name}" if top else name, _bytes(content))
    return path


def write_folder(path: Path, files: Files) -> Path:
    """Write the same as a folder; return its path."""
    for name, content in files.items():
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(_bytes(content))
    return path


def _bytes(content: Any) -> bytes:
    if isinstance(content, bytes):
        return content
    return (content if isinstance(content, str) else json.dumps(content)).encode()
