"""How a production tells what it does. This class is silent; the command line has a louder one."""

from collections.abc import Iterator
from contextlib import contextmanager


class Progress:
    """Receives what happens, in order."""

    def log(self, message: str) -> None:
        """Say something once."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:  # noqa: ARG002 - the silent one
        """Enclose one stage of the run."""
        yield

    def advance(self, done: int, total: int, noun: str, note: str = "") -> None:
        """Report how far the stage is: `done` of `total` things called `noun`."""
