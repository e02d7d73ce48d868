"""A schedule: when to look, and what to produce."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import PositiveInt, StringConstraints, field_validator, model_validator

from catalogtool.config._base import Settings

_FIELDS = 5
_EXPECTED = (
    "expected five fields (minute, hour, day of month, month, day of week) of numbers, *, lists, "
    "ranges and steps, for example '0 4 * * *'"
)
_OWN_OPTIONS = ("--survey", "--output", "--night", "--since-last", "--cluster", "--plan")
_SECRET = re.compile(r"://[^/\s]*:[^/\s]*@")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SUNDAY = 7

Text = Annotated[str, StringConstraints(min_length=1)]


@dataclass(frozen=True)
class CronFields:
    """The values of each field of a cron expression, sorted; None where every value fits."""

    minutes: tuple[int, ...] | None
    hours: tuple[int, ...] | None
    days: tuple[int, ...] | None
    months: tuple[int, ...] | None
    weekdays: tuple[int, ...] | None
    """0 is Sunday, 6 Saturday. Where days are given, too, either may fit."""

    def to_text(self) -> str:
        """Cron expression of plain numbers, which every cron understands alike."""
        fields = (self.minutes, self.hours, self.days, self.months, self.weekdays)
        return " ".join("*" if f is None else ",".join(map(str, f)) for f in fields)


def parse_cron(cron: str) -> CronFields:
    """Values of the fields of a cron expression.

    Raises
    ------
    ValueError
        If it is not one, never comes true, or means different things to different programs.
    """
    try:
        parsed = CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC))
        next(parsed)
    except CronSimError as error:
        raise ValueError(f"{cron!r} is not a cron expression ({error}): {_EXPECTED}") from None
    except StopIteration:
        raise ValueError(f"{cron!r} never comes true; check day and month") from None
    days_as_numbers = all(isinstance(d, int) and d >= 0 for d in parsed.days | parsed.weekdays)
    if len(cron.split()) != _FIELDS or not days_as_numbers:
        raise ValueError(f"{cron!r} is not a plain cron expression: {_EXPECTED}")
    days = _narrow(parsed.days, 31)
    weekdays = _narrow({day % _SUNDAY for day in parsed.weekdays if isinstance(day, int)}, 7)
    if days and weekdays and parsed.day_and:
        raise ValueError(
            f"{cron!r} restricts days of the month and of the week, one of them by */n, which "
            f"programs understand differently; restrict one, or write the days as a list"
        )
    if not parsed.day_and and not (days and weekdays):
        # Either field may fit, and one of them always does.
        days = weekdays = None
    return CronFields(
        minutes=_narrow(parsed.minutes, 60),
        hours=_narrow(parsed.hours, 24),
        days=days,
        months=_narrow(parsed.months, 12),
        weekdays=weekdays,
    )


def _narrow(values: set[int], full: int) -> tuple[int, ...] | None:
    return None if len(values) == full else tuple(sorted(values))


class Schedule(Settings):
    """One schedule; a tick only says 'now', the nights without a commit are then produced."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$")]
    survey: Text
    """Name of a survey, or absolute path of a private survey file."""
    cron: str
    timezone: str
    """Time zone in which `cron` is meant."""
    output: Text
    """Absolute path or ``s3://`` URI."""
    cluster: str | None = None
    """Address of the Ray cluster that does the work; None: this machine."""
    first_night: date
    """Nights before it are left alone."""
    look_back_nights: PositiveInt = 30
    """Nights that ended longer ago are left alone."""
    folder: Text
    """Absolute path of the folder that relative paths in `options` start from."""
    options: tuple[str, ...] = ()
    """Further options of ``catalogtool produce``, passed on verbatim."""

    @field_validator("cron")
    @classmethod
    def _cron_parses(cls, cron: str) -> str:
        parse_cron(cron)
        return " ".join(cron.split())

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"{timezone!r} is not a time zone; expected a name like UTC or America/Santiago"
            ) from None
        return timezone

    @field_validator("options")
    @classmethod
    def _options_are_others(cls, options: tuple[str, ...]) -> tuple[str, ...]:
        taken = [word for word in options if word.split("=", 1)[0] in _OWN_OPTIONS]
        if taken:
            raise ValueError(f"{', '.join(taken)}: is set by the schedule itself; remove it")
        return options

    @model_validator(mode="after")
    def _words_are_harmless(self) -> Self:
        words = (self.survey, self.output, self.folder, self.cluster or "", *self.options)
        if any(_SECRET.search(word) for word in words):
            raise ValueError("an address holds a password; use the usual AWS chain instead")
        if any(_CONTROL.search(word) for word in words):
            raise ValueError("an option holds a line break or control character; remove it")
        return self

    def next_tick(self, after: datetime) -> datetime:
        """First tick after a moment, in UTC.

        A tick in the hour that a clock change skips comes right after it; one in the hour that a
        change repeats comes once.
        """
        ticks = CronSim(self.cron, after.astimezone(ZoneInfo(self.timezone)))
        return next(tick for tick in (t.astimezone(UTC) for t in ticks) if tick > after)
