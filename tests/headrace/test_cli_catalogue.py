"""The verbs of the catalogue: a schema's history, its changes on purpose, lineage and quarantine."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, TypedDict

import pytest

import headrace
from headrace.cli.app import main
from headrace.loaders.contracts.contract import Contract
from headrace.loaders.contracts.target import Target, make_target

STRICT = Contract(columns="quarantine")
USERS = Target("users", "shop", primary_key=("id",), write_disposition="merge", contract=STRICT)

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a warehouse: users with tags, and one record in quarantine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADRACE_WAREHOUSE", raising=False)
    with headrace.connect("w.duckdb") as warehouse:
        warehouse.load([{"id": 1, "age": 30, "tags": [{"t": "x"}]}], USERS, source="shop.users@1111")
        late = {"id": 2, "age": 40, "wrote": {"at": "2026-01-31T10:00:00Z", "\x01": 2**70}}
        warehouse.load([{"id": 1, "age": 30.5}, late], USERS, source="shop.users@2222")
        warehouse.query("CREATE TABLE shop.derived AS SELECT 1 AS n")
    return tmp_path


def rows(captured: Captured) -> list[Any]:
    """Return what was written as JSON lines."""
    return [json.loads(line) for line in captured.readouterr().out.splitlines()]


def columns(where: Path) -> list[str]:
    """Return the columns that the catalogue knows."""
    with headrace.connect(where / "w.duckdb") as warehouse:
        found = warehouse.query(
            "SELECT table_schema || '.' || table_name || '.' || column_name || ' ' || data_type "
            "FROM _headrace.columns ORDER BY ALL"
        )
    return [name for (name,) in found]


def test_schema_history(here: Path, capsys: Captured) -> None:
    """Every change, newest first; of one table, if it is named."""
    assert 0 == main(["schema", "history", "shop.users", "--json"])

    changes = rows(capsys)

    assert [
        (2, "widen column", "age", "BIGINT", "DOUBLE", "$.age", "shop.users@2222"),
        (1, "add column", "age", None, "BIGINT", "$.age", "shop.users@1111"),
    ] == [
        tuple(one[key] for key in ("load_id", "change", "column", "old", "new", "source_path", "source"))
        for one in changes
        if one["column"] == "age"
    ]
    assert {"shop.users"} == {one["table"] for one in changes}
    assert 0 == main(["schema", "history", "--json"])
    assert {"shop.users", "shop.users__tags"} == {one["table"] for one in rows(capsys)}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["1", "2"], [("widen column", "age", "BIGINT", "DOUBLE")]),
        (["2", "1"], [("widen column", "age", "DOUBLE", "BIGINT")]),
        (["2", "2"], []),
        (["2"], [("rename column", "years", "age", "years")]),
        (["1"], [("rename column", "years", "age", "years"), ("widen column", "years", "BIGINT", "DOUBLE")]),
    ],
)
def test_schema_diff(here: Path, capsys: Captured, words: list[str], expected: list[tuple[str, ...]]) -> None:
    """What became of the schema between two loads, or since one, in any of the readers' forms."""
    assert 0 == main(["schema", "rename", "shop.users.age", "years"])

    capsys.readouterr()

    assert 0 == main(["schema", "diff", *words, "--csv"])
    assert [
        ["change", "table", "column", "old", "new"],
        *([change, "shop.users", *rest] for change, *rest in expected),
    ] == list(csv.reader(io.StringIO(capsys.readouterr().out)))


@pytest.mark.parametrize(
    ("form", "name", "found"),
    [
        ("json", [], ['"name": "users"', '"users__tags"']),
        ("json", ["shop"], ['"name": "users"', '"users__tags"']),
        ("json", ["shop.users__tags"], ['"name": "users"']),  # a child table belongs to its root
        ("ddl", ["shop.users"], ['CREATE TABLE "shop"."users"', '"age" DOUBLE']),
        ("mermaid", ["shop.users"], ["erDiagram", "users__tags"]),
    ],
)
def test_schema_export(here: Path, capsys: Captured, form: str, name: list[str], found: list[str]) -> None:
    """The tables of a schema, or of one root, as text for other tools."""
    assert 0 == main(["schema", "export", *name, "--form", form])

    out = capsys.readouterr().out

    assert [True] * len(found) == [text in out for text in found]
    if form == "json":
        assert "shop" == json.loads(out)["schema"]


