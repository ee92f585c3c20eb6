"""Programs to run and to read; no part of the installed package."""

from __future__ import annotations
