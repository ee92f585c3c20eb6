"""Serve the verbs of maintenance: packages that are not committed, and cursors."""

from __future__ import annotations

import argparse
import sys
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

from headrace.cli.options import (
    default_warehouse,
    open_readonly,
    open_writable,
    reads,
    show_rows,
    takes_warehouse,
)
from headrace.errors import LoadError, UsageError

Subparsers = Any
"""What `add_subparsers` returns; argparse keeps the type to itself."""

_ID = "its id, or how it begins"
_RESOURCE = "schema.table, or table in the schema main"


def add_packages(verbs: Subparsers) -> None:
    """Add `headrace packages`."""
    packages = verbs.add_parser("packages", help="list, show, retry and drop loads that are not committed")
    what = packages.add_subparsers(dest="what", required=True, metavar="WHAT")
    listed = what.add_parser("list", help="those that wait and those that were refused, with the reason")
    listed.set_defaults(call=_packages_list)
    show = what.add_parser("show", help="the files of one")
    show.add_argument("package", metavar="ID", help=_ID)
    show.set_defaults(call=_packages_show)
    for reader in (listed, show):
        reads(reader)
    retry = what.add_parser("retry", help="commit what waits, and what was refused once more")
    retry.add_argument("package", metavar="ID", nargs="?", help=f"{_ID}; default all")
    retry.add_argument(
        "--stale", action="store_true", help="also over newer rows, where it merges or replaces"
    )
    retry.set_defaults(call=_packages_retry)
    drop = what.add_parser("drop", help="remove one for good, and say what is lost")
    drop.add_argument("package", metavar="ID", help=_ID)
    drop.add_argument("-y", "--yes", action="store_true", help="do it; without, only say what would be lost")
    drop.set_defaults(call=_packages_drop)
    for writer in (retry, drop):
        takes_warehouse(writer)


def add_state(verbs: Subparsers) -> None:
    """Add `headrace state`."""
    state = verbs.add_parser("state", help="list and move the cursors: where each resource goes on from")
    what = state.add_subparsers(dest="what", required=True, metavar="WHAT")
    listed = what.add_parser("list", help="every cursor, and the load that moved it there")
    listed.set_defaults(call=_state_list)
    reads(listed)
    put = what.add_parser("set", help="let the next run of a resource go on from a value")
    put.add_argument("resource", metavar="RESOURCE", help=_RESOURCE)
    put.add_argument("value", metavar="JSON", help="such as 17 or '\"2026-01-31\"'")
    put.add_argument("--new", action="store_true", help="also if it was never loaded")
    put.set_defaults(call=_state_set)
    reset = what.add_parser(
        "reset",
        help="let the next run of a resource read from the beginning; an append lands its records again",
    )
    reset.add_argument("resource", metavar="RESOURCE", help=_RESOURCE)
    reset.set_defaults(call=_state_reset)
    for writer in (put, reset):
        takes_warehouse(writer)


def _packages_list(options: argparse.Namespace) -> None:
    from headrace.loaders.maintenance.pending import stored

    columns = ("id", "status", "table", "records", "bytes", "age_seconds", "reason")
    show_rows(options, columns, [astuple(one)[: len(columns)] for one in stored(_path(options))])


def _packages_show(options: argparse.Namespace) -> None:
    from headrace.loaders.maintenance.pending import File, files, find

    found = files(find(_path(options), options.package))
    show_rows(options, [field.name for field in fields(File)], map(astuple, found))


def _packages_retry(options: argparse.Namespace) -> None:
    from headrace.loaders.maintenance.pending import find, retry, stored

    path = _path(options)
    chosen = [find(path, options.package)] if options.package else stored(path)
    if not chosen:
        sys.stderr.write("There is no package to commit.\n")
    failed = 0
    with open_writable(options) as warehouse:
        _ = warehouse.connection  # opening commits what waits, or says who else has the warehouse
        for package in chosen:
            try:
                load = retry(warehouse, package, stale=options.stale)
            except LoadError as error:
                failed += 1
                sys.stderr.write(f"{package.id}: {error}\n")
            else:
                sys.stderr.write(
                    f"{package.id}: {package.records:,} records of {package.table} in load {load}\n"
                )
    if failed:
        raise LoadError(f"{failed} of {len(chosen)} packages could not be committed.")


def _packages_drop(options: argparse.Namespace) -> None:
    from headrace.loaders.maintenance.pending import drop, find

    path = _path(options)
    package = find(path, options.package)
    if not options.yes:
        raise UsageError(f"This would lose {package.loss}. Add --yes to drop {package.id}.")
    sys.stderr.write(f"dropping {package.id}: {package.loss} are lost\n")
    drop(path, package, wait=options.wait)


def _state_list(options: argparse.Namespace) -> None:
    from headrace.loaders.maintenance.cursors import cursors

    with open_readonly(options) as connection:
        found = cursors(connection)
    rows = [(one.resource, one.cursor, one.load_id, str(one.updated)) for one in found]
    show_rows(options, ("resource", "cursor", "load_id", "updated"), rows)


def _state_set(options: argparse.Namespace) -> None:
    from headrace.loaders.maintenance.cursors import set_cursor

    with open_writable(options) as warehouse:
        set_cursor(warehouse, options.resource, options.value, new=options.new)
    sys.stderr.write(f"{options.resource}: the next run goes on from {options.value}\n")


def _state_reset(options: argparse.Namespace) -> None:
    from headrace.loaders.maintenance.cursors import reset_cursor

    with open_writable(options) as warehouse:
        reset_cursor(warehouse, options.resource)
    sys.stderr.write(f"{options.resource}: the next run reads from the beginning\n")


def _path(options: argparse.Namespace) -> Path:
    """Return the file of the warehouse that a call means; it is not opened."""
    from headrace.loaders.database.places import store_of
    from headrace.loaders.warehouse import connect

    path = connect(options.warehouse or default_warehouse()).path
    if path is None:
        raise UsageError("A database in memory keeps no packages.")
    if path.is_dir():
        raise UsageError(f"{str(path)!r} is a folder; name the warehouse's file in it.")
    if not path.exists() and not store_of(path).exists():
        raise UsageError(f"There is no warehouse {str(path)!r}, and there are no packages beside it.")
    return path
