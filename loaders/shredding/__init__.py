"""Turn lines of JSON into rows of a root table and its child tables, in two lanes with one meaning.

Guarantees: both lanes give the same cells. The exact lane is plain Python and defines the meaning; the
columnar lane is pyarrow and takes the bulk.

Read `exact` first; then `block_reader` (parse a block, leave odd lines to the exact lane), `columnar`
(flatten it), `shapes` and `key_limit`, and `pipeline` (threads).
"""

from __future__ import annotations
