"""Long extractions that are killed at any moment, and go on: nothing lost, nothing twice, nothing asked again."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import headrace

PAGES, SIZE, PARTITIONS = 40, 5, ["eu", "us", "asia", "africa"]

FLOW = f'''
"""Pages of five records each; whatever is asked for is written down first."""
import json
import os
import time
from collections.abc import Iterator
from headrace import Checkpoint, Record, resource

def _ask(log: str, *what) -> None:
    with open(log, "a") as file:
        file.write(json.dumps(what) + "\\n")
    time.sleep(0.01)

def _page_of(number: int, part: str = "") -> list:
    first = number * {SIZE}
    return [{{"id": n, "part": part, "at": n // 3, "tags": [n]}} for n in range(first, first + {SIZE})]

@resource(part_records=20)
def checkpoints(log: str, since: int | None) -> Iterator[list[Record] | Checkpoint]:
    _ask(log, "since", since)
    for number in range(since or 0, {PAGES}):
        _ask(log, "page", number)
        yield _page_of(number)
        yield Checkpoint(number + 1)

@resource(cursor="at", row_order="asc", part_records=20, primary_key="id")
def ordered(log: str, since: int | None) -> Iterator[list[Record]]:
    _ask(log, "since", since)
    last = -1 if since is None else since
    for number in range((last + 1) * 3 // {SIZE}, {PAGES}):
        _ask(log, "page", number)
        yield [record for record in _page_of(number) if record["at"] > last]

@resource(cursor="at", row_order="asc", part_records=20, primary_key="id", write_disposition="merge")
def merged(log: str, since: int | None) -> Iterator[list[Record]]:
    _ask(log, "since", since)
    for number in range((since or 0) * 3 // {SIZE}, {PAGES}):
        _ask(log, "page", number)
        yield _page_of(number)

@resource(each={PARTITIONS}, part_records=20)
def partitions(log: str, part: str, since: int | None) -> Iterator[list[Record] | Checkpoint]:
    _ask(log, "since", [part, since])
    for number in range(since or 0, {PAGES} // {len(PARTITIONS)}):
        _ask(log, "page", [part, number])
        yield _page_of(number, part)
        yield Checkpoint(number + 1)
'''

RUN = """
import sys
import headrace
headrace.run(sys.argv[1], into=sys.argv[2], inputs={"log": sys.argv[3]}, outputs=[sys.argv[4]], progress=False)
print("done", flush=True)
"""


def start(code: str, *arguments: Any, log: Path, upto: float | None) -> bool:
    """Run code in a process of its own; tell whether it was done.

    Args:
        code: The code; it prints when it is done.
        *arguments: What it finds in `sys.argv`.
        log: The file in which it writes a line for each step.
        upto: Lines after which it is killed without notice; a fraction is time, in steps of 20 ms.
    """
    lines = len(asked(log))
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        if upto is not None:
            while len(asked(log)) - lines < int(upto) and child.poll() is None:
                time.sleep(0.002)
            time.sleep(upto % 1 / 50)
            child.kill()
        return "done" in child.stdout.read()


def asked(log: Path) -> list[Any]:
    text = log.read_text() if log.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def contents(warehouse: headrace.Warehouse, resource: str) -> tuple[list[Any], Any]:
    """Return the rows, with how many children each has, and what the next run goes on from."""
    rows = warehouse.query(
        f'SELECT id, part, "at", (SELECT count(*) FROM flow.{resource}__tags WHERE _hr_parent_id = r._hr_id) '
        f"FROM flow.{resource} r ORDER BY ALL"
    )
    return rows, warehouse.cursor(f"flow.{resource}")


def unhurt(resource: str) -> tuple[list[Any], Any]:
    """Return the contents that a run without a crash leaves."""
    if resource == "partitions":
        pages = PAGES // len(PARTITIONS)
        rows = [(n, part, n // 3, 1) for part in PARTITIONS for n in range(pages * SIZE)]
        return sorted(rows), {"partitions": {"done": [], "since": [[part, pages] for part in PARTITIONS]}}
    rows = [(n, "", n // 3, 1) for n in range(PAGES * SIZE)]
    return rows, PAGES if resource == "checkpoints" else rows[-1][2]


def sealed_pages(resource: str, cursor: Any) -> set[Any]:
    """Return the pages of which every record is committed, as the cursor tells it."""
    if cursor is None:
        return set()
    if resource == "checkpoints":
        return set(range(cursor))
    if resource == "partitions":
        each, done = dict(cursor["partitions"]["since"]), cursor["partitions"]["done"]
        whole = PAGES // len(PARTITIONS)
        return {(part, page) for part in each for page in range(whole if part in done else each[part])}
    # a record of the cursor's own value is asked for again where the merge takes `since` inclusively
    last = (cursor + (resource == "ordered")) * 3 - 1
    return {page for page in range(PAGES) if (page + 1) * SIZE - 1 <= last}


def kill_until_done(folder: Path, resource: str, kills: int, moments: random.Random) -> None:
    """Check one resource: killed so many times, then let run to its end."""
    flow, log, into = folder / "flow.py", folder / "log", folder / "w.duckdb"
    flow.write_text(FLOW, encoding="utf-8")
    sealed: set[Any] = set()
    progressed = 0
    for kill in range(kills + 1):
        before = len(asked(log))
        upto = moments.uniform(7, 16) if kill < kills else None
        done = start(RUN, flow, into, log, f"{resource}.load", log=log, upto=upto)
        pages = {
            tuple(page) if isinstance(page, list) else page
            for what, page in asked(log)[before:]
            if what == "page"
        }

        assert not pages & sealed, "a page that was sealed was asked for again"

        if done:
            break
        with headrace.connect(into) as warehouse:
            now = sealed_pages(resource, warehouse.cursor(f"flow.{resource}"))

        assert sealed <= now
        progressed += now > sealed
        sealed = now
    assert progressed, "no process was killed between two parts"
    with headrace.connect(into) as warehouse:
        assert unhurt(resource) == contents(warehouse, resource)


@pytest.mark.parametrize("resource", ["checkpoints", "ordered", "merged", "partitions"])
def test_killed_and_run_again(tmp_path: Path, resource: str) -> None:
    """After any number of crashes the table is that of a run without, and no sealed page was asked for again."""
    kill_until_done(tmp_path, resource, 2, random.Random(resource))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("resource", ["checkpoints", "ordered", "merged", "partitions"])
def test_killed_often(tmp_path: Path, resource: str, seed: int) -> None:
    """The same, with more processes and other moments."""
    kill_until_done(tmp_path, resource, 8, random.Random(f"{resource} {seed}"))


QUEUE = """
import json, os, pathlib, sys, time
import headrace
from headrace import Checkpoint

