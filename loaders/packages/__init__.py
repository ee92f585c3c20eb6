"""Keep sealed packages on disk: one load, extracted and not yet committed.

Guarantees: a sealed package survives the process and the machine and holds all that a commit needs; a
folder that was not sealed counts for nothing.

Read `package` (what is in it), `writer` (how it is sealed), then `folders` (where packages stand).
"""

from __future__ import annotations
