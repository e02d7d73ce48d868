"""What the commands about schedules do."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from catalogtool import storage
from catalogtool.config._base import build_settings
from catalogtool.errors import ClusterError
from catalogtool.nights import last_complete_night
from catalogtool.production.log_progress import stderr_log
from catalogtool.schedule.definition import Schedule
from catalogtool.schedule.runner import run_production
from catalogtool.schedule.serve import Clock, Scheduler, termination_interrupts
from catalogtool.schedule.store import Store
from catalogtool.surveys import load_survey

LINE = ("name", "survey", "cron", "timezone", "next tick", "output", "last attempt")
ATTEMPT = ("night", "started", "ended", "outcome", "exit code", "log")
_CLOCK = Clock()


def add(store: Store, given: Mapping[str, Any]) -> Schedule:
    """Check a schedule and keep it.

    Parameters
    ----------
    store : Store
        Where to keep it.
    given : mapping
        Settings of `Schedule`; name, output and first night may be missing, and paths relative.

    Raises
    ------
    UnknownNameError
        If there is no such survey.
    ConfigError
        If a setting is wrong, or there is a schedule of that name.
    """
    survey = load_survey(given["survey"])
    is_file = given["survey"] != survey.name
    filled = {
        "name": survey.name,
        "first_night": last_complete_night(_CLOCK.now(), survey.timezone),
        "folder": str(Path.cwd()),
        **given,
        "survey": str(Path(given["survey"]).absolute()) if is_file else survey.name,
        "output": storage.normalise(given["output"]),
    }
    schedule = build_settings(Schedule, filled, where="catalogtool schedule add")
    store.add(schedule, _CLOCK.now())
    return schedule


def run_now(store: Store, name: str, *, only_if_due: bool) -> Iterator[str]:
    """Catch up with a schedule; yields what to tell.

    Raises
    ------
    LockedError
        If another run is working on the survey.
    ClusterError
        If nights failed, after all others were produced.
    """
    schedule = store.get(name)
    scheduler = Scheduler(store, run_production, _CLOCK)
    if only_if_due and not scheduler.has_tick(schedule):
        return  # without a word, which cron would send by mail
    stderr_log()
    with termination_interrupts():
        failed = scheduler.catch_up(schedule)
    if failed:
        nights = ", ".join(str(night) for night in failed)
        raise ClusterError(
            f"{name}: could not be produced: {nights}; the next tick tries again. "
            f"Logs: catalogtool schedule history {name}",
            nights=[str(night) for night in failed],
        )
    yield f"{name}: every night has its commit"


def serve(store: Store, names: Sequence[str]) -> None:
    """Follow schedules until Ctrl-C or SIGTERM, which ends a running production, too.

    Raises
    ------
    UnknownNameError
        If there is no schedule of a name.
    """
    log = stderr_log()
    log.info("serving %s of %s", ", ".join(names) or "all schedules", store.folder)
    try:
        with termination_interrupts():
            Scheduler(store, run_production, _CLOCK).serve(names)
    except KeyboardInterrupt:
        log.info("stopped; start it again to go on")


def describe(store: Store) -> list[tuple[object, ...]]:
    """One row of `LINE` per schedule."""
    now = _CLOCK.now()
    return [
        (s.name, s.survey, s.cron, s.timezone, _text(s.next_tick(now)), s.output, _last(store, s))
        for s in store.schedules()
    ]


def history(store: Store, name: str, count: int) -> list[tuple[object, ...]]:
    """One row of `ATTEMPT` per attempt, newest first.

    Raises
    ------
    UnknownNameError
        If there is no such schedule.
    """
    attempts = store.attempts(store.get(name).name)[::-1][:count]
    return [
        (
            str(a.night),
            _text(a.started),
            _text(a.ended) if a.ended else "",
            str(a.outcome),
            "" if a.exit_code is None else a.exit_code,
            str(a.log),
        )
        for a in attempts
    ]


def _last(store: Store, schedule: Schedule) -> str:
    attempts = store.attempts(schedule.name)
    return f"{attempts[-1].night} {attempts[-1].outcome}" if attempts else ""


def _text(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")
