"""Turn Slack's markup into plain text.

Read `mrkdwn` (one message), then `blocks` (Block Kit).
"""

from __future__ import annotations
