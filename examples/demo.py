"""The demo: import the bundled Slack export and tell what is in it.

    python examples/demo.py [WAREHOUSE.duckdb]

Without a path the warehouse is demo.duckdb in the folder where this is run. Running it again adds nothing.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import textwrap
from pathlib import Path

from ibis import _

import headrace
from headrace.cli.display import forgiving

EXPORT = Path(__file__).with_name("demo_export.zip")
BUSIEST = 5


def main() -> None:
    """Import the export, then print what was loaded, the channels and the busiest threads."""
    parser = argparse.ArgumentParser(description="Import the bundled Slack export and tell what is in it.")
    parser.add_argument("warehouse", nargs="?", default="demo.duckdb", help="default: demo.duckdb")
    into = parser.parse_args().warehouse
    try:
        result = headrace.run("slack", into=into, inputs={"export": EXPORT}, progress=False)
    except headrace.HeadraceError as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    with forgiving(), result:
        print_totals(result, into)
        print_channels(result)
        print_threads(result)
        print_commands(into)


def print_totals(result: headrace.RunResult, into: str) -> None:
    """Print what the warehouse now holds."""
    totals = result["messages"].agg(
        messages=_.count(), channels=_.channel_id.nunique(), first=_.posted_at.min(), last=_.posted_at.max()
    )
    (row,) = totals.to_pyarrow().to_pylist()
    days = " to ".join(f"{day.day} {day:%B %Y}" for day in (row["first"], row["last"]))
    threads = result["threads"].count().to_pyarrow()
    print(bold(f"{EXPORT.name} is in {into}"))
    print(f"  {row['messages']} messages and {threads} threads in {row['channels']} channels, {days}")


def print_channels(result: headrace.RunResult) -> None:
    """Print a line for each channel, the one with the most messages first."""
    threads = result["threads"].group_by("channel_id").agg(threads=_.count())
    channels = (
        result["messages"]
        .group_by("channel_id", "channel_name")
        .agg(messages=_.count(), people=_.user.nunique(where=_.bot_id.isnull()))
        .left_join(threads, "channel_id")
        .order_by(_.messages.desc(), "channel_name")
    )
    print(f"\n{bold('Channels')}{'messages':>26}{'threads':>9}{'people':>8}")
    for row in channels.to_pyarrow().to_pylist():
        print(f"  {row['channel_name']:24}{row['messages']:8}{row['threads'] or 0:9}{row['people']:8}")


def print_threads(result: headrace.RunResult) -> None:
    """Print the longest threads, each with its brief."""
    threads = result["threads"].select("channel_id", "thread_ts", "messages", "people", "first_reply_seconds")
    briefs = result["thread_briefs"].inner_join(threads, ["channel_id", "thread_ts"])
    busiest = briefs.order_by(_.messages.desc(), "first_at", "channel_id").limit(BUSIEST)
    for number, row in enumerate(busiest.to_pyarrow().to_pylist()):
        day, waited = row["first_at"], row["first_reply_seconds"]
        answered = "" if waited is None else f", first reply after {waited / 60:.0f} min"
        print("" if number else f"\n{bold('Busiest threads')}")
        print(f"  {bold('#' + row['channel_name'])}, {day.day} {day:%B}: ", end="")
        print(f"{row['messages']} messages, {row['people']} people{answered}")
        # A brief is its topic, its points as a list, and its status with the sentence that shows it.
        for line in row["brief"].splitlines():
            print(wrapped(line, indent=4))
        if row["status"] == "discussion":
            print("    Discussion")


def print_commands(into: str) -> None:
    """Print what to try next, ready to be copied."""
    beside_python = Path(sys.executable).with_name("headrace")
    call = "headrace" if shutil.which("headrace") else shlex.quote(os.path.relpath(beside_python))
    print(f"\n{bold('Try next')}")
    print(f"  {call} preview slack.threads -w {shlex.quote(into)}")
    print(f"  {call} query -w {shlex.quote(into)} \\")
    print("    \"SELECT topic FROM slack.thread_briefs WHERE status = 'open question'\"")
    print(f"  {call} run slack --export YOUR-EXPORT.zip --into yours.duckdb")


def wrapped(text: str, indent: int) -> str:
    """Return text in lines of 80 to 120 columns, as the terminal has them."""
    width = min(max(shutil.get_terminal_size(fallback=(100, 24)).columns, 80), 120)
    later = " " * (indent + 2)
    return textwrap.fill(text, width, initial_indent=" " * indent, subsequent_indent=later)


def bold(text: str) -> str:
    """Return text in bold on a terminal, plain elsewhere and where NO_COLOR is set."""
    return f"\x1b[1m{text}\x1b[0m" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text


if __name__ == "__main__":
    main()
