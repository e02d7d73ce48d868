"""Patience with an end: values from a background thread, or an error when none comes."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
_POLL_S = 0.5  # the interpreter looks at signals between two waits


@dataclass(frozen=True)
class _Failure:
    error: BaseException


class _End:
    pass


class Watched(Generic[T]):
    """Iterate over values that a background thread produces.

    The caller stays awake: Ctrl-C ends its waiting, and so does silence.

    Parameters
    ----------
    produce : callable
        Returns the values; runs in the thread.
    stall_s : float
        Longest silence.
    on_stall : callable
        Returns the error to raise after it.
    """

    def __init__(
        self, produce: Callable[[], Iterable[T]], stall_s: float, on_stall: Callable[[], Exception]
    ) -> None:
        self._produce = produce
        self._stall_s = stall_s
        self._on_stall = on_stall
        self._values: queue.SimpleQueue[T | _Failure | type[_End]] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[T]:
        """Values in the order of their making; the thread's error is raised here."""
        threading.Thread(target=self._run, name="watched", daemon=True).start()
        heard = time.monotonic()
        while True:
            try:
                value = self._values.get(timeout=_POLL_S)
            except queue.Empty:
                if time.monotonic() - heard > self._stall_s:
                    raise self._on_stall() from None
                continue
            if value is _End:
                return
            if isinstance(value, _Failure):
                raise value.error
            heard = time.monotonic()
            yield value  # type: ignore[misc]

    def _run(self) -> None:
        try:
            for value in self._produce():
                self._values.put(value)
            self._values.put(_End)
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is awaited
            self._values.put(_Failure(error))
