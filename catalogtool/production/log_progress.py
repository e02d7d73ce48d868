"""Progress as quiet log lines, for jobs and wherever there is no terminal."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from catalogtool.progress import Progress

_SECONDS_BETWEEN_LINES = 10.0


def stderr_log() -> logging.Logger:
    """Logger of this project alone, to stderr with the time of day; other libraries stay quiet."""
    log = logging.getLogger("catalogtool")
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
    return log


class LogProgress(Progress):
    """Writes when a stage starts and ends, and how far it is now and then.

    Parameters
    ----------
    log : logging.Logger
        Where the lines go.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._started = self._last_line = time.monotonic()

    def log(self, message: str) -> None:
        """Say something once."""
        self._log.info(message)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Enclose one stage of the run."""
        self._started = self._last_line = time.monotonic()
        self.log(f"{name} …")
        yield
        self.log(f"{name}: done in {time.monotonic() - self._started:.1f} s")

    def advance(self, done: int, total: int, noun: str, note: str = "") -> None:
        """Write a line if the last one is old enough or the stage is done."""
        now = time.monotonic()
        if now - self._last_line < _SECONDS_BETWEEN_LINES and done < total:
            return
        self._last_line = now
        seconds = now - self._started
        left = f", {(total - done) * seconds / done:.0f} s left" if 0 < done < total else ""
        told = f": {note}" if note else ""
        self.log(f"  {done} of {total} {noun} ({pace(done, seconds)}{left}){told}")


def pace(done: int, seconds: float) -> str:
    """How fast things are done: many per second, or seconds each."""
    if done > seconds:
        return f"{done / max(seconds, 1e-9):.3g}/s"
    return f"{seconds / done:.3g} s each" if done else "none yet"
