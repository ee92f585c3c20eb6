"""A token that a run is given is found nowhere afterwards: not in what it wrote, not in what it said.

The token is a canary, made up for each test; every byte of the folder and of the output is searched for it,
after runs that work, that fail with the token in the error's message, and that die in the middle.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from headrace.errors import HeadraceError, SourceError, UsageError
from headrace.loaders.database.crash_points import VARIABLE
from headrace.masking import learn, mask_error, masked
from tests.reliability.killing import ROOT
from tests.test_notebooks import run as run_notebook

FLOW = '''
"""Items of a service that wants a token."""

from __future__ import annotations

import os
from collections.abc import Iterator

import ibis.expr.types as ir
import requests

import headrace
from headrace import Record, resource


class Refused(Exception):
    """Says where, in a message that it makes anew each time it is asked."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __str__(self) -> str:
        return f"refused: {self.url}"


class Client:
    """Holds the token as clients do."""

    def __init__(self, token: str, fails: str) -> None:
        self.headers = {"Authorization": f"Bearer {token}"}
        self.fails = fails

    def items(self) -> Iterator[Record]:
        yield {"id": 1, "name": "one"}
        token = self.headers["Authorization"].split()[1]
        if self.fails == "http":
            raise requests.HTTPError(f"401 Client Error for url: https://example.com/items?access_token={token}")
        if self.fails == "chain":
            try:
                raise Refused(f"https://example.com/items?sig={token}")
            except Refused as error:
                raise headrace.UsageError(f"{token} is no good") from error
        if self.fails == "cause":
            raise Refused(f"https://example.com/{token}")


def client(token: str, fails: str) -> Client:
    """Stand for the client of a service."""
    if fails == "node":
        raise ValueError(f"{token} is expired")
    return Client(token, fails)


@resource(primary_key="id", write_disposition="merge")
def items(client: Client) -> Iterator[Record]:
    """Every item."""
    yield from client.items()


@resource
def visits(url: str, fails: str) -> Iterator[Record]:
    """Visits, from an address that holds its credentials."""
    yield {"id": 1}
    if fails == "url":
        raise OSError(f"cannot reach {url}")


@resource
def settings(fails: str) -> Iterator[Record]:
    """Settings, with a token that the source finds for itself."""
    yield {"id": 1}
    if fails == "environment":
        raise KeyError(f"nobody has the token {os.environ['SERVICE_TOKEN']}")


def names(items: ir.Table, fails: str, token: str) -> ir.Table:
    """Names alone."""
    if fails == "stubborn":
        raise Refused(token)
    if fails == "transform":
        raise ValueError(f"no table for {token}")
    return items.select("name")
