"""Which nights are due. Pure: everything is an argument."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path

LOCK_WAIT = timedelta(minutes=5)
RETRY_WAITS = (timedelta(minutes=5), timedelta(minutes=20))
_AT_ONCE = datetime.min.replace(tzinfo=UTC)


class Outcome(StrEnum):
    """What became of an attempt at a night."""

    RUNNING = "running"
    COMMITTED = "committed"
    FAILED = "failed"
    LOCKED = "locked"
    """Another run was working on the survey: not a failure."""
    STOPPED = "stopped"
    """Ended with us, or before its commit could be looked up: not a failure."""
    LOST = "lost"
    """We were killed; counts as a failure, for the night may have been the reason."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at one night; times in UTC."""

    number: int
    schedule: str
    night: date
    started: datetime
    ended: datetime | None
    outcome: Outcome
    exit_code: int | None
    log: Path


@dataclass(frozen=True)
class Decision:
    """What to do now."""

    night: date | None
    """Night to run, None: none."""
    again_at: datetime | None
    """When to look again if there is no night to run, None: not before the next tick."""


def missing_nights(
    first: date, last: date, committed: Collection[date], look_back_nights: int
) -> tuple[date, ...]:
    """Nights without a commit, oldest first.

    Parameters
    ----------
    first, last : date
        The first night of the schedule and the last one that has ended.
    committed : collection of date
        Nights with a commit.
    look_back_nights : int
        How many nights, counted back from `last`, are looked at.
    """
    start = max(first, last - timedelta(days=look_back_nights - 1))
    nights = (start + timedelta(days=n) for n in range((last - start).days + 1))
    return tuple(night for night in nights if night not in committed)


def decide(missing: Sequence[date], attempts: Sequence[Attempt], now: datetime) -> Decision:
    """Choose the night to run now: the oldest one that does not have to wait.

    A failed night waits 5 minutes, then 20, and then for the next tick; the others go on.

    Parameters
    ----------
    missing : sequence of date
        Nights without a commit, oldest first.
    attempts : sequence of Attempt
        Those since the tick, in order.
    now : datetime
        With a time zone.
    """
    locked = [a.ended for a in attempts if a.outcome is Outcome.LOCKED and a.ended]
    if locked and now < max(locked) + LOCK_WAIT:
        return Decision(None, max(locked) + LOCK_WAIT)
    later = []
    for night in missing:
        retry_at = _retry_at([a.ended for a in attempts if _is_failure_of(a, night) and a.ended])
        if retry_at is None:
            continue
        if retry_at <= now:
            return Decision(night, None)
        later.append(retry_at)
    return Decision(None, min(later, default=None))


def _is_failure_of(attempt: Attempt, night: date) -> bool:
    return attempt.night == night and attempt.outcome in {Outcome.FAILED, Outcome.LOST}


def _retry_at(failures: Sequence[datetime]) -> datetime | None:
    """When to try a night that failed at these moments; None: not before the next tick."""
    if not failures:
        return _AT_ONCE
    if len(failures) > len(RETRY_WAITS):
        return None
    return failures[-1] + RETRY_WAITS[len(failures) - 1]