DESCRIBED: dict[str, Any] = {
    "description": "Whoever buys.",
    "descriptions": {"email": 'Where to write: "any" case.', "tags[].t": "A label.", "tags": "Labels."},
    "tags": {"email": ("pii", "entity:user"), "tags[].t": ("free text",)},
}


def test_schema_export_is_a_contract(here: Path, capsys: Captured) -> None:
    """A data contract has the key, rules, descriptions and tags of the code; held to it, they come back."""
    yaml = pytest.importorskip("yaml")
    record = {"id": 1, "email": "a@example.org", "tags": [{"t": "x"}]}
    landing: Any = {"primary_key": "id", "contract": STRICT, **DESCRIBED}
    headrace.load([record], "crm.buyers", into=here / "w.duckdb", **landing)

    assert 0 == main(["schema", "export", "crm", "--form", "odcs"])

    written = capsys.readouterr().out
    (here / "buyers.yaml").write_text(written, encoding="utf-8")
    (table,) = yaml.safe_load(written)["schema"]

    assert ["id"] == [column["name"] for column in table["properties"] if column.get("primaryKey")]
    assert DESCRIBED["description"] == table["description"]

    target = make_target("buyers", "crm", {"contract": str(here / "buyers.yaml")})

    assert DESCRIBED == {name: getattr(target, name) for name in DESCRIBED}
    assert ("id",) == target.primary_key

    headrace.load([record], "crm.buyers", into=here / "w.duckdb", contract=here / "buyers.yaml")

    assert (0, written) == (main(["schema", "export", "crm", "--form", "odcs"]), capsys.readouterr().out)


class Label(TypedDict):
    t: str
    u: int | None


class Buyer(TypedDict):
    id: int
    tags: list[Label]


def test_schema_export_tells_what_is_required(here: Path, capsys: Captured) -> None:
    """What a contract requires is in the contract that is written, also below lists."""
    yaml = pytest.importorskip("yaml")
    headrace.load([{"id": 1, "tags": [{"t": "x"}]}], "crm.b", into=here / "w.duckdb", contract=Buyer)

    assert 0 == main(["schema", "export", "crm", "--form", "odcs"])

    written = capsys.readouterr().out
    (here / "b.yaml").write_text(written, encoding="utf-8")

    assert ("id", "tags", "tags[]", "tags[].t") == make_target(
        "b", "crm", {"contract": str(here / "b.yaml")}
    ).required
    assert yaml.safe_load(written)["schema"][0]["properties"][0]["required"]


def test_schema_export_tells_what_things_mean(here: Path, capsys: Captured) -> None:
    """JSON and DDL have the descriptions of the code, JSON its tags as well."""
    record = {"email": "a@example.org", "tags": [{"t": "x"}]}
    headrace.load([record], "crm.buyers", into=here / "w.duckdb", **DESCRIBED)

    assert 0 == main(["schema", "export", "crm"])

    tables = {table["name"]: table for table in json.loads(capsys.readouterr().out)["tables"]}
    email = next(one for one in tables["buyers"]["columns"] if one["name"] == "email")
    label = next(one for one in tables["buyers__tags"]["columns"] if one["name"] == "t")

    assert DESCRIBED["description"] == tables["buyers"]["description"]
    assert "Labels." == tables["buyers__tags"]["description"]
    assert (DESCRIBED["descriptions"]["email"], ["pii", "entity:user"]) == (
        email["description"],
        email["tags"],
    )
    assert ("A label.", ["free text"]) == (label["description"], label["tags"])
    assert 0 == main(["schema", "export", "crm", "--form", "ddl"])
    assert "IS 'Whoever buys.'" in capsys.readouterr().out


def test_which_schema(here: Path, capsys: Captured) -> None:
    """Where there are several, the choice is the user's."""
    headrace.load([{"id": 1}], "other.t", into=here / "w.duckdb")

    assert 2 == main(["schema", "export"])
    assert "known: other, shop" in capsys.readouterr().err
    assert 0 == main(["schema", "export", "other"])


