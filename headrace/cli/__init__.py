"""Serve the command line: data on standard output, messages on standard error.

`app` has the parser and the verbs that everybody needs; `catalogue` the verbs that read the catalogue or
change a schema; `maintenance` those of packages and cursors; `options` what they share; `display` how
rows are written.
"""

from __future__ import annotations
