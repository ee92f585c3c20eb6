"""Processes to kill: a server that has imported everything, and forks one process for each load.

A fork starts in a hundredth of the time of an interpreter, so hundreds of real processes can be killed. The
server opens no warehouse itself.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from headrace.loaders.database import crash_points

ROOT = Path(__file__).parent.parent.parent


class Killer:
    """Runs loads in processes of their own, which die where they are told to.

    Attributes:
        log: The file into which the processes write what they have to say.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        with log.open("ab") as errors:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.reliability.killing"],
                cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip

    def __enter__(self) -> Killer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.communicate()

    def load(
        self, how: str, into: Path, size: int, turn: int, *, at: str = "", after: float | None = None
    ) -> bool:
        """Load one turn in a process of its own; tell whether it was killed.

        Args:
            how: The kind of load, a key of `streams.LOADS`.
            into: The warehouse.
            size: How many records a turn has.
            turn: The turn, from 1.
            at: The crash point, perhaps with the time; "" for none.
            after: Seconds after which it is killed from outside, wherever it is.
        """
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps([how, str(into), size, turn, at, after]) + "\n")
        self._server.stdin.flush()
        ended = self._server.stdout.readline().strip()
        assert ended in ("done", "killed"), f"{ended or 'the server died'}\n{self.log.read_text()[-5000:]}"
        return ended == "killed"


def serve() -> None:
    """Fork a process for each line of standard input, and say on standard output how it ended."""
    from tests.reliability import shop, streams

    assert shop
    for line in sys.stdin:
        how, into, size, turn, at, after = json.loads(line)
        process = os.fork()
        if not process:
            os.environ[crash_points.VARIABLE] = at
            os.dup2(2, 1)
            code = 1
            try:
                streams.LOADS[how](Path(into), size, turn)
                code = 0
            except BaseException:  # noqa: BLE001 - the fork must not go on as a second server
                sys.excepthook(*sys.exc_info())
            finally:
                sys.stderr.flush()
                os._exit(code)
        if after is not None:
            time.sleep(after)
            os.kill(process, signal.SIGKILL)  # one that is over already is a zombie, and takes no harm
        status = os.waitpid(process, 0)[1]
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        sys.stdout.write("killed\n" if killed else "done\n" if status == 0 else f"failed {status}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
