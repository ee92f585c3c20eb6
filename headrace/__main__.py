"""Run the command line: `python -m headrace`."""

from __future__ import annotations

import sys

from headrace.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