@pytest.mark.parametrize(
    ("words", "line", "expected"),
    [
        (
            ["rename", "shop.users.age", "years"],
            "rename column shop.users.age to years",
            ["shop.users.id BIGINT", "shop.users.years DOUBLE", "shop.users__tags.t VARCHAR"],
        ),
        (
            ["rename", "shop.users__tags", "labels"],
            "rename table shop.users__tags to labels",
            ["shop.labels.t VARCHAR", "shop.users.age DOUBLE", "shop.users.id BIGINT"],
        ),
        (
            ["drop", "shop.users.age"],
            "drop column shop.users.age DOUBLE",
            ["shop.users.id BIGINT", "shop.users__tags.t VARCHAR"],
        ),
        (
            ["drop", "shop.users__tags"],
            "drop table shop.users__tags",
            ["shop.users.age DOUBLE", "shop.users.id BIGINT"],
        ),
        (
            ["retype", "shop.users.age", "decimal(18, 2)"],
            "retype column shop.users.age from DOUBLE to DECIMAL(18,2)",
            ["shop.users.age DECIMAL(18,2)", "shop.users.id BIGINT", "shop.users__tags.t VARCHAR"],
        ),
    ],
)
def test_migrations(here: Path, capsys: Captured, words: list[str], line: str, expected: list[str]) -> None:
    """What a dry run writes as data is what the same call then does, and says as a message."""
    before = columns(here)

    assert 0 == main(["schema", *words, "--dry-run"])
    assert (f"{line}\n", "") == capsys.readouterr()
    assert before == columns(here)
    assert 0 == main(["schema", *words])
    assert ("", f"  {line}\n") == capsys.readouterr()
    assert expected == columns(here)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["schema", "history", "shop.user"], 2, "did you mean 'shop.users'"),
        (["schema", "diff", "1", "9"], 2, "There is no load 9; the newest is 2"),
        (["schema", "export", "shop.user"], 2, "did you mean 'shop.users'"),
        (["schema", "rename", "shop.users", "people"], 2, "Give the resource table='people'"),
        (["schema", "rename", "shop.users.age", "id"], 2, "has a column 'id' already"),
        (["schema", "rename", "shop.users.aeg", "x"], 2, "did you mean 'age'"),
        (["schema", "rename", "users", "x"], 2, "No load made a table 'users'"),
        (["schema", "drop", "shop.users.id"], 2, "one of the keys by which the resource merges"),
        (["schema", "drop", "shop.users"], 2, "only child tables can be dropped"),
        (["schema", "drop", 'shop.users"; DROP TABLE x; --'], 2, "No load made a table"),
        (["schema", "retype", "shop.users", "BIGINT"], 2, "'shop.users' is a table; write TABLE.COLUMN"),
        (
            ["schema", "retype", "shop.users__tags.t", "MONEY"],
            2,
            "Table 'shop.users__tags', column 't': no type 'MONEY'",
        ),
        (["schema", "retype", "shop.users.age", "NESTED"], 2, "'NESTED' is no type"),
        (["schema", "retype", "shop.users.age", "BIGINT"], 1, "cannot become BIGINT: 1 of its values"),
        (["schema", "retype", "shop.users.age", "BIGINT", "--dry-run"], 1, "cannot become BIGINT"),
        (
            ["schema", "drop", "shop.users.age", "-w", "none.duckdb"],
            2,
            "There is no warehouse 'HERE/none.duckdb'",
        ),
        (["schema", "drop", "shop.users.age", "-w", ":memory:"], 2, "There is no warehouse ':memory:'"),
        (["lineage", "shop.users.aeg"], 2, "did you mean 'age'"),
        (["lineage", "shop.users"], 2, "is a table; name a column of it: shop.users.COLUMN"),
        (["lineage", "shop.derived"], 2, "No load made a table 'shop.derived': it is a transform's"),
        (["lineage", "shop.derived.n"], 2, "No load made a table 'shop.derived': it is a transform's"),
        (["lineage", "nothing"], 2, "names no column"),
        (["schema", "show", "shop.user"], 2, "did you mean 'shop.users'"),
        (["schema", "show", "shop.derived"], 2, "it is a transform's"),
        (["quarantine", "list", "shop.user"], 2, "did you mean 'shop.users'"),
        (["lineage", "shop.users", "--row", "7"], 2, "has no row whose _hr_id is 7"),
        (["lineage", "shop.user", "--row", "7"], 2, "did you mean 'shop.users'"),
        (["quarantine", "show", "2", "0"], 2, "There is no record 0 of load 2 in quarantine"),
        (["quarantine", "show", "-1", "1"], 2, "There is no record 1 of load -1"),
        (["quarantine", "replay", "shop.user"], 2, "did you mean 'shop.users'"),
        (["quarantine", "replay", "shop.users__tags"], 2, "name its root"),
        (["quarantine", "replay", "--load", "99"], 2, "There is no load 99; the newest is 2"),
        (["quarantine", "replay", "shop.users", "--load", "0"], 2, "There is no load 0"),
        (["quarantine", "replay", "--contract", "freeze"], 3, "The contract freezes columns"),
        (["quarantine", "replay", "-w", "none.duckdb"], 2, "There is no warehouse 'HERE/none.duckdb'"),
    ],
)
def test_verbs_that_fail(here: Path, capsys: Captured, words: list[str], code: int, message: str) -> None:
    """What cannot be leaves with a code, one message, and everything as it was; no file is made."""
    before = columns(here)

    assert code == main(words)

    captured = capsys.readouterr()

    assert message.replace("HERE", str(here)) in captured.err and captured.err.startswith("headrace: ")
    assert ("", before) == (captured.out, columns(here))
    assert ["w.duckdb"] == [path.name for path in here.iterdir()]


