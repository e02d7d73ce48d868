"""Stages of a production and how long each took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from catalogtool.progress import Progress


class Clock:
    """Announces stages and remembers their times.

    Parameters
    ----------
    progress : Progress
        Hears about each stage.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.timings: list[tuple[str, float]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Enclose one stage."""
        started = time.monotonic()
        with self.progress.stage(name):
            yield
        self.timings.append((name, time.monotonic() - started))
