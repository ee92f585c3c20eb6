"""The command line: every verb, its output on stdout, its messages on stderr, and how it leaves."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.cli.app import main

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

def large(
    orders: ir.Table, least: int | None = None, prices: list[float] | None = None, extra: dict | None = None
) -> ir.Table:
    if least == -1:
        raise ValueError("less than none")
    return orders.filter(orders.shop.cast("int64") > least if least else orders.id > 0)
'''
UNTYPED = "from headrace import resource\n@resource\ndef orders(size): ..."
FLOWS = {"shop.py", "empty.py", "untyped.py", "folder"}

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with a flow."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADRACE_WAREHOUSE", raising=False)
    for name, text in {"shop": FLOW, "empty": "", "untyped": UNTYPED}.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    (tmp_path / "folder").mkdir()
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


def test_run_without_into(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `--into` the warehouse is the one that the environment names, else warehouse.duckdb here."""
    assert 0 == main(["run", "shop", "--size", "1"])
    assert (here / "warehouse.duckdb").is_file()
    monkeypatch.setenv("HEADRACE_WAREHOUSE", "named.duckdb")
    assert 0 == main(["run", "shop", "--size", "1"])
    assert (here / "named.duckdb").is_file()


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
        (["run", "shop", "--size", "1", "--into", "x.csv"], 2, "is a file of data; a warehouse is"),
        (["run", "shop", "--size", "1", "--into", "folder"], 1, "folder cannot be opened"),
        (
            ["run", "shop", "--size", "1", "--prices", "1,x"],
            2,
            "--prices takes list[float], not '1,x'",
        ),
        (
            ["run", "shop", "--size", "1", "--extra", "x"],
            2,
            "The input 'extra' must be dict | None, not 'x'",
        ),
        (["run", "shop", "--size", "1", "--least", "-1"], 1, "headrace: large: ValueError: less than none\n"),
        (["run", "shop", "--size", "1", "--least", "7"], 1, "headrace: large: ConversionException: Conv"),
        (["run", "empty.py"], 2, "There is nothing to run in 'empty'"),
        (["run", "untyped.py"], 2, "headrace: Parameter 'size' of a resource needs a type"),
        (["run", "shop", "--size", "1", "--into", "x" * 300], 1, "File name too long"),
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
    "words",
    [[], ["rnu"], ["run"], ["schema"], ["preview"], ["query", "SELECT 1", "--yaml"], ["loads", "-n", "x"],
     ["query", "SELECT 1", "--csv", "--json"], ["lineage"], ["lineage", "t.a", "--row", "x"],
     ["lineage", "t.a", "--csv", "--json"], ["quarantine"], ["quarantine", "show", "1"],
     ["quarantine", "show", "x", "1"], ["quarantine", "replay", "--contract", "evlove"],
     ["quarantine", "replay", "--load", "x"], ["schema", "diff"], ["schema", "diff", "a"],
     ["schema", "export", "--form", "pdf"], ["schema", "rename", "t.a"], ["schema", "retype", "t.a"],
     ["schema", "drop"]],
)  # fmt: skip
def test_usage(words: list[str], capsys: Captured) -> None:
    """A command that cannot be read leaves with 2 and says how it is used."""
    with pytest.raises(SystemExit) as left:
        main(words)

    assert 2 == left.value.code
    assert "usage: headrace" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [[], ["run"], ["preview"], ["query"], ["schema"], ["schema", "show"], ["loads"], ["lineage"],
     ["quarantine"], ["quarantine", "list"], ["quarantine", "show"], ["quarantine", "replay"],
     ["schema", "history"], ["schema", "diff"], ["schema", "export"], ["schema", "rename"],
     ["schema", "drop"], ["schema", "retype"]],
)  # fmt: skip
def test_help(words: list[str], capsys: Captured) -> None:
    """Every verb explains itself."""
    with pytest.raises(SystemExit) as left:
        main([*words, "--help"])

    assert 0 == left.value.code
    assert "usage: headrace" in capsys.readouterr().out