'''

FAILURES = ["http", "chain", "cause", "node", "url", "environment", "transform", "stubborn"]
"""What breaks in the flow, each with the token in its message; `node`, `transform` and `stubborn` are no resources."""

# An environment variable whose name says nothing brings the token in, so that only its input tells of it.
INPUTS = """
import os, sys, traceback
import headrace, flow

canary = os.environ["GIVEN"]
inputs = {"token": canary, "url": f"https://someone:{canary}@example.com/?page=1"}
"""

SCRIPT = """
for fails in sys.argv[1:]:
    try:
        with headrace.run(flow, into="w.duckdb", inputs={**inputs, "fails": fails}) as result:
            print(repr(result), result.loads, result.tables.keys(), result.warehouse)
            print(result.warehouse.query("from _headrace.loads"))
    except Exception:
        traceback.print_exc()
"""

HAMILTON = """
import logging
from hamilton import driver

logging.basicConfig(level=logging.DEBUG)
dr = driver.Builder().with_modules(flow).build()
with headrace.connect("w.duckdb") as warehouse:
    for fails in sys.argv[1:]:
        try:
            given = {**inputs, "fails": fails, "warehouse": warehouse}
            print(dr.execute(["items.load", "visits.load", "settings.load"], inputs=given))
        except Exception:
            traceback.print_exc()
"""

COMMANDS = """
from headrace.cli.app import main

options = ["--into", "w.duckdb", "--token", canary, "--url", f"https://example.com/?page=1&api_key={canary}"]
for fails in sys.argv[1:]:
    try:
        print(main(["run", "flow.py", *options, "--fails", fails]))
    except Exception:
        traceback.print_exc()
for verb in (["loads"], ["schema", "show"], ["schema", "history"], ["lineage", "flow.settings.id"]):
    main([*verb, "-w", "w.duckdb"])
"""


@pytest.fixture
def canary() -> str:
    return f"canary-{secrets.token_hex(12)}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "flow.py").write_text(FLOW, encoding="utf-8")
    return tmp_path


def start(
    code: str, folder: Path, canary: str, *arguments: str, at: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """Run a program in a folder. The token that its source finds for itself is another, `own-…`."""
    environment = {
        **os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", VARIABLE: at,
        "GIVEN": canary, "SERVICE_TOKEN": f"own-{canary[7:]}",
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", INPUTS + code, *arguments],
        cwd=folder, capture_output=True, check=False, env=environment,
    )  # fmt: skip


def check_silence(folder: Path, canary: str, *said: bytes) -> None:
    """Check that no file of a folder, no name of one and nothing that was said holds either token."""
    token = canary[7:].encode()
    found = [path.name for path in folder.rglob("*") if path.is_file() and token in path.read_bytes()]

    assert [] == found
    assert [] == [path.name for path in folder.rglob("*") if token.decode() in path.name]
    assert [] == [line for one in said for line in one.splitlines() if token in line]


@pytest.mark.parametrize(
    ("code", "failures"),
    [
        pytest.param(SCRIPT, FAILURES, id="headrace.run"),
        pytest.param(COMMANDS, FAILURES, id="command line"),
        pytest.param(
            HAMILTON,
            [one for one in FAILURES if one not in ("node", "transform", "stubborn")],
            id="plain Hamilton",
        ),
    ],
)
def test_a_token_is_told_nowhere(folder: Path, canary: str, code: str, failures: list[str]) -> None:
    """Neither by runs that work nor by those that fail, with the traceback of an error that nobody catches."""
    done = start(code, folder, canary, "", *failures)

    assert 0 == done.returncode, done.stderr.decode()
    assert len(failures) <= done.stderr.count(b"***")
    check_silence(folder, canary, done.stdout, done.stderr)


@pytest.mark.parametrize("at", ["package.written", "package.sealed", "commit.recorded"])
def test_what_a_dead_process_leaves(folder: Path, canary: str, at: str) -> None:
    """Packages, sealed or not, and DuckDB's log."""
    done = start(SCRIPT, folder, canary, "", at=at)

    assert done.returncode < 0
    assert list(folder.glob("w.duckdb.packages/*"))
    check_silence(folder, canary, done.stdout, done.stderr)


def test_a_notebook(folder: Path, canary: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored with a notebook whose cells worked, and failed."""
    monkeypatch.setenv("GIVEN", canary)
    monkeypatch.setenv("SERVICE_TOKEN", f"own-{canary[7:]}")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{folder}")
    for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(folder / variable.lower()))
    run = "headrace.run(flow, into=':memory:', inputs={**inputs, 'fails': '%s'})"
    cells = [INPUTS, *(run % fails for fails in ("", *FAILURES))]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    for cell in notebook.cells:
        cell.metadata["tags"] = ["raises-exception"]
    run_notebook(notebook, folder)
    nbformat.write(notebook, folder / "told.ipynb")
    kinds = [[output["output_type"] for output in cell["outputs"]][-1:] for cell in notebook.cells]

    assert [[], ["execute_result"], *[["error"]] * len(FAILURES)] == kinds
    check_silence(folder, canary)


def test_a_token_would_be_found(folder: Path, canary: str) -> None:
    """The search can fail: data is data, and a token that a record holds is there."""
    (folder / "data.json").write_text(canary)
    with pytest.raises(AssertionError, match=r"data\.json"):
        check_silence(folder, canary)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("postgresql://ann:opensesame@db/x", "postgresql://ann:***@db/x"),
        ("https://x.org/?a=1&token=t1&b=2", "https://x.org/?a=1&token=***&b=2"),
        ("https://x.org/?page_token=t1", "https://x.org/?page_token=***"),
        ("https://x.org/?primary_key=id", "https://x.org/?primary_key=id"),
        ("a:b@c", "a:b@c"),
    ],
)
def test_credentials_in_a_url(text: str, told: str) -> None:
    """Where an URL has its credentials is known, whatever they are."""
    assert told == masked(text)
    assert told == str(UsageError(text))


def test_what_is_too_short_is_no_secret() -> None:
    """Else a token `main` would turn every message into stars."""
    learn({"token": "main"})

    assert "main.t" == masked("main.t")


def test_the_folder_of_the_shell_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password may be called PWD; the environment's is the folder, which messages have to name."""
    monkeypatch.setenv("PWD", "/home/ann")
    monkeypatch.setenv("OLDPWD", "/srv/shop")
    monkeypatch.setenv("DB_PWD", "opensesame")

    assert "/srv/shop.duckdb: ***" == masked("/srv/shop.duckdb: opensesame")


def test_an_error_is_masked_with_all_that_led_to_it() -> None:
    """In place, its class kept; one whose message cannot be changed gives way to its name and message."""
    learn({"password": "opensesame"})
    error = SourceError("t: opensesame")
    error.__cause__ = OSError(2, "no such file", "/opensesame")
    error.__cause__.__context__ = Stubborn()
    mask_error(error)

    assert isinstance(error, HeadraceError)
    assert ["t: ***", "[Errno 2] no such file: '/***'", "Stubborn: it is ***"] == [
        str(error), str(error.__cause__), str(error.__cause__.__context__),
    ]  # fmt: skip


class Stubborn(Exception):
    def __str__(self) -> str:
        return "it is opensesame"
