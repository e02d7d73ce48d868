"""Serving and catching up: failures, other runs, interrupts, and any mixture of them."""

import json
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schedule_samples import NEW_YORK, FakeClock, PowerOff, local, night_schedule

from catalogtool import storage
from catalogtool.errors import ConfigError, LockedError, UnknownNameError
from catalogtool.layout import OutputLayout
from catalogtool.nights import last_complete_night
from catalogtool.schedule.definition import Schedule
from catalogtool.schedule.due import RETRY_WAITS, Outcome
from catalogtool.schedule.runner import production_command, run_command
from catalogtool.schedule.serve import Clock, Scheduler, committed_nights
from catalogtool.schedule.store import Store

START = local(2026, 3, 5, 15)
FIRST = date(2026, 3, 4)
POLL = timedelta(hours=6)


def commit(schedule: Schedule, night: date) -> None:
    assert storage.create_bytes(OutputLayout(schedule.output).night("nightly", night), b"{}")


def in_days(days: float) -> datetime:
    return START + timedelta(days=days)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    kept = Store(tmp_path / "state")
    kept.add(night_schedule(tmp_path, FIRST), START)
    return kept


def serve(store: Store, runner: Callable[[Schedule, date, Path], int], clock: Clock) -> None:
    with suppress(PowerOff):
        Scheduler(store, runner, clock, POLL).serve()


def test_a_failing_night_is_retried_and_does_not_block_the_next_ones(store: Store) -> None:
    bad = FIRST + timedelta(days=1)

    def produce(schedule: Schedule, night: date, _: Path) -> int:
        if night == bad and clock.now() < in_days(5):
            return 3
        commit(schedule, night)
        return 0

    clock = FakeClock(START, in_days(8))
    serve(store, produce, clock)
    attempts = store.attempts("nightly")
    done = [a.night for a in attempts if a.outcome is Outcome.COMMITTED]
    assert sorted(done) == [FIRST + timedelta(days=n) for n in range(8)]
    assert len(set(done)) == len(done)
    failed = [a for a in attempts if a.outcome is Outcome.FAILED]
    assert {(a.night, a.exit_code) for a in failed} == {(bad, 3)}
    # Three attempts after each of the four ticks before it healed.
    assert len(failed) == (len(RETRY_WAITS) + 1) * 4
    assert failed[1].started - failed[0].started == RETRY_WAITS[0]
    # A night is named by its own date, not by that of the tick.
    assert all(a.log.name.startswith(str(a.night)) for a in attempts)


def test_a_production_that_ends_well_without_a_commit_has_failed(store: Store) -> None:
    serve(store, lambda *_: 0, FakeClock(START, in_days(1)))
    assert {a.outcome for a in store.attempts("nightly")} == {Outcome.FAILED}


def test_a_production_that_is_killed_after_its_commit_has_not(store: Store) -> None:
    def produce(schedule: Schedule, night: date, _: Path) -> int:
        commit(schedule, night)
        return -9

    serve(store, produce, FakeClock(START, in_days(1)))
    assert [a.outcome for a in store.attempts("nightly")] == [Outcome.COMMITTED]


def test_catching_up_produces_what_is_missing_and_tells_what_failed(store: Store) -> None:
    def produce(schedule: Schedule, night: date, _: Path) -> int:
        if night == FIRST:
            return 1
        commit(schedule, night)
        return 0

    clock = FakeClock(in_days(3), in_days(9))
    schedule = store.get("nightly")
    assert Scheduler(store, produce, clock).catch_up(schedule) == (FIRST,)
    assert len(committed_nights(schedule.output, "nightly")) == 3
    assert clock.now() == in_days(3) + sum(RETRY_WAITS, timedelta())


def test_catching_up_leaves_the_work_to_another_run(store: Store) -> None:
    scheduler = Scheduler(store, lambda *_: LockedError.exit_code, FakeClock(START, in_days(9)))
    with pytest.raises(LockedError, match="another run is working"):
        scheduler.catch_up(store.get("nightly"))


def test_a_tick_is_noticed_once(store: Store) -> None:
    schedule = store.get("nightly")
    assert not Scheduler(store, lambda *_: 0, FakeClock(START, in_days(9))).has_tick(schedule)
    clock = FakeClock(in_days(2), in_days(9))
    scheduler = Scheduler(store, lambda *_: 0, clock)
    assert scheduler.has_tick(schedule)
    scheduler.catch_up(schedule)
    assert not scheduler.has_tick(schedule)


def test_trouble_of_one_schedule_does_not_end_the_others(store: Store, tmp_path: Path) -> None:
    def produce(schedule: Schedule, night: date, _: Path) -> int:
        commit(schedule, night)
        return 0

    gone = store.get("nightly").model_copy(
        update={"name": "a", "survey": str(tmp_path / "no.toml")}
    )
    store.add(gone, START)
    serve(store, produce, FakeClock(START, in_days(2)))
    assert len(store.attempts("nightly")) == 2


