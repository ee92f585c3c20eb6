"""Send schema changes to a function, a webhook or a Slack channel, after the commit.

A notice that cannot be delivered is reported on standard error and never fails the load: the change is in
`_headrace.schema_changes` all the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import requests

from headrace.errors import UsageError
from headrace.loaders.commit import LoadedTable
from headrace.loaders.loading import Subscriber
from headrace.loaders.schema.evolve import describe

_TIMEOUT = 10.0
_SLACK = "https://hooks.slack.com/"


def subscriber(where: Subscriber | str) -> Subscriber:
    """Return what tells `where` of a load: a function as it is, an URL as a POST.

    An URL of Slack's incoming webhooks gets a message; any other gets JSON: `load_id`, `table`, `changes`.

    Raises:
        UsageError: `where` is neither a function nor an http URL.
    """
    if callable(where):
        return where
    if not where.startswith(("http://", "https://")):
        raise UsageError(f"{where!r} is neither a function nor an http URL to tell of schema changes.")
    return lambda loaded: _post(where, slack_message(loaded) if where.startswith(_SLACK) else event(loaded))


def subscribers(where: Subscriber | str | Iterable[Subscriber | str] | None) -> tuple[Subscriber, ...]:
    """Return the subscribers that a user named: none, one, or several."""
    if where is None:
        return ()
    several = [where] if isinstance(where, str) or callable(where) else where
    return tuple(map(subscriber, several))


def event(loaded: LoadedTable) -> dict[str, Any]:
    """Return the changes of a load as JSON."""
    return {
        "load_id": loaded.load_id,
        "table": f"{loaded.schema}.{loaded.table}",
        "changes": [describe(change) for change in loaded.changes],
    }


def slack_message(loaded: LoadedTable) -> dict[str, str]:
    """Return the changes of a load as a message for Slack's incoming webhooks."""
    lines = "\n".join(f"• {_escaped(describe(change))}" for change in loaded.changes)
    table = _escaped(f"{loaded.schema}.{loaded.table}")
    return {"text": f"Load {loaded.load_id} changed the schema of {table}:\n{lines}"}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _post(url: str, body: dict[str, Any]) -> None:
    try:
        requests.post(url, json=body, timeout=_TIMEOUT).raise_for_status()
    except requests.RequestException as error:
        # the URL of a webhook is a secret, and the library's message holds it
        host = url.split("/")[2]
        sys.stderr.write(f"headrace: {host} was not told of a schema change: {type(error).__name__}\n")