def test_lineage_of_a_column(here: Path, capsys: Captured) -> None:
    """What became of a column, its birth first, with what made it and where its values stand."""
    main(["schema", "rename", "shop.users.age", "years"])
    capsys.readouterr()

    assert 0 == main(["lineage", "shop.users.years", "--json"])

    found = rows(capsys)

    assert [
        (1, "add column", None, "BIGINT", "shop.users@1111"),
        (2, "widen column", "BIGINT", "DOUBLE", "shop.users@2222"),
        (2, "rename column", "age", "years", "migration"),
    ] == [(one["load_id"], one["change"], one["old"], one["new"], one["source"]) for one in found]
    assert {("shop.users", "years", "$.age")} == {
        (one["table"], one["column"], one["source_path"]) for one in found
    }


def test_lineage_of_a_row(here: Path, capsys: Captured) -> None:
    """A row and the rows above it, each with its load and what made that."""
    assert 0 == main(["query", "SELECT _hr_id FROM shop.users", "--json"])

    (row,) = rows(capsys)

    assert 0 == main(["lineage", "shop.users", "--row", str(row["_hr_id"]), "--json"])

    (found,) = rows(capsys)

    assert ("shop.users", 2, "shop.users@2222", 0) == tuple(
        found[key] for key in ("table", "load_id", "source", "record")
    )


def test_quarantine_list(here: Path, capsys: Captured) -> None:
    """Every record with its rule and its reason; of one table, if it is named."""
    assert 0 == main(["quarantine", "list", "shop.users", "--json"])

    (found,) = rows(capsys)

    assert (2, "shop.users", 1, "columns", None) == tuple(
        found[key] for key in ("load_id", "table", "record", "rule", "replayed")
    )
    assert "is new" in found["reason"]


def test_quarantine_list_of_what_is_left(here: Path, capsys: Captured) -> None:
    """`--pending` leaves out what was replayed."""
    assert (0, 1) == (main(["quarantine", "list", "--pending", "--json"]), len(rows(capsys)))

    main(["quarantine", "replay", "--contract", "evolve"])
    capsys.readouterr()

    assert (0, []) == (main(["quarantine", "list", "--pending", "--json"]), rows(capsys))
    assert (0, 1) == (main(["quarantine", "list", "--json"]), len(rows(capsys)))


