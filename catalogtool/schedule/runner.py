"""Run the production of one night as a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path

from catalogtool.errors import ClusterError
from catalogtool.schedule.definition import Schedule

Runner = Callable[[Schedule, date, Path], int]
"""Produces a night of a schedule, writes a log, returns an exit code."""

# A production that is interrupted keeps what is finished and releases its lease.
_ENDINGS = ((signal.SIGINT, 60.0), (signal.SIGTERM, 10.0), (signal.SIGKILL, None))


def production_command(schedule: Schedule, night: date) -> list[str]:
    """Words of the command that produces one night."""
    cluster = [] if schedule.cluster is None else ["--cluster", schedule.cluster]
    return [
        sys.executable,
        "-m",
        "catalogtool",
        "produce",
        "--survey",
        schedule.survey,
        "--output",
        schedule.output,
        "--night",
        night.isoformat(),
        *cluster,
        *schedule.options,
    ]


def run_production(schedule: Schedule, night: date, log: Path) -> int:
    """Produce one night; an exception here, such as an interrupt, ends the production first."""
    return run_command(production_command(schedule, night), Path(schedule.folder), log)


def run_command(command: list[str], folder: Path, log: Path) -> int:
    """Run a command in a process group of its own and wait for it.

    Returns
    -------
    int
        Exit code; negative: the signal that ended it.

    Raises
    ------
    ClusterError
        If it cannot be started.
    """
    with _started(command, folder, log) as process:
        try:
            return process.wait()
        except BaseException:
            _end(process)
            raise


def _started(command: list[str], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stream:
            return subprocess.Popen(  # noqa: S603 - our own command line
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise ClusterError(
            f"{error.filename or command[0]}: the production cannot be started: {error.strerror}"
        ) from error


def _end(process: subprocess.Popen[bytes]) -> None:
    for ending, grace_s in _ENDINGS:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, ending)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
            return
