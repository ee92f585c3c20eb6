"""Bad days of sources: what a server that misbehaves leaves in the warehouse, and what the caller is told."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

import headrace
from headrace.cli import app
from headrace.errors import HeadraceError, SourceError, SourceUnavailable, WarehouseLocked
from headrace.loaders.reading.patience import is_temporary, refuse_stuck_pages, with_timeout
from headrace.loaders.warehouse import Warehouse

FLOW = '''
from collections.abc import Iterator
import requests
from headrace import Checkpoint, Record, resource

@resource(primary_key="id", write_disposition="merge", part_records=1, timeout=20)
def issues(url: str, trouble: str, since: int | None) -> Iterator[list[Record] | Checkpoint]:
    """Three good pages, then trouble."""
    for page in range(since or 0, 3):
        yield requests.get(f"{url}/page/{page}").json()
        yield Checkpoint(page + 1)
    while True:
        answer = requests.get(f"{url}/{trouble}/3")
        answer.raise_for_status()
        yield answer.json()
'''


class Server(BaseHTTPRequestHandler):
    """Good pages of two issues, and every kind of trouble."""

    def do_GET(self) -> None:
        kind, page = self.path.strip("/").split("/")
        body = json.dumps([{"id": 2 * int(page)}, {"id": 2 * int(page) + 1}]).encode()
        if kind.isdigit():
            self.answer(int(kind), b"")
        elif kind in ("page", "same"):
            self.answer(200, body)
        elif kind == "half":
            self.answer(200, body[:-5])
        elif kind in ("short", "reset"):
            self.answer(200, body[:-5], length=len(body))
            if kind == "reset":  # so that closing sends a reset, not an end
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
        elif kind == "silent":
            finished.wait()

    def answer(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def finish(self) -> None:
        if self.connection.fileno() != -1:
            super().finish()


finished = threading.Event()


@pytest.fixture
def url() -> Iterator[str]:
    finished.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        finished.set()
        server.shutdown()


def run(folder: Path, url: str, trouble: str, flow: str = FLOW) -> int:
    path = folder / "shop.py"
    path.write_text(flow, encoding="utf-8")
    return app.main(
        ["run", str(path), "--into", str(folder / "w.duckdb"), "--url", url, "--trouble", trouble]
    )


@pytest.mark.parametrize(
    ("trouble", "code", "message"),
    [
        ("500", 75, "HTTPError: 500 Server Error"),
        ("503", 75, "HTTPError: 503 Server Error"),
        ("429", 75, "HTTPError: 429 Client Error"),
        ("404", 1, "HTTPError: 404 Client Error"),
        ("401", 1, "HTTPError: 401 Client Error"),
        ("reset", 75, "Connection"),
        ("short", 75, "IncompleteRead"),
        ("half", 1, "JSONDecodeError"),
        ("same", 1, "page 13 is the same as the 9 before it: the source does not move on"),
    ],
)  # fmt: skip
def test_a_server_in_trouble(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str], trouble: str, code: int, message: str
) -> None:
    """Pages that were sealed stay, the resource and the record are named, and 75 says that a retry may help."""
    found = run(tmp_path, url, trouble)
    told = capsys.readouterr().err

    assert (code, True) == (found, message in told), told
    assert "headrace: shop.issues: " in told
    assert trouble == "same" or "record 6: " in told
    assert trouble == "same" or "; the first 6 are in the warehouse" in told
    with headrace.connect(tmp_path / "w.duckdb") as warehouse:
        assert 3 == warehouse.cursor("shop.issues")
        assert [(6,)] == warehouse.query("SELECT count(*) FROM shop.issues")


def test_a_server_that_never_answers(tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A source that is silent for longer than `timeout` is left, though it hangs in a call without one."""
    found = run(tmp_path, url, "silent", FLOW.replace("timeout=20", "timeout=0.5"))

    assert 75 == found
    assert "shop.issues: record 6: TimeoutError: the source gave nothing for 0.5 s" in capsys.readouterr().err
    with headrace.connect(tmp_path / "w.duckdb") as warehouse:
        assert [(6,)] == warehouse.query("SELECT count(*) FROM shop.issues")


