"""Keep the schema `_headrace`: what was loaded, from where, and how the schema became what it is.

Guarantees: each row is written in the transaction of the load that it describes. Every SELECT on
`_headrace` stands in this folder.

Read `tables` (the tables, drawn), `lookup` (what is read during a load), `recording` (what a load
writes), then `history`, `lineage`, `exports`, `quarantine` and `cache`.
"""

from __future__ import annotations
