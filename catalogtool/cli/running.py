"""Work that a command starts: in this process, or as a job of a cluster."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import typer

from catalogtool.cli import console

if TYPE_CHECKING:
    from catalogtool.config.anomaly import AnomalyCompareConfig
    from catalogtool.config.compare import CompareConfig
    from catalogtool.config.run import RunConfig
    from catalogtool.production.outcome import Outcome
    from catalogtool.progress import Progress

C = TypeVar("C", "RunConfig", "CompareConfig", "AnomalyCompareConfig")


@dataclass(frozen=True)
class Place:
    """Where work runs: on a cluster, and how it is handed over; or here, without an address."""

    address: str | None
    runtime: Literal["upload", "installed"] | None
    shared_disk: bool
    insecure: bool


def run(work: "Callable[[C, Progress], Outcome]", config: C, place: Place) -> "Outcome":
    """Do it, here or there, and end with exit code 130 on Ctrl-C."""
    if place.address is not None:
        return _run_there(config, place.address, place)
    progress = console.new_progress()
    try:
        return work(config, progress)
    except KeyboardInterrupt:
        console.error(
            "interrupted; what is finished is kept. Run the same command again to resume."
        )
        raise typer.Exit(130) from None


def _run_there(config: C, address: str, place: Place) -> "Outcome":
    """Submit it, or find it where it runs, pass on its log, and end with its exit code."""
    from catalogtool.distributed.submit import Jobs
    from catalogtool.production.handover import make_portable, read_outcome

    portable = make_portable(config, shared_disk=place.shared_disk)
    jobs = Jobs(address, insecure=place.insecure)
    job, is_new = jobs.submit(portable, place.runtime)
    console.note(f"job {job} {'is submitted' if is_new else 'runs already'}; its log:")
    try:
        jobs.follow(job, console.passage)
    except KeyboardInterrupt:
        console.note(
            f"\njob {job} keeps running. Look at it again: catalogtool job logs --follow {job} "
            f"--cluster {jobs.address}; end it: catalogtool job stop {job} --cluster {jobs.address}"
        )
        raise typer.Exit(130) from None
    if code := jobs.exit_code(job):
        raise typer.Exit(code)
    return read_outcome(portable, job)
