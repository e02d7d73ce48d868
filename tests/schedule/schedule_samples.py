"""A survey with observing nights, schedules of it, and a clock that jumps."""

import os
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

from catalogtool.schedule.definition import Schedule
from catalogtool.schedule.serve import Clock

NEW_YORK = "America/New_York"


class PowerOff(BaseException):
    """The time that a clock was given is over."""


class FakeClock(Clock):
    """Sleeps at once; raises `PowerOff` when its end is reached."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self.moment = start
        self.end = end

    def now(self) -> datetime:
        return self.moment

    def sleep(self, pause: timedelta) -> None:
        self.moment += pause
        if self.moment >= self.end:
            raise PowerOff


def local(*numbers: int, zone: str = NEW_YORK) -> datetime:
    moment = datetime(*numbers, tzinfo=ZoneInfo(zone))  # type: ignore[misc,arg-type]
    return moment.astimezone(UTC)


def night_survey(folder: Path, timezone: str = NEW_YORK) -> Path:
    """A survey file named nightly whose nights are those of a time zone."""
    text = (resources.files("catalogtool.surveys") / "clash.toml").read_text()
    text = text.replace('name = "clash"', f'name = "nightly"\ntimezone = "{timezone}"', 1)
    path = folder / "nightly.toml"
    path.write_text(text)
    return path


def night_schedule(folder: Path, first_night: date, cron: str = "0 4 * * *") -> Schedule:
    return Schedule(
        name="nightly",
        survey=str(night_survey(folder)),
        cron=cron,
        timezone=NEW_YORK,
        output=str(folder / "output"),
        first_night=first_night,
        folder=os.fspath(folder),
    )
