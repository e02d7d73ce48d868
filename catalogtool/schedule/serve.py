"""Produce what is due: once (`catch_up`), or for ever by the clock (`serve`)."""

import logging
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from types import FrameType

from catalogtool import storage
from catalogtool.errors import CatalogtoolError, LockedError
from catalogtool.layout import OutputLayout
from catalogtool.nights import last_complete_night
from catalogtool.schedule.definition import Schedule
from catalogtool.schedule.due import Attempt, Decision, Outcome, decide, missing_nights
from catalogtool.schedule.runner import Runner
from catalogtool.schedule.store import Store
from catalogtool.surveys import load_survey

_POLL = timedelta(minutes=1)
_TROUBLE_WAIT = timedelta(minutes=5)
_log = logging.getLogger(__name__)


class Clock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Now, in UTC."""
        return datetime.now(UTC)

    def sleep(self, pause: timedelta) -> None:
        """Wait."""
        time.sleep(pause.total_seconds())


class Scheduler:
    """Works on schedules, one night at a time.

    Parameters
    ----------
    store : Store
        What is scheduled and what was attempted.
    runner : callable
        Produces one night.
    clock : Clock
        Tells the time and waits.
    poll : timedelta
        How long it may take to notice that a schedule was added or removed.
    """

    def __init__(self, store: Store, runner: Runner, clock: Clock, poll: timedelta = _POLL) -> None:
        self._store = store
        self._runner = runner
        self._clock = clock
        self._poll = poll

    def serve(self, names: Sequence[str] = ()) -> None:
        """Run schedules by their clocks, until an exception such as an interrupt.

        Those that are added or removed meanwhile count from the next poll on. A tick that was
        missed comes at once, and once, however many there were.

        Parameters
        ----------
        names : sequence of str
            Schedules to run; empty: all.

        Raises
        ------
        UnknownNameError
            If there is no schedule of a name.
        """
        for name in names:
            self._store.get(name)
        self._store.close_lost(self._clock.now())
        wakes: dict[Schedule, datetime] = {}
        while True:
            now = self._clock.now()
            asked = [s for s in self._store.schedules() if not names or s.name in names]
            wakes = {
                s: wakes[s] if wakes.get(s, now) > now else self._look_calmly(s) for s in asked
            }
            latest = self._clock.now() + self._poll
            pause = min([latest, *wakes.values()]) - self._clock.now()
            if pause > timedelta(0):
                self._clock.sleep(pause)

    def catch_up(self, schedule: Schedule) -> tuple[date, ...]:
        """Produce all nights that lack a commit, now, and wait for those that are tried again.

        Returns
        -------
        tuple of date
            Nights that still failed; none of them kept the others back.

        Raises
        ------
        LockedError
            If another run is working on the survey.
        """
        tick = self._clock.now()
        self._store.close_lost(tick)
        self._store.add_tick(schedule.name, tick)
        while True:
            decision = self._advance(schedule, tick)
            attempts = self._store.attempts(schedule.name, tick)
            if attempts and attempts[-1].outcome is Outcome.LOCKED:
                raise LockedError(
                    f"{schedule.name}: another run is working on {schedule.survey}; it is left to "
                    f"it. See {attempts[-1].log}"
                )
            if decision.night is not None:
                continue
            if decision.again_at is None:
                return self._missing(schedule, tick)
            self._clock.sleep(decision.again_at - self._clock.now())

    def has_tick(self, schedule: Schedule) -> bool:
        """Whether a tick came since the last one that was followed."""
        now = self._clock.now()
        return schedule.next_tick(self._last_tick(schedule) or now) <= now

    def _last_tick(self, schedule: Schedule) -> datetime | None:
        """Last tick that was followed, or when the schedule was added."""
        return self._store.last_tick(schedule.name) or self._store.added(schedule.name)

    def _look_calmly(self, schedule: Schedule) -> datetime:
        """As `_look`; trouble of one schedule does not end the others."""
        try:
            return self._look(schedule)
        except CatalogtoolError as error:
            _log.error("%s: %s", schedule.name, error)
            return self._clock.now() + _TROUBLE_WAIT

    def _look(self, schedule: Schedule) -> datetime:
        """Follow a tick if one came, run one night at most; returns when to look again."""
        now = self._clock.now()
        if self.has_tick(schedule):
            self._store.add_tick(schedule.name, now)
        following = schedule.next_tick(now)
        tick = self._store.last_tick(schedule.name)
        if tick is None:
            return following
        decision = self._advance(schedule, tick)
        if decision.night is not None:
            return self._clock.now()
        return min(following, decision.again_at or following)

    def _advance(self, schedule: Schedule, tick: datetime) -> Decision:
        """Run the next night, if there is one that is due now."""
        missing = self._missing(schedule, tick)
        attempts = self._store.attempts(schedule.name, tick)
        decision = decide(missing, attempts, self._clock.now())
        if decision.night is not None:
            self._run(schedule, decision.night)
        return decision

    def _missing(self, schedule: Schedule, tick: datetime) -> tuple[date, ...]:
        survey = load_survey(schedule.survey)
        committed = committed_nights(schedule.output, survey.name)
        last = last_complete_night(tick, survey.timezone)
        return missing_nights(schedule.first_night, last, committed, schedule.look_back_nights)

    def _run(self, schedule: Schedule, night: date) -> None:
        attempt = self._store.begin(schedule.name, night, self._clock.now())
        _log.info("%s: night %s starts, log %s", schedule.name, night, attempt.log)
        try:
            code = self._runner(schedule, night, attempt.log)
            outcome = self._outcome(schedule, attempt, code)
        except BaseException:
            self._store.finish(attempt, self._clock.now(), Outcome.STOPPED, None)
            raise
        self._store.finish(attempt, self._clock.now(), outcome, code)
        level = logging.ERROR if outcome is Outcome.FAILED else logging.INFO
        text = "%s: night %s: %s (exit code %d), log %s"
        _log.log(level, text, schedule.name, night, outcome, code, attempt.log)

    def _outcome(self, schedule: Schedule, attempt: Attempt, code: int) -> Outcome:
        """What counts is the commit, whatever the exit code says."""
        survey = load_survey(schedule.survey).name
        if storage.exists(OutputLayout(schedule.output).night(survey, attempt.night)):
            return Outcome.COMMITTED
        return Outcome.LOCKED if code == LockedError.exit_code else Outcome.FAILED


def committed_nights(output: str, survey: str) -> frozenset[date]:
    """Nights of a survey that have a commit."""
    files = storage.list_files(OutputLayout(output).nights(survey))
    stems = (info.uri.rpartition("/")[2].removesuffix(".json") for info in files)
    return frozenset(date.fromisoformat(stem) for stem in stems if _is_date(stem))


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


@contextmanager
def termination_interrupts() -> Iterator[None]:
    """While the block runs, SIGTERM does what Ctrl-C does; the first one counts."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