def test_unknown_names_and_damaged_state_are_told(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'nightly'"):
        Scheduler(store, lambda *_: 0, FakeClock(START, in_days(1))).serve(["nihgtly"])
    with pytest.raises(ConfigError, match="there is such a schedule"):
        store.add(store.get("nightly"), START)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "schedules.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(ConfigError, match="choose another --state"):
        Store(tmp_path / "bad")


def test_the_command_of_a_night_carries_the_options_verbatim(tmp_path: Path) -> None:
    schedule = night_schedule(tmp_path, FIRST).model_copy(
        update={"options": ("--input", "a b"), "cluster": "http://head:8265"}
    )
    words = production_command(schedule, FIRST)
    assert words[:4] == [sys.executable, "-m", "catalogtool", "produce"]
    assert words[words.index("--night") + 1] == "2026-03-04"
    assert words[-4:] == ["--cluster", "http://head:8265", "--input", "a b"]


CHILD = """
import os, signal, sys, time
def end(*_):
    print("interrupted", flush=True)
    sys.exit(130)
signal.signal(signal.SIGINT, end)
print("ready", os.getpid(), flush=True)
time.sleep(600)
"""
PARENT = """
import sys
from pathlib import Path
from catalogtool.schedule.runner import run_command
from catalogtool.schedule.serve import termination_interrupts
with termination_interrupts():
    run_command([sys.executable, "-c", sys.argv[1]], Path(), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_an_end_of_the_server_is_passed_on_to_the_running_production(
    tmp_path: Path, how: signal.Signals
) -> None:
    log = tmp_path / "log"
    server = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD, str(log)], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not (log.exists() and log.read_text().startswith("ready")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child = int(log.read_text().split()[1])
    server.send_signal(how)
    assert server.wait(60) != 0
    assert "interrupted" in log.read_text()
    assert not Path(f"/proc/{child}").exists()


@pytest.mark.s3
def test_commits_are_found_in_object_storage(s3_bucket: str) -> None:
    assert committed_nights(s3_bucket, "nightly") == frozenset()
    layout = OutputLayout(s3_bucket)
    storage.create_bytes(layout.night("nightly", FIRST), b"{}")
    storage.create_bytes(storage.join(layout.nights("nightly"), "notes.json"), b"{}")
    storage.create_bytes(layout.night("nightly_deep", date(2026, 1, 1)), b"{}")
    assert committed_nights(s3_bucket, "nightly") == {FIRST}


def test_a_log_is_kept_and_the_exit_code_returned(tmp_path: Path) -> None:
    log = tmp_path / "deep" / "log"
    command = [sys.executable, "-c", "import sys; print('said'); sys.exit(7)"]
    assert run_command(command, tmp_path, log) == 7
    assert log.read_text() == "said\n"


class Killed(BaseException):
    """Stands for SIGKILL: what follows in the program must not count."""


EVENTS = st.lists(
    st.sampled_from(
        ["fine", "fails", "locked", "slow", "killed", "killed late", "stopped", "silent"]
    ),
    max_size=8,
)
OUTAGES = st.lists(st.integers(0, 24 * 9), max_size=8)
CRONS = st.sampled_from(["0 4 * * *", "30 2 * * *", "0 */5 * * *", "0 12 * * 1,4"])


@settings(max_examples=12, deadline=None)
@given(EVENTS, OUTAGES, CRONS)
def test_whatever_happens_no_night_is_produced_twice_and_none_is_skipped(
    events: list[str], outages: list[int], cron: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        World(Path(folder), events, outages, cron).run()


class World:
    """A machine to which events happen, one per attempt, until they are used up."""

    def __init__(self, folder: Path, events: list[str], outages: list[int], cron: str) -> None:
        self.events = events
        self.outages = outages
        self.produced: list[date] = []
        self.store = Store(folder / "state")
        self.schedule = night_schedule(folder, FIRST, cron).model_copy(
            update={"look_back_nights": 1000}
        )
        self.store.add(self.schedule, START)
        self.clock = FakeClock(START, START)

    def run(self) -> None:
        while self.events:
            self.clock.end = self.clock.moment + timedelta(days=4)
            with suppress(PowerOff, Killed, KeyboardInterrupt):
                Scheduler(self.store, self.produce, self.clock, POLL).serve()
            self.clock.moment += timedelta(hours=self.outages.pop() if self.outages else 1)
        # All is well from here on, and the next tick makes good what is missing.
        self.clock.end = self.clock.moment + timedelta(days=9)
        serve(self.store, self.produce, self.clock)
        tick = self.store.last_tick("nightly")
        assert tick
        last = last_complete_night(tick, NEW_YORK)
        expected = [FIRST + timedelta(days=n) for n in range((last - FIRST).days + 1)]
        assert sorted(self.produced) == expected

    def produce(self, schedule: Schedule, night: date, _: Path) -> int:
        event = self.events.pop() if self.events else "fine"
        self.check_order(night)
        if event in {"fails", "locked", "silent"}:
            return {"fails": 3, "locked": LockedError.exit_code, "silent": 0}[event]
        if event == "stopped":
            raise KeyboardInterrupt
        if event == "killed":
            self.die()
        if event == "slow":
            self.clock.moment += timedelta(hours=31)
        commit(schedule, night)  # asserts that nobody did before
        self.produced.append(night)
        if event == "killed late":
            self.die()
        return 0

    def check_order(self, night: date) -> None:
        """An older night without a commit has failed since the tick."""
        tick = self.store.last_tick("nightly")
        failed = {a.night for a in self.store.attempts("nightly", tick) if a.ended}
        count = (night - FIRST).days
        older = {FIRST + timedelta(days=n) for n in range(count)} - set(self.produced)
        assert older <= failed

    def die(self) -> None:
        """Leave the state as SIGKILL would: the attempt belongs to a process that is no more."""
        database = self.store.folder / "schedules.sqlite"
        with closing(sqlite3.connect(database)) as connection, connection:
            (text,) = connection.execute(
                "SELECT process FROM attempts WHERE outcome = 'running'"
            ).fetchone()
            process = json.dumps(json.loads(text) | {"started_ticks": 1})
            connection.execute(
                "UPDATE attempts SET process = ?, ended_s = NULL WHERE outcome = 'running'",
                (process,),
            )
        saved = database.read_bytes()
        store = self.store
        self.store = Store(store.folder)
        store.finish = lambda *_: database.write_bytes(saved)  # type: ignore[method-assign,assignment]
        raise Killed
