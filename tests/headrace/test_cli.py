"""The command line: every verb, its output on stdout, its messages on stderr, and how it leaves."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.cli import main

FLOW = '''
from __future__ import annotations
from collections.abc import Iterator
import ibis.expr.types as ir
from headrace import Record, resource

@resource(primary_key="id", write_disposition="merge")
def orders(size: int, shop_name: str = "corner") -> Iterator[Record]:
    """Some orders."""
    if size < 0:
        raise OSError("no such shop")
    for n in range(size):
        yield {"id": n, "shop": shop_name, "at": "2026-01-31T10:00:00+02:00", "tags": ["a", "b"]}

def large(orders: ir.Table) -> ir.Table:
    return orders.filter(orders.id > 0)
'''
HOLD = """
import sys
import headrace
with headrace.connect(sys.argv[1]) as warehouse:
    warehouse.query("SELECT 1")
    print("open", flush=True)
    sys.stdin.read()
"""

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with a flow."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADRACE_WAREHOUSE", raising=False)
    (tmp_path / "shop.py").write_text(FLOW, encoding="utf-8")
    return tmp_path


@pytest.fixture
def loaded(here: Path) -> Path:
    """The same folder with a warehouse in it."""
    headrace.load(
        [
            {"id": 1, "name": "Ana", "at": "2026-01-31T10:00:00+02:00", "tags": ["x", "y"]},
            {"id": 2, "name": None, "big": 2**70},
        ],
        "shop.users",
        into=here / "w.duckdb",
    )
    return here


def rows(captured: Captured) -> list[Any]:
    """Return what was written as JSON lines."""
    return [json.loads(line) for line in captured.readouterr().out.splitlines()]


def test_run(here: Path, capsys: Captured) -> None:
    """A flow is loaded and its transforms are written; all that is said goes to standard error."""
    assert 0 == main(["run", "shop.py", "--into", "w.duckdb", "--size", "3"])

    captured = capsys.readouterr()

    assert "" == captured.out
    assert captured.err.startswith("shop.orders: 3 rows, ")
    assert "  create table orders__tags, 1 column\n" in captured.err
    assert ["written: large", "done: w.duckdb"] == captured.err.splitlines()[-2:]
    with headrace.connect(here / "w.duckdb") as warehouse:
        assert [(3, 2)] == warehouse.query(
            "SELECT (SELECT count(*) FROM shop.orders), (SELECT count(*) FROM shop.large)"
        )


@pytest.mark.parametrize(
    "words",
    [
        ["shop", "--size", "2", "--shop-name", "x y"],
        ["shop", "--into", "w.duckdb", "--shop_name", "x y", "--size=2"],
        ["--size=2", "shop", "--shop-name", "x y"],
        ["shop", "--size=2", "--shop-name=x y"],
    ],
)
def test_inputs_of_a_flow(here: Path, words: list[str]) -> None:
    """Options that the command does not know are inputs, hyphens or underscores in their names."""
    assert 0 == main(["run", *words, "--into", "w.duckdb"])
    with headrace.connect(here / "w.duckdb") as warehouse:
        assert [(2, "x y")] == warehouse.query("SELECT count(*), any_value(shop) FROM shop.orders")


def test_run_without_into(here: Path) -> None:
    """Without `--into` the warehouse is warehouse.duckdb here."""
    assert 0 == main(["run", "shop", "--size", "1"])
    assert (here / "warehouse.duckdb").is_file()


def test_run_some_outputs(here: Path, capsys: Captured) -> None:
    """Only the nodes that are asked for are computed."""
    assert 0 == main(["run", "shop", "--size", "1", "--outputs", "orders.load"])
    assert "written" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run", "shop", "--size", "-1"], 1, "shop.orders: record 0: OSError: no such shop"),
        (["run", "shop", "--size", "many"], 2, "--size takes int, not 'many'"),
        (["run", "shop", "--size"], 2, "--size needs a value"),
        (["run", "shop"], 2, "needs the input size"),
        (["run", "shop", "--size", "1", "--shopname", "x"], 2, "did you mean 'shop_name'"),
        (["run", "shop", "stray", "--size", "1"], 2, "'stray' stands alone"),
        (["run", "shpo", "--size", "1"], 2, "no flow 'shpo'"),
        (["run", "shop", "--size", "1", "--outputs", "lagre"], 2, "did you mean 'large'"),
        (["run", "shop", "--size", "1", "--into", "no/folder/w.duckdb"], 2, "does not exist"),
        (["run", "shop", "--size", "1", "--into", "shop.py"], 2, "cannot be opened as a DuckDB file"),
        (["run", "shop", "--size", "1", "--into", "mysql://x"], 2, "names no warehouse"),
    ],
)
def test_runs_that_fail(here: Path, capsys: Captured, words: list[str], code: int, message: str) -> None:
    """A mistake of the call leaves with 2, a failure of the source with 1, each with one message."""
    assert code == main(words)

    captured = capsys.readouterr()

    assert message in captured.err
    assert "Traceback" not in captured.err
    assert "" == captured.out


@pytest.mark.parametrize(
    "words", [[], ["rnu"], ["run"], ["schema"], ["preview"], ["query", "SELECT 1", "--yaml"],
              ["loads", "-n", "x"], ["query", "SELECT 1", "--csv", "--json"]]
)  # fmt: skip
def test_usage(words: list[str], capsys: Captured) -> None:
    """A command that cannot be read leaves with 2 and says how it is used."""
    with pytest.raises(SystemExit) as left:
        main(words)

    assert 2 == left.value.code
    assert "usage: headrace" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [[], ["run"], ["preview"], ["query"], ["schema"], ["schema", "show"], ["loads"]]
)
def test_help(words: list[str], capsys: Captured) -> None:
    """Every verb explains itself."""
    with pytest.raises(SystemExit) as left:
        main([*words, "--help"])

    assert 0 == left.value.code
    assert "usage: headrace" in capsys.readouterr().out


def test_preview(loaded: Path, capsys: Captured) -> None:
    """The first rows of a table, as an aligned table."""
    assert 0 == main(["preview", "shop.users", "-n", "1"])

    lines = capsys.readouterr().out.splitlines()

    assert ["id", "name", "at"] == lines[0].split()[:3]
    assert (3, "Ana") == (len(lines), lines[2].split()[1])


def test_preview_json(loaded: Path, capsys: Captured) -> None:
    """The same as JSON lines; a HUGEINT in full, times with their zone."""
    assert 0 == main(["preview", "shop.users", "--json"])

    found = rows(capsys)

    assert [("Ana", None), (None, str(2**70))] == [
        (row["name"], None if row["big"] is None else str(row["big"])) for row in found
    ]
    assert found[0]["at"].startswith("2026-01-31 08:00:00+00")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["preview", "shop.usres"], "usres"),
        (["preview", 'shop.users"; DROP TABLE shop.users; --'], "does not exist"),
        (["query", "SELECT nothing"], "nothing"),
        (["query", "SELECT"], "SELECT clause"),
        (["query", ""], ""),
        (["query", "DELETE FROM shop.users"], ""),
        (["query", "SELECT 1; DELETE FROM shop.users"], ""),
        (["preview", "shop.users", "-w", "none.duckdb"], "There is no warehouse 'none.duckdb'"),
        (["preview", "shop.users", "-w", "shop.py"], "cannot be opened"),
    ],
)
def test_readers_that_fail(loaded: Path, capsys: Captured, words: list[str], message: str) -> None:
    """What cannot be read leaves with 2 and a message; a reader changes nothing."""
    assert 2 == main(words)

    captured = capsys.readouterr()

    assert message in captured.err and captured.err.startswith("headrace: ")
    assert "Traceback" not in captured.err
    with headrace.connect(loaded / "w.duckdb") as warehouse:
        assert [(2,)] == warehouse.query("SELECT count(*) FROM shop.users")


def test_query_csv(loaded: Path, capsys: Captured) -> None:
    """CSV with a header, for any SELECT."""
    assert 0 == main(["query", "SELECT id, name FROM shop.users ORDER BY id;", "--csv"])
    assert [["id", "name"], ["1", "Ana"], ["2", ""]] == list(csv.reader(io.StringIO(capsys.readouterr().out)))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) AS n FROM shop.users",
        "WITH a AS (SELECT 2 AS n) SELECT * FROM a",
        "FROM (SELECT 2 AS n)",
        "SELECT 2 AS n -- a comment",
        "VALUES (2)",
        "SELECT value FROM shop.users__tags",
        "SELECT now() AS n",
        "SELECT now() AS n, 1 AS n",
        "SHOW ALL TABLES",
        "DESCRIBE shop.users",
    ],
)
def test_queries_of_any_form(loaded: Path, capsys: Captured, sql: str) -> None:
    """Whatever reads is a query: comments, CTEs, DuckDB's own forms, times with a zone, names used twice."""
    assert 0 == main(["query", sql, "--json"])
    assert [] != rows(capsys)


