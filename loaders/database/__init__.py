"""Open the DuckDB file, hold its lock, and translate what goes wrong with disk and memory.

Guarantees: one process writes at a time; threads of a process share one instance; a file is created
whole or not at all. Nothing here knows of packages or plans.

Read `instance` (the open file), `opening`, `lock`, then `shortage`, `quoting`, `queries` and
`crash_points`.
"""

from __future__ import annotations
