"""Compare what the warehouse has with what a stream held, and plan what must change: pure.

Guarantees: planning touches nothing, the same input gives the same plan, and a plan only ever widens.

Read `known` (the tables in the warehouse), `observed` (the tables, columns and kinds in a stream), then
`evolve` (the plan).
"""

from __future__ import annotations
