"""The story of a stored warehouse: how it began, how it goes on, and what it shows.

`begin` is run once for each stored version, by that version; it may grow. `go_on` is run on the warehouses
of every version, and what it led to is stored with each: leave it as it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import headrace
from headrace.cli.app import main
from tests.stored import shop

EXPORT = Path(__file__).parents[2] / "examples" / "demo_export.zip"
VOLATILE = re.compile(
    r"(?!2020-)\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?|\d{8}T\d+-[0-9a-f]+|@[0-9a-f]{12}"
)
"""What another run writes otherwise: times (records have those of 2020), ids of packages, hashes of code and tokens."""
MOST_ROWS = 40
"""Rows of a table that are compared one by one; of a larger table their hash is."""

_MERGE = {"primary_key": "id", "write_disposition": "merge"}
WAYS: dict[str, Any] = {
    "append": {},
    "replace": {"write_disposition": "replace"},
    "delete_insert": _MERGE,
    "upsert": {**_MERGE, "merge_strategy": "upsert"},
    "insert_only": {**_MERGE, "merge_strategy": "insert-only"},
    "scd2": {**_MERGE, "merge_strategy": "scd2"},
    "scd2_by_day": {**_MERGE, "merge_strategy": "scd2", "merge_key": "day"},
    "snapshot": {**_MERGE, "merge_strategy": "snapshot"},
    "by_day": {"write_disposition": "merge", "merge_key": "day"},
    "by_day_and_id": {**_MERGE, "merge_key": "day"},
    "greatest": {**_MERGE, "dedup_sort": "n"},
    "deleting": {**_MERGE, "hard_delete": "gone"},
}
"""Each way to land, by the table that lands so."""
TURNS: list[list[dict[str, Any]]] = [
    [
        {"id": 1, "day": "Mon", "n": 1, "gone": False, "tags": ["a", "b"]},
        {"id": 2, "day": "Tue", "n": 1, "tags": ["c"]},
    ],
    [
        {"id": 1, "day": "Mon", "n": 3, "tags": ["d"]},
        {"id": 1, "day": "Mon", "n": 2},
        {"id": 3, "day": "Wed", "n": 1},
    ],
    [
        {"id": 1, "day": "Mon", "n": 4, "tags": ["e", "f"]},
        {"id": 2, "day": "Tue", "gone": True},
        {"id": 4, "day": "Thu"},
    ],
]

KINDS: list[dict[str, Any]] = [
    {"n": 1, "widening": 1, "variant": 1, "json": {"a": [1, {"b": None}]}, "deep": {"a": {"b": {"c": [1]}}}, "never": None},
    {"n": 2, "widening": 2**40, "variant": "one", "huge": 2**100, "fraction": 0.1, "exact": Decimal("1.10"), "yes": True,
     "on": date(2020, 1, 31), "at": datetime(2020, 1, 31, 8, 30), "zoned": datetime(2020, 1, 31, tzinfo=timezone.utc),
     "clock": time(8, 30), "takes": timedelta(days=1, seconds=5), "raw": b"\x00\xff", "text": "it's \"é\" 🙂 \0"},
    {"n": 3, "variant": [1, [2]], "Mixed Case": 1, "lists": [{"of": [{"lists": [1]}]}]},
    {"n": 4, "variant": {"below": True}, "widening": None},
]  # fmt: skip

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: clinic
name: clinic
version: 1.0.0
status: active
schema:
- name: patients
  description: Who was treated.
  properties:
  - {name: id, logicalType: integer, required: true, primaryKey: true, description: Their number.}
  - {name: email, logicalType: string, description: Where to write., tags: [pii]}
  - {name: ward, logicalType: string, required: true}
  - {name: seen, logicalType: timestamp}
  - {name: gone, logicalType: boolean}
  - name: address
    logicalType: object
    properties:
    - {name: zip, logicalType: string, tags: [dim]}
"""


@dataclass
class Reading:
    """A contract as a model."""

    sensor: str
    value: float
    unit: str | None = None


def begin(path: Path) -> None:
    """Write as much into a new warehouse as can be stored."""
    for turn in (1, 2):
        headrace.run(
            shop, into=path, inputs={"turn": turn}, workers=1, progress=False
        ).warehouse.close()  # fmt: skip
    for records in TURNS[:2]:
        _load_each_way(path, records)
    for record in KINDS:
        headrace.load(
            [record], "kinds", into=path, columns={"json": "JSON", "exact": "DECIMAL(18,4)"}, max_nesting=2
        )
    _load_contracts(path)
    headrace.load(
        [{"Order No": 1, "käse": "x", "From": {"Zip": "1"}, "Lines": [{"SKU": "a"}]}], "direct.things", into=path,
        naming="direct",
    )  # fmt: skip
    record = {"id": 1, "old": "7", "spare": 1, "items": [{"sku": "a", "spare": 1}], "notes": ["x"]}
    headrace.load([record], "changed.things", into=path)
    for words in (
        "schema rename changed.things.old fresh", "schema retype changed.things.fresh BIGINT",
        "schema drop changed.things.spare", "schema rename changed.things__items lines",
        "schema drop changed.things__notes",
    ):  # fmt: skip
        tell(path, words)
    headrace.run(
        "slack", into=path, inputs={"export": str(EXPORT)}, workers=1, progress=False
    ).warehouse.close()


def go_on(path: Path) -> None:
    """Replay what is in quarantine, load into every table again, add a column and widen a type."""
    tell(path, "quarantine replay --contract evolve")
    headrace.run(shop, into=path, inputs={"turn": 3}, workers=1, progress=False).warehouse.close()
    _load_each_way(path, TURNS[2])
    headrace.load([{"n": 5, "widening": 0.5, "added": "x", "variant": 2.5}], "kinds", into=path)
    headrace.load(
        [{"Order No": 2, "New Key": 1, "Lines": [{"SKU": 1}]}], "direct.things", into=path, naming="direct"
    )
    headrace.load([{"id": 2, "old": 8, "items": [{"sku": "b"}]}], "changed.things", into=path)