def test_version(capsys: Captured) -> None:
    """`--version` tells which headrace this is."""
    with pytest.raises(SystemExit) as left:
        main(["--version"])

    assert (0, f"headrace {headrace.__version__}\n") == (left.value.code, capsys.readouterr().out)


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
        (["query", "-- nothing"], "There is no query to run"),
        (["query", "SELECT 1; SELECT 2"], "These are 2 statements; give one"),
        (["query", "SELECT 1; DELETE FROM shop.users"], "These are 2 statements; give one"),
        (["query", "SELECT CAST(name || 'x' AS INTEGER) FROM shop.users"], "Could not convert string"),
        (["query", "COPY shop.users TO 'out.csv'"], "file system operations are disabled"),
        (["query", "ATTACH 'other.duckdb' AS other"], "file system operations are disabled"),
        (["query", "EXPORT DATABASE 'out'"], "file system operations are disabled"),
        (["query", "SELECT * FROM read_text('shop.py')"], "file system operations are disabled"),
        (["query", "SET enable_external_access = true"], "the configuration has been locked"),
        (["preview", "shop.users", "-w", "none.duckdb"], "There is no warehouse 'HERE/none.duckdb'"),
        (["preview", "shop.users", "-w", "shop.py"], "cannot be opened"),
    ],
)
def test_readers_that_fail(loaded: Path, capsys: Captured, words: list[str], message: str) -> None:
    """What cannot be read leaves with 2 and a message; a reader changes nothing."""
    assert 2 == main(words)

    captured = capsys.readouterr()

    assert message.replace("HERE", str(loaded)) in captured.err and captured.err.startswith("headrace: ")
    assert "Traceback" not in captured.err
    assert {"w.duckdb"} == {path.name for path in loaded.iterdir()} - FLOWS
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


VALUES = """SELECT 'nan'::DOUBLE AS n, [1.5, 'inf'::DOUBLE] AS l, '\\xFFa'::BLOB AS b, INTERVAL 1 MONTH AS i,
true AS t, {'k': [true, NULL]} AS s, 2::HUGEINT ** 2 AS h, TIMESTAMP '2026-01-31' AS ts, 1 AS a, 2 AS a"""


def test_values_as_json(loaded: Path, capsys: Captured) -> None:
    """What JSON lacks is text as DuckDB writes it, a value that is no number too; no column is lost."""
    assert 0 == main(["query", VALUES, "--json"])
    assert [
        {"n": "nan", "l": [1.5, "inf"], "b": "\\xFFa", "i": "1 month", "t": True, "s": {"k": [True, None]},
         "h": 4, "ts": "2026-01-31T00:00:00", "a": 1, "a_2": 2}
    ] == [json.loads(line, parse_constant=None) for line in capsys.readouterr().out.splitlines()]  # fmt: skip


def test_values_as_csv(loaded: Path, capsys: Captured) -> None:
    """Every value is written as DuckDB or JSON writes it, none as Python does."""
    assert 0 == main(["query", VALUES, "--csv"])
    assert [
        ["n", "l", "b", "i", "t", "s", "h", "ts", "a", "a"],
        ["nan", '[1.5,"inf"]', "\\xFFa", "1 month", "true", '{"k":[true,null]}', "4.0", "2026-01-31 00:00:00",
         "1", "2"],
    ] == list(csv.reader(io.StringIO(capsys.readouterr().out)))  # fmt: skip


