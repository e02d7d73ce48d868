"""Forty nights by a fake clock, with all that happens to machines: each is produced once."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from schedule_samples import NEW_YORK, local, night_schedule

from catalogtool.nights import last_complete_night
from catalogtool.schedule.due import Outcome
from catalogtool.schedule.store import Store

SERVE = Path(__file__).parent / "serve_until.py"
NIGHTS = 40
LOCKED = 6  # a half hour in waits of five minutes
PATIENCE_S = 60


class Machine:
    """Serves from a moment to another, as often as it is told to."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def start(
        self, start: datetime, end: datetime, busy: tuple[datetime, datetime] | None = None
    ) -> subprocess.Popen[bytes]:
        facts = {
            "state": str(self.state),
            "start": start.timestamp(),
            "end": end.timestamp(),
            "busy": busy and [moment.timestamp() for moment in busy],
        }
        return subprocess.Popen([sys.executable, str(SERVE), json.dumps(facts)])

    def journal(self, word: str) -> list[tuple[date, int]]:
        path = self.state / "journal"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        words = [line.split() for line in lines]
        return [(date.fromisoformat(night), int(pid)) for w, night, pid in words if w == word]

    def now(self) -> datetime:
        return datetime.fromtimestamp(float((self.state / "now").read_text()), UTC)

    def kill_during(self, server: subprocess.Popen[bytes], night: date) -> None:
        """SIGKILL everything while a night is being produced."""
        deadline = time.monotonic() + PATIENCE_S
        while not (pids := [pid for n, pid in self.journal("begun") if n == night]):
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        server.send_signal(signal.SIGKILL)
        os.kill(pids[0], signal.SIGKILL)
        server.wait()


@pytest.mark.parametrize(
    ("start", "cron"),
    [
        pytest.param(local(2026, 2, 20, 15), "30 2 * * *", id="a night that loses an hour"),
        pytest.param(local(2026, 10, 15, 15), "30 1 * * *", id="a night that gains an hour"),
    ],
)
def test_each_of_forty_nights_is_produced_exactly_once_and_in_order(
    tmp_path: Path, start: datetime, cron: str
) -> None:
    first = last_complete_night(start, NEW_YORK)
    days = [start + timedelta(days=n) for n in range(NIGHTS + 1)]
    state = tmp_path / "state"
    store = Store(state)
    store.add(night_schedule(tmp_path, first, cron), start)
    machine = Machine(state)

    crash_night = first + timedelta(days=12)
    (state / "hold").write_text(crash_night.isoformat())
    server = machine.start(start, days[30])
    machine.kill_during(server, crash_night)
    (state / "hold").unlink()
    assert [night for night, _ in machine.journal("produced")] == nights(first, 12)

    # On again at once; a week later another run holds the lease for the first half hour of a tick.
    tick = store.get("nightly").next_tick(days[20])
    busy = (tick - timedelta(minutes=1), tick + timedelta(minutes=30))
    assert machine.start(machine.now(), days[25], busy).wait() == 0
    before = len(machine.journal("produced"))

    # Three nights without power.
    assert machine.start(days[28] + timedelta(hours=1), days[-1]).wait() == 0

    expected = nights(first, NIGHTS)
    assert [night for night, _ in machine.journal("produced")] == expected
    assert before == 25
    commits = (tmp_path / "output" / "nights" / "nightly").glob("*.json")
    assert sorted(path.stem for path in commits) == [str(night) for night in expected]
    outcomes = [attempt.outcome for attempt in store.attempts("nightly")]
    assert outcomes.count(Outcome.COMMITTED) == NIGHTS
    assert outcomes.count(Outcome.LOST) == 1
    assert outcomes.count(Outcome.LOCKED) == LOCKED
    assert len(outcomes) == NIGHTS + 1 + LOCKED


def nights(first: date, count: int) -> list[date]:
    return [first + timedelta(days=n) for n in range(count)]
