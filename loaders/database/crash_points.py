"""Name the steps of a load at which a test kills the process.

A load passes them in this order. Nothing happens at any of them, unless the environment variable
HEADRACE_CRASH_AT names one: `commit.rows` kills the process there without notice, as a power cut would, and
`commit.rows:2` when it comes there for the second time. The tests go through all of them, so a promise
about crashes holds at each; a new step of a load needs its point here.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "HEADRACE_CRASH_AT"

POINTS = {
    "warehouse.attached": "the file is open, and perhaps new",
    "recovery.found": "a sealed package of an earlier process is about to be committed",
    "recovery.committed": "it is committed, and its folder is still there",
    "recovery.dropped": "its folder is gone",
    "recovery.finished": "so is everything that was never sealed",
    "package.opened": "the folder of a package is there, and empty",
    "package.written": "a file of the package is written (once for each)",
    "package.synced": "every file is on the disk, and no manifest is",
    "package.described": "the manifest is on the disk, and the folder still has its provisional name",
    "package.renamed": "the folder has its name, and the folder above it is not synced",
    "package.sealed": "the package is on the disk for good",
    "commit.begun": "the transaction is open",
    "upgrade.begun": "an older catalogue is about to be brought up to date",
    "upgrade.made": "it is up to date, and nothing committed",
    "commit.planned": "the plan is made; records against the contract are in quarantine",
    "commit.altered": "a table or a column is made or widened (once for each)",
    "commit.cleared": "old rows have given way",
    "commit.rows": "the rows of a table are written (once for each)",
    "commit.described": "comments and the catalogue's columns are written; the load itself is not",
    "commit.recorded": "everything is written, and nothing committed",
    "commit.committed": "the load is in the warehouse, its package still in the folder",
    "package.forgotten": "the folder of the package has its provisional name again, all files in it",
    "package.dropped": "the folder of the package is gone",
    "load.part": "a part of a load is committed; its source is asked for more, if it has more",
    "load.finished": "a load is over; the next resource or transform of the run follows",
    "transform.written": "a transform's table is written under its provisional name",
    "transform.swapped": "it has taken the place of the older one, and nothing is committed",
    "transform.committed": "the transform's table is in the warehouse",
}
"""What is so at each point, by its name."""

_passed: dict[str, int] = {}


def crash_point(point: str) -> None:
    """Die here, if the environment says so."""
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    name, _, time = wanted.partition(":")
    _passed[point] = _passed.get(point, 0) + 1
    if name == point and _passed[point] == int(time or 1):
        os.kill(os.getpid(), signal.SIGKILL)