def test_traceback(here: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable asks for the whole traceback of what a function of the flow raised."""
    words = ["run", "shop", "--size", "1", "--least", "-1"]

    assert 1 == main(words)
    assert "HEADRACE_TRACEBACK=1 shows where it was raised" in capsys.readouterr().err

    monkeypatch.setenv("HEADRACE_TRACEBACK", "1")

    assert 1 == main(words)
    assert ", in large\n" in capsys.readouterr().err


def test_home(loaded: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` is the home folder, also where no shell sees it."""
    monkeypatch.setenv("HOME", str(loaded))
    monkeypatch.setenv("HEADRACE_WAREHOUSE", "~/w.duckdb")

    assert 0 == main(["run", "~/shop.py", "--size=1", "--into=~/w.duckdb"])
    assert (0, 2) == (main(["loads", "--json"]), len(rows(capsys)))


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


def test_as_a_process(loaded: Path) -> None:
    """`python -m headrace` and its exit code; a reader of the output may leave early."""
    command = [sys.executable, "-m", "headrace", "query", "SELECT * FROM range(1000000)", "--csv"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=loaded) as process:
        assert process.stdout is not None and process.stderr is not None
        assert b"range\n" == process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()

    assert (b"", 0) == (errors, process.returncode)


@pytest.mark.parametrize("form", ["--csv", "--json"])
def test_output_that_is_closed(loaded: Path, form: str) -> None:
    """An output that nobody reads, or that is closed from the start, is no error."""
    for redirect in ("| true", "| head -n 1", ">&-"):
        command = f"{sys.executable} -m headrace query 'SELECT 1 AS n' {form} {redirect}"
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], cwd=loaded, capture_output=True, check=False
        )

        assert (b"", 0) == (done.stderr, done.returncode), redirect


@pytest.mark.parametrize(
    ("form", "expected"), [("--csv", b"n\n\\xe9\\u2026\n"), ("--json", b'{"n":"\\u00e9\\u2026"}\n')]
)
def test_output_that_lacks_letters(loaded: Path, form: str, expected: bytes) -> None:
    """Letters that the output cannot have are written as escapes, and JSON stays JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "headrace", "query", "SELECT 'é…' AS n", form], cwd=loaded,
        capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=False,
    )  # fmt: skip

    assert (expected, b"", 0) == (done.stdout, done.stderr, done.returncode)


def test_interrupted(loaded: Path) -> None:
    """Ctrl-C stops a long query at once, without a traceback."""
    endless = "SELECT count(*) FROM range(10000000) a, range(10000000) b"
    code = (
        "import signal, sys, threading\nfrom headrace.cli import app\nimport duckdb\n"
        "main = threading.main_thread().ident\n"
        "threading.Timer(1, signal.pthread_kill, (main, signal.SIGINT)).start()\n"
        f"sys.exit(app.main(['query', {endless!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=loaded, capture_output=True, text=True, timeout=60, check=False
    )

    assert (130, "") == (done.returncode, done.stdout)
    assert ["headrace: interrupted"] == done.stderr.splitlines()


def test_warnings(here: Path) -> None:
    """A warning is told like any other message, without a line of headrace's own code."""
    (here / "two.py").write_text(
        "from collections.abc import Iterator\nfrom headrace import resource\n"
        "@resource\ndef a() -> Iterator[dict]:\n    raise ValueError('no a')\n    yield\n"
        "@resource\ndef b() -> Iterator[dict]:\n    raise ValueError('no b')\n    yield\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "headrace", "run", "two", "--into", "w.duckdb"], cwd=here,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    one, other, hint = done.stderr.splitlines()

    assert (1, "") == (done.returncode, done.stdout)
    assert one.startswith("headrace: Another load failed: two.")
    assert {"a: record 0: ValueError: no a", "b: record 0: ValueError: no b"} == {
        line.rpartition("two.")[2] for line in (one, other)
    }
    assert "headrace: HEADRACE_TRACEBACK=1 shows where it was raised" == hint


def test_as_a_process_that_fails(here: Path) -> None:
    """The exit code is the error's."""
    done = subprocess.run(
        [sys.executable, "-m", "headrace", "loads"], cwd=here, capture_output=True, text=True, check=False
    )

    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("headrace: Which warehouse?")
