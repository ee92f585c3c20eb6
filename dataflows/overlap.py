"""Run the loads of a run side by side, since most of a load is waiting for its source.

Everything else runs in the caller's thread, in the order of the DAG, and waits for the loads it needs. A load
that fails stops none of the others: they have nothing to do with it, and what they bring is kept.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from typing import Any

from hamilton.lifecycle.api import NodeExecutionMethod

from headrace.dataflows.failures import named
from headrace.dataflows.nodes import STEP
from headrace.errors import UsageError
from headrace.loaders.loading import Report
from headrace.masking import masked

_SIGNALS_EVERY = 0.1
"""Seconds after which an interrupt is noticed at the latest."""


class OverlappedLoads(NodeExecutionMethod):
    """A Hamilton adapter that gives each load a thread and names the node that fails; runs always have it.

    Under it the result of a load is a future, see `settled`; not so where one load runs at a time.

    Attributes:
        most: How many loads run at a time.
    """

    def __init__(self, most: int) -> None:
        """Say how many loads run at a time.

        Raises:
            UsageError: None would.
        """
        if most < 1:
            raise UsageError(f"workers={most}: at least one is needed.")
        self.most = most
        self._turns = threading.Semaphore(most)
        self._stopped = threading.Event()
        self._loads: list[Future[Any]] = []

    def run_to_execute_node(
        self, *, node_name: str, node_tags: dict[str, Any], node_callable: Callable[..., Any],
        node_kwargs: dict[str, Any], **_: Any,
    ) -> Any:  # fmt: skip
        """Call a node, or let a thread do it; Hamilton calls this."""
        if node_tags.get(STEP) != "load" or self.most == 1:
            with named(node_name):
                return node_callable(**{key: settled(value) for key, value in node_kwargs.items()})
        load: Future[Any] = Future()
        given = (load, node_name, node_callable, node_kwargs)
        try:
            # a daemon: a source that hangs must not keep the process from being interrupted
            threading.Thread(target=self._run, args=given, name=node_name, daemon=True).start()
        except RuntimeError:  # the machine has no thread left: one load after the other, then
            self._run(*given)
        self._loads.append(load)
        return load

    @contextlib.contextmanager
    def supervised(self) -> Iterator[None]:
        """Run loads in here: an error waits until no load runs any more, and tells of those that failed too.

        After an interrupt no further load begins, and those that run end at their next report.
        """
        try:
            yield
        except Exception as raised:
            for load in self._loads:
                error = load.exception()
                if error is not None and error is not raised:
                    warnings.warn(f"Another load failed: {masked(str(error))}", stacklevel=4)
            raise
        finally:
            self._stopped.set()  # only an interrupt leaves loads that run still

    def stoppable(self, report: Report) -> Report:
        """Return a report under which a load can be stopped."""

        def reported(table: str, records: int, committed: bool) -> None:
            if not committed:
                self._go_on()
            report(table, records, committed)

        return reported

    def _run(
        self, load: Future[Any], name: str, call: Callable[..., Any], given: dict[str, Any]
    ) -> None:  # fmt: skip
        with self._turns:
            try:
                self._go_on()
                with named(name):
                    load.set_result(call(**{key: settled(value) for key, value in given.items()}))
            except BaseException as error:  # noqa: BLE001  # the one who asks for the result gets it
                load.set_exception(error)

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise InterruptedError("the run was interrupted")


def settled(value: Any) -> Any:
    """Return a value, a load's after it is done; raise what the load raised.

    >>> settled(7)
    7
    """
    if not isinstance(value, Future):
        return value
    # Python sees Ctrl-C between two waits. One long wait would not end where a library (polars) has put a
    # signal handler of its own in the place of Python's.
    while not value.done():
        wait([value], timeout=_SIGNALS_EVERY)
    return value.result()