def test_query_of_nothing(loaded: Path, capsys: Captured) -> None:
    """A result without rows is a header, or no line of JSON."""
    assert 0 == main(["query", "SELECT id FROM shop.users WHERE false"])
    assert ["id", "--"] == capsys.readouterr().out.split()
    assert 0 == main(["query", "SELECT id FROM shop.users WHERE false", "--json"])
    assert "" == capsys.readouterr().out


def test_schema_show(loaded: Path, capsys: Captured) -> None:
    """Every column with its type and where it came from; of one table, if it is named."""
    assert 0 == main(["schema", "show", "shop.users__tags", "--json"])
    assert [
        {
            "table": "shop.users__tags",
            "column": "value",
            "type": "VARCHAR",
            "source_path": "$.tags[]",
            "since_load": 1,
        }
    ] == rows(capsys)
    assert 0 == main(["schema", "show", "--json"])
    assert {"id", "name", "at", "big", "value"} == {row["column"] for row in rows(capsys)}


def test_loads(loaded: Path, capsys: Captured) -> None:
    """The loads, newest first, with the equation of their rows."""
    headrace.load([], "shop.users", into=loaded / "w.duckdb", write_disposition="replace")

    assert 0 == main(["loads", "--json"])

    newest, oldest = rows(capsys)

    assert (2, "replace", 0) == (newest["load_id"], newest["how"], newest["rows_in"])
    assert ("shop.users", "append", 2, 2, 0, 0) == tuple(
        oldest[key] for key in ("table", "how", "rows_in", "loaded", "quarantined", "deduplicated")
    )
    assert 0 == main(["loads", "-n", "1", "--json"])
    assert [2] == [row["load_id"] for row in rows(capsys)]


