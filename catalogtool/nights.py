"""Observing nights: which one a moment belongs to, and which ones are over."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

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


def last_complete_night(moment: datetime, timezone: str) -> date:
    """Newest night that has ended by a moment."""
    return observing_night(moment, timezone) - timedelta(days=1)