def tell(path: Path, words: str) -> str:
    """Run one command on a warehouse; return what it writes on standard output."""
    output, messages = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(messages):
        code = main([*words.split(), "--warehouse", str(path)])
    if code:
        raise RuntimeError(f"headrace {words} ended with {code}: {messages.getvalue()}")
    return output.getvalue()


def rows(path: Path, words: str) -> list[dict[str, Any]]:
    """Run one command that shows rows; return them."""
    return [json.loads(line) for line in tell(path, f"{words} --json").splitlines()]


def seen(path: Path) -> dict[str, Any]:
    """Return what a warehouse shows: the rows of its tables, its comments, and what the catalogue answers."""
    with headrace.connect(path).open_readonly() as connection:
        tables = connection.execute(
            "SELECT schema_name, table_name, comment FROM duckdb_tables() "
            "WHERE schema_name <> '_headrace' ORDER BY ALL"
        ).fetchall()
        comments = connection.execute(
            "SELECT schema_name, table_name, column_name, comment FROM duckdb_columns() "
            "WHERE comment IS NOT NULL AND schema_name <> '_headrace' ORDER BY ALL"
        ).fetchall()
        contents = {
            f"{schema}.{table}": _rows(connection, f'"{schema}"."{table}"') for schema, table, _ in tables
        }
        briefs = _rows(connection, "(SELECT key, value FROM _headrace.summaries)")
    commands = [
        "loads -n 1000",
        "schema show",
        "schema history",
        "schema diff 0",
        "quarantine list",
        "state list",
    ]
    commands += [f"lineage {name}" for name in ("shop.orders.id", "kinds.variant", "changed.things.fresh")]
    found = {
        "tables": contents, "comments": [*tables, *comments], "briefs": briefs,
        "answers": {words: rows(path, words) for words in commands},
    }  # fmt: skip
    return dict(json.loads(json.dumps(found)))


def steady(value: Any, before: Any) -> Any:
    """Return `value` without the times, ids and hashes that are not in `before`, which another run writes otherwise."""
    known = set(VOLATILE.findall(json.dumps(before)))
    text = VOLATILE.sub(lambda found: found[0] if found[0] in known else "later", json.dumps(value))
    return json.loads(text)


def _rows(connection: Any, relation: str) -> Any:
    """Return the names of the columns and every row as text; of many rows their number and hash."""
    connection.execute("SET TimeZone = 'UTC'")
    result = connection.execute(f"SELECT COLUMNS(*)::VARCHAR FROM {relation} ORDER BY ALL")
    columns, found = [column[0] for column in result.description], result.fetchall()
    if len(found) > MOST_ROWS:
        digest = hashlib.sha256(json.dumps(found).encode()).hexdigest()
        return {"columns": columns, "rows": len(found), "sha256": digest}
    return {"columns": columns, "rows": found}


def _load_each_way(path: Path, records: list[dict[str, Any]]) -> None:
    for table, landing in WAYS.items():
        headrace.load(records, f"ways.{table}", into=path, **landing)


def _load_contracts(path: Path) -> None:
    """Load tables under contracts of each form, and leave records of each in quarantine."""
    contract = path.with_name("contract.yaml")
    contract.write_text(CONTRACT, encoding="utf-8")
    aside = headrace.Contract(tables="quarantine", columns="quarantine", types="quarantine")
    for records in (
        [
            {
                "id": 1,
                "email": "a@example.org",
                "ward": "N",
                "seen": "2020-01-01T08:00:00",
                "address": {"zip": "1"},
            }
        ],
        [
            {"id": 2, "ward": "S"},
            {"id": 3, "ward": "S", "room": 7},
            {"id": 4},
            {"id": 5, "ward": "S", "visits": [1]},
        ],
    ):
        headrace.load(
            records, "clinic.patients", into=path, contract=str(contract), write_disposition="merge",
            merge_key="ward", dedup_sort="seen", hard_delete="gone", max_nesting=3, naming="direct",
            columns={"weight": "DECIMAL(6,2)"}, descriptions={"ward": "N or S."}, tags={"id": ("entity:patient",)},
        )  # fmt: skip
    contract.unlink()
    for records in (
        [{"sensor": "a", "value": 1.5}],
        [{"sensor": "b", "value": 2}, {"sensor": "c", "value": 3.5, "unit": "K"}],
    ):
        headrace.load(records, "clinic.readings", into=path, contract=Reading)
    landing: Any = {**_MERGE, "contract": aside}
    headrace.load([{"id": 1, "n": 1}], "clinic.strict", into=path, **landing)
    records = [{"id": 2, "n": "two"}, {"id": 3, "new": date(2020, 1, 31)}, {"id": None}, {"id": 4, "n": 4}]
    headrace.load(records, "clinic.strict", into=path, **landing)
    headrace.load([{"id": 2, "n": 22}], "clinic.strict", into=path, **landing)  # overtakes one in quarantine
    headrace.load([{"id": 1}], "clinic.replayed", into=path, contract=aside)
    headrace.load([{"id": 2, "new": 1}, {"id": 3, "new": "x"}], "clinic.replayed", into=path, contract=aside)
    tell(path, "quarantine replay clinic.replayed --contract evolve")
    headrace.load([{"id": 1}], "clinic.short", into=path)
    headrace.load([{"id": 2, "new": 1}], "clinic.short", into=path, contract="discard_value")
