"""Turn records in any container into exact lines of JSON.

Guarantees: no value is changed on its way into a line; memory is bounded by one block of lines; the
cursor covers only what was read.

Read `containers` (what records may come in), `intake` (the loop), `lines` (one record becomes one line),
then `parts` (where a long load may be cut), `patience` (timeouts) and the scanners.
"""

from __future__ import annotations
