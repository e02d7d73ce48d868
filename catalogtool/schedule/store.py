"""State of the schedules in SQLite: what is scheduled, when it ticked, what was attempted.

Which nights are done is not kept here: that is what their commits in storage say.
"""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

from catalogtool._discovery import check_name
from catalogtool.config._base import build_settings, canonical_json
from catalogtool.errors import ConfigError
from catalogtool.production._process import ProcessIdentity
from catalogtool.schedule.definition import Schedule
from catalogtool.schedule.due import Attempt, Outcome

_WAIT_S = 30.0
_TABLES = """
CREATE TABLE IF NOT EXISTS schedules (
    name TEXT PRIMARY KEY, settings TEXT NOT NULL, created_s REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS ticks (
    schedule TEXT NOT NULL REFERENCES schedules ON DELETE CASCADE, moment_s REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS attempts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    schedule TEXT NOT NULL REFERENCES schedules ON DELETE CASCADE,
    night TEXT NOT NULL, started_s REAL NOT NULL, ended_s REAL,
    outcome TEXT NOT NULL, exit_code INTEGER, log TEXT NOT NULL, process TEXT NOT NULL
);
"""
_ATTEMPT = "number, schedule, night, started_s, ended_s, outcome, exit_code, log"


def default_folder() -> Path:
    """State folder of this user: ``$XDG_STATE_HOME/catalogtool``."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "catalogtool"


class Store:
    """The state file and the folder of logs.

    Parameters
    ----------
    folder : Path
        Made if it is not there, readable for its owner alone.

    Raises
    ------
    ConfigError
        If the state cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder}: {error.strerror}; choose another --state") from error
        with self._connection() as connection:
            connection.executescript(_TABLES)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """One transaction, on disk when the block ends well."""
        path = self.folder / "schedules.sqlite"
        try:
            connection = sqlite3.connect(path, timeout=_WAIT_S)
            try:
                connection.execute("PRAGMA foreign_keys = ON")
                with connection:
                    yield connection
            finally:
                connection.close()
        except sqlite3.DatabaseError as error:
            raise ConfigError(f"{path}: {error}; mend it or choose another --state") from error

    def add(self, schedule: Schedule, now: datetime) -> None:
        """Keep a new schedule.

        Raises
        ------
        ConfigError
            If there is one of that name.
        """
        with self._connection() as connection:
            known = connection.execute("SELECT 1 FROM schedules WHERE name = ?", (schedule.name,))
            if known.fetchone():
                raise ConfigError(
                    f"{schedule.name}: there is such a schedule; give another --name, or remove "
                    f"it: catalogtool schedule remove {schedule.name}"
                )
            settings = canonical_json(schedule.to_json())
            row = (schedule.name, settings, now.timestamp())
            connection.execute("INSERT INTO schedules VALUES (?, ?, ?)", row)

    def remove(self, name: str) -> None:
        """Forget a schedule and its history; its logs stay."""
        self.get(name)
        with self._connection() as connection:
            connection.execute("DELETE FROM schedules WHERE name = ?", (name,))

    def schedules(self) -> list[Schedule]:
        """All schedules by name."""
        with self._connection() as connection:
            rows = connection.execute("SELECT settings FROM schedules ORDER BY name").fetchall()
        return [build_settings(Schedule, json.loads(text), str(self.folder)) for (text,) in rows]

    def get(self, name: str) -> Schedule:
        """The schedule of a name.

        Raises
        ------
        UnknownNameError
            If there is none.
        """
        known = {schedule.name: schedule for schedule in self.schedules()}
        check_name(name, tuple(known), "schedules")
        return known[name]

    def last_tick(self, name: str) -> datetime | None:
        """Newest tick of a schedule."""
        return self._newest("SELECT max(moment_s) FROM ticks WHERE schedule = ?", name)

    def added(self, name: str) -> datetime | None:
        """When a schedule was added; None if it was removed in between."""
        return self._newest("SELECT max(created_s) FROM schedules WHERE name = ?", name)

    def _newest(self, query: str, name: str) -> datetime | None:
        with self._connection() as connection:
            (moment_s,) = connection.execute(query, (name,)).fetchone()
        return None if moment_s is None else _moment(moment_s)

    def add_tick(self, name: str, moment: datetime) -> None:
        """Note that a schedule said 'now'."""
        with self._connection() as connection:
            connection.execute("INSERT INTO ticks VALUES (?, ?)", (name, moment.timestamp()))

    def begin(self, name: str, night: date, now: datetime) -> Attempt:
        """Note an attempt before it starts."""
        process = canonical_json(ProcessIdentity.own().to_json())
        with self._connection() as connection:
            values = (name, night.isoformat(), now.timestamp(), Outcome.RUNNING, process)
            number = connection.execute(
                "INSERT INTO attempts (schedule, night, started_s, outcome, log, process) "
                "VALUES (?, ?, ?, ?, '', ?)",
                values,
            ).lastrowid
            log = self.folder / "logs" / name / f"{night.isoformat()}-{number}.log"
            update = "UPDATE attempts SET log = ? WHERE number = ?"
            connection.execute(update, (str(log), number))
        assert number is not None
        return Attempt(number, name, night, now, None, Outcome.RUNNING, None, log)

    def finish(
        self, attempt: Attempt, now: datetime, outcome: Outcome, exit_code: int | None
    ) -> None:
        """Note what became of an attempt."""
        with self._connection() as connection:
            connection.execute(
                "UPDATE attempts SET ended_s = ?, outcome = ?, exit_code = ? WHERE number = ?",
                (now.timestamp(), outcome, exit_code, attempt.number),
            )

    def attempts(self, name: str, since: datetime | None = None) -> list[Attempt]:
        """Attempts of a schedule in order, those begun since a moment."""
        start = since.timestamp() if since else 0.0
        query = f"SELECT {_ATTEMPT} FROM attempts WHERE schedule = ? AND started_s >= ?"  # noqa: S608 - a constant
        with self._connection() as connection:
            rows = connection.execute(f"{query} ORDER BY number", (name, start)).fetchall()
        return [_attempt(row) for row in rows]

    def close_lost(self, now: datetime) -> None:
        """Note which running attempts belong to processes that are no more."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT number, process FROM attempts WHERE outcome = ?", (Outcome.RUNNING,)
            ).fetchall()
            for number, process in rows:
                identity = build_settings(ProcessIdentity, json.loads(process), str(self.folder))
                if not identity.is_known_alive():
                    connection.execute(
                        "UPDATE attempts SET ended_s = ?, outcome = ? WHERE number = ?",
                        (now.timestamp(), Outcome.LOST, number),
                    )


def _attempt(row: tuple[int, str, str, float, float | None, str, int | None, str]) -> Attempt:
    number, schedule, night, started_s, ended_s, outcome, exit_code, log = row
    return Attempt(
        number=number,
        schedule=schedule,
        night=date.fromisoformat(night),
        started=_moment(started_s),
        ended=None if ended_s is None else _moment(ended_s),
        outcome=Outcome(outcome),
        exit_code=exit_code,
        log=Path(log),
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
