"""The demo runs as `make demo` runs it, and what it prints is true, fits and can be copied."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import headrace

ON_PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo.py"


def demo(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script in a folder, without a terminal."""
    return subprocess.run(
        [sys.executable, str(DEMO), *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100", "PATH": ON_PATH, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo was run, once."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def printed(folder: Path) -> str:
    """What the demo printed there."""
    done = demo(folder)

    assert ("", 0) == (done.stderr, done.returncode)
    return done.stdout


def section(printed: str, title: str) -> list[str]:
    """Return the lines below a heading, up to the next one."""
    lines = printed.splitlines()
    (start,) = (number for number, line in enumerate(lines) if line.startswith(title))
    ends = [number for number, line in enumerate(lines) if number > start and line[:1].strip()]
    return lines[start + 1 : min(ends, default=len(lines))]


def select(warehouse: Path, sql: str) -> list[tuple[object, ...]]:
    """Return the rows of a query."""
    with headrace.connect(warehouse).open_readonly() as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("redirect", ["| true", ">&-"])
def test_output_that_is_closed(folder: Path, printed: str, redirect: str) -> None:
    """A reader that leaves early, and an output that is closed, are no errors."""
    command = f"{shlex.quote(sys.executable)} {shlex.quote(str(DEMO))} {redirect}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=folder, capture_output=True, check=False
    )

    assert (b"", 0) == (done.stderr, done.returncode)


def test_output_that_lacks_letters(folder: Path, printed: str) -> None:
    """Letters that the output cannot have are written as escapes."""
    done = demo(folder, PYTHONIOENCODING="ascii")

    assert ("", 0) == (done.stderr, done.returncode)
    assert len(printed.splitlines()) == len(done.stdout.splitlines())


def test_totals(printed: str, folder: Path) -> None:
    """The first lines say what is in the warehouse, which is demo.duckdb where no other is named."""
    ((messages, channels),) = select(
        folder / "demo.duckdb", "SELECT count(*), count(DISTINCT channel_id) FROM slack.messages"
    )
    ((threads,),) = select(folder / "demo.duckdb", "SELECT count(*) FROM slack.threads")

    expected = [
        "demo_export.zip is in demo.duckdb",
        f"  {messages} messages and {threads} threads in {channels} channels, "
        "5 January 2026 to 27 March 2026",
    ]
    assert expected == printed.splitlines()[:2]


def test_channels(printed: str, folder: Path) -> None:
    """Each channel has a line with its messages, threads and people, bots left out; the largest is first."""
    expected = select(
        folder / "demo.duckdb",
        """
        SELECT channel_name, count(*) AS messages,
            (SELECT count(*) FROM slack.threads WHERE threads.channel_id = messages.channel_id),
            count(DISTINCT "user") FILTER (bot_id IS NULL)
        FROM slack.messages AS messages GROUP BY channel_id, channel_name ORDER BY messages DESC, channel_name
        """,
    )

    lines = [line.split() for line in section(printed, "Channels") if line]
    assert expected == [(name, *map(int, numbers)) for name, *numbers in lines]


def test_busiest_threads(printed: str, folder: Path) -> None:
    """The five longest threads are told with their size and every line of their briefs."""
    told = " ".join(" ".join(section(printed, "Busiest threads")).split())
    longest = select(
        folder / "demo.duckdb",
        """
        SELECT '#' || t.channel_name, t.messages || ' messages, ' || t.people || ' people', brief, status
        FROM slack.threads AS t JOIN slack.thread_briefs USING (channel_id, thread_ts)
        ORDER BY t.messages DESC, t.first_at LIMIT 5
        """,
    )
    expected = [str(text) for row in longest for cell in row[:3] for text in str(cell).split("\n")]

    assert [] == [text for text in expected if text.strip() not in told]
    assert sum("discussion" == status for *_, status in longest) == told.count(" Discussion")


def test_commands_can_be_copied(printed: str, folder: Path) -> None:
    """The commands at the end run as they stand, where the demo was run."""
    commands = "\n".join(section(printed, "Try next")).replace("\\\n", "").strip().splitlines()

    assert 3 == len(commands)
    for command in commands:
        command = command.replace("YOUR-EXPORT.zip", shlex.quote(str(DEMO.with_name("demo_export.zip"))))
        done = subprocess.run(
            command,
            shell=True,
            cwd=folder,
            env={**os.environ, "PATH": ON_PATH},
            capture_output=True,
            check=False,
        )
        assert 0 == done.returncode, (command, done.stderr)


def test_command_is_found_without_a_path(tmp_path: Path) -> None:
    """Where headrace is not on the PATH, as in a fresh virtual environment, the commands name where it is."""
    done = demo(tmp_path, PATH=str(tmp_path))

    (command, *_) = section(done.stdout, "Try next")
    assert (tmp_path / shlex.split(command)[0]).resolve().samefile(Path(sys.executable).with_name("headrace"))


def test_running_again_changes_nothing(printed: str, folder: Path) -> None:
    """The second run adds nothing and prints the same."""
    assert printed == demo(folder).stdout


def test_another_warehouse(printed: str, tmp_path: Path) -> None:
    """A path can be given; the output says so and is otherwise the same."""
    done = demo(tmp_path, "my slack.duckdb")

    assert (tmp_path / "my slack.duckdb").is_file()
    assert section(printed, "Busiest threads") == section(done.stdout, "Busiest threads")
    assert "demo_export.zip is in my slack.duckdb" == done.stdout.splitlines()[0]
    assert "-w 'my slack.duckdb'" in done.stdout


@pytest.mark.parametrize(("columns", "widest"), [("60", 80), ("200", 120)])
def test_width(folder: Path, printed: str, columns: str, widest: int) -> None:
    """Lines are at most as wide as the terminal, within 80 to 120 columns, and plain without one."""
    told = demo(folder, COLUMNS=columns).stdout

    assert widest >= max(len(line) for line in told.splitlines())
    assert "\x1b" not in told
    assert printed.split() == told.split()


def test_errors_are_one_line(tmp_path: Path) -> None:
    """A warehouse that cannot be opened is told without a traceback."""
    (tmp_path / "notes.duckdb").write_text("These are my notes.", encoding="utf-8")

    done = demo(tmp_path, "notes.duckdb")
    assert 0 != done.returncode
    assert done.stderr.startswith("demo: ")
    assert "Traceback" not in done.stderr
