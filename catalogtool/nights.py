"""Observing nights: which one a moment belongs to, and which ones are over."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MJD_ZERO = datetime(1858, 11, 17, tzinfo=UTC)
"""Where Modified Julian Dates begin."""

_NOON = timedelta(hours=12)


def observing_night(moment: datetime, timezone: str) -> date:
    """Night that a moment belongs to, named by the local date of its evening.

    A night runs from local noon to local noon, also where the clock changes in between.

    Parameters
    ----------
    moment : datetime
        With a time zone of its own.
    timezone : str
        Time zone of the observatory, for example ``America/Santiago``.
    """
    local = moment.astimezone(ZoneInfo(timezone)).replace(tzinfo=None)
    return (local - _NOON).date()


def night_start(night: date, timezone: str) -> datetime:
    """Moment (UTC) at which an observing night begins; the night before ends there."""
    return datetime.combine(night, time(12), ZoneInfo(timezone)).astimezone(UTC)


def last_complete_night(moment: datetime, timezone: str) -> date:
    """Newest night that has ended by a moment."""
    return observing_night(moment, timezone) - timedelta(days=1)
