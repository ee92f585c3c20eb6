"""Do what people ask for by name: each module serves verbs of the command line.

Guarantees: each change is one transaction with an event in the history; a preview touches nothing.

Read `migrations` (what can be changed) and `migrate` (how), `replay` (quarantined records), `pending`
(packages that wait) and `cursors`.
"""

from __future__ import annotations