inbox, into, log = map(pathlib.Path, sys.argv[1:])

def messages():
    while waiting := sorted(inbox.iterdir())[:7]:
        for file in waiting:
            yield json.loads(file.read_text())
        yield Checkpoint(durable=True)
        for file in waiting:  # acknowledge: after this the queue knows them no more
            with log.open("a") as acknowledged:
                acknowledged.write(f"{int(file.stem)}\\n")
            file.unlink()
            time.sleep(0.002)

headrace.load(messages(), "messages", into=into, primary_key="id", write_disposition="merge")
print("done", flush=True)
"""


def test_a_queue_that_forgets(tmp_path: Path) -> None:
    """Every message that was acknowledged is in the warehouse, whenever the process dies; once, and none is lost."""
    inbox, into, log = tmp_path / "inbox", tmp_path / "w.duckdb", tmp_path / "log"
    inbox.mkdir()
    number, moments = 150, random.Random(11)
    for n in range(number):
        (inbox / f"{n:04}.json").write_text(
            json.dumps({"id": n, "body": {"text": f"message {n}"}, "tags": [n]})
        )
    for kill in range(7):
        upto = moments.uniform(0, 30) if kill < 6 else None
        done = start(QUEUE, inbox, into, log, log=log, upto=upto)
        acknowledged = set(asked(log))
        with headrace.connect(into) as warehouse:
            tables = warehouse.query("SELECT table_name FROM duckdb_tables() WHERE table_name = 'messages'")
            found = [id for (id,) in warehouse.query("SELECT id FROM messages")] if tables else []

        assert acknowledged <= set(found)
        assert len(set(found)) == len(found)
        assert set(range(number)) == set(found) | {int(file.stem) for file in inbox.iterdir()}
        if done:
            break
    with headrace.connect(into) as warehouse:
        assert [(number, number)] == warehouse.query(
            "SELECT count(*), count(DISTINCT m.id) FROM messages m JOIN messages__tags t ON t.value = m.id"
        )
    assert not list(inbox.iterdir())
