"""Write the statements of a commit as text: pure, and reviewed as snapshots.

Guarantees: identifiers and values are always quoted; no function here touches a database.

Read `staging` (the files of a package as a relation), `merging` (write dispositions and merge strategies),
`upsert`, then `comments`.
"""

from __future__ import annotations
