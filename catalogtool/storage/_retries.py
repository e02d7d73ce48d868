"""Patience with a network and with servers that are busy."""

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from catalogtool.errors import StorageError
from catalogtool.storage._settings import storage_settings

READERS = 64
"""Requests in flight per reader."""
_LEAST_ATTEMPTS = 5
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0

T = TypeVar("T")
U = TypeVar("U")


def persist(attempt: Callable[[], T]) -> T:
    """Call until it succeeds, for as long as its errors say that trying again may help.

    Raises
    ------
    StorageError
        The last one.
    """
    deadline = time.monotonic() + storage_settings().retry_seconds
    pause, attempts = _FIRST_PAUSE_S, 0
    while True:
        try:
            return attempt()
        except StorageError as error:
            attempts += 1
            late = attempts >= _LEAST_ATTEMPTS and time.monotonic() + pause > deadline
            if late or not error.context.get("transient"):
                raise
        # Uneven pauses, so that many workers do not come back all at once.
        time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret hangs on it
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def each_or_error(
    action: Callable[[U], T], items: Sequence[U], workers: int = READERS
) -> list[T | StorageError]:
    """Results in the order of the items, many at a time; an error takes the place of a result."""

    def one(item: U) -> T | StorageError:
        try:
            return action(item)
        except StorageError as error:
            return error

    with ThreadPoolExecutor(max(1, min(workers, len(items)))) as pool:
        return list(pool.map(one, items))
