"""Declare how a table looks and what it may become.

Guarantees: a definition that cannot work is refused before anything is read; a contract is compared with
a plan before anything is written.

Read `target` (one table and how records land in it), `contract` (the four modes), `models` and
`odcs_reading` (where a contract may come from), `violations` (what breaks it), then `odcs_writing`.
"""

from __future__ import annotations
