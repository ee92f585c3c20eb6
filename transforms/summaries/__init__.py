"""Summarise a thread from its own sentences: no model, no network.

Guarantees: the same messages give the same brief on every backend.

Read `briefs` (the whole), then `sentences`, `key_sentences`, `openings` and `outcomes`.
"""

from __future__ import annotations
