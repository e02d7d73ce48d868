"""The one place that prints: results to stdout; progress, logs and errors to stderr."""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from catalogtool.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

_LOG_SECONDS = 10.0  # between two progress lines where there is no terminal


def result(text: str) -> None:
    """Print a result."""
    print(text)  # noqa: T201 - the one place that prints


def result_json(value: object) -> None:
    """Print a result for programs."""
    result(json.dumps(value, indent=2))


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


class ConsoleProgress(Progress):
    """Bars with rates on a terminal, a quiet line now and then elsewhere."""

    def __init__(self) -> None:
        self._tty = sys.stderr.isatty()
        self._bars: Bars | None = None
        self._task: TaskID | None = None
        self._started = 0.0
        self._last_line = 0.0

    def log(self, message: str) -> None:
        """Say something once, above the bars."""
        if self._bars is not None:
            self._bars.console.print(message, markup=False, highlight=False)
            return
        stamp = time.strftime("%H:%M:%S")
        print(f"{stamp} {message}", file=sys.stderr, flush=True)  # noqa: T201 - the one place

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Enclose one stage; its bar goes when it ends, a line with its time stays."""
        self._started = self._last_line = time.monotonic()
        if self._tty:
            self._bars = _new_bars()
            self._task = self._bars.add_task(name, total=None, note="")
            self._bars.start()
        else:
            self.log(f"{name} …")
        finished = False
        try:
            yield
            finished = True
        finally:
            if self._bars is not None:
                self._bars.stop()
            self._bars = self._task = None
            if finished:
                self.log(f"{name}: done in {time.monotonic() - self._started:.1f} s")

    def advance(self, done: int, total: int, noun: str, note: str = "") -> None:
        """Move the bar, or write a line if the last one is old enough."""
        if self._bars is not None and self._task is not None:
            text = f"{noun} {note}".strip()
            self._bars.update(self._task, completed=done, total=total, note=text)
            return
        now = time.monotonic()
        if now - self._last_line < _LOG_SECONDS and done < total:
            return
        self._last_line = now
        rate = done / max(now - self._started, 1e-9)
        left = f", {(total - done) / rate:.0f} s left" if 0 < done < total else ""
        self.log(f"  {done} of {total} {noun} ({rate:.3g}/s{left}) {note}".rstrip())


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