@pytest.mark.parametrize("verb", [["loads"], ["schema", "show"]])
def test_a_file_without_a_catalogue(here: Path, capsys: Captured, verb: list[str]) -> None:
    """A DuckDB file that headrace has never loaded into is told of as such."""
    import duckdb

    duckdb.connect(str(here / "other.duckdb")).close()

    assert 2 == main(verb)
    assert "_headrace" in capsys.readouterr().err


def test_which_warehouse(loaded: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """The option, else the variable, else the only .duckdb file here; else the choice is the user's."""
    query = ["query", "SELECT current_database() AS name, count(*) AS n FROM _headrace.loads", "--json"]
    headrace.load([{"id": 1}], "t", into=loaded / "w.duckdb")

    assert (0, 2) == (main(query), rows(capsys)[0]["n"])

    headrace.load([{"id": 1}], "t", into=loaded / "v.duckdb")

    assert 2 == main(query)
    assert "there are 2 .duckdb files here" in capsys.readouterr().err

    monkeypatch.setenv("HEADRACE_WAREHOUSE", str(loaded / "v.duckdb"))

    assert (0, 1) == (main(query), rows(capsys)[0]["n"])
    assert (0, 2) == (main([*query, "-w", "duckdb:///w.duckdb"]), rows(capsys)[0]["n"])


def test_no_warehouse_at_all(here: Path, capsys: Captured) -> None:
    """Without any the message says how to name one."""
    assert 2 == main(["loads"])
    assert "Give --warehouse PATH or set HEADRACE_WAREHOUSE; there is no .duckdb file here" in (
        capsys.readouterr().err
    )


def test_locked(loaded: Path, capsys: Captured) -> None:
    """While another process has the warehouse open, readers and runs leave with 75."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, "w.duckdb"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert b"open\n" == other.stdout.readline()
        codes = [main(["loads"]), main(["run", "shop", "--size", "1", "--into", "w.duckdb"])]
        other.communicate()

    assert [75, 75] == codes
    assert 2 == capsys.readouterr().err.count("is open in another process")


def test_as_a_process(loaded: Path) -> None:
    """`python -m headrace` and its exit code; a reader of the output may leave early."""
    command = [sys.executable, "-m", "headrace", "query", "SELECT * FROM range(1000000)", "--csv"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=loaded) as process:
        assert process.stdout is not None and process.stderr is not None
        assert b"range\n" == process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()

    assert (b"", 0) == (errors, process.returncode)


def test_as_a_process_that_fails(here: Path) -> None:
    """The exit code is the error's."""
    done = subprocess.run(
        [sys.executable, "-m", "headrace", "loads"], cwd=here, capture_output=True, text=True, check=False
    )

    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("headrace: Which warehouse?")
