"""The one place that prints: results to stdout; progress, logs and errors to stderr."""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from catalogtool.production.log_progress import LogProgress, pace, stderr_log
from catalogtool.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


def result(text: str) -> None:
    """Print a result."""
    print(text)  # noqa: T201 - the one place that prints


def result_json(value: object) -> None:
    """Print a result for programs."""
    result(json.dumps(value, indent=2))


def note(text: str) -> None:
    """Say something that is no result."""
    passage(f"{text}\n")


def passage(text: str) -> None:
    """Pass on text of another program, as it comes."""
    print(text, end="", file=sys.stderr, flush=True)  # noqa: T201 - the one place that prints


def error(text: str) -> None:
    """Print an error."""
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, soft_wrap=True).print(Text("error: ", style="bold red") + Text(text))


def table(title: str, columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    """Print a table."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=title or None, title_justify="left", header_style="bold")
    for name in columns:
        shown.add_column(name, overflow="fold")
    for row in rows:
        shown.add_row(*(str(value) for value in row))
    width = None if sys.stdout.isatty() else 140
    Console(width=width, markup=False).print(shown)


class TerminalProgress(Progress):
    """Bars with rates and remaining time."""

    def __init__(self) -> None:
        self._bars: Bars | None = None
        self._task: TaskID | None = None
        self._started = 0.0

    def log(self, message: str) -> None:
        """Say something once, above the bars."""
        if self._bars is not None:
            self._bars.console.print(message, markup=False, highlight=False)
        else:
            print(message, file=sys.stderr, flush=True)  # noqa: T201 - the one place that prints

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Enclose one stage; its bar goes when it ends, a line with its time stays."""
        self._started = time.monotonic()
        self._bars = _new_bars()
        self._task = self._bars.add_task(name, total=None, note="")
        with self._bars:
            yield
        self._bars = self._task = None
        self.log(f"{name}: done in {time.monotonic() - self._started:.1f} s")

    def advance(self, done: int, total: int, noun: str, note: str = "") -> None:
        """Move the bar."""
        if self._bars is not None and self._task is not None:
            speed = pace(done, time.monotonic() - self._started)
            text = ", ".join(filter(None, (f"{noun} ({speed})", note)))
            self._bars.update(self._task, completed=done, total=total, note=text)


def new_progress() -> Progress:
    """Bars on a terminal, log lines elsewhere."""
    if sys.stderr.isatty():
        return TerminalProgress()
    return LogProgress(stderr_log())


def _new_bars() -> Any:  # noqa: ANN401 - rich is imported only here
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    return Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        transient=True,
    )
