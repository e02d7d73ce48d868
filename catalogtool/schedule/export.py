"""Files that hand a schedule to the scheduler that a site already has.

All of them call the same command, which catches up; none of them knows about nights.
"""

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from catalogtool import __version__, storage
from catalogtool.errors import ConfigError, LockedError
from catalogtool.schedule import _kubernetes
from catalogtool.schedule.definition import CronFields, Schedule, parse_cron

_WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_UTC = frozenset({"UTC", "Etc/UTC", "Universal", "Zulu", "Etc/Universal", "Etc/Zulu"})
_OFTEN = "*/15 * * * *"
_LONGEST_JOB = "2-00:00:00"


@dataclass(frozen=True)
class Site:
    """What the files must know of the place where they will work."""

    state: Path
    """State folder that holds the schedule."""
    timezone: str | None
    """Time zone of its cron; None: not known."""
    image: str | None = None
    """Container image with catalogtool, for Kubernetes."""


def export(schedule: Schedule, format_: str, site: Site) -> dict[str, str]:
    """Write a schedule in the language of another scheduler.

    Returns
    -------
    dict
        Contents by file name.

    Raises
    ------
    ConfigError
        If there is no such format, or something it needs is not given.
    """
    if format_ not in _FORMATS:
        raise ConfigError(f"{format_!r} is not a format; expected one of {', '.join(_FORMATS)}")
    return _FORMATS[format_](schedule, site)


def host_timezone() -> str | None:
    """Time zone of this host, None if it does not say."""
    named = os.environ.get("TZ", "").removeprefix(":")
    if named:
        return named
    _, found, zone = str(Path("/etc/localtime").resolve()).partition("/zoneinfo/")
    return zone if found else None


def on_calendar(fields: CronFields, timezone: str) -> tuple[str, ...]:
    """Express a cron expression as calendar events of systemd, any of which may come true."""
    months, hours, minutes = map(_numbers, (fields.months, fields.hours, fields.minutes))
    time = f"{hours}:{minutes}:00 {timezone}"
    dates = []
    if fields.days or not fields.weekdays:
        dates.append(f"*-{months}-{_numbers(fields.days)}")
    if fields.weekdays:
        names = ",".join(_WEEKDAYS[day] for day in fields.weekdays)
        dates.append(f"{names} *-{months}-*")
    return tuple(f"{day} {time}" for day in dates)


def _numbers(values: tuple[int, ...] | None) -> str:
    return "*" if values is None else ",".join(f"{value:02d}" for value in values)


def _catch_up(schedule: Schedule, site: Site) -> list[str]:
    program = [sys.executable, "-m", "catalogtool", "schedule"]
    return [*program, "run-now", schedule.name, "--state", str(site.state)]


def _cron_line(schedule: Schedule, site: Site) -> str:
    """Comment and line of a crontab."""
    command = _catch_up(schedule, site)
    cron = parse_cron(schedule.cron).to_text()
    comment = f"# Produces the nights of {schedule.survey}: {schedule.cron} in {schedule.timezone}."
    if not _is_same_zone(schedule.timezone, site.timezone):
        cron = _OFTEN
        command.append("--if-due")
        zone = site.timezone or "another zone"
        comment += f"\n# Cron works by the clock of its host ({zone}): it asks often, and"
        comment += "\n# catalogtool looks whether the time has come."
    # In a crontab, % means a line break.
    return f"{comment}\n{cron} {shlex.join(command)}\n".replace("%", "\\%")


def _is_same_zone(zone: str, other: str | None) -> bool:
    return zone == other or (zone in _UTC and other in _UTC)


def _cron(schedule: Schedule, site: Site) -> dict[str, str]:
    note = (
        "# Add it with crontab -e. No lock is needed: the lease in the output keeps runs apart.\n"
    )
    return {f"{_unit(schedule)}.cron": note + _cron_line(schedule, site)}


def _scrontab(schedule: Schedule, site: Site) -> dict[str, str]:
    *comments, line = _cron_line(schedule, site).splitlines()
    options = (f"--job-name={_unit(schedule)}", f"--time={_LONGEST_JOB}", "--open-mode=append")
    head = ["# Add it with scrontab -e.", *comments, *(f"#SCRON {option}" for option in options)]
    return {f"{_unit(schedule)}.scrontab": "\n".join([*head, line, ""])}


def _systemd(schedule: Schedule, site: Site) -> dict[str, str]:
    unit = _unit(schedule)
    what = f"Produce the nights of {schedule.survey} ({schedule.name})".replace("%", "%%")
    words = " ".join(_systemd_quoted(word) for word in _catch_up(schedule, site))
    service = f"""\
# Put both files into ~/.config/systemd/user, then:
# systemctl --user daemon-reload && systemctl --user enable --now {unit}.timer
# Without a login session, also: loginctl enable-linger
[Unit]
Description={what}

[Service]
Type=oneshot
ExecStart={words}
# Another run is working; it is left to it.
SuccessExitStatus={LockedError.exit_code}
KillMode=mixed
TimeoutStopSec=90
"""
    events = on_calendar(parse_cron(schedule.cron), schedule.timezone)
    lines = "\n".join(f"OnCalendar={event}" for event in events)
    timer = f"""\
[Unit]
Description={what}

[Timer]
# {schedule.cron} in {schedule.timezone}
{lines}
# After the machine was off, one run catches up.
Persistent=true

[Install]
WantedBy=timers.target
"""
    return {f"{unit}.service": service, f"{unit}.timer": timer}


def _systemd_quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if any(c in word for c in " \t;\"'\\") or not word else escaped


def _unit(schedule: Schedule) -> str:
    return f"catalogtool-{schedule.name}"


def _cronjob(schedule: Schedule, site: Site) -> dict[str, str]:
    text = _kubernetes.cronjob(schedule, _image(schedule, site))
    return {f"{_unit(schedule)}-cronjob.yaml": text}


def _raycronjob(schedule: Schedule, site: Site) -> dict[str, str]:
    text = _kubernetes.raycronjob(schedule, _image(schedule, site))
    return {f"{_unit(schedule)}-raycronjob.yaml": text}


def _image(schedule: Schedule, site: Site) -> str:
    """Image of the pods, which see neither this disk nor its files."""
    if storage.is_local(schedule.output) or "/" in schedule.survey:
        raise ConfigError(
            f"{schedule.name}: pods do not see this disk; use an s3:// output and a survey that "
            f"is part of catalogtool in the image"
        )
    if not site.image:
        raise ConfigError(
            f"no container image; give --image, one that holds catalogtool {__version__} and Ray"
        )
    return site.image


_FORMATS: dict[str, Callable[[Schedule, Site], dict[str, str]]] = {
    "cron": _cron,
    "systemd": _systemd,
    "scrontab": _scrontab,
    "cronjob": _cronjob,
    "raycronjob": _raycronjob,
}
FORMATS = tuple(_FORMATS)