def test_a_server_that_is_away(tmp_path: Path) -> None:
    """No connection at all is for later, too."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))

        assert 75 == run(tmp_path, f"http://127.0.0.1:{unused.getsockname()[1]}", "page")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'{"id": 1}\n{"id": 2}\n{"id"', 3),
        (b'{"id": 1}\n\n\n{"id": 2}\n{"id": 3', 5),
        (b'{"id": 1}\n{"id": 2}\n{"id": \n{"id": 4}\n', 3),
    ],
    ids=["end", "blank lines", "middle"],
)
@pytest.mark.parametrize("cursor", [None, "id"])
def test_half_a_record(
    warehouse: Warehouse, tmp_path: Path, content: bytes, line: int, cursor: str | None
) -> None:
    """A line that was cut off is named by file and line, and nothing of its part is written."""
    from headrace.loaders.contracts.target import Target

    file = tmp_path / "data.jsonl"
    file.write_bytes(content)
    with pytest.raises(SourceError, match=rf"main\.t: record 2 \(data\.jsonl:{line}\) is no JSON") as raised:
        warehouse.load(file, Target("t"), cursor=cursor)

    assert not raised.value.retryable
    assert [] == warehouse.query("SELECT table_name FROM duckdb_tables() WHERE table_name = 't'")


def test_a_timeout_runs_nothing_ahead() -> None:
    """With a timeout, too, a source is asked for a record only when the one before was dealt with."""
    seen: list[str] = []

    def source() -> Iterator[int]:
        try:
            for n in range(3):
                seen.append(f"made {n}")
                yield n
        finally:
            seen.append("closed")

    for n in with_timeout(60, source()):
        seen.append(f"used {n}")
        if n == 1:
            break

    assert ["made 0", "used 0", "made 1", "used 1", "closed"] == seen


def test_a_timeout_passes_errors_on() -> None:
    """What the source raises comes out as it is."""

    def source() -> Iterator[int]:
        yield 1
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        list(with_timeout(60, source()))


@pytest.mark.parametrize(
    "pages",
    [
        [[{"id": 1}]] * 10,
        [[{"id": 1}], [{"id": 2}]] * 20,
        [[{"id": 1}, {"id": n}, {"id": 1}] for n in range(30)],
        [{"id": 1}] * 30,
        [[]] * 30,
    ],
    ids=["ten times", "a circle of two", "different in the middle", "no pages", "empty pages"],
)
def test_what_is_no_endless_page(pages: list[Any]) -> None:
    """Only one page, all of it the same, that comes again ten times running is an error."""
    assert pages == list(refuse_stuck_pages("t", iter(pages)))


def test_a_page_for_ever() -> None:
    """The page is counted from 0, and a list that the source fills anew each time is no other page."""

    def source() -> Iterator[list[Any]]:
        page: list[Any] = []
        for n in range(10**6):
            page[:] = [{"id": min(n, 3)}, {"id": 9}]
            yield page

    with pytest.raises(SourceError, match=r"^t: page 13 is the same as the 9 before it"):
        list(refuse_stuck_pages("t", source()))


def answered(status: int) -> requests.HTTPError:
    answer = requests.Response()
    answer.status_code = status
    return requests.HTTPError("x", response=answer)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (socket.gaierror(), True),
        (requests.ConnectionError(), True),
        (requests.ReadTimeout(), True),
        (requests.exceptions.ChunkedEncodingError(), True),
        (answered(502), True),
        (answered(408), True),
        (answered(403), False),
        (caused(RuntimeError("wrapped"), ConnectionResetError()), True),
        (caused(RuntimeError("wrapped"), answered(404)), False),
        (requests.exceptions.InvalidURL(), False),
        (FileNotFoundError(), False),
        (PermissionError(), False),
        (KeyError("id"), False),
    ],
    ids=repr,
)
def test_whether_a_retry_helps(error: Exception, expected: bool) -> None:
    """Time that ran out and connections that broke pass; refusals and mistakes do not."""
    assert expected == is_temporary(error)


@pytest.mark.parametrize("kind", [SourceUnavailable, WarehouseLocked])
def test_retryable(kind: type[HeadraceError]) -> None:
    """What may work later says so, and leaves with 75; all else does not."""
    assert (True, 75) == (kind("x").retryable, kind.exit_code)
    assert not SourceError("x").retryable