def test_quarantine_show(here: Path, capsys: Captured) -> None:
    """The record as it came, its marks turned into plain JSON."""
    expected = {"id": 2, "age": 40, "wrote": {"at": "2026-01-31T10:00:00Z", "\x01": 2**70}}

    assert 0 == main(["quarantine", "show", "2", "1"])

    out = capsys.readouterr().out

    assert (expected, "{\n") == (json.loads(out), out[:2])
    assert 0 == main(["quarantine", "show", "2", "1", "--json"])
    assert [expected] == rows(capsys)


@pytest.mark.parametrize("words", [[], ["shop.users"], ["--load", "2"], ["shop.users", "--load", "2"]])
def test_quarantine_replay(here: Path, capsys: Captured, words: list[str]) -> None:
    """Under the contract of the last load the record stays; under another one it lands, and only once."""
    assert 0 == main(["quarantine", "replay", *words])
    assert "shop.users: 0 replayed in load 3, 1 still in quarantine\n" == capsys.readouterr().err
    assert 0 == main(["quarantine", "replay", *words, "--contract", "evolve"])
    assert ("", "shop.users: 1 replayed in load 4, 0 still in quarantine\n") == capsys.readouterr()
    assert 0 == main(["quarantine", "replay", *words, "--contract", "evolve"])
    assert capsys.readouterr().err in (
        "There is nothing in quarantine to replay.\n",
        "shop.users: 0 replayed, 0 still in quarantine\n",
    )
    assert 0 == main(["quarantine", "list", "--json"])
    assert [4] == [row["replayed"] for row in rows(capsys)]
    assert "shop.users.wrote__at TIMESTAMPTZ" in columns(here)


def test_quarantine_replay_of_another_load(here: Path, capsys: Captured) -> None:
    """`--load` names a load that kept nothing aside: nothing is done."""
    assert 0 == main(["quarantine", "replay", "--load", "1", "--contract", "evolve"])
    assert "shop.users: 0 replayed, 0 still in quarantine\n" == capsys.readouterr().err


HOLD = """
import sys
import headrace
with headrace.connect(sys.argv[1]) as warehouse:
    warehouse.query("SELECT 1")
    print("open", flush=True)
    sys.stdin.read()
"""
READERS = [
    ["loads"], ["schema", "show"], ["schema", "history"], ["schema", "diff", "0"], ["schema", "export"], ["lineage", "t.a"],
    ["lineage", "t", "--row", "1"], ["quarantine", "list"], ["quarantine", "show", "1", "0"],
    ["schema", "drop", "t.a", "--dry-run"],
]  # fmt: skip
WRITERS = [
    ["schema", "rename", "shop.users.age", "x"], ["schema", "drop", "shop.users.age"],
    ["schema", "retype", "shop.users.age", "VARCHAR"], ["quarantine", "replay"],
]  # fmt: skip


@pytest.mark.parametrize("words", [*READERS, *WRITERS, ["quarantine", "replay", "t"]], ids=" ".join)
def test_a_file_without_a_catalogue(here: Path, capsys: Captured, words: list[str]) -> None:
    """A DuckDB file that headrace has never loaded into is told of as such."""
    import duckdb

    duckdb.connect(str(here / "other.duckdb")).close()

    assert 2 == main([*words, "-w", "other.duckdb"])
    assert "Nothing was loaded into this warehouse yet" in capsys.readouterr().err


def test_locked(here: Path, capsys: Captured) -> None:
    """While another process has the warehouse open, whoever reads, writes or runs leaves with 75."""
    flow = "from headrace import resource\n@resource\ndef t(): yield {}\n"
    (here / "flow.py").write_text(flow, encoding="utf-8")
    words = [*READERS, *WRITERS, ["run", "flow", "--into", "w.duckdb"]]
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, "w.duckdb"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert b"open\n" == other.stdout.readline()
        codes = [main(one) for one in words]
        other.communicate()

    assert [75] * len(words) == codes
    assert len(words) == capsys.readouterr().err.count("is open in another process")


def test_tables_are_written_for_people(here: Path, capsys: Captured) -> None:
    """Without a form the rows are an aligned table, times as people write them."""
    assert 0 == main(["schema", "history", "shop.users"])

    lines = capsys.readouterr().out.splitlines()

    assert ["load_id", "changed", "change", "table"] == lines[0].split()[:4]
    assert "T" not in lines[2].split("  ")[1]
