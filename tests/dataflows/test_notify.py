"""Who is told of a schema change, what they are told, and what happens when they cannot be."""

from __future__ import annotations

import json
import sys
import threading
import types
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

import headrace
from headrace import LoadedTable, resource
from headrace.dataflows.notify import slack_message, subscriber
from headrace.errors import UsageError


@pytest.fixture
def flow() -> Iterator[types.ModuleType]:
    """A flow whose one resource gives the records that it is given."""
    module = types.ModuleType("told_flow")
    sys.modules["told_flow"] = module

    def things(records: list) -> Iterator[dict]:  # type: ignore[type-arg]
        """Things."""
        yield from records

    things.__module__ = "told_flow"
    module.__dict__["things"] = resource(primary_key="id", write_disposition="merge")(things)
    yield module
    del sys.modules["told_flow"]


@pytest.fixture
def posted() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A web server on this machine: its address, and the JSON that was posted to it."""
    bodies: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if self.path == "/broken" else 200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", bodies
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_function_is_told_after_the_commit(flow: types.ModuleType) -> None:
    """A subscriber gets each load that changed something, when it can already be read."""
    seen: list[tuple[str, int]] = []
    with headrace.connect() as warehouse:

        def note(loaded: LoadedTable) -> None:
            count = warehouse.query("SELECT count(*) FROM told_flow.things")[0][0]
            seen.append((loaded.table, count))

        for records in ([{"id": 1}], [{"id": 2}], [{"id": 3, "new": 1}]):
            headrace.run(
                flow, into=warehouse, inputs={"records": records}, on_schema_change=note, progress=False
            )

    assert [("things", 1), ("things", 3)] == seen


def test_a_webhook_is_told(flow: types.ModuleType, posted: tuple[str, list[dict[str, Any]]]) -> None:
    """An URL gets the load, the table and the changes as JSON."""
    url, bodies = posted
    inputs = {"records": [{"id": 1}]}
    with headrace.run(flow, into=":memory:", inputs=inputs, on_schema_change=url, progress=False):
        pass

    assert [
        {"load_id": 1, "table": "told_flow.things", "changes": ["create table things, 1 column"]}
    ] == bodies


def test_a_deaf_webhook_fails_no_load(
    flow: types.ModuleType, posted: tuple[str, list[dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a notice is refused the load stands, and standard error says so without the secret URL."""
    url, _ = posted
    told = f"{url}/broken"
    inputs = {"records": [{"id": 1}]}
    with headrace.run(flow, into=":memory:", inputs=inputs, on_schema_change=told, progress=False) as result:
        assert 1 == result.loads["things"].counts.loaded

    errors = capsys.readouterr().err

    assert "was not told of a schema change: HTTPError" in errors
    assert "/broken" not in errors


def test_slack_gets_a_message() -> None:
    """Slack's text has its three characters escaped."""
    with headrace.connect() as warehouse:
        loaded = headrace.load([{"a<b": 1}], "t", into=warehouse)
        changed = headrace.load([{"a<b": "x"}], "t", into=warehouse, naming="direct")

    assert {"text": "Load 1 changed the schema of main.t:\n• create table t, 1 column"} == slack_message(
        loaded
    )
    assert "• add column t.a_b__v_text VARCHAR" in slack_message(changed)["text"]


def test_neither_function_nor_url() -> None:
    """Anything else is refused when the run begins."""
    with pytest.raises(UsageError, match="neither a function nor an http URL"):
        subscriber("ops@example.org")
