"""Read an official Slack export: the helpers of `headrace.dataflows.sources.slack`.

Guarantees: a hostile archive is refused before it is unpacked; folders that have not changed are not
read again.

Read `export` (the stream of messages), `archive` (folder or ZIP), `message` (one message becomes one
record), then `json_text`.
"""

from __future__ import annotations
