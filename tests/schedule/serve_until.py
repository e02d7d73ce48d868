"""Serve a schedule by a clock that jumps, with nights that are real processes of their own.

One argument, JSON: state, start and end (seconds since 1970), busy: [start, end] of another run or
null. The clock's time is kept in the file ``now`` of the state folder.
"""

import json
import subprocess
import sys
from contextlib import ExitStack, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from schedule_samples import FakeClock, PowerOff

from catalogtool.errors import LockedError
from catalogtool.layout import OutputLayout
from catalogtool.production.lease import lease
from catalogtool.schedule.definition import Schedule
from catalogtool.schedule.runner import run_command
from catalogtool.schedule.serve import Scheduler
from catalogtool.schedule.store import Store

HERE = Path(__file__).parent
HOLDER = HERE.parent / "production" / "lease_holder.py"
LOCK_TTL_S = "600"
NIGHT_TAKES = timedelta(minutes=20)
POLL = timedelta(hours=6)


class BusyClock(FakeClock):
    """Between two moments another process holds the lease."""

    def __init__(self, start: datetime, end: datetime, now: Path) -> None:
        super().__init__(start, end)
        self._now = now
        self.lock = ""
        self.busy: tuple[datetime, datetime] | None = None
        self._other: subprocess.Popen[str] | None = None

    def sleep(self, pause: timedelta) -> None:
        super().sleep(pause)
        self.keep()
        if self.busy and self._other is None and self.moment >= self.busy[0]:
            self._other = start_holder(self.lock)
        if self.busy and self._other and self.moment >= self.busy[1]:
            self._other.communicate("end\n")
            self.busy = None

    def keep(self) -> None:
        self._now.write_text(str(self.moment.timestamp()))


def start_holder(lock: str) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    command = [sys.executable, str(HOLDER), lock, LOCK_TTL_S, "0"]
    holder = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    return holder


def main(state: Path, start_s: float, end_s: float, busy_s: list[float] | None) -> None:
    clock = BusyClock(_moment(start_s), _moment(end_s), state / "now")

    def produce(schedule: Schedule, night: date, log: Path) -> int:
        layout = OutputLayout(schedule.output)
        journal = state / "journal"
        with ExitStack() as stack:
            try:
                stack.enter_context(lease(layout.lock("nightly")))
            except LockedError as error:
                return error.exit_code
            commit = layout.night("nightly", night)
            words = ["-S", str(HERE / "produce_one.py"), commit, str(journal), str(state / "hold")]
            code = run_command([sys.executable, *words], state, log)
        clock.moment += NIGHT_TAKES
        clock.keep()
        return code

    store = Store(state)
    (schedule,) = store.schedules()
    clock.lock = OutputLayout(schedule.output).lock("nightly")
    if busy_s:
        clock.busy = (_moment(busy_s[0]), _moment(busy_s[1]))
    with suppress(PowerOff):
        Scheduler(store, produce, clock, POLL).serve()


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    main(Path(given["state"]), given["start"], given["end"], given["busy"])
