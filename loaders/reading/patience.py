"""Apply timeouts, recognise retryable errors, and stop paging that is stuck."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

from headrace.errors import SourceError

_SAME_PAGES = 10
"""Times that one page may come again. A source that moves on never gets there, since records have keys."""

_RETRY_STATUS = frozenset({408, 425, 429})
_TEMPORARY = (ConnectionError, TimeoutError)
_TEMPORARY_NAMES = {"http.IncompleteRead", "socket.gaierror"} | {
    f"{library}.{name}"
    for library in ("requests", "httpx")
    for name in ("ConnectionError", "ChunkedEncodingError", "Timeout", "TransportError")
}
"""Likewise, of modules that a load without them need not import."""


def is_temporary(error: BaseException) -> bool:
    """Tell whether the same request may work later: time ran out, or the other side broke off or is down.

    >>> is_temporary(ConnectionResetError()), is_temporary(FileNotFoundError()), is_temporary(KeyError("id"))
    (True, False, False)
    """
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(status, int):  # an answer came, and says itself what it is
            return status in _RETRY_STATUS or status >= 500
        names = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(cause).__mro__}
        if isinstance(cause, _TEMPORARY) or names & _TEMPORARY_NAMES:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def with_timeout(seconds: float, items: Iterator[Any]) -> Iterator[Any]:
    """Yield `items`, each of which may take so many seconds.

    They are made in a thread of their own, one when it is asked for: a thread that hangs can be left, and
    nothing runs ahead of what was consumed. It costs some 20 µs an item.

    Raises:
        TimeoutError: An item took longer.

    >>> list(with_timeout(5, iter([1, 2])))
    [1, 2]
    """
    asked: queue.SimpleQueue[bool] = queue.SimpleQueue()
    answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
    end = StopIteration()

    def work() -> None:
        while asked.get():
            try:
                answers.put((next(items), None))
            except StopIteration:
                answers.put((None, end))
                return
            except BaseException as error:  # noqa: BLE001 - it is raised where the item was asked for
                answers.put((None, error))
                return
        close = getattr(items, "close", None)
        if close is not None:
            close()

    worker = threading.Thread(target=work, daemon=True, name="headrace source")
    worker.start()
    is_waiting = False
    try:
        while True:
            is_waiting = True
            asked.put(True)
            try:
                item, error = answers.get(timeout=seconds)
            except queue.Empty:
                raise TimeoutError(f"the source gave nothing for {seconds:g} s") from None
            is_waiting = False
            if error is end:
                return
            if error is not None:
                raise error
            yield item
    finally:
        asked.put(False)
        if not is_waiting:  # else it may hang for ever
            worker.join()


def refuse_stuck_pages(name: str, pages: Iterator[Any]) -> Iterator[Any]:
    """Yield `pages`, unless one and the same comes time and again.

    Lists of records with keys are meant: a source that pages is at fault where it repeats one. Circles of
    several pages are not seen.

    Raises:
        SourceError: The same page came again ten times running.
    """
    ends: str | None = None
    whole: str | None = None
    same = count = 0
    for page in pages:
        if isinstance(page, list) and page:
            found = f"{len(page)} {page[0]!r} {page[-1]!r}"
            if found == ends:  # only then is it worth to look at all of it
                content = repr(page)
                same = same + 1 if content == whole else 1
                whole = content
            else:
                ends, whole, same = found, None, 1
            if same >= _SAME_PAGES:
                raise SourceError(
                    f"{name}: page {count} is the same as the {same - 1} before it: the source does not "
                    "move on. Check how it asks for the next page."
                )
            count += 1
        yield page
